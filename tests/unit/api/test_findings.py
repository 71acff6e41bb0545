"""A finding explains itself: who drove it, what was like it and came of that, who claims it, what would silence it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.api_world import NOW, World, a_release, an_execution
from tests.unit.api.test_incidents import a_diagnosis, a_finding, an_alert, an_incident
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.explain import Explainer
from twofold.api.app import create_api
from twofold.records.access import Role
from twofold.records.finding import Direction
from twofold.records.incident import IncidentState
from twofold.records.model import ReleaseStage
from twofold.records.runbook import ExecutionState
from twofold.records.series import SeriesKind, sid_text
from twofold.records.time import SECOND_NS, to_ns
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.store.history import Table

ask = World.ask
DAY = timedelta(days=1)


def explained(world: World, finding: str = "f1") -> Any:
    answer = ask(world, "GET", f"/api/v1/findings/{finding}", Role.VIEWER)
    assert answer.status_code == 200, answer.text
    return answer.json()


def a_verdict(subject: VerdictSubject, ref: str, value: VerdictValue, **changes: Any) -> Verdict:
    verdict = Verdict(
        id=f"{subject}-{ref}", subject=subject, ref=ref, incident="i0", value=value, author="ada", time=NOW
    )
    return replace(verdict, **changes)


@pytest.fixture
def past(world: World) -> World:
    """The finding `f1`; yesterday the same series; before, another series of the entity, and another entity."""
    before = NOW - DAY
    world.ledger.put(
        a_finding(),
        an_alert(),
        an_incident(),
        a_finding(id="beside", series="00000000000000aa", metric="span.error_ratio", score=3.0),
        a_finding(id="other", entity="service:far", series="00000000000000bb"),
        a_finding(id="f0", onset=before, seen=before + timedelta(minutes=9)),
        an_alert(0, id="a0", findings=("f0",), incident="i0", start=before),
        an_incident(
            0, id="i0", title="cart was slow", state=IncidentState.RESOLVED, start=before, detected=before,
            end=before + timedelta(minutes=12),
        ),
        replace(a_diagnosis(), id="i0", incident="i0"),
        a_finding(id="sibling", series="00000000000000cc", metric="span.duration.p50", onset=before, seen=before),
        a_finding(id="down", direction=Direction.DOWN, onset=before, seen=before),
        a_finding(id="far", entity="service:far", series="00000000000000bb", onset=before, seen=before),
    )  # fmt: skip
    return world


def test_series_of_the_entity_that_left_their_band_with_it_share_by_their_scores(past: World) -> None:
    found = explained(past)
    shares = {each["finding"]: each["share"] for each in found["contributions"]}
    assert shares == {"f1": 0.75, "beside": 0.25}, "9 and 3; what is of yesterday or of others has no part"
    assert found["alert"]["id"] == "a1"
    assert (found["incident"], found["incident_title"]) == ("i1", "cart is slow")


def test_what_was_like_it_comes_by_series_then_entity_then_metric_and_in_the_same_direction(past: World) -> None:
    found = explained(past)
    assert [(each["finding"], each["kinship"]) for each in found["past"]] == [
        ("f0", "series"),
        ("sibling", "entity"),
        ("far", "metric"),
    ]
    assert found["past"][0]["lasted_s"] == 540
    assert found["past"][0]["incident"] == "i0"


def test_what_came_of_it_is_told_with_cause_remedy_and_verdict(past: World) -> None:
    past.ledger.put(
        a_verdict(VerdictSubject.ALERT, "a0", VerdictValue.NOISE, note="nightly backup"),
        a_verdict(VerdictSubject.SUSPECT, "service:db", VerdictValue.RIGHT),
        an_execution(id="e0", incident="i0", state=ExecutionState.SUCCEEDED, title="Restart db"),
    )
    found = explained(past)
    assert found["past"][0]["outcome"] == (
        "ada called it noise: nightly backup. Incident 'cart was slow', resolved after 12 min. "
        "The cause was service:db, as ada confirmed. Restart db helped"
    )
    assert found["past"][1]["outcome"] == "It was part of no alert"
    assert found["outcomes"] == {"right": 0, "wrong": 0, "noise": 1, "unjudged": 2}


def test_without_a_verdict_the_first_suspect_is_named_if_it_is_likely(past: World) -> None:
    assert "First suspect was service:db (60%)" in explained(past)["past"][0]["outcome"]


def test_the_version_is_told_with_who_let_it_go_live(past: World) -> None:
    past.ledger.put(a_release(model="panel", version="1", stage=ReleaseStage.LIVE, approver="bob"))
    detector = explained(past)["detector"]
    assert (detector["model"], detector["version"], detector["live"], detector["approver"]) == (
        "panel",
        "1",
        True,
        "bob",
    )


def test_nothing_known_is_an_answer_too(world: World) -> None:
    world.ledger.put(a_finding())
    found = explained(world)
    assert found["past"] == []
    assert found["alert"] is None
    assert found["incident"] == ""
    assert [each["share"] for each in found["contributions"]] == [1.0]
    assert found["detector"]["released"] is None
    assert found["reasons"] == [a_finding().reason], "no detector runs in this process"


def test_an_unknown_finding_or_another_tenants_is_not_found(past: World) -> None:
    assert ask(past, "GET", "/api/v1/findings/nope", Role.VIEWER).status_code == 404
    assert ask(past, "GET", "/api/v1/findings/f1", Role.VIEWER, tenant="acme").status_code == 404


def test_where_the_detector_runs_reasons_and_silencers_come_from_its_own_replay(world: World) -> None:
    number, _ = world.catalog.register(
        "span.duration.p95", {}, entity="service:cart", tenant="main", unit="s", kind=SeriesKind.GAUGE
    )
    value = np.random.default_rng(0).normal(0.05, 0.003, 400)
    value[370:] += 0.4
    onset = NOW - timedelta(seconds=150)
    start_ns = to_ns(onset) - 370 * 5 * SECOND_NS
    rows = [
        {"sid": number, "time_ns": start_ns + n * 5 * SECOND_NS, "value": each} for n, each in enumerate(value.tolist())
    ]
    world.history.add(Table.SAMPLES, *rows)
    world.ledger.put(
        a_finding(series=sid_text(number), onset=onset, value=0.45, expected=0.05, low=0.03, high=0.07, unit="s")
    )
    explainer = Explainer(world.history, lambda *_: PanelConfig())
    world.api = create_api(replace(world.services, explain=explainer))
    found = explained(world)
    assert found["replayed"] is True
    kinds = [each["kind"] for each in found["silencers"]]
    assert {"end", "value", "duration", "floor", "budget", "level"} == set(kinds)
    assert next(each["needed"] for each in found["silencers"] if each["kind"] == "value") < 0.1
