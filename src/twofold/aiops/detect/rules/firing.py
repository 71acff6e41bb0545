"""The life of an alert as Prometheus keeps it: pending while it has not held for long enough, firing, resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from twofold.aiops.detect.rules.file import Rule
from twofold.store.promql.values import NAME, STALE_BITS, Floats, Ints, Labels, make_labels

STALE: Final = float(np.array([STALE_BITS], np.uint64).view(np.float64)[0])
"""Ends a series at once, instead of after the time that a query looks back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One time that a rule would have fired.

    Attributes:
        labels: Of the alert, its name left out.
        annotations: As they read when it fired.
        active_ms: When the expression began to hold.
        fired_ms: When it had held for long enough.
        ended_ms: When it no longer fired; the end of the period for one that still does.
    """

    rule: str
    labels: Mapping[str, str]
    active_ms: int
    fired_ms: int
    ended_ms: int
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Life:
    """Places of the evaluations at which an alert became active, fired, and was gone.

    Attributes:
        fired: Equal to `gone` for one that never did.
        gone: The number of evaluations for one that still stands.
    """

    active: int
    fired: int
    gone: int


def lives(rule: Rule, at_ms: Ints, held: Ints) -> Iterator[Life]:
    """The lives of one alert.

    Args:
        rule: Says how long it must hold, and how long it keeps on.
        at_ms: When the rule was evaluated.
        held: Places of the evaluations at which its expression held, ascending.
    """
    breaks = np.flatnonzero(np.diff(held) > 1)
    firsts, lasts = held[np.append(0, breaks + 1)].tolist(), held[np.append(breaks, len(held) - 1)].tolist()
    for_ms, keep_ms = int(rule.for_s * 1000), int(rule.keep_s * 1000)
    life: Life | None = None
    for first, last in zip(firsts, lasts, strict=True):
        if life and first > life.gone:
            yield life
            life = None
        active = life.active if life else first
        fired = life.fired if life else int(np.searchsorted(at_ms, at_ms[first] + for_ms))
        gone = last + 1
        if fired > last:
            yield Life(active, gone, gone)
            continue
        if gone < len(at_ms):
            gone = int(np.searchsorted(at_ms, at_ms[gone] + keep_ms))
        life = Life(active, fired, gone)
    if life:
        yield life


def recorded(rule: Rule, labels: Labels, found: Life, at_ms: Ints) -> Iterator[tuple[Labels, Ints, Floats]]:
    """The series `ALERTS` and `ALERTS_FOR_STATE` of one life: labels, times, values."""
    own = {**dict(labels), "alertname": rule.name}
    offset = int(rule.offset_s * 1000)
    spans = (("pending", found.active, found.fired), ("firing", found.fired, found.gone))
    for state, low, high in spans:
        if high > low:
            yield _run(own | {NAME: "ALERTS", "alertstate": state}, at_ms - offset, low, high, 1.0)
    began = float(at_ms[found.active]) / 1000.0
    yield _run(own | {NAME: "ALERTS_FOR_STATE"}, at_ms - offset, found.active, found.gone, began)


def _run(labels: Mapping[str, str], at_ms: Ints, low: int, high: int, value: float) -> tuple[Labels, Ints, Floats]:
    times = at_ms[low : high + 1]
    values = np.full(len(times), value)
    if high < len(at_ms):
        values[-1] = STALE
    return make_labels(labels.items()), times, values
