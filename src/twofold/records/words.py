"""Plain words for what a finding says, the same in titles, reasons and evidence."""

from __future__ import annotations

from typing import Final

from twofold.records.finding import Direction, Finding
from twofold.records.signal import Signal, plain, signal_of
from twofold.records.slo import BURN, SLOW_BURN

_BURNS: Final = {BURN: "burns", SLOW_BURN: "keeps burning,"}


def name_of(entity: str) -> str:
    """The entity's name without its kind.

    >>> name_of("service:checkout"), name_of("feature:recommender/age")
    ('checkout', 'recommender/age')
    """
    return entity.partition(":")[2] or entity


def headline(finding: Finding) -> str:
    """One line for an alert: `checkout: p95 latency 9 x usual`."""
    return f"{name_of(finding.entity)}: {claim(finding)}"


def claim(finding: Finding) -> str:
    """What the series does, without whose it is: `p95 latency 9 x usual`."""
    words = plain(finding.metric)
    signal = signal_of(finding.metric)
    if finding.direction not in (Direction.UP, Direction.DOWN):
        return _state(finding, words)
    if signal is Signal.AVAILABILITY:
        return "not reachable" if finding.direction is Direction.DOWN else "reachable again"
    if signal is Signal.ERRORS and finding.unit == "1":
        return f"{words} {percent(finding.value)}"
    if signal is Signal.CALLS:
        return f"{finding.labels_text} in {percent(finding.value)} of requests, usually {percent(finding.expected)}"
    return f"{words} {_held_against(finding, signal)}"


def _held_against(finding: Finding, signal: Signal) -> str:
    """The value beside what it should be: what is usual, or what was promised."""
    if finding.metric in _BURNS:
        return f"{_BURNS[finding.metric]} {times(finding.value)} as fast as allowed"
    if signal is Signal.DRIFT:
        return f"{finding.value:.2g}, usually {finding.expected:.2g}"
    return compare(finding.value, finding.expected)


def _state(finding: Finding, words: str) -> str:
    if finding.direction is Direction.ABSENT:
        return "went silent"
    if finding.direction is Direction.FLAT:
        return f"{words} stuck at {finding.value:.3g}"
    return f"{words} swings {finding.effect:.2g} x as much as usual"


def compare(value: float, expected: float) -> str:
    """A value beside what is usual.

    >>> compare(0.9, 0.1), compare(12.0, 0.0), compare(2.0, 20.0), compare(105.0, 100.0)
    ('9 x usual', '12, usually 0', '90 % below usual', '5 % above usual')
    """
    if expected <= 0 or value < 0:
        return f"{value:.3g}, usually {expected:.3g}"
    ratio = value / expected
    if ratio >= 2:  # noqa: PLR2004 - from twice on, a factor reads better than a percentage
        return f"{times(ratio)} usual"
    return percent(abs(ratio - 1)) + (" below usual" if ratio < 1 else " above usual")


def times(ratio: float) -> str:
    """A factor, readable.

    >>> times(1.44), times(41.7), times(150.2)
    ('1.4 x', '42 x', '150 x')
    """
    return f"{ratio:.2g} x" if ratio < 100 else f"{ratio:.0f} x"  # noqa: PLR2004 - no 1.5e+02


def percent(ratio: float) -> str:
    """A ratio in whole percent.

    >>> percent(0.345)
    '34 %'
    """
    return f"{ratio:.0%}".replace("%", " %")


def seconds(span_s: float) -> str:
    """A span of time, readable.

    >>> seconds(8.2), seconds(250)
    ('8 s', '4 min')
    """
    return f"{span_s:.0f} s" if abs(span_s) < 120 else f"{span_s / 60:.0f} min"  # noqa: PLR2004 - two minutes
