"""Counts of one served version: per window, how many rows fell into which bin of the reference profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twofold.errors import Corrupt
from twofold.mlops.monitor.psi import psi
from twofold.records.profile import Distribution, Profile

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

PER_OCTAVE: Final = 8
LATENCIES: Final = 30 * PER_OCTAVE  # 1 microsecond to 18 minutes, 9 % apart
REQUESTS, ROWS, FAILED, SUM = 0, 1, 2, 3
_HEAD: Final = 4


class Tally:
    """One version's counts by window start.

    A window is one vector: requests, rows, failed rows, sum of the first output, latency histogram, then a
    histogram per input and output. So windows add up, and a checkpoint is a matrix.

    Args:
        profile: The reference; without one only requests, latencies and the output's mean are counted.
    """

    def __init__(self, profile: Profile | None) -> None:
        inputs, outputs = (profile.inputs, profile.outputs) if profile else ((), ())
        self.profile = profile
        self.columns: tuple[Distribution, ...] = (*inputs, *outputs)
        self.inputs = len(inputs)
        self._numbers = [one for one in inputs if not one.text]
        self._texts = [one for one in inputs if one.text]
        self._outputs = outputs
        self.bins = np.array([len(one.shares) for one in self.columns], dtype=np.int64)
        self._wide = int(self.bins.max(initial=0))
        self._shares = np.zeros((len(self.columns), self._wide))
        for row, one in enumerate(self.columns):
            self._shares[row, : len(one.shares)] = one.shares
        self.width = _HEAD + LATENCIES + self._shares.size
        self.windows: dict[int, Floats] = {}
        self.seen_ns = 0

    def add(self, start_ns: Int64s, data: pa.RecordBatch) -> int:
        """Count rows, each into the window that starts at its `start_ns`; returns rows that do not fit the profile."""
        failed, value = _answers(data.column("outputs"))
        bins, fits = self._bins(data, failed)
        latency = np.log2(np.maximum(data.column("latency_ns").to_numpy(), 1000) / 1000) * PER_OCTAVE
        latency_bin = np.minimum(latency.astype(np.int64), LATENCIES - 1)
        ids = data.column("request_id")
        first = np.ones(len(failed), dtype=bool)
        first[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
        offsets = np.arange(len(self.columns)) * self._wide
        for start in np.unique(start_ns).tolist():
            mine = start_ns == start
            vector = self.windows.setdefault(start, np.zeros(self.width))
            vector[:_HEAD] += (first[mine].sum(), mine.sum(), failed[mine].sum(), value[mine].sum())
            vector[_HEAD : _HEAD + LATENCIES] += np.bincount(latency_bin[mine], minlength=LATENCIES)
            counted = bins[mine & fits] + offsets
            cells = counted[bins[mine & fits] >= 0]
            vector[_HEAD + LATENCIES :] += np.bincount(cells, minlength=self._shares.size)
            self.seen_ns = max(self.seen_ns, start)
        return int(len(fits) - fits.sum())

    def _bins(self, data: pa.RecordBatch, failed: npt.NDArray[np.bool_]) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        """Bin of every row and column, shape (n, columns), -1 for outputs of failed rows; and which rows fit."""
        rows = data.num_rows
        found = np.full((rows, len(self.columns)), -1, dtype=np.int64)
        fits = np.full(rows, self.profile is not None)
        widths = {"numbers": len(self._numbers), "texts": len(self._texts), "outputs": len(self._outputs)}
        for name, wanted in widths.items():
            right = pc.list_value_length(data.column(name)).to_numpy() == wanted
            fits &= right | failed if name == "outputs" else right
        number, text = 0, 0
        for index, one in enumerate(self.columns[: self.inputs]):
            name, place = ("texts", text) if one.text else ("numbers", number)
            text, number = text + one.text, number + (not one.text)
            found[fits, index] = _bin(one, pc.list_element(data.column(name).filter(pa.array(fits)), place))
        answered = fits & ~failed
        for place, one in enumerate(self._outputs):
            values = pc.list_element(data.column("outputs").filter(pa.array(answered)), place)
            found[answered, self.inputs + place] = _bin(one, values)
        return found, fits

    def total(self, starts: Sequence[int]) -> Floats:
        """Sum of windows."""
        total = np.zeros(self.width)
        for start in starts:
            total += self.windows.get(start, 0.0)
        return total

    def drift(self, vector: Floats) -> Floats:
        """PSI of every input, then every output. Shape (columns,)."""
        counts = vector[_HEAD + LATENCIES :].reshape(self._shares.shape)
        return psi(counts, self._shares, self.bins, self.profile.rows if self.profile else 0)

    def forget(self, before_ns: int) -> None:
        """Drop windows that start before."""
        for start in [start for start in self.windows if start < before_ns]:
            del self.windows[start]

    def matrix(self) -> tuple[Int64s, Floats]:
        """Window starts and vectors, for a checkpoint."""
        starts = sorted(self.windows)
        return np.array(starts, dtype=np.int64), np.array([self.windows[start] for start in starts]).reshape(
            -1, self.width
        )

    def take(self, starts: Int64s, vectors: Floats) -> None:
        """Take back what `matrix` gave. Raises `Corrupt` when the profile has another shape."""
        if vectors.shape != (len(starts), self.width):
            raise Corrupt(f"windows have shape {vectors.shape}, the profile asks for ({len(starts)}, {self.width})")
        self.windows = dict(zip(starts.tolist(), vectors.copy(), strict=True))
        self.seen_ns = int(starts.max(initial=0))


def latency_s(vector: Floats, quantile: float) -> float:
    """Quantile of the latencies in seconds, interpolated within its bin (bins are 9 % wide)."""
    counts = vector[_HEAD : _HEAD + LATENCIES]
    reached = np.cumsum(counts)
    place = quantile * reached[-1]
    index = int(np.searchsorted(reached, place))
    within = (place - (reached[index] - counts[index])) / max(counts[index], 1)
    return float(2 ** ((index + within) / PER_OCTAVE) / 1e6)


def _answers(outputs: pa.Array) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Which rows have no first output that is a number, and the first outputs, 0 for those rows."""
    failed = pc.list_value_length(outputs).to_numpy() == 0
    value = np.zeros(len(failed))
    first = pc.list_element(outputs.filter(pa.array(~failed)), 0)
    value[~failed] = first.to_numpy(zero_copy_only=False)
    lost = np.isnan(value)
    return failed | lost, np.where(lost, 0.0, value)


def _bin(one: Distribution, values: pa.Array) -> Int64s:
    if one.text:
        index = pc.index_in(values, value_set=pa.array(one.categories))
        return np.asarray(pc.fill_null(index, len(one.categories)), dtype=np.int64)
    found = np.searchsorted(np.array(one.edges), values.to_numpy(zero_copy_only=False), side="left")
    return np.asarray(found, dtype=np.int64)
