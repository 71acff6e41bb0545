"""Which samples each step sees: indices by one binary search over all series; reductions over the runs they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from twofold.store.promql.values import Bools, Floats, Ints, Samples, Vector, Windows, is_stale

_TIME_BITS: Final = 42  # 139 years of milliseconds beside 2 million series in one 63-bit key
_AT_ONCE: Final = 4_000_000  # samples of windows laid out at once; bounds memory
_EPSILON: Final = 2.3e-16
_EXACT: Final = 1e-10  # a sum whose error may be larger, in parts of itself, is made again with compensation


def _found(samples: Samples, base: int, row: Ints, times: Ints) -> Ints:
    """For each series and time: how many samples stand up to it (and in all series before), shape (S, T)."""
    keys = (row << _TIME_BITS) | (samples.times - base)
    wanted = np.clip(times - base, 0, (1 << _TIME_BITS) - 1)
    asked = (np.arange(len(samples.labels), dtype=np.int64)[:, None] << _TIME_BITS) | wanted[None, :]
    return np.searchsorted(keys, asked.ravel(), side="right").reshape(asked.shape)


def _up_to(samples: Samples, *times: Ints) -> list[Ints]:
    """`_found` for several arrays of times; a time that is the same at all steps is looked for once."""
    if not len(samples.times):
        return [np.zeros((len(samples.labels), len(each)), np.int64) for each in times]
    base, row = int(samples.times.min()) - 1, samples.row()
    found = []
    for each in times:
        fixed = len(each) > 1 and (each == each[0]).all()
        one = _found(samples, base, row, each[:1] if fixed else each)
        found.append(np.broadcast_to(one, (len(one), len(each))) if fixed else one)
    return found


def latest(samples: Samples, times: Ints, lookback_ms: int) -> tuple[Vector, Ints]:
    """At each time the newest sample of (time - lookback, time], unless it marks the end; and the samples' times."""
    (high,) = _up_to(samples, times)
    index = np.maximum(high - 1, 0)
    present = high > samples.starts[:-1, None]
    if not len(samples.times):
        return Vector(samples.labels, np.zeros(high.shape), np.zeros(high.shape, bool)), high
    values, stamps = samples.values[index], samples.times[index]
    present &= (stamps > times[None, :] - lookback_ms) & ~is_stale(values).reshape(values.shape)
    return Vector(samples.labels, values, present), stamps


def windows(samples: Samples, ends: Ints, range_ms: int, steps: Ints) -> Windows:
    """The samples of (end - range, end] for each end."""
    samples = samples.without_stale()
    low, high = _up_to(samples, ends - range_ms, ends)
    return Windows(samples, low, high, ends, steps, range_ms)


def reduce(ufunc: np.ufunc, values: Floats, low: Ints, high: Ints) -> Floats:
    """`ufunc` over each run [low, high); what stands for an empty run says nothing. Works in place of overlap."""
    if not len(values):
        return np.zeros(low.shape)
    bounds = np.empty(2 * low.size, np.int64)
    bounds[0::2], bounds[1::2] = low.ravel(), high.ravel()
    padded = np.append(values, values[-1])  # a run may end, and an empty one begin, behind the last sample
    return np.asarray(ufunc.reduceat(padded, bounds)[::2], np.float64).reshape(low.shape)


@dataclass(frozen=True, slots=True)
class Runs:
    """Some windows laid out one behind the other.

    Attributes:
        cells: Their places in the raveled (S, T), shape (C,).
        index: The sample of each place, shape (L,).
        starts: Where each window begins, shape (C,).
        count: Samples of each window, at least one, shape (C,).
    """

    cells: Ints
    index: Ints
    starts: Ints
    count: Ints

    @property
    def cell(self) -> Ints:
        """The number of each place's window, shape (L,)."""
        return np.repeat(np.arange(len(self.cells)), self.count)


def runs(found: Windows, least: int = 1) -> Iterator[Runs]:
    """All windows of at least so many samples, in parts that bound memory."""
    count = np.ascontiguousarray(found.count).ravel()
    cells = np.flatnonzero(count >= least)
    until = np.cumsum(count[cells])
    low = np.ascontiguousarray(found.low).ravel()
    at = 0
    while at < len(cells):
        before = int(until[at - 1]) if at else 0
        end = max(at + 1, int(np.searchsorted(until, before + _AT_ONCE, side="right")))
        part = cells[at:end]
        n = count[part]
        starts = np.append(0, np.cumsum(n)[:-1])
        index = np.repeat(low[part] - starts, n) + np.arange(int(n.sum()))
        yield Runs(part, index, starts, n)
        at = end


def sums(found: Windows) -> Floats:
    """Sum of each window, shape (S, T); where terms cancel out, with compensation."""
    values = found.samples.values
    with np.errstate(all="ignore"):
        total = reduce(np.add, values, found.low, found.high)
        largest = reduce(np.fmax, np.abs(values), found.low, found.high)
        doubtful = found.count * largest * _EPSILON > _EXACT * np.abs(total)
    doubtful &= (found.count > 1) & np.isfinite(largest)
    if doubtful.any():
        total[doubtful] = compensated(values, found.low[doubtful], found.count[doubtful])
    return total


def compensated(values: Floats, low: Ints, count: Ints) -> Floats:
    """Sums of runs by Neumaier's algorithm, all runs a term at a time."""
    total, lost = np.zeros(len(low)), np.zeros(len(low))
    with np.errstate(all="ignore"):
        for at in range(int(count.max(initial=0))):
            term = np.where(at < count, values[np.minimum(low + at, len(values) - 1)], 0.0)
            total, lost = add(total, lost, term)
        return np.where(np.isfinite(total), total + lost, total)


def add(total: Floats, lost: Floats, term: Floats) -> tuple[Floats, Floats]:
    """One step of Neumaier's sum: the new total and what it has lost to rounding."""
    new = total + term
    larger = np.abs(total) >= np.abs(term)
    return new, lost + np.where(larger, (total - new) + term, (term - new) + total)


def first_and_last(found: Windows) -> tuple[Ints, Ints, Bools]:
    """Indices of each window's first and last sample, and whether it has two; where not, the indices say nothing."""
    enough = found.count >= 2  # noqa: PLR2004 - two points make a line
    most = max(0, len(found.samples.values) - 1)
    return np.minimum(found.low, most), np.clip(found.high - 1, 0, most), enough
