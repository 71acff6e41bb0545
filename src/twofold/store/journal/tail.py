"""The newest frames of a partition in memory: a consumer that keeps up never touches the disk."""

from __future__ import annotations

import bisect
from typing import Final

from twofold.records.frame import Frame, Position

_OVERHEAD: Final = 256  # bytes of the objects around a payload
_SLACK: Final = 1.25  # trimmed past this share of the limit, so that trimming is rare


class Tail:
    """Consecutive frames, oldest first, bounded by bytes. Its owner locks.

    Args:
        limit_bytes: Bytes kept; 0 keeps none.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._ends: list[int] = []
        self._frames: list[tuple[Position, Frame]] = []
        self._start = -1
        self._bytes = 0

    def add(self, start: int, after: Position, frame: Frame) -> None:
        """Take the frame that stands between the sequence number `start` and `after`."""
        if not self._frames:
            self._start = start
        self._ends.append(after.segment + after.offset)
        self._frames.append((after, frame))
        self._bytes += _size(frame)
        if self._bytes > self._limit * _SLACK:
            self._trim()

    def read(self, start: int, limit: int) -> list[tuple[Position, Frame]]:
        """Frames from the sequence number `start`; empty when it is not in memory."""
        if not self._frames or start < self._start:
            return []
        index = bisect.bisect_right(self._ends, start)
        return self._frames[index : index + limit]

    def _trim(self) -> None:
        drop = 0
        while drop < len(self._frames) and self._bytes > self._limit:
            self._bytes -= _size(self._frames[drop][1])
            drop += 1
        self._start = self._ends[drop - 1]
        del self._ends[:drop], self._frames[:drop]


def _size(frame: Frame) -> int:
    return len(frame.payload) + (0 if frame.data is None else frame.data.nbytes) + _OVERHEAD
