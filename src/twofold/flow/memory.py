"""A journal in memory, for replays and backtests: what is replayed is durable elsewhere already."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from twofold.records.frame import Frame, Position


class MemoryJournal:
    """Frames in lists. Nothing survives the process; everything else is as the port says.

    Args:
        partitions: Their number.
    """

    def __init__(self, partitions: int = 1) -> None:
        self._frames: list[list[Frame]] = [[] for _ in range(partitions)]
        self._committed: dict[tuple[str, int], Position] = {}
        self._grown = threading.Condition()
        self._closed = False

    def append(self, frames: Sequence[Frame]) -> Sequence[Position]:
        """See `Journal.append`."""
        with self._grown:
            positions = []
            for frame in frames:
                kept = self._frames[frame.partition]
                kept.append(frame)
                positions.append(Position(0, len(kept)))
            self._grown.notify_all()
        return positions

    def read(self, partition: int, start: Position, limit: int = 256) -> Sequence[tuple[Position, Frame]]:
        """See `Journal.read`."""
        with self._grown:
            found = self._frames[partition][start.offset : start.offset + limit]
        return [(Position(0, start.offset + number), frame) for number, frame in enumerate(found, 1)]

    def wait(self, partition: int, start: Position, timeout_s: float) -> bool:
        """See `Journal.wait`."""
        with self._grown:
            self._grown.wait_for(lambda: self._closed or len(self._frames[partition]) > start.offset, timeout_s)
            return len(self._frames[partition]) > start.offset

    def commit(self, consumer: str, partition: int, position: Position) -> None:
        """See `Journal.commit`. Frames stay until the journal is closed."""
        self._committed[consumer, partition] = position

    def committed(self, consumer: str, partition: int) -> Position:
        """See `Journal.committed`."""
        return self._committed.get((consumer, partition), Position(0, 0))

    def partitions(self) -> range:
        """See `Journal.partitions`."""
        return range(len(self._frames))

    def close(self) -> None:
        """Forget everything."""
        with self._grown:
            self._closed = True
            self._grown.notify_all()
