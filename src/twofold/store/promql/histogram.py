"""Quantiles of classic histograms: series with a label `le` and counts up to it.

Source: Prometheus's documentation of `histogram_quantile` and `histogram_fraction`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from twofold.store.promql.limits import Account
from twofold.store.promql.values import (
    OF_METRIC,
    Floats,
    Labels,
    Vector,
    groups_of,
    nothing,
    renamed,
    rows_by_group,
    without,
)

BUCKET: Final = "le"
_TOLERANCE: Final = 1e-12  # counts that differ by less, in parts of themselves, are taken as equal


def histogram_quantile(vector: Vector, q: Floats, account: Account) -> Vector:
    """The q-quantile of each histogram, taken as evenly spread within its bucket."""
    if ((q < 0) | (q > 1) | np.isnan(q)).any():
        account.warn(f"quantile value should be between 0 and 1, got {q[0]:g}")
    return _each(vector, account, lambda bounds, counts, at: quantile(bounds, counts, q[at], account))


def histogram_fraction(vector: Vector, low: Floats, high: Floats, account: Account) -> Vector:
    """The part of observations in (low, high] of each histogram, taken as evenly spread within buckets."""
    return _each(vector, account, lambda bounds, counts, at: fraction(bounds, counts, low[at], high[at], account))


def _each(vector: Vector, account: Account, of: Callable[[Floats, Floats, np.ndarray], Floats]) -> Vector:
    """What `of` says of each histogram, at each step of the buckets that are there."""
    bounded = [_bound(labels) for labels in vector.labels]
    good = [at for at, bound in enumerate(bounded) if bound is not None]
    if len(good) < len(vector):
        account.warn(f'bucket label "{BUCKET}" is missing or has a malformed value')
    vector = vector.take(good)
    if not len(vector):
        return nothing(vector.values.shape[1])
    bounds = np.array([bounded[at] for at in good], np.float64)
    keys = [without(labels, [BUCKET]) for labels in vector.labels]
    group, first = groups_of(keys)
    values = np.zeros((len(first), vector.values.shape[1]))
    present = np.zeros(values.shape, bool)
    for number, members in enumerate(rows_by_group(group, len(first))):
        rows = members[np.argsort(bounds[members], kind="stable")]
        patterns, pattern_of = np.unique(vector.present[rows], axis=1, return_inverse=True)
        for at, pattern in enumerate(patterns.T):
            if pattern.any():
                steps = np.flatnonzero(pattern_of.ravel() == at)
                there = rows[pattern]
                values[number, steps] = of(bounds[there], vector.values[np.ix_(there, steps)], steps)
                present[number, steps] = True
    return renamed(Vector([keys[at] for at in first], values, present), [without(keys[at], OF_METRIC) for at in first])


def _bound(labels: Labels) -> float | None:
    text = dict(labels).get(BUCKET, "")
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _clean(bounds: Floats, counts: Floats, account: Account) -> tuple[Floats, Floats]:
    """Distinct bounds, and counts that never fall: small falls are rounding, larger ones are told."""
    distinct, first = np.unique(bounds, return_index=True)
    if len(distinct) < len(bounds):
        bounds, counts = distinct, np.add.reduceat(counts, first, axis=0)
    counts = counts.copy()
    for at in range(1, len(counts)):
        before, now = counts[at - 1], counts[at]
        fell = now < before
        near = np.abs(now - before) <= _TOLERANCE * (np.abs(now) + np.abs(before))
        if (fell & ~near).any():
            account.inform("input to histogram_quantile needed to be fixed for monotonicity")
        counts[at] = np.where(fell | near, before, now)
    return bounds, counts


def quantile(bounds: Floats, counts: Floats, q: Floats, account: Account) -> Floats:
    """Of one histogram: bounds (B,) ascending, cumulative counts (B, T), q (T,)."""
    if not np.isposinf(bounds[-1]):
        return np.full(counts.shape[1], np.nan)
    bounds, counts = _clean(bounds, counts, account)
    if len(bounds) < 2:  # noqa: PLR2004 - one bucket tells nothing
        return np.full(counts.shape[1], np.nan)
    with np.errstate(all="ignore"):
        rank = q * counts[-1]
        bucket = (counts[:-1] < rank).sum(axis=0)
        below = np.maximum(bucket - 1, 0)
        inner = bucket > 0
        steps = np.arange(counts.shape[1])
        start = np.where(inner, bounds[below], 0.0)
        before = np.where(inner, counts[below, steps], 0.0)
        found = start + (bounds[bucket] - start) * ((rank - before) / (counts[bucket, steps] - before))
        found = np.where((bucket == 0) & (bounds[0] <= 0), bounds[0], found)
        found = np.where(bucket == len(bounds) - 1, bounds[-2], found)
        found = np.where(np.isnan(counts[-1]) | (counts[-1] == 0), np.nan, found)
        return np.where(np.isnan(q), np.nan, np.where(q < 0, -np.inf, np.where(q > 1, np.inf, found)))


def fraction(bounds: Floats, counts: Floats, low: Floats, high: Floats, account: Account) -> Floats:
    """Of one histogram: bounds (B,) ascending, cumulative counts (B, T), limits (T,)."""
    if not np.isposinf(bounds[-1]):
        return np.full(counts.shape[1], np.nan)
    bounds, counts = _clean(bounds, counts, account)
    with np.errstate(all="ignore"):
        all_of = counts[-1]
        found = (_up_to(bounds, counts, high) - _up_to(bounds, counts, low)) / all_of
        found = np.where(low >= high, 0.0, found)
        return np.where((all_of == 0) | np.isnan(all_of) | np.isnan(low) | np.isnan(high), np.nan, found)


def _up_to(bounds: Floats, counts: Floats, limit: Floats) -> Floats:
    """How many observations stand at or below the limit."""
    steps = np.arange(counts.shape[1])
    bucket = np.minimum(np.searchsorted(bounds, limit, side="left"), len(bounds) - 1)
    inner = bucket > 0
    below = np.maximum(bucket - 1, 0)
    first_low = 0.0 if bounds[0] > 0 else -np.inf
    start = np.where(inner, bounds[below], first_low)
    before = np.where(inner, counts[below, steps], 0.0)
    share = np.clip((limit - start) / (bounds[bucket] - start), 0.0, 1.0)
    share = np.where(np.isneginf(start) | np.isposinf(bounds[bucket]), 0.0, share)  # nothing is known of its inside
    share = np.where(limit == bounds[bucket], 1.0, share)
    return before + share * (counts[bucket, steps] - before)
