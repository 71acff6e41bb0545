"""Operators between scalars and vectors: arithmetic, comparison, sets, and which series belong together.

Source: Prometheus's documentation of operators and vector matching.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from twofold.errors import InputError
from twofold.store.promql.values import (
    OF_METRIC,
    Bools,
    Floats,
    Ints,
    Labels,
    Scalar,
    Vector,
    by_group,
    groups_of,
    labels_text,
    make_labels,
    merged,
    nameless,
    nothing,
    only,
    text_of,
    unnamed,
    without,
)

ARITHMETIC: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISON: Final[dict[str, Callable[[Floats, Floats], Bools]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SETS: Final = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """How the series of two vectors find each other.

    Attributes:
        names: Labels that must be equal (`on`), or all but these (`ignoring`).
        many: Which side may have several series for one of the other: "", "left" or "right".
        include: Labels of the one side that results get.
        left_fill: Stands for a series that the left side lacks.
        right_fill: Stands for a series that the right side lacks.
    """

    names: Sequence[str] = ()
    on: bool = False
    many: str = ""
    include: Sequence[str] = ()
    left_fill: float | None = None
    right_fill: float | None = None

    def key(self, labels: Labels) -> Labels:
        """What must be equal."""
        return only(labels, self.names) if self.on else without(labels, [*self.names, *OF_METRIC])


def scalars(op: str, left: Scalar, right: Scalar) -> Scalar:
    """Number by number; a comparison gives 0 or 1."""
    return Scalar(_applied(op, left.values, right.values, boolean=True)[0])


def with_scalar(op: str, vector: Vector, scalar: Scalar, *, swapped: bool, boolean: bool) -> Vector:
    """Each value with the number of its step. A comparison keeps the vector's values, or gives 0 or 1."""
    number = np.broadcast_to(scalar.values, vector.values.shape)
    sides = (number, vector.values) if swapped else (vector.values, number)
    values, kept = _applied(op, *sides, boolean=boolean)
    if kept is None:
        return nameless(Vector(vector.labels, values, vector.present))
    return Vector(vector.labels, vector.values, vector.present & kept)


def _applied(op: str, left: Floats, right: Floats, *, boolean: bool) -> tuple[Floats, Bools | None]:
    """New values; for a comparison that filters the left ones and where it holds."""
    with np.errstate(all="ignore"):
        if op in ARITHMETIC:
            return ARITHMETIC[op](left, right), None
        holds = COMPARISON[op](left, right)
    return (holds.astype(np.float64), None) if boolean else (left, holds)


def sets(op: str, left: Vector, right: Vector, how: Matching) -> Vector:
    """`and`, `or`, `unless`: which series stay, by whether the other side has one that matches, step by step."""
    group, first = groups_of([how.key(each) for each in (*left.labels, *right.labels)])
    of_left, of_right = group[: len(left)], group[len(left) :]
    if op == "or":
        hidden = _any(left, of_left, len(first))[of_right]
        labels = [*left.labels, *right.labels]
        present = np.vstack([left.present, right.present & ~hidden])
        return merged(Vector(labels, np.vstack([left.values, right.values]), present))
    there = _any(right, of_right, len(first))[of_left]
    return Vector(left.labels, left.values, left.present & (there if op == "and" else ~there))


def _any(vector: Vector, group: Ints, count: int) -> Bools:
    """Whether a group has a value at each step, shape (groups, T)."""
    found = np.zeros((count, vector.values.shape[1]), bool)
    if len(vector):
        order = np.argsort(group, kind="stable")
        numbers, starts = np.unique(group[order], return_index=True)
        found[numbers] = np.logical_or.reduceat(vector.present[order], starts, axis=0)
    return found


def vectors(op: str, left: Vector, right: Vector, how: Matching, *, boolean: bool) -> Vector:
    """Arithmetic and comparison of series that match.

    Raises:
        InputError: Several series match where one may (`reason="execution"`).
    """
    if how.left_fill is not None or how.right_fill is not None:
        left, right = _filled(left, right, how)
    steps = left.values.shape[1]
    if not len(left) or not len(right):
        return nothing(steps)
    group, first = groups_of([how.key(each) for each in (*left.labels, *right.labels)])
    of_left, of_right = group[: len(left)], group[len(left) :]
    one, of_one, side, busy = (
        (left, of_left, "left", right) if how.many == "right" else (right, of_right, "right", left)
    )
    _check_one(one, of_one, len(first), side, np.asarray(busy.present.any(axis=0)), how)
    at_left, at_right = _pairs(of_left, of_right)
    values, kept = _applied(op, left.values[at_left], right.values[at_right], boolean=boolean)
    both = left.present[at_left] & right.present[at_right]
    present = both if kept is None else both & kept
    named = op in COMPARISON and not boolean
    labels = [
        _result(left.labels[i], right.labels[j], how, named=named)
        for i, j in zip(at_left.tolist(), at_right.tolist(), strict=True)
    ]
    result = Vector(labels, values, present)
    if how.many:
        return _merged(result.shown(), "grouping labels must ensure unique matches")
    matched = _merged(
        Vector([(("", str(at)),) for at in of_left[at_left].tolist()], values, both),
        "many-to-one matching must be explicit (group_left/group_right)",
    )
    return merged(result.shown()) if len(matched) else result


def _merged(result: Vector, rule: str) -> Vector:
    try:
        return merged(result)
    except InputError as error:
        raise InputError(f"multiple matches for labels: {rule}", reason="execution") from error


def _pairs(of_left: Ints, of_right: Ints) -> tuple[Ints, Ints]:
    """All pairs of places with the same group, by left place."""
    order = np.argsort(of_right, kind="stable")
    ordered = of_right[order]
    low, high = np.searchsorted(ordered, of_left, "left"), np.searchsorted(ordered, of_left, "right")
    count = high - low
    at_left = np.repeat(np.arange(len(of_left)), count)
    inner = np.arange(len(at_left)) - np.repeat(np.cumsum(count) - count, count)
    return at_left, order[np.repeat(low, count) + inner]


def _check_one(one: Vector, group: Ints, count: int, side: str, busy: Bools, how: Matching) -> None:
    """A group of the one side has at most one value at each step at which the other side has any."""
    if len(np.unique(group)) == len(group):
        return
    order, _ = by_group(group, count)
    numbers, starts = np.unique(group[order], return_index=True)
    several = (np.add.reduceat(one.present[order], starts, axis=0, dtype=np.int32) > 1) & busy
    if not several.any():
        return
    at, step = (int(each[0]) for each in np.nonzero(several))
    rows = [row for row in np.flatnonzero(group == numbers[at]).tolist() if one.present[row, step]]
    first, second = (labels_text(each) for each in sorted(one.labels[row] for row in rows)[:2])
    raise InputError(
        f"found duplicate series for the match group {text_of(how.key(one.labels[rows[0]]))} on the {side} hand-side "
        f"of the operation: [{first}, {second}];"
        "many-to-many matching not allowed: matching labels must be unique on one side",
        reason="execution",
    )


def _result(left: Labels, right: Labels, how: Matching, *, named: bool) -> Labels:
    """Labels of the result of a pair."""
    many, one = (right, left) if how.many == "right" else (left, right)
    labels = many if named else unnamed(many)
    if how.many:
        given = dict(one)
        return make_labels((dict(labels) | {name: given.get(name, "") for name in how.include}).items())
    return only(labels, how.names) if how.on else without(labels, how.names)


def _filled(left: Vector, right: Vector, how: Matching) -> tuple[Vector, Vector]:
    """Both sides with series that stand for those they lack, at the steps at which they lack them."""
    group, first = groups_of([how.key(each) for each in (*left.labels, *right.labels)])
    of_left, of_right = group[: len(left)], group[len(left) :]
    keys = [how.key((*left.labels, *right.labels)[at]) for at in first]
    in_left, in_right = _any(left, of_left, len(first)), _any(right, of_right, len(first))
    more = []
    for vector, fill, lacks in (
        (left, how.left_fill, in_right & ~in_left),
        (right, how.right_fill, in_left & ~in_right),
    ):
        rows = np.flatnonzero(lacks.any(axis=1)) if fill is not None else np.empty(0, np.int64)
        labels = [*vector.labels, *(keys[at] for at in rows.tolist())]
        values = np.vstack([vector.values, np.full((len(rows), vector.values.shape[1]), fill or 0.0)])
        more.append(Vector(labels, values, np.vstack([vector.present, lacks[rows]])))
    return more[0], more[1]
