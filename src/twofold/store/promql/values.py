"""What flows between the nodes of a query: labels, vectors of (series by steps), range vectors, scalars, answers.

A vector carries a mask beside its values, because NaN is a value in PromQL and absence is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Labels = tuple[tuple[str, str], ...]
"""Names and values sorted by name, the metric's name among them; no value is empty."""

NAME: Final = "__name__"
OF_METRIC: Final = frozenset({NAME, "__type__", "__unit__"})
"""Labels that describe the metric; Prometheus adds type and unit where it is told to."""
_LAST_OF_METRIC: Final = max(OF_METRIC)
STALE_BITS: Final = 0x7FF0000000000002
"""The NaN by which Prometheus marks the end of a series."""
_SAME: Final = "vector cannot contain metrics with the same labelset"


class Kind(StrEnum):
    """Type of an answer, by its name on the wire."""

    SCALAR = "scalar"
    STRING = "string"
    VECTOR = "vector"
    MATRIX = "matrix"


@dataclass(frozen=True, slots=True)
class Vector:
    """Values of series at steps.

    Attributes:
        labels: One a series.
        values: Shape (S, T).
        present: Shape (S, T): whether there is a value; where not, `values` says nothing.
    """

    labels: Sequence[Labels]
    values: Floats
    present: Bools

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Sequence[int] | Ints) -> Vector:
        """Some of the series."""
        index = np.asarray(rows, np.int64)
        return Vector([self.labels[at] for at in index.tolist()], self.values[index], self.present[index])

    def shown(self) -> Vector:
        """Without series that have no value at any step."""
        some = np.flatnonzero(self.present.any(axis=1))
        return self if len(some) == len(self) else self.take(some)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number a step, shape (T,)."""

    values: Floats


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of series, one run behind the other, each sorted by time.

    Attributes:
        starts: Shape (S + 1,): where the run of each series begins; the last is the number of samples.
        times: Milliseconds, shape (N,).
        values: Shape (N,).
    """

    labels: Sequence[Labels]
    starts: Ints
    times: Ints
    values: Floats

    def row(self) -> Ints:
        """The series of each sample, shape (N,)."""
        return np.repeat(np.arange(len(self.labels)), np.diff(self.starts))

    def without_stale(self) -> Samples:
        """Without marks of a series' end."""
        stale = is_stale(self.values)
        if not stale.any():
            return self
        kept = np.append(0, np.cumsum(~stale))
        return Samples(self.labels, kept[self.starts], self.times[~stale], self.values[~stale])


@dataclass(frozen=True, slots=True)
class Windows:
    """A range vector: for each series and step the run of samples in (end - range, end].

    Attributes:
        low: First sample of each window, shape (S, T).
        high: Behind the last one, shape (S, T).
        ends: End of each step's window in milliseconds, shape (T,).
        steps: Time at which each step is evaluated, shape (T,); differs from `ends` by offset and `@`.
    """

    samples: Samples
    low: Ints
    high: Ints
    ends: Ints
    steps: Ints
    range_ms: int

    @property
    def count(self) -> Ints:
        """Samples in each window, shape (S, T)."""
        return self.high - self.low


Value = Vector | Scalar | Text | Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Result of a query.

    Attributes:
        steps: Milliseconds, shape (T,); one for an instant query.
        vector: For VECTOR and MATRIX of steps; a scalar's numbers stand in its only row.
        samples: For a range vector asked for at an instant: its samples.
        text: For STRING.
    """

    kind: Kind
    steps: Ints
    vector: Vector | None = None
    samples: Samples | None = None
    text: str = ""
    warnings: Sequence[str] = ()
    infos: Sequence[str] = ()


def make_labels(pairs: Iterable[tuple[str, str]]) -> Labels:
    """Labels in their form; empty values are left out."""
    return tuple(sorted((name, value) for name, value in pairs if value))


def without(labels: Labels, names: Iterable[str]) -> Labels:
    """Labels but these."""
    dropped = frozenset(names)
    return tuple(pair for pair in labels if pair[0] not in dropped)


def only(labels: Labels, names: Iterable[str]) -> Labels:
    """These labels."""
    kept = frozenset(names)
    return tuple(pair for pair in labels if pair[0] in kept)


def unnamed(labels: Labels) -> Labels:
    """Labels without the metric's name, type and unit: a computed value is no longer the metric's."""
    if labels and labels[0][0] == NAME and (len(labels) == 1 or labels[1][0] > _LAST_OF_METRIC):
        return labels[1:]  # they sort before all but names of capitals
    return tuple(pair for pair in labels if pair[0] not in OF_METRIC)


def text_of(labels: Labels) -> str:
    """As PromQL writes it: `name{label="value"}`.

    >>> text_of((("__name__", "up"), ("job", "cart")))
    'up{job="cart"}'
    """
    name = dict(labels).get(NAME, "")
    pairs = ", ".join(f'{key}="{value}"' for key, value in labels if key != NAME)
    return f"{name}{{{pairs}}}"


def labels_text(labels: Labels) -> str:
    """All labels alike, the metric's name among them.

    >>> labels_text((("__name__", "up"), ("job", "cart")))
    '{__name__="up", job="cart"}'
    """
    pairs = ", ".join(f'{key}="{value}"' for key, value in labels)
    return f"{{{pairs}}}"


def is_stale(values: Floats) -> Bools:
    """Whether each value is the mark of a series' end, and no other NaN."""
    return np.asarray(np.ascontiguousarray(values).view(np.uint64) == STALE_BITS)


def nothing(steps: int) -> Vector:
    """No series."""
    return Vector([], np.empty((0, steps)), np.empty((0, steps), bool))


def groups_of(keys: Sequence[object]) -> tuple[Ints, list[int]]:
    """For each key the number of its group, by first appearance, and each group's first place."""
    number: dict[object, int] = {}
    group = np.fromiter((number.setdefault(key, len(number)) for key in keys), np.int64, len(keys))
    first = np.full(len(number), len(keys), np.int64)
    np.minimum.at(first, group, np.arange(len(keys)))
    return group, first.tolist()


def by_group(group: Ints, count: int) -> tuple[Ints, Ints]:
    """Rows in the order of their groups, and where each group begins among them; every group has a row."""
    order = np.argsort(group, kind="stable")
    return order, np.searchsorted(group[order], np.arange(count))


def rows_by_group(group: Ints, count: int) -> Iterator[Ints]:
    """Each group's rows."""
    order, starts = by_group(group, count)
    yield from np.split(order, starts[1:])


def merged(vector: Vector) -> Vector:
    """Series of the same labels as one.

    Raises:
        InputError: Two of them have a value at the same step (`reason="execution"`).
    """
    if len(set(vector.labels)) == len(vector):
        return vector
    group, first = groups_of(vector.labels)
    order, starts = by_group(group, len(first))
    present = vector.present[order]
    if (np.add.reduceat(present, starts, axis=0, dtype=np.int32) > 1).any():
        raise InputError(_SAME, reason="execution")
    values = np.add.reduceat(np.where(present, vector.values[order], 0.0), starts, axis=0)
    return Vector([vector.labels[at] for at in first], values, np.logical_or.reduceat(present, starts, axis=0))


def renamed(vector: Vector, labels: Sequence[Labels]) -> Vector:
    """The same values under other labels; series that become the same are merged. Raises as `merged`."""
    return merged(replace(vector, labels=labels))


def nameless(vector: Vector) -> Vector:
    """Without metric names. Raises as `merged`."""
    return renamed(vector, [unnamed(labels) for labels in vector.labels])
