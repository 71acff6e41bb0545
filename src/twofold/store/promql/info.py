"""`info()`: series get the labels of info metrics, such as `target_info`, about the same instance of the same job.

Source: Prometheus's documentation of `info` (experimental there).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from twofold.errors import InputError
from twofold.store.promql.matchers import Conditions, Matcher, Op, matching
from twofold.store.promql.values import NAME, Bools, Ints, Labels, Vector, make_labels, only, text_of

IDENTITY: Final = ("instance", "job")
USUAL: Final = Matcher(NAME, Op.EQUAL, "target_info")
_ANY: Final = Matcher(NAME, Op.LIKE, ".+_info")
_POSITIVE: Final = frozenset({Op.EQUAL, Op.LIKE})
NEUTRAL: Final = Matcher(NAME, Op.UNEQUAL, "")
"""Stands in a selector that the parser would find too wide."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the second argument asks for.

    Attributes:
        names: Conditions on the names of info metrics.
        data: Conditions on their labels; only these labels are given. Without any, all are.
    """

    names: Sequence[Matcher]
    data: Sequence[Matcher]

    @property
    def conditions(self) -> Conditions:
        """Selects the info metrics."""
        return ((*self.names, *self.data),)

    @property
    def needed(self) -> bool:
        """Whether a series that nothing describes is left out."""
        return not all(each.takes_empty() for each in self.data)

    def kept(self, labels: Labels) -> Iterable[tuple[str, str]]:
        """The labels that an info metric gives."""
        asked = {each.name for each in self.data}
        return (pair for pair in labels if pair[0] not in {NAME, *IDENTITY} and (not asked or pair[0] in asked))


def wanted(conditions: Sequence[Matcher] = ()) -> Wanted:
    """Of the second argument's conditions."""
    names = [each for each in conditions if each.name == NAME and each != NEUTRAL]
    if not names:
        names = [USUAL]
    elif not any(each.op in _POSITIVE for each in names):
        names.append(_ANY)
    return Wanted(names, [each for each in conditions if each.name != NAME])


def described(base: Vector, info: Vector, times: Ints, asked: Wanted) -> Vector:
    """Each series with the labels of the newest sample of each info metric about it, step by step.

    `info` is what `asked.conditions` select, `times` says when each of its samples was taken, both of shape (S, T).

    Raises:
        InputError: Two samples of one info metric are equally new, or two metrics give a label different values.
    """
    about: dict[Labels, dict[str, list[int]]] = {}
    for at, labels in enumerate(info.labels):
        about.setdefault(only(labels, IDENTITY), {}).setdefault(dict(labels).get(NAME, ""), []).append(at)
    is_info = matching([{NAME: dict(labels).get(NAME, "")} for labels in base.labels], asked.names)
    joined: list[Labels] = []
    rows, masks = [], []
    for row, own in enumerate(base.labels):
        found = {} if is_info[row] else about.get(only(own, IDENTITY), {})
        chosen = [_newest(info, times, at) for at in found.values()]
        for choice, mask in _alternatives(chosen, base.present[row]):
            given = [info.labels[at] for at in choice if at >= 0]
            if given or is_info[row] or not asked.needed:
                joined.append(_joined(own, given, asked))
                rows.append(row)
                masks.append(mask)
    present = np.array(masks, bool).reshape(len(rows), base.values.shape[1])
    return Vector(joined, base.values[rows] if rows else np.empty((0, base.values.shape[1])), present)


def _newest(info: Vector, times: Ints, rows: Sequence[int]) -> Ints:
    """At each step the row whose sample is the newest, or -1."""
    there, at = info.present[rows], np.where(info.present[rows], times[rows], -1)
    best = at.max(axis=0)
    if (((at == best) & there).sum(axis=0) > 1).any():
        raise InputError(f"found duplicate series for info metric {text_of(info.labels[rows[0]])}", reason="execution")
    return np.where(there.any(axis=0), np.array(rows, np.int64)[at.argmax(axis=0)], -1)


def _alternatives(chosen: Sequence[Ints], present: Bools) -> Iterable[tuple[list[int], Bools]]:
    """Each choice of info series, with the steps of the series at which it holds."""
    if not len(chosen):
        return [([], present)]
    choices, number = np.unique(np.array(chosen), axis=1, return_inverse=True)
    every = ((choice.tolist(), present & (number.ravel() == at)) for at, choice in enumerate(choices.T))
    return [(choice, mask) for choice, mask in every if mask.any()]


def _joined(own: Labels, given: Sequence[Labels], asked: Wanted) -> Labels:
    more: dict[str, str] = {}
    for labels in given:
        for name, value in asked.kept(labels):
            if more.setdefault(name, value) != value:
                raise InputError(f"conflicting label: {name} of the info metrics of {text_of(own)}", reason="execution")
    return make_labels((more | dict(own)).items())
