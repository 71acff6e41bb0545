"""Messages of a listener on their way to the journal: gathered for a moment, stored together, bounded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

WAIT_S: Final = 0.05
ENOUGH: Final = 10_000
LIMIT_BYTES: Final = 64 << 20

log = logging.getLogger(__name__)


class Arrived(NamedTuple):
    """Messages that came together from one sender."""

    peer: str
    time_ns: int
    messages: Sequence[bytes]


class Batcher:
    """Hands messages to `store` in one thread: `ENOUGH` of them, or what came within `WAIT_S`.

    Args:
        store: Takes a batch. When it raises, which is a fault of ours, the batch is `lost` and the next one goes on.
        limit: Messages that may wait, of `LIMIT_BYTES` at most.
    """

    def __init__(
        self, store: Callable[[list[Arrived]], None], lost: Callable[[int, str], None], limit: int, name: str
    ) -> None:
        self._store = store
        self._lost = lost
        self._limit = limit
        self._pending: list[Arrived] = []
        self._count = 0
        self._bytes = 0
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to store."""
        self._thread.start()

    def offer(self, arrived: Arrived) -> bool:
        """Take messages; False, and nothing is taken, when too many wait."""
        count = len(arrived.messages)
        size_bytes = sum(map(len, arrived.messages))
        with self._changed:
            if self._count and (self._count + count > self._limit or self._bytes + size_bytes > LIMIT_BYTES):
                return False
            self._bytes += size_bytes
            self._pending.append(arrived)
            if self._count < ENOUGH <= self._count + count or not self._count:
                self._changed.notify()
            self._count += count
        return True

    def stop(self) -> None:
        """Store what waits and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called: what is stored now has one try."""
        return self._stopping

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._store(batch)
            except Exception:
                count = sum(len(each.messages) for each in batch)
                log.exception("%d messages lost", count)
                self._lost(count, "fault")

    def _next(self) -> list[Arrived]:
        with self._changed:
            while not self._count and not self._stopping:
                self._changed.wait()
            due = time.monotonic() + WAIT_S
            while self._count < ENOUGH and not self._stopping and (left := due - time.monotonic()) > 0:
                self._changed.wait(left)
            batch, self._pending, self._count, self._bytes = self._pending, [], 0, 0
            return batch
