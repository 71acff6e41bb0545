"""Forecasts of many series at once from their own daily and weekly profiles, in closed form.

For every series a few simple predictors (yesterday, means and medians of the same hour on past days and weeks, a flat
level) are mixed in fixed ways, each with and without the last day's departure from it. How well each mixture did
from past origins gives its weight: it falls exponentially with the mean absolute error beyond the best one's. The
same past errors, pooled over all series for their shape, give the intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.errors import InputError
from twofold.stats.jit import kernel, part

Floats = npt.NDArray[np.float64]

DAY: Final = 24
WEEK: Final = 168
ORIGINS: Final = 6
SHARPNESS: Final = 4.0
"""How fast a mixture's weight falls with its error, in units of the best one's."""
WIDEN: Final = 1.3
"""Errors of weights that were chosen on them are too small; measured on operations data, see `benchmarks.forecast`."""
_DAYS: Final = 14
_WEEKS: Final = 6
_MEDIAN: Final = 5
_DAY_AGE: Final = 0.6
_WEEK_AGE: Final = 0.7
_HOLD: Final = 0.985  # of the last day's departure, an hour
_NAIVE, _DAY_MEAN, _DAY_MEDIAN, _WEEK_MEAN, _WEEK_MEDIAN, _LEVEL, _BASES = 0, 1, 2, 3, 4, 5, 6
_MIXES: Final = np.array(
    [
        (_DAY_MEAN, _DAY_MEAN, 1.0),
        (_DAY_MEDIAN, _DAY_MEDIAN, 1.0),
        (_WEEK_MEAN, _WEEK_MEAN, 1.0),
        (_WEEK_MEDIAN, _WEEK_MEDIAN, 1.0),
        (_DAY_MEDIAN, _WEEK_MEDIAN, 0.5),
        (_DAY_MEAN, _WEEK_MEAN, 0.5),
        (_DAY_MEDIAN, _WEEK_MEAN, 0.5),
        (_LEVEL, _DAY_MEDIAN, 0.5),
        (_LEVEL, _WEEK_MEDIAN, 0.5),
    ]
)
_HOLDS: Final = np.array([0.0, 0.6])


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A forecast.

    Attributes:
        point: Shape (series, horizon), in the unit of the series; NaN where a series has no value at all.
        quantiles: Shape (series, horizon, levels), ascending along the last axis.
    """

    point: Floats
    quantiles: Floats


def forecast(values: Floats, horizon: int, levels: Sequence[float], *, day: int = DAY, week: int = WEEK) -> Profile:
    """Continue every series by `horizon` steps.

    Suits load, latency and usage with daily and weekly habits, at an even step. Fails on trends that outrun the
    habit (see `stats.fill` for those) and on abrupt lasting changes in the last hours.

    Args:
        values: Shape (series, steps), NaN for gaps; the last column is the newest.
        horizon: Steps ahead.
        levels: Quantiles wanted, between 0 and 1, ascending.
        day: Steps of a day.
        week: Steps of a week.

    Raises:
        InputError: No steps, or levels that are not ascending between 0 and 1.
    """
    if values.ndim != 2 or values.shape[1] < 1 or horizon < 1:  # noqa: PLR2004 - series by steps
        raise InputError(f"values have shape {values.shape} and the horizon is {horizon}; both must have steps")
    wanted = np.asarray(levels, np.float64)
    if len(wanted) and not (wanted[0] > 0.0 and wanted[-1] < 1.0 and (np.diff(wanted) > 0.0).all()):
        raise InputError(f"quantile levels {list(levels)} must ascend between 0 and 1")
    series = len(values)
    point = np.empty((series, horizon))
    errors = np.full((series, ORIGINS, horizon), np.nan)
    _forecast(np.ascontiguousarray(values, np.float64), day, week, _MIXES, _HOLDS, point, errors)
    return Profile(point=point, quantiles=_quantiles(point, errors, wanted, day))


def _quantiles(point: Floats, errors: Floats, levels: Floats, day: int) -> Floats:
    """Per day ahead: the series' own error size times a shape that is half its own and half everybody's."""
    series, horizon = point.shape
    out = np.repeat(point[:, :, None], len(levels), axis=2)
    for low in range(0, horizon, day):
        block = errors[:, :, low : low + day].reshape(series, -1)
        known = np.isfinite(block).any(axis=1)
        if not known.any() or not len(levels):
            continue
        block = block[known]
        size = np.nanmean(np.abs(block), axis=1)
        shape = block / np.maximum(size, 1e-300)[:, None]
        own = _row_quantiles(shape, levels)
        pooled = np.mean(_row_quantiles(np.clip(shape, -20.0, 20.0), levels), axis=0)
        spread = WIDEN * size[:, None] * 0.5 * (own + pooled)
        out[known, low : low + day] += spread[:, None, :]
    return np.maximum.accumulate(out, axis=2)


def _row_quantiles(values: Floats, levels: Floats) -> Floats:
    """Quantiles of each row, linear between order statistics, NaN left out; every row has a value."""
    ordered = np.sort(values, axis=1)
    place = levels * (np.isfinite(values).sum(axis=1)[:, None] - 1)
    low = np.floor(place).astype(np.int64)
    below = np.take_along_axis(ordered, low, axis=1)
    above = np.take_along_axis(ordered, np.ceil(place).astype(np.int64), axis=1)
    found: Floats = below + (place - low) * (above - below)
    return found


@part
def _median(found: Floats, count: int) -> float:  # pragma: no cover - compiled
    """Of the first `count` values, which are sorted in place."""
    for i in range(1, count):
        x = found[i]
        j = i - 1
        while j >= 0 and found[j] > x:
            found[j + 1] = found[j]
            j -= 1
        found[j + 1] = x
    half = count // 2
    return float(found[half] if count % 2 else 0.5 * (found[half - 1] + found[half]))


@part
def _profile(
    y: Floats, at: int, period: int, ahead: int, most: int, age: float, found: Floats
) -> tuple[float, float, float]:  # pragma: no cover - compiled
    """The newest, the aged mean and the median of the values whole periods before step `at` (0 ahead: the origin)."""
    place = at - period * (ahead // period + 1)
    total = 0.0
    weights = 0.0
    weight = 1.0
    newest = np.nan
    count = 0
    for _ in range(most):
        if place < 0:
            break
        x = y[place]
        if not math.isnan(x):
            if weights == 0.0:
                newest = x
            total += weight * x
            weights += weight
            if count < len(found):
                found[count] = x
                count += 1
        weight *= age
        place -= period
    if weights == 0.0:
        return np.nan, np.nan, np.nan
    return newest, total / weights, _median(found, count)


@part
def _level(y: Floats, origin: int, day: int, found: Floats) -> float:  # pragma: no cover - compiled
    """Median of the newest day with values before the origin."""
    end = origin
    while end > 0:
        count = 0
        for i in range(max(end - day, 0), end):
            if not math.isnan(y[i]):
                found[count] = y[i]
                count += 1
        if count:
            return _median(found, count)
        end -= day
    return np.nan


@part
def _bases(
    y: Floats, origin: int, steps: int, day: int, week: int, few: Floats, many: Floats, out: Floats
) -> None:  # pragma: no cover - compiled
    """Every predictor for `steps` from the origin; a missing one is the flat level."""
    level = _level(y, origin, day, many)
    for h in range(steps):
        naive, day_mean, day_median = _profile(y, origin + h, day, h, _DAYS, _DAY_AGE, few)
        _, week_mean, week_median = _profile(y, origin + h, week, h, _WEEKS, _WEEK_AGE, few)
        if math.isnan(naive):
            naive = day_mean = day_median = level
        if math.isnan(week_mean):
            week_mean = day_mean
            week_median = day_median
        out[_NAIVE, h] = naive
        out[_DAY_MEAN, h] = day_mean
        out[_DAY_MEDIAN, h] = day_median
        out[_WEEK_MEAN, h] = week_mean
        out[_WEEK_MEDIAN, h] = week_median
        out[_LEVEL, h] = level


@part
def _departure(y: Floats, origin: int, day: int, before: Floats, out: Floats) -> None:  # pragma: no cover - compiled
    """Mean departure of the day before the origin from each predictor made a day earlier."""
    for b in range(_BASES):
        total = 0.0
        count = 0
        for h in range(day):
            x = y[origin - day + h]
            if not math.isnan(x) and not math.isnan(before[b, h]):
                total += x - before[b, h]
                count += 1
        out[b] = total / count if count else 0.0


@part
def _mix(
    bases: Floats, departure: Floats, mixes: Floats, holds: Floats, fading: Any, horizon: int, out: Floats
) -> None:  # pragma: no cover - compiled
    """Every mixture's forecast, shape (mixes x holds, horizon)."""
    way = 0
    for m in range(len(mixes)):
        i = int(mixes[m, 0])
        j = int(mixes[m, 1])
        a = mixes[m, 2]
        moved = a * departure[i] + (1.0 - a) * departure[j]
        for hold in holds:
            kept = hold * moved
            for h in range(horizon):
                out[way, h] = a * bases[i, h] + (1.0 - a) * bases[j, h] + kept * fading[h]
            way += 1


@part
def _loss(y: Floats, origin: int, forecast: Floats, horizon: int) -> tuple[float, int]:  # pragma: no cover - compiled
    """Sum of absolute errors of one mixture from one origin, and how many."""
    total = 0.0
    count = 0
    for h in range(horizon):
        miss = abs(y[origin + h] - forecast[h])
        if not math.isnan(miss):
            total += miss
            count += 1
    return total, count


@part
def _weigh(loss: Floats, count: Floats, weight: Floats) -> None:  # pragma: no cover - compiled
    """Weights of the mixtures from their summed losses; they add up to 1."""
    best = 1e300
    for w in range(len(loss)):
        loss[w] /= max(count[w], 1.0)
        best = min(best, loss[w])
    best = max(best, 1e-300)
    total = 0.0
    for w in range(len(loss)):
        weight[w] = math.exp(-SHARPNESS * min(loss[w] / best - 1.0, 100.0))
        total += weight[w]
    for w in range(len(loss)):
        weight[w] /= total


@part
def _blend(weight: Floats, made: Floats, horizon: int, out: Floats) -> None:  # pragma: no cover - compiled
    """The weighted forecast of one origin."""
    for h in range(horizon):
        out[h] = 0.0
    for w in range(len(weight)):
        for h in range(horizon):
            out[h] += weight[w] * made[w, h]


@kernel
def _forecast(
    values: Floats, day: int, week: int, mixes: Floats, holds: Floats, point: Floats, errors: Any
) -> None:  # pragma: no cover - compiled
    """Fill `point` (series, horizon) and `errors` (series, origins, horizon: truth less forecast)."""
    series, steps = values.shape
    horizon = point.shape[1]
    ways = len(mixes) * len(holds)
    origins = errors.shape[1]
    few = np.empty(_MEDIAN)
    many = np.empty(day)
    bases = np.empty((_BASES, max(horizon, day)))
    before = np.empty((_BASES, max(horizon, day)))
    departure = np.empty(_BASES)
    made = np.empty((origins + 1, ways, horizon))
    loss = np.empty(ways)
    count = np.empty(ways)
    weight = np.empty(ways)
    fading = _HOLD ** np.arange(horizon)
    used = min(max((steps - horizon) // day - 1, 0), origins)  # each origin has two days before it
    for s in range(series):
        y = values[s]
        loss[:] = 0.0
        count[:] = 0.0
        for k in range(used + 1):  # the last one is the present
            origin = steps - horizon - day * k if k < used else steps
            _bases(y, origin, horizon, day, week, few, many, bases)
            departure[:] = 0.0
            if origin >= 2 * day:
                _bases(y, origin - day, day, day, week, few, many, before)
                _departure(y, origin, day, before, departure)
            _mix(bases, departure, mixes, holds, fading, horizon, made[k])
            for w in range(ways if k < used else 0):
                missed, seen = _loss(y, origin, made[k, w], horizon)
                loss[w] += missed
                count[w] += seen
        _weigh(loss, count, weight)
        for k in range(used):
            _blend(weight, made[k], horizon, point[s])
            origin = steps - horizon - day * k
            for h in range(horizon):
                errors[s, k, h] = y[origin + h] - point[s, h]
        _blend(weight, made[used], horizon, point[s])
