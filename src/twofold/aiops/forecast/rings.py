"""The newest values of a few series at an even step: one ring a resolution, all series in one array."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.errors import Corrupt
from twofold.flow.stage import State

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ROOM: Final = 16
LARGEST: Final = 1e18  # as the detector of series; what is larger is no disk, and does not fit 32 bits


class Ring:
    """The last value of each step; NaN where a series had none.

    Args:
        step_ns: Width of a step.
        steps: How many are kept: 4 bytes each a series.
    """

    def __init__(self, step_ns: int, steps: int) -> None:
        self.step_ns = step_ns
        self._kept = np.full((_ROOM, steps), np.nan, np.float32)  # a column a step, at (step number) % steps
        self._zero = np.zeros(_ROOM)  # taken from values, so that 32 bits keep small changes of large ones
        self._seen = np.zeros(_ROOM, np.int64)
        self._newest = -1

    def put(self, row: Int64s, time_ns: Int64s, value: Floats) -> None:
        """Take samples in the order of time; what is older than the ring, no number or past `LARGEST` is left out."""
        if not len(row):
            return
        self._grow(int(row.max()) + 1)
        step = time_ns // self.step_ns
        self._forward(int(step.max()))
        steps = self._kept.shape[1]
        fits = (step > self._newest - steps) & (np.abs(value) <= LARGEST)
        row, step, value = row[fits], step[fits], value[fits]
        fresh = self._seen[row] == 0
        self._zero[row[fresh]] = value[fresh]
        empty = np.isnan(self._kept[row, step % steps])
        self._kept[row, step % steps] = value - self._zero[row]
        first = np.unique(np.stack([row[empty], step[empty]]), axis=1)[0]
        np.add.at(self._seen, first, 1)

    def values(self, rows: Int64s, steps: int) -> Floats:
        """The newest complete steps of these series, shape (series, steps), oldest first."""
        columns = np.arange(self._newest - steps, self._newest) % self._kept.shape[1]
        return self._kept[np.ix_(rows, columns)].astype(np.float64) + self._zero[rows, None]

    def seen(self, rows: Int64s) -> Int64s:
        """Steps with a value so far, up to the size of the ring."""
        return np.minimum(self._seen[rows], self._kept.shape[1] - 1)

    def _forward(self, newest: int) -> None:
        if self._newest < 0:
            self._newest = newest
        steps = self._kept.shape[1]
        fresh = range(max(self._newest + 1, newest - steps + 1), newest + 1)
        if fresh:
            self._kept[:, np.array(fresh) % steps] = np.nan
            self._newest = newest

    def _grow(self, rows: int) -> None:
        if rows > len(self._kept):
            more = max(rows, 2 * len(self._kept)) - len(self._kept)
            self._kept = np.concatenate([self._kept, np.full((more, self._kept.shape[1]), np.nan, np.float32)])
            self._zero = np.concatenate([self._zero, np.zeros(more)])
            self._seen = np.concatenate([self._seen, np.zeros(more, np.int64)])

    def snapshot(self, name: str) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """Everything, under keys that begin with the name."""
        return {
            f"{name}_kept": self._kept.copy(),
            f"{name}_zero": self._zero.copy(),
            f"{name}_seen": self._seen.copy(),
            f"{name}_newest": np.array([self._newest], np.int64),
        }

    def restore(self, name: str, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt` when the sizes are not these."""
        try:
            kept = np.array(state[f"{name}_kept"], np.float32)
            if kept.ndim != 2 or kept.shape[1] != self._kept.shape[1]:  # noqa: PLR2004 - series by steps
                raise Corrupt(
                    f"ring {name} has shape {kept.shape}, not {self._kept.shape[1]} steps; replay the journal"
                )
            self._zero = np.array(state[f"{name}_zero"], np.float64).reshape(len(kept))
            self._seen = np.array(state[f"{name}_seen"], np.int64).reshape(len(kept))
            self._newest = int(np.asarray(state[f"{name}_newest"])[0])
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"ring {name} does not fit this version: {error!r}; replay the journal") from error
        self._kept = kept
