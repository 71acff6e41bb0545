"""Volume under the range precision-recall surface.

Labels are widened on both sides by a slope of growing width, and the area under precision
against recall, times the share of events touched, is averaged over the widths 0 … `window`. Thresholds are
spaced by the logarithm of the rank, so that they are fine where alerts live.

Source: Paparrizos et al., "Volume Under the Surface", VLDB 2022; window as in TSB-AD, NeurIPS 2024.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numba import njit

from benchmarks.series.data import Floats, Int64s, Labelled

LEVELS = 400
LAGS = 400
HEAD = 20_000
NO_PERIOD = 125
SKIPPED_LAGS = 3
LONGEST = 300


def period_points(value: Floats) -> int:
    """Dominant period in points, by the highest peak of the autocorrelation; 125 where there is none."""
    head = np.nan_to_num(value[:HEAD])
    if np.ptp(head) == 0:
        return NO_PERIOD
    centred = head - head.mean()
    size = 1 << (2 * len(head) - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    lags = min(LAGS, len(head) - 1)
    correlation = np.fft.irfft(power)[: lags + 1]
    correlation = (correlation / correlation[0])[SKIPPED_LAGS:]
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner > correlation[2:])) + 1
    if not len(peaks):
        return NO_PERIOD
    best = int(peaks[np.argmax(correlation[peaks])])
    return NO_PERIOD if best < SKIPPED_LAGS or best > LONGEST else best + SKIPPED_LAGS


def vus_pr(series: Labelled, score: Floats) -> float:
    """The volume over the tested part of one series, NaN when nothing is labelled there."""
    first, last = series.events()
    if not len(first):
        return math.nan
    tested = np.where(np.isfinite(score), score, -1e30)[series.warm :]
    ordered = np.sort(tested)[::-1]
    n = len(ordered)
    ranks = np.unique(np.concatenate([[0], np.geomspace(1, n - 1, LEVELS).astype(int), [n - 1]]))
    thresholds = np.unique(ordered[ranks])  # ascending
    # level 0 is the strictest threshold; `len(thresholds)` means below all of them
    level = len(thresholds) - np.searchsorted(thresholds, tested, side="right")
    return float(_volume(level.astype(np.int64), first, last, len(thresholds), period_points(series.value)))


@njit(cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def _widen(soft: Floats, inside: npt.NDArray[np.bool_], first: Int64s, last: Int64s, width: int) -> None:
    """Labels with slopes of half the width on both sides, added where events are near."""
    half = width // 2
    soft[:] = inside
    for k in range(len(first)):
        for i in range(last[k] + 1, min(last[k] + half + 1, len(soft))):
            soft[i] += math.sqrt(1 - (i - last[k]) / width)
        for i in range(max(first[k] - half, 0), first[k]):
            soft[i] += math.sqrt(1 - (first[k] - i) / width)


@njit(cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def _join(first: Int64s, last: Int64s, half: int, n: int) -> tuple[Int64s, Int64s]:
    """First and last row of the zones that widened events fill; events that meet are one zone."""
    begin, end = np.empty(len(first), np.int64), np.empty(len(first), np.int64)
    zones = 0
    for k in range(len(first)):
        if k and last[k - 1] + half >= first[k] - half:
            end[zones - 1] = min(last[k] + half, n - 1)
        else:
            begin[zones], end[zones] = max(first[k] - half, 0), min(last[k] + half, n - 1)
            zones += 1
    return begin[:zones], end[:zones]


@njit(cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def _area(
    level: Int64s, soft: Floats, inside: npt.NDArray[np.bool_], begin: Int64s, end: Int64s, predicted: Floats
) -> float:
    """Area under precision against recall for one width. `predicted`: points at or above each level."""
    levels = len(predicted)
    hits, slope, touched = np.zeros(levels), np.zeros(levels), np.zeros(levels)
    for k in range(len(begin)):
        strictest = levels - 1
        for i in range(begin[k], end[k] + 1):
            strictest = min(strictest, level[i])
            weight = 1.0 if inside[i] else min(1.0, soft[i])
            hits[level[i]] += weight
            slope[level[i]] += 0.0 if inside[i] else weight
        touched[strictest] += 1
    hits, slope, touched = np.cumsum(hits), np.cumsum(slope), np.cumsum(touched)
    positives = inside.sum()
    area, before = 0.0, 0.0
    for j in range(levels - 1):
        recall = min(hits[j] / (positives + slope[j] / 2), 1.0) * touched[j] / len(begin)
        if predicted[j] > 0:
            area += (recall - before) * hits[j] / predicted[j]
        before = recall
    return area


@njit(cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def _volume(level: Int64s, first: Int64s, last: Int64s, levels: int, window: int) -> float:
    """Mean area over the widths 0 … `window`. Level `levels` stands for a point below every threshold."""
    n = len(level)
    predicted = np.zeros(levels + 1)
    for i in range(n):
        predicted[level[i]] += 1
    predicted = np.cumsum(predicted)
    inside = np.zeros(n, np.bool_)
    for k in range(len(first)):
        inside[first[k] : last[k] + 1] = True
    soft = np.zeros(n)
    total = 0.0
    for width in range(window + 1):
        _widen(soft, inside, first, last, width)
        begin, end = _join(first, last, width // 2, n)
        total += _area(level, soft, inside, begin, end, predicted)
    return total / (window + 1)


def mean_vus(series: Sequence[Labelled], scores: Sequence[Floats]) -> float:
    """Mean over the series that have labels."""
    return float(np.nanmean([vus_pr(each, score) for each, score in zip(series, scores, strict=True)]))
