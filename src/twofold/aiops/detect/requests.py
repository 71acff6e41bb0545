"""Requests of objectives, counted: all and bad ones, by minute for some days and by hour for a whole window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.records.time import SECOND_NS

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MINUTE_NS: Final = 60 * SECOND_NS
LONGEST_MIN: Final = 3 * 1440
"""The longest window of a burn rate; budgets over more are counted by hours."""
_AHEAD_MIN: Final = 1440  # minutes that one batch may bring at once, before those of the windows are overwritten
_MINUTES: Final = LONGEST_MIN + _AHEAD_MIN
_NONE: Final = -1


class Requests:
    """Counts of some objectives in two rings, columns (total, bad).

    Args:
        hours: Length of the longest objective's window.
        count: Number of objectives.
    """

    def __init__(self, count: int, hours: int) -> None:
        self.minutes = np.zeros((count, 2, _MINUTES), np.int64)
        self.hours = np.zeros((count, 2, hours + _AHEAD_MIN // 60 + 1), np.int64)
        self.first = np.full(count, _NONE, np.int64)
        self.minute = _NONE

    def keeps(self, minute: Int64s) -> Bools:
        """Which minutes are not too old to count."""
        kept: Bools = (minute > self.minute - _MINUTES) & (minute // 60 > self.minute // 60 - self.hours.shape[2])
        return kept

    def add(self, number: int, minute: Int64s, bad: Bools) -> None:
        """Count requests of an objective, one a row."""
        for ring, step in ((self.minutes[number], minute), (self.hours[number], minute // 60)):
            place = step % ring.shape[1]
            np.add.at(ring[0], place, 1)
            np.add.at(ring[1], place[bad], 1)
        oldest = int(minute.min())
        self.first[number] = oldest if self.first[number] == _NONE else min(oldest, int(self.first[number]))

    def forward(self, minute: int) -> None:
        """Empty what is newly begun."""
        then = self.minute
        for ring, now, known in ((self.minutes, minute, then), (self.hours, minute // 60, then // 60)):
            steps = ring.shape[2]
            first = now - steps + 1 if then == _NONE else max(known + 1, now - steps + 1)
            if first <= now:
                ring[:, :, np.arange(first, now + 1) % steps] = 0
        self.minute = max(then, minute)

    def past(self, number: int, now: int) -> Past:
        """What was counted before minute `now`."""
        columns = np.arange(now - LONGEST_MIN - _AHEAD_MIN // 2, now)
        since = int(self.first[number])
        counts = self.minutes[number][:, columns % _MINUTES] * (columns > self.minute - _MINUTES)
        return Past(now - len(columns), counts, np.cumsum(counts, axis=1), since if since != _NONE else now)

    def window(self, number: int, now: int, window_s: float) -> Int64s:
        """(total, bad) by step, the oldest first: minutes where they reach back far enough, else hours.

        Of the newest hour only what lies before minute `now`.
        """
        if window_s <= LONGEST_MIN * 60:
            minutes: Int64s = self.minutes[number][:, np.arange(now - int(window_s // 60), now) % _MINUTES]
            return minutes
        hour, hours = now // 60, int(window_s // 3600)
        found: Int64s = self.hours[number][:, np.arange(hour - hours + 1, hour + 1) % self.hours.shape[2]]
        found[:, -1] = self.minutes[number][:, np.arange(hour * 60, now) % _MINUTES].sum(axis=1)
        return found

    def copy(self, number: int, old: Requests, place: int) -> None:
        """Take an objective from counts whose rings may have another size. Both must stand at one minute."""
        for mine, other, now in ((self.minutes, old.minutes, self.minute), (self.hours, old.hours, self.minute // 60)):
            kept = np.arange(now - min(mine.shape[2], other.shape[2]) + 1, now + 1)
            mine[number][:, kept % mine.shape[2]] = other[place][:, kept % other.shape[2]]
        self.first[number] = old.first[place]

    @classmethod
    def restored(cls, minutes: Int64s, hours: Int64s, first: Int64s, minute: int, *, names: int) -> Requests:
        """From arrays of a checkpoint, of so many objectives. Raises `ValueError` where they do not fit each other."""
        count = len(first)
        if names != count:
            raise ValueError(f"counts of {count} objectives for {names} names")
        if minutes.shape[:2] != (count, 2) or hours.shape[:2] != (count, 2) or minutes.ndim != 3 or hours.ndim != 3:  # noqa: PLR2004 - objective, total and bad, time
            raise ValueError(f"counts of shapes {minutes.shape} and {hours.shape} for {count} objectives")
        found = cls(0, 1)
        found.minutes, found.hours, found.first, found.minute = minutes, hours, first, minute
        return found


@dataclass(frozen=True, slots=True)
class Past:
    """An objective's last days by minute.

    Attributes:
        start: The oldest minute.
        counts: (total, bad) of each minute.
        sums: Their running sums.
        first: Minute of the first request ever.
    """

    start: int
    counts: Int64s
    sums: Int64s
    first: int

    def sum(self, now: int, minutes: int) -> tuple[int, int]:
        """Total and bad of so many minutes before minute `now`."""
        low, high = now - minutes - self.start - 1, now - self.start - 1
        upper = self.sums[:, high] if high >= 0 else (0, 0)
        lower = self.sums[:, low] if low >= 0 else (0, 0)
        return int(upper[0] - lower[0]), int(upper[1] - lower[1])

    def covered(self, now: int, minutes: int) -> float:
        """Share of a window before minute `now` in which the objective already had requests."""
        return min(1.0, max(0, now - self.first) / minutes)
