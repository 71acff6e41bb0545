"""Shadows, trust and delivery over REST."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.api_world import NOW, World, a_release
from twofold.records.access import Role
from twofold.records.alert import Alert, AlertKind, AlertState, Severity
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.incident import Incident, IncidentState
from twofold.records.model import ReleaseStage
from twofold.records.series import Origin
from twofold.records.shadow import ShadowFinding, ShadowPage
from twofold.records.time import to_ns
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.store.history import Table

ask = World.ask
BEGAN = NOW - timedelta(hours=2)
FINDING = Finding(
    id="f1",
    entity="service:cart",
    series="00000000000000aa",
    metric="span.error_ratio",
    onset=NOW - timedelta(hours=1),
    seen=NOW,
    score=6.0,
    effect=9.0,
    value=0.3,
    expected=0.0,
    low=0.0,
    high=0.03,
    direction=Direction.UP,
    detector="panel@1",
    reason="errors",
)
INCIDENT = Incident(
    id="i1",
    title="cart fails",
    state=IncidentState.OPEN,
    severity=Severity.CRITICAL,
    start=NOW - timedelta(hours=1),
    detected=NOW - timedelta(minutes=59),
    last_seen=NOW,
    entities=("service:cart",),
    alerts=("a1",),
)
ALERT = Alert(
    id="a1",
    fingerprint="x",
    entity="service:cart",
    signal="span.error_ratio",
    title="cart: error ratio 30 %",
    state=AlertState.FIRING,
    severity=Severity.CRITICAL,
    start=INCIDENT.start,
    last_seen=NOW,
    incident="i1",
    findings=("f1",),
)


def page(key: str, entity: str) -> ShadowPage:
    return ShadowPage(
        id=f"panel@2/{key}",
        detector="panel@2",
        title=f"{entity} fails",
        state=IncidentState.OPEN,
        severity=Severity.WARNING,
        start=INCIDENT.start,
        detected=INCIDENT.detected,
        last_seen=NOW,
        entities=(entity,),
    )


@pytest.fixture
def shadowed(world: World) -> World:
    """Version 1 is live and paged once; version 2 shadows it, saw the same and one thing more."""
    shadow = ShadowFinding(
        id="panel@2/f1",
        detector="panel@2",
        entity="service:cart",
        series=FINDING.series,
        metric=FINDING.metric,
        onset=FINDING.onset,
        state=FindingState.OPEN,
        finding=replace(FINDING, detector="panel@2"),
    )
    live = a_release(id="panel#1", model="panel", version="1", stage=ReleaseStage.LIVE, seq=1, time=BEGAN, previous="")
    second = replace(live, id="panel#2", version="2", stage=ReleaseStage.SHADOW, seq=2, previous="1")
    world.ledger.put(live, second, FINDING, INCIDENT, ALERT, shadow, page("p1", "service:cart"), page("p2", "host:db"))
    return world


def test_a_shadow_stands_beside_what_did_page(shadowed: World) -> None:
    found = ask(shadowed, "GET", "/api/v1/detectors/panel/shadow", Role.VIEWER).json()
    assert (found["detector"], found["champion"]) == ("panel@2", "panel@1")
    assert (found["pages"], found["champion_pages"], found["both"]) == (2, 1, 1)
    assert [one["entities"] for one in found["only_shadow"]] == [["host:db"]]
    assert found["only_champion"] == []
    listed = ask(shadowed, "GET", "/api/v1/shadow/findings?detector=panel@2", Role.VIEWER).json()["items"]
    assert [one["finding"]["detector"] for one in listed] == ["panel@2"]
    assert len(ask(shadowed, "GET", "/api/v1/shadow/pages", Role.VIEWER).json()["items"]) == 2
    assert len(ask(shadowed, "GET", "/api/v1/alerts", Role.VIEWER).json()["items"]) == 1, "none of it is an alert"


def test_where_nothing_shadows_there_is_nothing_to_compare(world: World) -> None:
    assert ask(world, "GET", "/api/v1/detectors/panel/shadow", Role.VIEWER).status_code == 404
    assert ask(world, "GET", "/api/v1/detectors/panel/trust", Role.VIEWER).status_code == 404


def test_trust_counts_what_people_said(shadowed: World) -> None:
    before = ask(shadowed, "GET", "/api/v1/detectors/panel/trust", Role.VIEWER).json()
    assert (before["live"]["right"], before["live"]["false"], before["champion"]) == (0, 0, None)
    verdict = Verdict(
        id="v1",
        subject=VerdictSubject.GROUP,
        ref="i1",
        incident="i1",
        value=VerdictValue.NOISE,
        author="robin",
        time=NOW,
    )
    shadowed.ledger.put(verdict)
    after = ask(shadowed, "GET", "/api/v1/detectors/panel/trust", Role.VIEWER).json()
    assert (after["live"]["false"], after["live"]["incidents"], after["lost"]) == (1, ["i1"], "")


def test_predictions_are_listed_apart_and_harm_nobodys_health(shadowed: World) -> None:
    told = replace(
        ALERT, id="predicted-1", fingerprint="y", entity="host:db", kind=AlertKind.PREDICTED, incident="", findings=()
    )
    shadowed.ledger.put(told)
    listed = ask(shadowed, "GET", "/api/v1/alerts?kind=predicted", Role.VIEWER).json()["items"]
    assert [one["id"] for one in listed] == ["predicted-1"]
    assert [one["id"] for one in ask(shadowed, "GET", "/api/v1/alerts", Role.VIEWER).json()["items"]] == ["a1"]
    assert ask(shadowed, "GET", "/api/v1/home", Role.VIEWER).json()["counts"]["alerts_firing"] == 1


def test_delivery_tells_newest_and_median(world: World) -> None:
    labels = {"repository": "shop/cart", "pipeline": "test"}
    sid, _ = world.catalog.register(
        "ci.pipeline.duration", labels, entity="job:shop/cart/test", tenant="main", unit="s", origin=Origin.EVENT
    )
    other, _ = world.catalog.register(
        "deploy.lead_time",
        {"entity": "service:cart", "environment": "production"},
        entity="service:cart",
        tenant="main",
        unit="s",
        origin=Origin.EVENT,
    )
    world.history.add(
        Table.SAMPLES,
        *(
            {"sid": sid, "time_ns": to_ns(NOW - timedelta(hours=age)), "value": value}
            for age, value in ((3, 60.0), (2, 70.0), (1, 90.0))
        ),
        {"sid": other, "time_ns": to_ns(NOW - timedelta(days=40)), "value": 1.0},
    )
    found = ask(world, "GET", "/api/v1/delivery", Role.VIEWER).json()
    (pipeline,) = found["pipelines"]
    (figure,) = pipeline["figures"]
    assert (pipeline["repository"], pipeline["pipeline"]) == ("shop/cart", "test")
    assert (figure["value"], figure["median"], figure["points"]) == (90.0, 70.0, 3)
    assert found["deployments"] == [], "nothing was told for more than a month"


def test_parameters_of_a_training_are_passed_on(world: World) -> None:
    body = {"seed": 3, "parameters": {"trials": "24"}}
    assert ask(world, "POST", "/api/v1/projects/panel/train", Role.ML_ENGINEER, json=body).status_code == 202
    assert world.asked.calls[-1][1]["parameters"] == {"trials": "24"}
