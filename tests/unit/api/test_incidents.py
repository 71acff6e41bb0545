"""Incidents, alerts, verdicts and the first page, out of a real ledger."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.api_world import NOW, World, a_release, an_execution
from twofold.records.access import Role
from twofold.records.alert import Alert, AlertState, Severity
from twofold.records.codec import encode
from twofold.records.diagnosis import Diagnosis, Evidence, EvidenceKind, Suspect
from twofold.records.entity import Edge, Entity, EntityKind, Relation
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.finding import Direction, Finding
from twofold.records.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from twofold.records.verdict import Verdict

ask = World.ask


def an_incident(number: int = 1, **changes: Any) -> Incident:
    incident = Incident(
        id=f"i{number}",
        title="cart is slow",
        state=IncidentState.OPEN,
        severity=Severity.CRITICAL,
        start=NOW,
        detected=NOW + timedelta(seconds=number),
        last_seen=NOW,
        entities=("service:cart",),
        alerts=("a1",),
    )
    return replace(incident, **changes)


def an_alert(number: int = 1, **changes: Any) -> Alert:
    alert = Alert(
        id=f"a{number}",
        fingerprint=f"f{number}",
        entity="service:cart",
        signal="latency",
        title="p95 latency of cart is high",
        state=AlertState.FIRING,
        severity=Severity.CRITICAL,
        start=NOW,
        last_seen=NOW,
        incident="i1",
        findings=("f1",),
    )
    return replace(alert, **changes)


def a_finding(**changes: Any) -> Finding:
    finding = Finding(
        id="f1",
        entity="service:cart",
        series="00000000000000ff",
        metric="span.duration.p95",
        onset=NOW,
        seen=NOW,
        score=9.0,
        effect=5.0,
        value=1.0,
        expected=0.1,
        low=0.0,
        high=0.2,
        direction=Direction.UP,
        detector="panel@1",
        reason="p95 is 1 s, expected at most 0.2 s",
    )
    return replace(finding, **changes)


def a_diagnosis() -> Diagnosis:
    evidence = Evidence(kind=EvidenceKind.SERIES, text="p95 rose first here", ref="ff", start=NOW, end=NOW)
    suspects = tuple(
        Suspect(entity=f"service:{name}", reason="first to rise", score=score, evidence=(evidence,))
        for name, score in (("db", 0.6), ("cart", 0.2), ("mail", 0.1), ("far", 0.05))
    )
    return Diagnosis(id="i1", incident="i1", time=NOW, suspects=suspects, ranker="blame@1")


def an_entity(name: str) -> Entity:
    return Entity(id=f"service:{name}", kind=EntityKind.SERVICE, name=name, last_seen=NOW)


def an_edge(source: str, target: str) -> Edge:
    return Edge(source=f"service:{source}", target=f"service:{target}", relation=Relation.CALLS)


@pytest.fixture
def trouble(world: World) -> World:
    """One open, diagnosed incident in a small system."""
    world.ledger.put(
        an_incident(),
        an_alert(),
        a_finding(),
        a_diagnosis(),
        an_execution(),
        *(an_entity(name) for name in ("cart", "db", "web", "island")),
        *(an_edge(*pair) for pair in (("cart", "db"), ("web", "cart"), ("island", "sea"))),
        TimelineEntry(id="z", incident="i1", time=NOW, kind=TimelineKind.OPENED, text="opened"),
        TimelineEntry(id="a", incident="i1", time=NOW, kind=TimelineKind.DIAGNOSIS, text="diagnosed"),
    )
    return world


def test_the_page_of_an_incident_holds_its_whole_story(trouble: World) -> None:
    page = ask(trouble, "GET", "/api/v1/incidents/i1", Role.VIEWER).json()
    assert page["incident"]["title"] == "cart is slow"
    assert [alert["id"] for alert in page["alerts"]] == ["a1"]
    assert [finding["reason"] for finding in page["findings"]] == ["p95 is 1 s, expected at most 0.2 s"]
    assert page["diagnosis"]["suspects"][0]["evidence"][0]["text"] == "p95 rose first here"
    assert [line["kind"] for line in page["timeline"]] == ["opened", "diagnosis"]
    assert [execution["approval_hash"] for execution in page["executions"]] == ["a" * 64]
    assert page["verdicts"] == []


def test_its_map_is_the_neighbourhood_with_suspects_over_affected(trouble: World) -> None:
    found = ask(trouble, "GET", "/api/v1/incidents/i1", Role.VIEWER).json()["topology"]
    assert {entity["id"]: entity["health"] for entity in found["entities"]} == {
        "service:cart": "suspect",
        "service:db": "suspect",
        "service:mail": "suspect",
        "service:far": "ok",
        "service:web": "ok",
    }
    assert [(edge["source"], edge["target"]) for edge in found["edges"]] == [
        ("service:cart", "service:db"),
        ("service:web", "service:cart"),
    ]


def test_the_whole_map_has_present_health_only(trouble: World) -> None:
    trouble.ledger.put(an_alert(2, entity="service:web"), an_alert(3, entity="service:island", backfilled=True))
    found = ask(trouble, "GET", "/api/v1/topology", Role.VIEWER).json()
    health = {entity["name"]: entity["health"] for entity in found["entities"]}
    assert health == {"cart": "suspect", "db": "suspect", "web": "affected", "island": "ok"}
    trouble.ledger.put(an_incident(state=IncidentState.RESOLVED), an_alert(state=AlertState.RESOLVED))
    listed = ask(trouble, "GET", "/api/v1/entities?kind=service", Role.VIEWER).json()["items"]
    assert {e["name"] for e in listed if e["health"] == "ok"} == {"cart", "db", "island"}


def test_an_incident_without_a_diagnosis_says_so(world: World) -> None:
    world.ledger.put(an_incident())
    page = ask(world, "GET", "/api/v1/incidents/i1", Role.VIEWER).json()
    assert page["diagnosis"] is None
    assert page["topology"]["entities"][0] == {
        "id": "service:cart",
        "kind": "service",
        "name": "cart",
        "tenant": "main",
        "attributes": {},
        "last_seen": None,
        "health": "ok",
    }


def test_the_list_filters_and_pages(world: World) -> None:
    world.ledger.put(
        *(an_incident(number) for number in range(1, 8)),
        an_incident(8, state=IncidentState.RESOLVED),
        an_incident(9, severity=Severity.INFO, entities=("service:mail",), owner="ann", backfilled=True),
    )

    def ids(query: str) -> list[str]:
        found = ask(world, "GET", f"/api/v1/incidents?{query}", Role.VIEWER).json()
        return [incident["id"] for incident in found["items"]]

    assert ids("state=resolved") == ["i8"]
    assert ids("state=resolved&state=open&limit=2") == ["i9", "i8"]
    assert ids("severity=info") == ["i9"]
    assert ids("entity=service:mail") == ["i9"]
    assert ids("q=CART+slow&backfilled=false&limit=2") == ["i8", "i7"]
    assert ids("q=ann") == ["i9"]
    assert ids("q=nothing+like+it") == []


@pytest.mark.parametrize("query", ["", "&q=slow"])
def test_pages_follow_each_other_to_the_end(world: World, query: str) -> None:
    world.ledger.put(*(an_incident(number) for number in range(1, 8)))
    seen, after = [], ""
    while True:
        found = ask(world, "GET", f"/api/v1/incidents?limit=3&after={after}{query}", Role.VIEWER).json()
        seen += [incident["id"] for incident in found["items"]]
        after = found["next"]
        if not after:
            break
    assert seen == [f"i{number}" for number in range(7, 0, -1)]


@pytest.fixture
def merged(world: World) -> World:
    """i3 went into i2, which went into i1."""
    gone = {"state": IncidentState.RESOLVED, "end": NOW, "entities": (), "alerts": ()}
    world.ledger.put(
        an_incident(1),
        an_incident(2, merged_into="i1", **gone),
        an_incident(3, merged_into="i2", **gone),
        an_incident(4, state=IncidentState.RESOLVED, end=NOW),
    )
    return world


def test_a_merged_incident_is_listed_only_when_asked_for(merged: World) -> None:
    def ids(query: str) -> list[str]:
        found = ask(merged, "GET", f"/api/v1/incidents?{query}", Role.VIEWER).json()
        return [incident["id"] for incident in found["items"]]

    assert ids("") == ids("q=slow") == ["i4", "i1"]
    assert ids("state=resolved") == ["i4"]
    assert ids("merged=true") == ["i4", "i3", "i2", "i1"]
    assert ids("merged=true&state=resolved&q=slow") == ["i4", "i3", "i2"]


def test_a_merged_incident_counts_for_nothing_on_the_first_page(merged: World) -> None:
    home = ask(merged, "GET", "/api/v1/home", Role.VIEWER).json()
    assert [incident["id"] for incident in home["recent_incidents"]] == ["i4"]
    assert (home["counts"]["open"], home["counts"]["resolved_24h"], home["counts"]["incidents_24h"]) == (1, 1, 2)
    assert home["noise_removed"]["incidents"] == 2


def test_the_page_of_a_merged_incident_names_the_one_that_has_its_alerts_now(merged: World) -> None:
    """Over all mergers since; and the survivor names what it took over."""

    def page(key: str) -> Any:
        return ask(merged, "GET", f"/api/v1/incidents/{key}", Role.VIEWER).json()

    assert page("i3")["merged_into"]["id"] == page("i2")["merged_into"]["id"] == "i1"
    assert page("i1")["merged_into"] is None
    assert [each["id"] for each in page("i1")["took_over"]] == ["i2"]
    assert page("i4")["took_over"] == []


def test_people_acknowledge_assign_note_and_resolve_and_the_timeline_tells(trouble: World) -> None:
    def act(what: str, body: dict[str, str] | None = None) -> Any:
        return ask(trouble, "POST", f"/api/v1/incidents/i1/{what}", Role.RESPONDER, json=body).json()

    assert (act("acknowledge")["state"], act("acknowledge")["owner"]) == ("acknowledged", "responder")
    assert act("assign", {"owner": "ann"})["owner"] == "ann"
    assert act("assign", {"owner": ""})["owner"] == ""
    act("note", {"text": "<b>seen before</b>"})
    assert act("resolve")["end"] is not None
    assert act("resolve")["status"] == 409
    assert act("acknowledge")["status"] == 409
    timeline = ask(trouble, "GET", "/api/v1/incidents/i1", Role.VIEWER).json()["timeline"]
    assert [line["text"] for line in timeline if line["actor"] == "responder"] == [
        "responder acknowledged",
        "responder acknowledged",
        "responder gave it to ann",
        "responder took the owner away",
        "<b>seen before</b>",
        "responder resolved it by hand",
    ]


def test_a_verdict_needs_something_to_judge(trouble: World) -> None:
    def judge(subject: str, ref: str, incident: str = "i1") -> int:
        body = {"subject": subject, "ref": ref, "incident": incident, "value": "right", "note": "yes"}
        return ask(trouble, "POST", "/api/v1/verdicts", Role.RESPONDER, json=body).status_code

    assert judge("alert", "a1") == judge("group", "i1") == judge("suspect", "service:db") == 201
    assert judge("execution", "e1") == 201
    assert judge("alert", "a9") == judge("group", "i1", "i9") == judge("execution", "e9") == 404
    assert judge("suspect", "service:web") == 400
    assert judge("sermon", "a1") == 422
    assert trouble.ledger.count(Verdict, tenant="main") == 4
    listed = ask(trouble, "GET", "/api/v1/verdicts?subject=suspect", Role.VIEWER).json()["items"]
    assert [(verdict["ref"], verdict["author"], verdict["value"]) for verdict in listed] == [
        ("service:db", "responder", "right")
    ]
    texts = [line["text"] for line in ask(trouble, "GET", "/api/v1/incidents/i1", Role.VIEWER).json()["timeline"]]
    assert "responder says the suspect service:db is right: yes" in texts


def test_alerts_and_findings_are_listed_by_what_they_belong_to(trouble: World) -> None:
    trouble.ledger.put(an_alert(2, incident="i2", state=AlertState.RESOLVED, entity="service:web"))

    def ids(query: str) -> list[str]:
        return [item["id"] for item in ask(trouble, "GET", f"/api/v1/{query}", Role.VIEWER).json()["items"]]

    assert ids("alerts?incident=i2") == ids("alerts?state=resolved") == ids("alerts?entity=service:web") == ["a2"]
    assert ids("findings?series=00000000000000ff&state=open") == ["f1"]
    assert ids(f"findings?since={(NOW + timedelta(seconds=1)).isoformat().replace('+', '%2B')}") == []
    assert ask(trouble, "GET", "/api/v1/alerts/a2", Role.VIEWER).json()["incident"] == "i2"
    assert ask(trouble, "GET", "/api/v1/alerts/a9", Role.VIEWER).status_code == 404


def test_a_number_that_is_not_finite_is_null_and_never_a_500(trouble: World) -> None:
    trouble.ledger.put(a_finding(value=math.nan, low=-math.inf, high=math.inf))
    (found,) = ask(trouble, "GET", "/api/v1/findings", Role.VIEWER).json()["items"]
    assert (found["value"], found["low"], found["high"]) == (None, None, None)


def test_a_record_on_the_wire_is_the_record(trouble: World) -> None:
    import orjson  # noqa: PLC0415 - only here

    (wire,) = ask(trouble, "GET", "/api/v1/alerts", Role.VIEWER).json()["items"]
    body = orjson.loads(encode(an_alert()))
    assert {name: str(value).replace("+00:00", "Z") for name, value in body.items()} == {
        name: str(value) for name, value in wire.items()
    }


def test_the_first_page_counts_what_is_open_and_what_noise_was_removed(trouble: World) -> None:
    trouble.ledger.put(
        an_incident(2, state=IncidentState.ACKNOWLEDGED),
        an_incident(3, state=IncidentState.RESOLVED, end=NOW),
        an_incident(4, state=IncidentState.RESOLVED, end=NOW - timedelta(days=3), detected=NOW - timedelta(days=3)),
        an_alert(2, state=AlertState.RESOLVED),
        *(a_finding(id=f"n{number}") for number in range(10)),
        Event(
            id="c1", kind=EventKind.CHANGE, time=NOW, entity="service:cart", title="cart 1.2", change=ChangeKind.DEPLOY
        ),
        Event(id="x1", kind=EventKind.EXTERNAL_ALERT, time=NOW, entity="service:cart", title="outside"),
    )
    home = ask(trouble, "GET", "/api/v1/home", Role.VIEWER).json()
    assert [incident["id"] for incident in home["open_incidents"]] == ["i2", "i1"]
    assert [incident["id"] for incident in home["recent_incidents"]] == ["i3", "i4"]
    assert home["counts"] == {
        "open": 1,
        "acknowledged": 1,
        "resolved_24h": 1,
        "alerts_firing": 1,
        "findings_24h": 11,
        "alerts_24h": 2,
        "incidents_24h": 3,
    }
    assert home["noise_removed"] == {"findings": 11, "alerts": 2, "incidents": 3}
    assert [change["title"] for change in home["changes"]] == ["cart 1.2"]
    assert home["health"]["entities"] == 4
    assert home["models_at_risk"] == []


def test_a_live_model_whose_feature_alerts_is_at_risk(world: World) -> None:
    world.ledger.put(
        an_alert(1, entity="feature:ranker/age", title="age drifted", score=5.0),
        an_alert(2, entity="feature:ranker/price", title="price drifted", score=9.0),
        a_release(),
    )
    (risk,) = ask(world, "GET", "/api/v1/home", Role.VIEWER).json()["models_at_risk"]
    assert risk == {"model": "ranker", "version": "1", "reason": "price drifted", "drift": None}


def test_changes_are_listed_by_entity_and_kind(world: World) -> None:
    for number, change in enumerate((ChangeKind.DEPLOY, ChangeKind.PROMOTION)):
        event = Event(
            id=f"c{number}", kind=EventKind.CHANGE, time=NOW, entity=f"service:{number}", title="t", change=change
        )
        world.ledger.put(event)
    found = ask(world, "GET", "/api/v1/changes?change=promotion", Role.VIEWER).json()["items"]
    assert [event["id"] for event in found] == ["c1"]
    found = ask(world, "GET", "/api/v1/changes?entity=service:0", Role.VIEWER).json()["items"]
    assert [event["id"] for event in found] == ["c0"]


def test_events_of_every_kind_are_listed_by_kind_entity_and_source(world: World) -> None:
    kinds = (EventKind.CHANGE, EventKind.EXTERNAL_ALERT, EventKind.NOTICE, EventKind.NOTICE)
    for number, kind in enumerate(kinds):
        source = "github" if number < 3 else "kubernetes"
        world.ledger.put(
            Event(id=f"e{number}", kind=kind, time=NOW, entity=f"service:{number}", title="t", source=source)
        )

    def listed(query: str) -> set[str]:
        return {event["id"] for event in ask(world, "GET", f"/api/v1/events{query}", Role.VIEWER).json()["items"]}

    assert listed("") == {"e0", "e1", "e2", "e3"}
    assert listed("?kind=notice") == {"e2", "e3"}
    assert listed("?kind=notice&source=kubernetes") == {"e3"}
    assert listed("?entity=service:1") == {"e1"}
