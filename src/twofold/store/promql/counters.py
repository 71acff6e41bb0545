"""Change of a series over a window: rate, increase, delta and their instant forms.

Source: Prometheus's documentation of its functions; extrapolation to the ends of the window as it does.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.store.promql.values import Bools, Floats, Ints, Windows
from twofold.store.promql.windows import first_and_last, reduce

Found = tuple[Floats, Bools]
"""Values and where there are any, both of shape (S, T)."""
_NEAR: Final = 1.1


def rate(found: Windows) -> Found:
    """Growth of a counter a second, extrapolated to the whole window."""
    return _extrapolated(found, counter=True, per_second=True)


def increase(found: Windows) -> Found:
    """Growth of a counter over the window, extrapolated to the whole of it."""
    return _extrapolated(found, counter=True, per_second=False)


def delta(found: Windows) -> Found:
    """Change of a gauge over the window, extrapolated to the whole of it."""
    return _extrapolated(found, counter=False, per_second=False)


def irate(found: Windows) -> Found:
    """Growth of a counter a second between the last two samples."""
    change, gap_s, enough = _last_two(found, counter=True)
    with np.errstate(all="ignore"):
        return change / gap_s, enough


def idelta(found: Windows) -> Found:
    """Difference of the last two samples."""
    change, _, enough = _last_two(found, counter=False)
    return change, enough


def changes(found: Windows) -> Found:
    """How often the value changed."""
    values = found.samples.values
    with np.errstate(invalid="ignore"):
        differs = (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    return _counted(found, differs)


def resets(found: Windows) -> Found:
    """How often the value fell."""
    values = found.samples.values
    with np.errstate(invalid="ignore"):
        return _counted(found, values[1:] < values[:-1])


def _counted(found: Windows, between: Bools) -> Found:
    """How many pairs of neighbours in each window are marked."""
    until = np.concatenate([[0, 0], np.cumsum(between)])[: len(found.samples.values) + 1]
    first, last, _ = first_and_last(found)
    some = found.count > 0
    number = np.where(some, until[last + 1] - until[np.minimum(first + 1, len(until) - 1)], 0)
    return number.astype(np.float64), some


def _last_two(found: Windows, *, counter: bool) -> tuple[Floats, Floats, Bools]:
    _, last, enough = first_and_last(found)
    if not len(found.samples.values):
        return np.zeros(enough.shape), np.ones(enough.shape), enough
    before = np.maximum(last - 1, 0)
    new, old = found.samples.values[last], found.samples.values[before]
    gap_s = (found.samples.times[last] - found.samples.times[before]) / 1000
    with np.errstate(invalid="ignore"):
        change = np.where(new < old, new, new - old) if counter else new - old
    return change, gap_s, enough


def _extrapolated(found: Windows, *, counter: bool, per_second: bool) -> Found:
    first, last, enough = first_and_last(found)
    values, times = found.samples.values, found.samples.times
    if not len(values):
        return np.zeros(enough.shape), enough
    with np.errstate(all="ignore"):
        change = values[last] - values[first]
        if counter:
            change = change + _fallen(found, first, last)
        sampled = (times[last] - times[first]) / 1000
        usual = sampled / (found.count - 1)
        head = _reach((times[first] - (found.ends - found.range_ms)) / 1000, usual)
        tail = _reach((found.ends - times[last]) / 1000, usual)
        if counter:  # it cannot have begun below zero
            to_zero = sampled * (values[first] / change)
            head = np.where((change > 0) & (values[first] >= 0) & (to_zero < head), to_zero, head)
        factor = (sampled + head + tail) / sampled
        if per_second:
            factor = factor / (found.range_ms / 1000)
        return change * factor, enough


def _reach(gap: Floats, usual: Floats) -> Floats:
    """How far to extrapolate: to the window's end when a sample could stand there, else half a usual gap."""
    return np.where(gap >= usual * _NEAR, usual / 2, gap)


def _fallen(found: Windows, first: Ints, last: Ints) -> Floats | float:
    """What a counter had reached at each of its resets within the window."""
    values = found.samples.values
    reset = values[1:] < values[:-1]
    if not reset.any():
        return 0.0
    reached = np.append(0.0, np.where(reset, values[:-1], 0.0))
    fallen = reduce(np.add, reached, np.minimum(first + 1, last), np.maximum(last + 1, first + 1))
    return np.where(last > first, fallen, 0.0)
