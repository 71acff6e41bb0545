"""Plain words and severity for alerts and incidents."""

from __future__ import annotations

from collections.abc import Iterable

from twofold.records.alert import Severity
from twofold.records.finding import Direction, Finding
from twofold.records.signal import Signal, harmful, plain, signal_of

_ORDER = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
_CRITICAL_ERROR_RATIO = 0.2


def name_of(entity: str) -> str:
    """The entity's name without its kind.

    >>> name_of("service:checkout"), name_of("feature:recommender/age")
    ('checkout', 'recommender/age')
    """
    return entity.partition(":")[2] or entity


def headline(finding: Finding) -> str:
    """One line for an alert: `checkout: p95 latency 9 x usual`."""
    return f"{name_of(finding.entity)}: {_claim(finding)}"


def _claim(finding: Finding) -> str:
    words = plain(finding.metric)
    signal = signal_of(finding.metric)
    if finding.direction is Direction.ABSENT:
        return f"went silent, no {words} any more"
    if signal is Signal.AVAILABILITY:
        return "not reachable" if finding.direction is Direction.DOWN else "reachable again"
    if signal is Signal.ERRORS and finding.unit == "1":
        return f"{words} {finding.value:.0%}"
    if signal is Signal.DRIFT:
        return f"{words} {finding.value:.2g}, usually {finding.expected:.2g}"
    return f"{words} {compare(finding.value, finding.expected)}"


def compare(value: float, expected: float) -> str:
    """A value beside what is usual.

    >>> compare(0.9, 0.1), compare(12.0, 0.0), compare(2.0, 20.0), compare(105.0, 100.0)
    ('9 x usual', '12, usually 0', '90 % below usual', '5 % above usual')
    """
    if expected <= 0 or value < 0:
        return f"{value:.3g}, usually {expected:.3g}"
    ratio = value / expected
    if ratio >= 2:  # noqa: PLR2004 - from twice on, a factor reads better than a percentage
        return f"{ratio:.2g} x usual" if ratio < 100 else f"{ratio:.0f} x usual"  # noqa: PLR2004 - no 1.5e+02
    change = abs(ratio - 1)
    return f"{change:.0%}".replace("%", " %") + (" below usual" if ratio < 1 else " above usual")


def severity_of(finding: Finding) -> Severity:
    """Critical: the entity is gone, or a fifth of its requests fail. Info: the change does no harm. Else warning."""
    if not harmful(finding.metric, finding.direction):
        return Severity.INFO
    signal = signal_of(finding.metric)
    gone = signal is Signal.AVAILABILITY or (
        finding.direction is Direction.ABSENT and signal not in (Signal.TRAFFIC, Signal.LATENCY, Signal.ERRORS)
    )
    failing = signal is Signal.ERRORS and finding.unit == "1" and finding.value >= _CRITICAL_ERROR_RATIO
    return Severity.CRITICAL if gone or failing else Severity.WARNING


def worst(severities: Iterable[Severity]) -> Severity:
    """The most severe one; info when there is none."""
    return max(severities, key=_ORDER.index, default=Severity.INFO)


def parse_severity(text: str) -> Severity:
    """Severity of an alert from outside: common words of Prometheus rules; unknown ones are a warning."""
    word = text.lower()
    if word in ("critical", "page", "emergency", "error", "high"):
        return Severity.CRITICAL
    return Severity.INFO if word in ("info", "none", "low", "informational") else Severity.WARNING


def incident_title(headline_text: str, entities: Iterable[str]) -> str:
    """The strongest alert's line and how many are affected: `checkout: p95 latency 9 x usual, 4 services affected`."""
    names = tuple(entities)
    if len(names) <= 1:
        return headline_text
    noun = "services" if all(each.startswith("service:") for each in names) else "entities"
    return f"{headline_text}, {len(names)} {noun} affected"
