"""What one rule made: its expression's series under the rule's labels, moment by moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from twofold.aiops.detect.rules.file import Rule
from twofold.aiops.detect.rules.firing import STALE
from twofold.aiops.detect.rules.template import Given, fill, uses_value
from twofold.errors import InputError
from twofold.store.promql.values import NAME, Bools, Floats, Ints, Labels, Vector, make_labels

_SAME = "vector contains metrics with the same labelset after applying the rule's labels"


@dataclass(frozen=True, slots=True)
class Made:
    """One series or alert of a rule.

    Attributes:
        labels: Under the rule's; an alert's without its name.
        of: Labels of the expression's series.
        held: Places of the evaluations at which it was there, ascending.
        values: One for each.
    """

    labels: Labels
    of: Labels
    held: Ints
    values: Floats

    def ended(self, at_ms: Ints, offset_ms: int) -> tuple[Ints, Floats]:
        """Its samples, and a mark at each evaluation at which it was no longer there."""
        ends = self.held[np.diff(self.held, append=np.iinfo(np.int64).max) > 1] + 1
        ends = ends[ends < len(at_ms)]
        times = np.concatenate([at_ms[self.held], at_ms[ends]]) - offset_ms
        values = np.concatenate([self.values, np.full(len(ends), STALE)])
        order = np.argsort(times)
        return times[order], values[order]


@dataclass(slots=True)
class Gathered:
    """What a rule made at its moments.

    Attributes:
        at_ms: Its moments.
        failure: Why the last failed evaluation did.
        put: Whether its recordings were put moment by moment.
        now, before: What a recording made at the moment taken last; of what, at the one before, marks are due.
    """

    rule: Rule
    at_ms: Ints
    failures: int = 0
    failure: str = ""
    put: bool = False
    now: dict[Labels, float] = field(default_factory=dict)
    before: set[Labels] = field(default_factory=set)
    _parts: dict[Labels, list[Made]] = field(default_factory=dict)
    _failed: list[Ints] = field(default_factory=list)
    _over: list[Ints] = field(default_factory=list)

    def clear(self) -> None:
        """Begin anew."""
        self._parts, self._failed, self._over, self.failures = {}, [], [], 0

    def add(self, first: int, vector: Vector) -> None:
        """Many moments, from this place on. Raises `InputError` where evaluations among them fail."""
        if self.rule.limit:
            over = vector.present.sum(axis=0) > self.rule.limit
            if over.any():
                raise InputError(f"more than {self.rule.limit} at a time", reason="execution")
        found = made_of(self.rule, vector)
        _distinct(found, vector.present.shape[1])
        for one in found:
            self._parts.setdefault(one.labels, []).append(Made(one.labels, one.of, one.held + first, one.values))

    def take(self, number: int, found: Sequence[Made]) -> None:
        """One moment. Raises `InputError` where the evaluation fails, as Prometheus's would."""
        _distinct(found, 1)
        if self.rule.limit and len(found) > self.rule.limit:
            if not self.rule.records:
                self._over.append(np.array([number]))  # none of its alerts stays active
            raise InputError(f"exceeded limit of {self.rule.limit} with {len(found)}", reason="execution")
        self.now = {one.labels: float(one.values[0]) for one in found}
        for one in found:
            self._parts.setdefault(one.labels, []).append(Made(one.labels, one.of, one.held + number, one.values))

    def fail(self, number: int, why: str) -> None:
        """An evaluation failed: what it had made before stands as it was."""
        self.failures, self.failure = self.failures + 1, why
        self._failed.append(np.array([number]))

    def whole(self) -> tuple[Ints, list[Made]]:
        """The moments at which it was evaluated, and what it made of these."""
        kept = np.ones(len(self.at_ms), bool)
        for each in self._failed:
            kept[each] = False
        for each in self._over:
            kept[each] = True
        place = np.cumsum(kept) - 1
        made = []
        for labels, parts in self._parts.items():
            held = np.concatenate([part.held for part in parts])
            order = np.argsort(held)
            values = np.concatenate([part.values for part in parts])[order]
            made.append(Made(labels, parts[0].of, place[held[order]], values))
        return self.at_ms[kept], made


def made_of(rule: Rule, vector: Vector) -> list[Made]:
    """The series of an answer under the rule's labels; several may have become the same."""
    varies = not rule.records and any(uses_value(text) for text in rule.labels.values())
    found: list[Made] = []
    for labels, values, present in zip(vector.labels, vector.values, vector.present, strict=True):
        held = np.flatnonzero(present)
        if not len(held):
            continue
        if rule.records:
            own = make_labels((dict(labels) | dict(rule.labels) | {NAME: rule.name}).items())
            found.append(Made(own, labels, held, values[held]))
        elif not varies:
            found.append(Made(_alert(rule, labels, float(values[held[0]])), labels, held, values[held]))
        else:
            found.extend(_varied(rule, labels, held, values[held]))
    return found


def _varied(rule: Rule, labels: Labels, held: Ints, values: Floats) -> Iterable[Made]:
    """Of an alert whose labels hold the value: another value is another alert."""
    own: dict[Labels, list[int]] = {}
    for number, value in enumerate(values.tolist()):
        own.setdefault(_alert(rule, labels, value), []).append(number)
    return [Made(each, labels, held[at], values[at]) for each, at in own.items()]


def _alert(rule: Rule, labels: Labels, value: float) -> Labels:
    given = Given(dict(labels), value)
    put = {name: fill(text, given) for name, text in rule.labels.items()}
    shown = {name: text for name, text in (dict(labels) | put).items() if name not in (NAME, "alertname")}
    return make_labels(shown.items())


def _distinct(found: Sequence[Made], moments: int) -> None:
    """Raises `InputError` when two series that became the same have a value at one moment."""
    places: dict[Labels, list[Ints]] = {}
    for one in found:
        places.setdefault(one.labels, []).append(one.held)
    for each in places.values():
        if len(each) > 1:
            taken: Bools = np.bincount(np.concatenate(each), minlength=moments) > 1
            if taken.any():
                raise InputError(_SAME, reason="execution")
