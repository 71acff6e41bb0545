"""Statistics of the samples in a window: the functions that end in `_over_time`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from twofold.store.promql.counters import Found
from twofold.store.promql.values import Floats, Windows
from twofold.store.promql.windows import Runs, compensated, first_and_last, reduce, runs, sums


def total(found: Windows) -> Found:
    """Sum."""
    return sums(found), found.count > 0


def mean(found: Windows) -> Found:
    """Mean; finite where the samples are, also when their sum is not."""
    with np.errstate(all="ignore"):
        values = sums(found) / found.count
    over = np.isinf(values) & (found.count > 0)
    if over.any():
        samples = found.samples.values
        low, count = found.low[over], found.count[over]
        largest = np.abs(samples).max(initial=1.0, where=np.isfinite(samples))
        values[over] = compensated(samples / largest, low, count) / count * largest
    return values, found.count > 0


def count(found: Windows) -> Found:
    """How many samples."""
    return found.count.astype(np.float64), found.count > 0


def smallest(found: Windows) -> Found:
    """Minimum; NaN counts only among NaN."""
    return reduce(np.fmin, found.samples.values, found.low, found.high), found.count > 0


def largest(found: Windows) -> Found:
    """Maximum; NaN counts only among NaN."""
    return reduce(np.fmax, found.samples.values, found.low, found.high), found.count > 0


def newest(found: Windows) -> Found:
    """Last sample."""
    _, last, _ = first_and_last(found)
    return _at(found, found.samples.values, last)


def oldest(found: Windows) -> Found:
    """First sample."""
    first, _, _ = first_and_last(found)
    return _at(found, found.samples.values, first)


def newest_time(found: Windows) -> Found:
    """Time of the last sample in seconds."""
    _, last, _ = first_and_last(found)
    return _at(found, found.samples.times / 1000, last)


def oldest_time(found: Windows) -> Found:
    """Time of the first sample in seconds."""
    first, _, _ = first_and_last(found)
    return _at(found, found.samples.times / 1000, first)


def smallest_time(found: Windows) -> Found:
    """Time of the last smallest sample in seconds."""
    return _time_of(found, smallest(found)[0])


def largest_time(found: Windows) -> Found:
    """Time of the last largest sample in seconds."""
    return _time_of(found, largest(found)[0])


def present(found: Windows) -> Found:
    """1 where there is any sample."""
    return np.ones(found.low.shape), found.count > 0


def variance(found: Windows) -> Found:
    """Population variance."""
    return _each(found, _variance)


def deviation(found: Windows) -> Found:
    """Population standard deviation."""
    values, some = variance(found)
    with np.errstate(invalid="ignore"):
        return np.sqrt(values), some


def quantile(found: Windows, q: Floats) -> Found:
    """The q-quantile, between samples by proportion; -Inf below q of 0, +Inf above 1."""
    of_cell = np.broadcast_to(q, found.low.shape).ravel()
    return _each(found, lambda run, values: _quantile(run, values, of_cell[run.cells]))


def spread(found: Windows) -> Found:
    """Median absolute deviation."""

    def deviation_of(run: Runs, values: Floats) -> Floats:
        half = np.full(len(run.cells), 0.5)
        middle = _quantile(run, values, half)
        off = _quantile(run, np.abs(values - middle[run.cell]), half)
        return np.where(np.logical_or.reduceat(np.isnan(values), run.starts), np.nan, off)

    return _each(found, deviation_of)


def _each(found: Windows, of: Callable[[Runs, Floats], Floats]) -> Found:
    """What `of` says of each window with a sample."""
    result = np.zeros(found.low.size)
    with np.errstate(all="ignore"):
        for run in runs(found):
            result[run.cells] = of(run, found.samples.values[run.index])
    return result.reshape(found.low.shape), found.count > 0


def _at(found: Windows, column: Floats, index: np.ndarray) -> Found:
    if not len(column):
        return np.zeros(found.low.shape), found.count > 0
    return column[index], found.count > 0


def _time_of(found: Windows, value: Floats) -> Found:
    """Time of the last sample of each window that has the value (NaN: that is first)."""
    result = np.zeros(found.low.size)
    wanted = value.ravel()
    for run in runs(found):
        values, times = found.samples.values[run.index], found.samples.times[run.index] / 1000
        same = values == wanted[run.cells][run.cell]
        latest = np.maximum.reduceat(np.where(same, times, -np.inf), run.starts)
        result[run.cells] = np.where(np.isinf(latest), times[run.starts], latest)
    return result.reshape(found.low.shape), found.count > 0


def _variance(run: Runs, values: Floats) -> Floats:
    middle = np.add.reduceat(values, run.starts) / run.count
    off = values - middle[run.cell]
    rest = np.add.reduceat(off, run.starts) / run.count  # the mean's own rounding
    return np.asarray(np.add.reduceat(off * off, run.starts) / run.count - rest * rest)


def _quantile(run: Runs, values: Floats, q: Floats) -> Floats:
    order = np.lexsort((values, ~np.isnan(values), run.cell))  # NaN counts as the smallest
    return picked(values[order], run.starts, run.count, q)


def picked(ordered: Floats, starts: np.ndarray, count: np.ndarray, q: Floats) -> Floats:
    """The q-quantile of sorted runs."""
    with np.errstate(all="ignore"):
        rank = np.where(np.isfinite(q), np.clip(q, 0, 1), 0.0) * (count - 1)
        below = np.floor(rank).astype(np.int64)
        above = np.minimum(below + 1, count - 1)
        weight = rank - below
        found = ordered[starts + below] * (1 - weight) + ordered[starts + above] * weight
        return np.where(np.isnan(q), np.nan, np.where(q < 0, -np.inf, np.where(q > 1, np.inf, found)))


OVER_TIME: Final[dict[str, Callable[[Windows], Found]]] = {
    "avg_over_time": mean,
    "count_over_time": count,
    "first_over_time": oldest,
    "last_over_time": newest,
    "mad_over_time": spread,
    "max_over_time": largest,
    "min_over_time": smallest,
    "present_over_time": present,
    "stddev_over_time": deviation,
    "stdvar_over_time": variance,
    "sum_over_time": total,
    "ts_of_first_over_time": oldest_time,
    "ts_of_last_over_time": newest_time,
    "ts_of_max_over_time": largest_time,
    "ts_of_min_over_time": smallest_time,
}
