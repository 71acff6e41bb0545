"""Change events and outside alerts become events, each told from its siblings once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.counts import Item
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.frame import FrameKind, Lane
from twofold.records.time import to_datetime

NOW = to_datetime(NOW_NS)


def test_a_change_is_an_event_of_its_service(bench: Bench) -> None:
    answer = bench.client.post(
        "/v1/changes",
        json={"kind": "deploy", "service": "cart", "version": "1.4.2", "source": "ci", "attributes": {"commit": 7}},
    )
    assert answer.json() == {"received": 1, "stored": 1, "duplicate": 0, "rejected": 0, "errors": []}
    (event,) = bench.rows(FrameKind.EVENTS)
    assert (event["entity"], event["change"], event["version"]) == ("service:cart", "deploy", "1.4.2")
    assert event["title"] == "deploy cart 1.4.2"
    assert event["attributes"] == {"commit": "7"}
    assert datetime.fromisoformat(event["time"]) == NOW


def test_the_same_key_is_the_same_event(bench: Bench) -> None:
    change = {"kind": "config", "entity": "database:orders", "id": "run-7", "source": "ci"}
    answer = bench.client.post("/v1/changes", json=[change, change])
    assert (answer.json()["stored"], answer.json()["duplicate"]) == (1, 1)
    bench.client.post("/v1/changes", json={"items": [change | {"title": "again"}]})
    assert len({event["id"] for event in bench.rows(FrameKind.EVENTS)}) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "deploy"}, "no_entity"),
        ({"kind": "explosion", "service": "cart"}, "bad_field"),
        ({"kind": "deploy", "entity": "cart"}, "bad_field"),
        ({"kind": "deploy", "entity": "planet:mars"}, "bad_field"),
        ({"kind": "deploy", "service": "cart", "time": "yesterday"}, "bad_time"),
        ({"kind": "deploy", "service": "cart", "time": "2026-01-01T00:00:00"}, "bad_time"),
        ({"kind": "deploy", "service": "cart", "time": 7}, "bad_time"),
        ({"kind": "deploy", "service": "cart", "time": (NOW + timedelta(hours=1)).isoformat()}, "future"),
        ({"kind": "deploy", "service": ["cart"]}, "bad_field"),
        ({"kind": "deploy", "service": "cart", "attributes": [1]}, "bad_field"),
        ("deploy cart", "not_an_object"),
    ],
)
def test_a_bad_change_is_named_and_the_good_one_kept(bench: Bench, change: Any, reason: str) -> None:
    answer = bench.client.post("/v1/changes", json=[change, {"kind": "flag", "service": "ok"}])
    assert answer.status_code == 200
    (error,) = answer.json()["errors"]
    assert (error["item"], error["reason"]) == (0, reason)
    assert [event["entity"] for event in bench.rows(FrameKind.EVENTS)] == ["service:ok"]
    assert bench.client.post("/v1/changes", json=[change]).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"7", b'"x"', b"\xff", b"[" * 5000])
def test_what_is_not_json_objects_is_400_as_problem(bench: Bench, body: bytes) -> None:
    for path in ("/v1/changes", "/v1/predictions", "/webhooks/alertmanager"):
        answer = bench.client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"] == "decode"


def alert(**more: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "HighLatency", "job": "cart", "severity": "critical"},
        "annotations": {"summary": "p99 above 1 s"},
        "startsAt": (NOW - timedelta(minutes=3)).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prom/graph",
        "fingerprint": "abc123",
    } | more


def notice(*alerts: dict[str, Any]) -> dict[str, Any]:
    return {"version": "4", "status": "firing", "receiver": "twofold", "externalURL": "http://am", "alerts": alerts}


def test_an_alert_is_an_event_of_its_job(bench: Bench) -> None:
    assert bench.client.post("/webhooks/alertmanager", json=notice(alert())).status_code == 200
    (event,) = bench.rows(FrameKind.EVENTS)
    assert (event["kind"], event["state"], event["entity"]) == ("external_alert", "firing", "service:cart")
    assert (event["title"], event["link"]) == ("p99 above 1 s", "http://prom/graph")
    assert event["attributes"]["fingerprint"] == "abc123"
    assert event["attributes"]["severity"] == "critical"
    assert datetime.fromisoformat(event["time"]) == NOW - timedelta(minutes=3)


def test_a_repeated_notice_is_the_same_event_and_its_end_another(bench: Bench) -> None:
    resolved = alert(status="resolved", endsAt=NOW.isoformat())
    for each in (alert(), alert(), resolved):
        bench.client.post("/webhooks/alertmanager", json=notice(each))
    events = bench.rows(FrameKind.EVENTS)
    assert len({event["id"] for event in events}) == 2
    assert datetime.fromisoformat(events[-1]["time"]) == NOW


def test_a_bad_alert_does_not_spoil_the_others(bench: Bench) -> None:
    bad = [alert(status="odd"), alert(labels={}), alert(startsAt="soon"), alert(labels="x"), 5]
    answer = bench.client.post("/webhooks/alertmanager", json=notice(*bad, alert()))  # type: ignore[arg-type]  # bad on purpose
    assert (answer.json()["stored"], answer.json()["rejected"]) == (1, 5)
    assert bench.counts.total(Item.EVENTS).rejected.total() == 5


def test_another_version_of_the_webhook_is_unsupported(bench: Bench) -> None:
    assert bench.client.post("/webhooks/alertmanager", json=notice() | {"version": "5"}).status_code == 415


def test_events_of_the_joints_go_the_same_way(bench: Bench) -> None:
    promotion = Event(
        id="e1",
        kind=EventKind.CHANGE,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        entity="model:fraud",
        title="fraud 3 is live",
        change=ChangeKind.PROMOTION,
        version="3",
    )
    outcome = bench.ingest.accept_events([promotion], "main", Lane.LIVE)
    assert outcome.stored == 1
    assert bench.rows(FrameKind.EVENTS)[0]["change"] == "promotion"
