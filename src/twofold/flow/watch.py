"""Follows the ledger's feed of writes: how processes learn of each other's work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from twofold.errors import Corrupt, NotFound, TwofoldError
from twofold.store.blobs import Blobs
from twofold.store.ledger import Change, Ledger

log = logging.getLogger(__name__)

_LONGEST_S: Final = 10.0

Follower = Callable[[Sequence[Change]], object]


def read_cursor(blobs: Blobs, name: str) -> int:
    """Up to where a follower was told; 0, the beginning of the feed, when there is no note or a damaged one."""
    try:
        return int(blobs.get(name))
    except NotFound:
        return 0
    except (Corrupt, ValueError) as error:
        log.error("%s is damaged, everything is told again: %s", name, error)  # noqa: TRY400 - the file is at fault
        return 0


class Watch:
    """One thread that polls the feed and tells followers of every write once, in order.

    A follower that raises is told the same writes again, after a pause: it must be idempotent. The pause grows
    while it goes on raising, up to ten seconds.

    Args:
        after: Sequence number from which on writes are new; `save` is told each one that is done.
    """

    def __init__(
        self,
        ledger: Ledger,
        followers: Sequence[Follower],
        *,
        after: int,
        save: Callable[[int], None] = lambda _seq: None,
        poll_s: float = 0.25,
    ) -> None:
        self._ledger = ledger
        self._followers = tuple(followers)
        self._after = after
        self._save = save
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failures = 0

    def start(self) -> None:
        """Begin in a thread of its own."""
        self._thread = threading.Thread(target=self._loop, name="ledger-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the round at hand."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def round(self) -> int:
        """Tell followers what is new, in the calling thread; returns how many writes."""
        changes = self._ledger.changes(self._after)
        if not changes:
            return 0
        for follower in self._followers:
            follower(changes)
        self._after = changes[-1].seq
        self._save(self._after)
        return len(changes)

    def _loop(self) -> None:
        pause_s = self._poll_s
        while not self._stop.is_set():
            try:
                busy = self.round()
                pause_s = self._poll_s
            except TwofoldError as error:
                self.failures += 1
                log.warning("a follower of the ledger could not keep up and will be told again: %s", error)
                busy, pause_s = 0, min(pause_s * 2, _LONGEST_S)
            except Exception:  # the thread's boundary: who follows the ledger must not silently stop
                self.failures += 1
                log.exception("a follower of the ledger failed and will be told again")
                busy, pause_s = 0, min(pause_s * 2, _LONGEST_S)
            if not busy:
                self._stop.wait(pause_s)
