"""Stages rewrite alerts and incidents; what people wrote into them stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from twofold.records.alert import Alert, AlertState, Severity
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.incident import Incident, IncidentState
from twofold.records.merge import merge, merge_alert, merge_incident

NOW = datetime(2025, 3, 1, tzinfo=UTC)
ALERT = Alert(id="a", fingerprint="f", entity="service:cart", signal="up", title="t", state=AlertState.FIRING,
              severity=Severity.WARNING, start=NOW, last_seen=NOW)  # fmt: skip
INCIDENT = Incident(id="i", title="t", state=IncidentState.OPEN, severity=Severity.WARNING, start=NOW, detected=NOW,
                    last_seen=NOW, alerts=("a",))  # fmt: skip


def test_an_acknowledged_alert_stays_so_while_it_fires_and_resolves_with_the_signal() -> None:
    acknowledged = replace(ALERT, state=AlertState.ACKNOWLEDGED)
    assert merge_alert(replace(ALERT, count=9), acknowledged) == replace(acknowledged, count=9)
    resolved = replace(ALERT, state=AlertState.RESOLVED, end=NOW)
    assert merge_alert(resolved, acknowledged) == resolved


def test_owner_summary_and_acknowledgement_stay() -> None:
    stored = replace(INCIDENT, state=IncidentState.ACKNOWLEDGED, owner="ana", summary="disk")
    merged = merge_incident(replace(INCIDENT, title="new"), stored)
    assert (merged.title, merged.state, merged.owner, merged.summary) == ("new", stored.state, "ana", "disk")
    assert merge_incident(replace(INCIDENT, state=IncidentState.RESOLVED), stored).state is IncidentState.RESOLVED


def test_an_incident_closed_by_hand_stays_closed_until_a_new_alert_joins() -> None:
    stored = replace(INCIDENT, state=IncidentState.RESOLVED, end=NOW)
    assert merge_incident(INCIDENT, stored).state is IncidentState.RESOLVED
    assert merge_incident(INCIDENT, stored).end == NOW
    grown = replace(INCIDENT, alerts=("a", "b"))
    assert merge_incident(grown, stored).state is IncidentState.OPEN


def test_merge_leaves_other_records_and_first_writes_alone() -> None:
    assert merge(INCIDENT, None) is INCIDENT
    assert merge("x", "y") == "x"
    assert merge(ALERT, replace(ALERT, state=AlertState.ACKNOWLEDGED)).state is AlertState.ACKNOWLEDGED
    assert merge(INCIDENT, replace(INCIDENT, owner="ana")).owner == "ana"


def test_a_finding_keeps_the_time_at_which_it_was_first_told() -> None:
    told = Finding(id="f", entity="service:cart", series="", metric="up", onset=NOW - timedelta(minutes=1), seen=NOW,
                   score=3.0, effect=-4.0, value=0.0, expected=1.0, low=1.0, high=1.0, direction=Direction.DOWN,
                   detector="panel@1", reason="down")  # fmt: skip
    stored = merge(told, None)
    assert stored.opened == NOW
    later = replace(told, seen=NOW + timedelta(minutes=5), state=FindingState.CLOSED)
    assert merge(later, stored) == replace(later, opened=NOW)
    assert merge(later, told).opened == NOW, "one that was stored before anybody kept that time"
