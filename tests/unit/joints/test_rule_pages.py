"""Firings of alert rules as pages: one for each name at a time, as bad as its worst, named by what its labels say."""

from __future__ import annotations

import pytest

from twofold.aiops.detect.rules import Firing, Replayed, Rule
from twofold.errors import InputError
from twofold.joints.rule_pages import made_of
from twofold.records.alert import Severity

MINUTE = 60_000


def firing(severity: str, start: int, end: int) -> Firing:
    return Firing(
        rule="Errors",
        labels={"job": "cart", "severity": severity},
        active_ms=start * MINUTE,
        fired_ms=start * MINUTE,
        ended_ms=end * MINUTE,
        annotations={"summary": "cart fails"},
    )


def test_a_warning_and_a_critical_rule_of_one_name_are_one_page_as_bad_as_the_worst() -> None:
    low = Replayed(rule=Rule(name="Errors", expr="a"), firings=[firing("warning", 1, 9), firing("warning", 30, 31)])
    high = Replayed(rule=Rule(name="Errors", expr="b"), firings=[firing("critical", 4, 6)])
    made = made_of([low, high], points=5)
    first, second = sorted(made.incidents.values(), key=lambda one: one.detected)
    assert (first.severity, len(first.alerts), second.severity) == (Severity.CRITICAL, 2, Severity.WARNING)
    assert first.title == "Errors: service:cart (cart fails)"
    assert [(one.name, one.fired) for one in made.outcomes] == [("Errors", 2), ("Errors", 1)]
    assert made.series == 2


def test_when_no_alert_could_be_evaluated_the_reasons_are_the_error() -> None:
    refused = Replayed(rule=Rule(name="Errors", expr="a"), refused="it takes too long")
    with pytest.raises(InputError, match="Errors: it takes too long"):
        made_of([refused, Replayed(rule=Rule(name="r", expr="b", records=True))], points=5)
