"""Aggregation over series: sum by, topk, quantile and their kin."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from twofold.errors import InputError
from twofold.store.promql.form import number
from twofold.store.promql.over_time import picked
from twofold.store.promql.values import (
    OF_METRIC,
    Bools,
    Floats,
    Ints,
    Labels,
    Vector,
    by_group,
    groups_of,
    make_labels,
    nothing,
    only,
    rows_by_group,
    without,
)
from twofold.store.promql.windows import add

_EPSILON: Final = 2.3e-16
_EXACT: Final = 1e-10
_MOST: Final = 2.0**62


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which labels make a group: these, or all but these."""

    names: Sequence[str] = ()
    without: bool = False

    def key(self, labels: Labels) -> Labels:
        """Labels of the group."""
        return without(labels, [*self.names, *OF_METRIC]) if self.without else only(labels, self.names)


@dataclass(frozen=True, slots=True)
class _Grouped:
    """A vector's rows in the order of their groups.

    Attributes:
        values: Shape (S, T); zero where absent.
        starts: Where each group begins, shape (G,).
    """

    values: Floats
    present: Bools
    starts: Ints
    group: Ints

    def over(self, ufunc: np.ufunc, values: np.ndarray) -> Floats:
        """`ufunc` over the rows of each group, shape (G, T)."""
        return np.asarray(ufunc.reduceat(values, self.starts, axis=0), np.float64)

    @property
    def count(self) -> Floats:
        """Values in each group, shape (G, T)."""
        return self.over(np.add, self.present.astype(np.float64))


def aggregate(op: str, vector: Vector, grouping: Grouping) -> Vector:
    """One series a group."""
    if not len(vector):
        return vector
    keys = [grouping.key(labels) for labels in vector.labels]
    group, first = groups_of(keys)
    order, starts = by_group(group, len(first))
    present = vector.present[order]
    grouped = _Grouped(np.where(present, vector.values[order], 0.0), present, starts, group[order])
    with np.errstate(all="ignore"):
        values = SIMPLE[op](grouped)
    return Vector([keys[at] for at in first], values, grouped.count > 0)


def _sum(of: _Grouped) -> Floats:
    """With compensation where terms cancel out."""
    total = of.over(np.add, of.values)
    largest = of.over(np.fmax, np.abs(of.values))
    doubtful = (of.count * largest * _EPSILON > _EXACT * np.abs(total)) & np.isfinite(largest)
    if doubtful.any():
        exact, lost = np.zeros(total.shape), np.zeros(total.shape)
        size = np.diff(np.append(of.starts, len(of.values)))
        for at in range(int(size.max())):
            term = np.where((at < size)[:, None], of.values[np.minimum(of.starts + at, len(of.values) - 1)], 0.0)
            exact, lost = add(exact, lost, term)
        total = np.where(doubtful & np.isfinite(exact), exact + lost, total)
    return total


def _mean(of: _Grouped) -> Floats:
    """Finite where the values are, also when their sum is not."""
    found = _sum(of) / of.count
    if np.isinf(found).any():
        size = of.count[of.group]
        parts = _sum(replace(of, values=np.where(of.present, of.values / size, 0.0)))
        found = np.where(np.isinf(found), parts, found)
    return found


def _variance(of: _Grouped) -> Floats:
    middle = _sum(of) / of.count
    off = np.where(of.present, of.values - middle[of.group], 0.0)
    rest = of.over(np.add, off) / of.count  # the mean's own rounding
    return of.over(np.add, off * off) / of.count - rest * rest


def _extreme(ufunc: np.ufunc) -> Callable[[_Grouped], Floats]:
    """NaN counts only among NaN."""
    return lambda of: of.over(ufunc, np.where(of.present, of.values, np.nan))


SIMPLE: Final[dict[str, Callable[[_Grouped], Floats]]] = {
    "avg": _mean,
    "count": lambda of: of.count,
    "group": lambda of: np.ones(of.count.shape),
    "max": _extreme(np.fmax),
    "min": _extreme(np.fmin),
    "stddev": lambda of: np.sqrt(_variance(of)),
    "stdvar": _variance,
    "sum": _sum,
}
"""Aggregations without a parameter."""


def quantile(vector: Vector, grouping: Grouping, q: Floats) -> Vector:
    """The q-quantile of each group; NaN counts as the smallest."""
    keys = [grouping.key(labels) for labels in vector.labels]
    group, first = groups_of(keys)
    steps = vector.values.shape[1]
    values, present = np.zeros((len(first), steps)), np.zeros((len(first), steps), bool)
    for at, rows in enumerate(rows_by_group(group, len(first)) if len(first) else ()):
        there = vector.present[rows]
        numbers = vector.values[rows]
        order = np.lexsort((numbers, ~np.isnan(numbers), ~there), axis=0)
        ordered = np.take_along_axis(numbers, order, axis=0).T  # a run of len(rows) a step
        count = there.sum(axis=0)
        starts = np.arange(steps) * len(rows)
        values[at] = picked(ordered.ravel(), starts, np.maximum(count, 1), q)
        present[at] = count > 0
    return Vector([keys[at] for at in first], values, present)


def extremes(vector: Vector, grouping: Grouping, k: Floats, *, largest: bool) -> Vector:
    """The k largest or smallest of each group at each step, under their own labels; NaN comes last."""
    if not len(vector):
        return vector
    group, first = groups_of([grouping.key(labels) for labels in vector.labels])
    most = _whole(k)
    present = np.zeros(vector.present.shape, bool)
    for rows in rows_by_group(group, len(first)):
        numbers = -vector.values[rows] if largest else vector.values[rows]
        order = np.lexsort((numbers, np.isnan(numbers), ~vector.present[rows]), axis=0)
        rank = np.empty(order.shape, np.int64)
        np.put_along_axis(rank, order, np.broadcast_to(np.arange(len(rows))[:, None], order.shape), axis=0)
        present[rows] = (rank < most) & vector.present[rows]
    return Vector(vector.labels, vector.values, present)


def limited(vector: Vector, grouping: Grouping, k: Floats) -> Vector:
    """Any k of each group at each step: the first by labels."""
    if not len(vector):
        return vector
    group, first = groups_of([grouping.key(labels) for labels in vector.labels])
    most = _whole(k)
    present = np.zeros(vector.present.shape, bool)
    for rows in rows_by_group(group, len(first)):
        rank = np.cumsum(vector.present[rows], axis=0)
        present[rows] = (rank <= most) & vector.present[rows]
    return Vector(vector.labels, vector.values, present)


def sampled(vector: Vector, ratio: Floats) -> Vector:
    """About this part of the series, by a hash of their labels; a negative ratio gives what 1 + ratio leaves out."""
    keys = [hashlib.blake2b(repr(labels).encode(), digest_size=8).digest() for labels in vector.labels]
    place = np.array([int.from_bytes(key, "little") / 2**64 for key in keys]).reshape(-1, 1)
    taken = np.where(ratio >= 0, place < ratio, place >= 1 + ratio)
    return Vector(vector.labels, vector.values, vector.present & taken)


def _whole(k: Floats) -> Ints:
    if not (np.abs(k) < _MOST).all():
        raise InputError(f"scalar value {k[~(np.abs(k) < _MOST)][0]} overflows int64", reason="execution")
    return k.astype(np.int64)


def count_values(vector: Vector, grouping: Grouping, label: str) -> Vector:
    """For each distinct value of a group how many series have it; the value becomes a label."""
    steps = vector.values.shape[1]
    if not vector.present.any():
        return nothing(steps)
    group, first = groups_of([grouping.key(labels) for labels in vector.labels])
    keys = [grouping.key(vector.labels[at]) for at in first]
    row, step = np.nonzero(vector.present)
    distinct, value = np.unique(vector.values[row, step], return_inverse=True)
    pairs, pair = np.unique(group[row] * len(distinct) + value.ravel(), return_inverse=True)
    texts = [number(each) for each in distinct.tolist()]
    labels = [
        make_labels({**dict(keys[each // len(distinct)]), label: texts[each % len(distinct)]}.items())
        for each in pairs.tolist()
    ]
    same, first = groups_of(labels)  # the new label may stand over one that told groups apart
    count = np.zeros((len(first), steps))
    np.add.at(count, (same[pair.ravel()], step), 1.0)
    return Vector([labels[at] for at in first], count, count > 0)
