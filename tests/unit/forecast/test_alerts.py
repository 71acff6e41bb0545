"""Predictions are alerts of a kind of their own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.forecast.alerts import Foretell
from twofold.records.alert import Alert, AlertKind, AlertState, Severity
from twofold.records.forecast import Forecast, ForecastState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DISK = Forecast(
    id="f1",
    entity="host:db-1",
    series="00000000000000ff",
    metric="system.filesystem.utilization",
    limit=1.0,
    value=0.8,
    made=NOW,
    seen=NOW,
    horizon_s=7200.0,
    claimed=0.9,
    probability=0.97,
    eta=NOW + timedelta(hours=2),
    alerted=NOW,
    model="capacity@1",
    reason="disk /data full in 2 h",
)


def told(forecast: Forecast) -> Alert:
    (alert,) = Foretell().process([forecast])
    assert isinstance(alert, Alert)
    return alert


def test_a_forecast_fires_until_it_is_judged_and_the_end_says_how_it_went() -> None:
    alert = told(DISK)
    assert (alert.kind, alert.state, alert.severity) == (AlertKind.PREDICTED, AlertState.FIRING, Severity.WARNING)
    assert (alert.title, alert.incident, alert.findings) == ("db-1: disk /data full in 2 h", "", ("f1",))
    ended = told(replace(DISK, state=ForecastState.HIT, ended=NOW + timedelta(hours=2)))
    assert (ended.id, ended.fingerprint) == (alert.id, alert.fingerprint)
    assert ended.state is AlertState.RESOLVED
    assert ended.title.endswith("(came true)")


def test_what_is_weeks_ahead_is_a_forecast_and_no_alert_and_begins_as_one_when_it_is_near() -> None:
    far = replace(DISK, eta=NOW + timedelta(days=12), alerted=None)
    assert Foretell().process([far, replace(far, state=ForecastState.WITHDRAWN, ended=NOW)]) == []
    near = told(replace(far, eta=NOW + timedelta(days=12), alerted=NOW + timedelta(days=8)))
    assert near.start == NOW + timedelta(days=8)


def test_what_is_far_off_or_unsure_is_information_and_a_disk_that_fills_again_the_same_problem() -> None:
    assert told(replace(DISK, eta=NOW + timedelta(days=2))).severity is Severity.INFO
    assert told(replace(DISK, probability=0.85)).severity is Severity.INFO
    assert told(replace(DISK, id="f2", made=NOW + timedelta(days=9))).fingerprint == told(DISK).fingerprint


def test_grouping_does_not_even_take_them() -> None:
    assert not isinstance(told(DISK), Correlate.accepts)
