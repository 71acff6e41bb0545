"""When a series will reach its limit: disks, memory, quotas. A distribution in closed form, for many series at once.

The slope of the newest stretch is taken over seven lengths, from an hour to a week at 5-minute steps. How well each
would have told the values of past hours and days gives its weight, and how far its slope is usually off. So a
steady fill follows the long slope, a leak that began an hour ago the short one.

    P(limit reached within t) = sum over lengths of weight * Phi((slope * t - gap) / sqrt(noise^2 + (error * t)^2))

Where rises ended in a sudden fall before (rotation, clean-up), they will again: below the highest level from which it
fell, the probability is divided by one more than the number of falls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LENGTHS: Final = (12, 36, 72, 144, 288, 576, 2016)
"""Steps of the stretches whose slope is taken."""
SHARPNESS: Final = 4.0
AHEAD: Final = (12, 36, 72, 144, 288, 576)
"""Steps ahead at which past slopes are judged."""
LEAST: Final = 2 * LENGTHS[0]
_AGES: Final = (1.0, 1.5, 2.0)
_USUAL: Final = 0.75
"""Of the error that slopes had: what makes 80 % intervals of generated fills hold 80 %, two days seen or more."""
_SHORT: Final = 576  # steps of a past that has few moments to judge slopes at
_NOISE: Final = 0.7  # of the scatter about the line: neighbours are alike
_GRID: Final = 160
_TINY: Final = 1e-12
_SUDDEN: Final = 3  # steps within which a fall is a clean-up and no wave
_MUCH: Final = 0.25  # of the gap to the limit
_CLEAR: Final = 6.0  # scatters
_erf: Final = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """When limits will be reached.

    Attributes:
        value: Level now, shape (series,).
        within: Probability to reach the limit within each of the asked times, shape (series, times).
        eta_steps: Steps until the limit at each asked quantile, shape (series, quantiles); infinite past
            `farthest` steps.
    """

    value: Floats
    within: Floats
    eta_steps: Floats


def fill(
    values: Floats,
    limit: Floats,
    times: Sequence[float],
    *,
    levels: Sequence[float] = (0.1, 0.5, 0.9),
    farthest: float = 8064.0,
) -> Fill:
    """Judge every series.

    Suits levels that are used up: fills, leaks, quotas, with noise and daily waves. Does not see a limit that is
    reached by a burst without a trend, or by a trend that has not begun.

    Args:
        values: Shape (series, steps) at an even step, NaN for gaps; the last column is the newest. At least `LEAST`.
        limit: Shape (series,); reached from below. Turn what falls towards a limit around: negate both.
        times: Steps ahead for which a probability is wanted.
        levels: Quantiles of the time until the limit.
        farthest: Steps past which nothing is said.

    Raises:
        InputError: Fewer than `LEAST` steps.
    """
    if values.ndim != 2 or values.shape[1] < LEAST:  # noqa: PLR2004 - series by steps
        raise InputError(f"values have shape {values.shape}; a trend needs at least {LEAST} steps", least=LEAST)
    values = np.ascontiguousarray(values, np.float64)
    slope, scatter, off, weight = _fit(values)
    now = _level(values, values.shape[1])
    gap = np.asarray(limit, np.float64) - now
    grid = np.unique(np.concatenate([np.geomspace(1.0, farthest, _GRID), np.asarray(times, np.float64)]))
    off = off * _USUAL if values.shape[1] >= _SHORT else off
    spread = np.sqrt((_NOISE * scatter[:, :, None]) ** 2 + (off[:, :, None] * grid) ** 2 + _TINY)
    z = (slope[:, :, None] * grid - gap[:, None, None]) / spread
    chance = np.maximum.accumulate((weight[:, :, None] * _normal(z)).sum(axis=1), axis=1)
    chance /= 1.0 + _falls(values, now, gap, scatter[:, 0])[:, None]
    chance[gap <= 0.0] = 1.0
    chance[~np.isfinite(gap)] = 0.0
    eta = np.full((len(values), len(levels)), np.inf)
    for column, wanted in enumerate(levels):
        reached = chance >= wanted
        some = np.flatnonzero(reached.any(axis=1))
        place = reached[some].argmax(axis=1)
        eta[some, column] = _between(grid, chance[some], place, wanted)
    eta[gap <= 0.0] = 0.0
    return Fill(value=now, within=chance[:, np.searchsorted(grid, np.asarray(times, np.float64))], eta_steps=eta)


def _between(grid: Floats, chance: Floats, place: Ints, wanted: float) -> Floats:
    """The time within a cell of the grid at which the chance is reached, as on a straight line through the cell."""
    rows, before = np.arange(len(place)), np.maximum(place - 1, 0)
    low, high = chance[rows, before], chance[rows, place]
    share = np.where(place > 0, (wanted - low) / np.maximum(high - low, _TINY), 1.0)
    time: Floats = grid[before] + share * (grid[place] - grid[before])
    return time


def _normal(z: Floats) -> Floats:
    """Cumulative normal; far tails are cut, so that most values cost a comparison."""
    out = (z > 0.0).astype(np.float64)
    near = np.abs(z) < 6.0  # noqa: PLR2004 - past it the tail is below 1e-9
    out[near] = 0.5 * (1.0 + _erf(z[near] / math.sqrt(2.0)))
    return out


def _fit(values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Slope, scatter, usual error of the slope and weight, each of shape (series, lengths)."""
    series, steps = values.shape
    lengths = [length for length in LENGTHS if length <= max(steps // 2, LENGTHS[0])]
    moments = _Moments(values)
    loss = np.zeros((series, len(lengths)))
    square = np.zeros((series, len(lengths)))
    judged = 0
    for ahead in AHEAD:
        found = [int(steps - ahead * age) for age in _AGES]
        origins = [(origin, age) for origin, age in zip(found, _AGES, strict=True) if origin >= LENGTHS[0]]
        if not origins:
            continue
        missed = np.zeros((series, len(lengths)))
        for origin, age in origins:
            slope, _ = moments.slopes(origin, lengths)
            told = _level(values, origin)[:, None] + slope * ahead
            miss = np.abs(_level(values, origin + ahead)[:, None] - told)
            missed += np.nan_to_num(miss, nan=0.0, posinf=0.0) / age / len(origins)
        loss += missed / np.maximum(missed.mean(axis=1, keepdims=True), _TINY)
        square += (missed / ahead) ** 2
        judged += 1
    slope, scatter = moments.slopes(steps, lengths)
    best = np.maximum(loss.min(axis=1, keepdims=True), _TINY)
    weight = np.exp(-SHARPNESS * np.minimum(loss / best - 1.0, 100.0))
    weight /= weight.sum(axis=1, keepdims=True)
    return slope, scatter, np.sqrt(square / max(judged, 1)), weight


def _falls(values: Floats, now: Floats, gap: Floats, scatter: Floats) -> Floats:
    """How often each series fell suddenly, by much of its present gap; 0 where it is above all levels it fell from."""
    before, after = values[:, :-_SUDDEN], values[:, _SUDDEN:]
    least = np.maximum(_MUCH * gap, _CLEAR * scatter)
    with np.errstate(invalid="ignore"):
        fell = (before - after) > least[:, None]
    count = (fell[:, 1:] & ~fell[:, :-1]).sum(axis=1) + fell[:, 0]
    highest = np.where(fell, before, -np.inf).max(axis=1)
    return np.where(now < highest, count, 0).astype(np.float64)


class _Moments:
    """Slopes of any stretch from running sums; gaps are left out."""

    def __init__(self, values: Floats) -> None:
        seen = np.isfinite(values)
        first = np.where(seen.any(axis=1), values[np.arange(len(values)), seen.argmax(axis=1)], 0.0)
        y = np.where(seen, values - first[:, None], 0.0)  # less the first value: sums of squares stay small
        t = np.arange(values.shape[1], dtype=np.float64)
        self._sums = [
            np.concatenate([np.zeros((len(values), 1)), np.cumsum(each, axis=1)], axis=1)
            for each in (seen.astype(np.float64), seen * t, seen * t * t, y, y * t, y * y)
        ]

    def slopes(self, origin: int, lengths: Sequence[int]) -> tuple[Floats, Floats]:
        """Least-squares slope a step, and scatter about the line, of the stretches that end before `origin`."""
        low = np.maximum(origin - np.asarray(lengths), 0)
        n, t, tt, y, ty, yy = (each[:, [origin]] - each[:, low] for each in self._sums)
        n = np.maximum(n, 1.0)
        across = np.maximum(tt - t * t / n, _TINY)
        slope = (ty - t * y / n) / across
        rest = yy - y * y / n - slope * slope * across
        return slope, np.sqrt(np.maximum(rest, 0.0) / n)


def _level(values: Floats, origin: int) -> Floats:
    """Median of the three steps before `origin`; the newest value where they are gaps."""
    near = values[:, max(origin - 3, 0) : origin]
    level: Floats = np.median(near, axis=1)
    gaps = np.flatnonzero(np.isnan(level))
    for row in gaps.tolist():
        before = values[row, :origin]
        known = before[np.isfinite(before)]
        level[row] = known[-1] if len(known) else np.nan
    return level
