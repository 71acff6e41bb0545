"""Follows the ledger's feed of writes: how processes learn of each other's work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from twofold.errors import Corrupt, NotFound, TwofoldError
from twofold.flow.background import Background
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


class Watch(Background):
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
        super().__init__("ledger-watch")
        self._ledger = ledger
        self._followers = tuple(followers)
        self._after = after
        self._save = save
        self._poll_s = poll_s
        self.failures = 0

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

    def loop(self) -> None:
        """Tell followers of every new write, with growing pauses while one fails."""
        pause_s = self._poll_s
        while not self.stopping.is_set():
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
                self.stopping.wait(pause_s)
