"""Severity of alerts, titles of incidents."""

from __future__ import annotations

from collections.abc import Iterable

from twofold.records.alert import Severity
from twofold.records.finding import Direction, Finding
from twofold.records.signal import Signal, harmful, signal_of
from twofold.records.slo import BURN

_ORDER = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
_CRITICAL_ERROR_RATIO = 0.2


def severity_of(finding: Finding) -> Severity:
    """Critical: the entity is gone, a fifth of its requests fail, or its budget burns fast. Info: it does no harm.

    Else warning.
    """
    if not harmful(finding.metric, finding.direction):
        return Severity.INFO
    signal = signal_of(finding.metric)
    gone = signal is Signal.AVAILABILITY or finding.direction is Direction.ABSENT
    failing = signal is Signal.ERRORS and finding.unit == "1" and finding.value >= _CRITICAL_ERROR_RATIO
    return Severity.CRITICAL if gone or failing or finding.metric == BURN else Severity.WARNING


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
