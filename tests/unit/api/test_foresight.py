"""Backtests, forecasts and objectives: what would have paged, what will run out, what is left of a promise."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.api_world import NOW, World
from twofold.api.app import create_api
from twofold.records.access import Role
from twofold.records.backtest import Backtest, BacktestState
from twofold.records.forecast import Forecast, ForecastState
from twofold.records.model import ModelKind, ModelVersion
from twofold.records.slo import Slo, SloState, SloStatus, waiting

ask = World.ask
PERIOD = {"start": (NOW - timedelta(hours=6)).isoformat(), "end": NOW.isoformat()}
A_FORECAST = Forecast(
    id="f1",
    entity="host:db",
    series="00000000000000aa",
    metric="system.filesystem.utilization",
    limit=1.0,
    value=0.8,
    made=NOW,
    seen=NOW,
    horizon_s=3600.0,
    claimed=0.85,
    probability=0.9,
    model="capacity@1",
    reason="disk /data full in 40 min (80 %: 30 min to 1 h), 80 % now",
    eta=NOW + timedelta(minutes=40),
)


@pytest.fixture
def panel(world: World) -> World:
    """A detector with a version."""
    world.ledger.put(
        ModelVersion(
            id="panel@1",
            model="panel",
            version="1",
            kind=ModelKind.DETECTOR,
            format="config",
            artifact="sha256/x",
            artifact_sha256="x",
            created=NOW,
        )
    )
    return world


def test_a_backtest_is_asked_for_and_waits_for_the_worker(panel: World) -> None:
    label = {"name": "outage", **PERIOD, "entities": ["service:cart"]}
    body = {"model": "panel", "version": "1", **PERIOD, "labels": [label]}
    made = ask(panel, "POST", "/api/v1/backtests", Role.ML_ENGINEER, json=body)
    assert made.status_code == 202
    stored = panel.ledger.get(Backtest, made.json()["id"], tenant="main")
    assert (stored.state, stored.version, stored.labels[0].entities) == (
        BacktestState.REQUESTED,
        "1",
        ("service:cart",),
    )
    assert ask(panel, "GET", f"/api/v1/backtests/{stored.id}", Role.VIEWER).json()["done"] == 0.0
    assert len(ask(panel, "GET", "/api/v1/backtests?model=panel", Role.VIEWER).json()["items"]) == 1
    assert ask(panel, "GET", "/api/v1/backtests?state=done", Role.VIEWER).json()["items"] == []


def test_a_backtest_of_nothing_or_by_nobody_is_refused(panel: World) -> None:
    backwards = {"model": "panel", "version": "1", "start": PERIOD["end"], "end": PERIOD["start"]}
    assert ask(panel, "POST", "/api/v1/backtests", Role.ML_ENGINEER, json=backwards).status_code == 400
    unknown = {"model": "panel", "version": "9", **PERIOD}
    assert ask(panel, "POST", "/api/v1/backtests", Role.ML_ENGINEER, json=unknown).status_code == 404
    known = {"model": "panel", "version": "1", **PERIOD}
    assert ask(panel, "POST", "/api/v1/backtests", Role.VIEWER, json=known).status_code == 403


def test_a_label_that_ends_before_it_starts_is_refused_with_its_name(panel: World) -> None:
    label = {"name": "outage", "start": PERIOD["end"], "end": PERIOD["start"]}
    body = {"model": "panel", "version": "1", **PERIOD, "labels": [label]}
    refused = ask(panel, "POST", "/api/v1/backtests", Role.ML_ENGINEER, json=body)
    assert refused.status_code == 400
    assert "label 'outage' ends at" in refused.json()["detail"]


def test_a_backtest_of_a_forecaster_is_refused_with_what_to_use_instead_and_one_of_a_ranker_is_taken(
    panel: World,
) -> None:
    known = panel.ledger.get(ModelVersion, "panel@1", tenant="main")
    panel.ledger.put(
        replace(known, id="capacity@1", model="capacity", kind=ModelKind.FORECASTER),
        replace(known, id="causes@1", model="causes", kind=ModelKind.RANKER),
    )
    refused = ask(
        panel, "POST", "/api/v1/backtests", Role.ML_ENGINEER, json={"model": "capacity", "version": "1", **PERIOD}
    )
    assert refused.status_code == 400
    assert "`twofold forecasts` shows" in refused.json()["detail"]
    ranker = {"model": "causes", "version": "1", **PERIOD}
    assert ask(panel, "POST", "/api/v1/backtests", Role.ML_ENGINEER, json=ranker).status_code == 202


def test_other_settings_of_a_detector_become_a_version(world: World) -> None:
    body = {"settings": {"alerts_per_day": 0.1}, "description": "twice as many"}
    made = ask(world, "POST", "/api/v1/detectors/panel/versions", Role.ML_ENGINEER, json=body)
    assert made.status_code == 201
    assert made.json()["description"] == "twice as many"
    name, asked = world.asked.calls[-1]
    assert (name, asked["settings"]) == ("configure", {"alerts_per_day": 0.1})


def test_forecasts_stand_by_urgency_with_the_record_of_those_that_were_decided(world: World) -> None:
    later = replace(A_FORECAST, id="f2", entity="host:web", eta=NOW + timedelta(hours=9))
    hit = replace(A_FORECAST, id="f3", state=ForecastState.HIT, claimed=0.92, ended=NOW)
    missed = replace(A_FORECAST, id="f4", state=ForecastState.MISSED, claimed=0.93, ended=NOW)
    cleaned = replace(A_FORECAST, id="f5", state=ForecastState.WITHDRAWN, ended=NOW)
    world.ledger.put(later, A_FORECAST, hit, missed, cleaned)
    found = ask(world, "GET", "/api/v1/forecasts", Role.VIEWER).json()
    assert [one["id"] for one in found["open"]] == ["f1", "f2"]
    assert {one["id"] for one in found["ended"]} == {"f3", "f4", "f5"}
    assert [(one["low"], one["decided"], one["hit"]) for one in found["calibration"]] == [
        (0.8, 0, 0),
        (0.9, 2, 1),
        (0.95, 0, 0),
    ]
    assert len(ask(world, "GET", "/api/v1/home", Role.VIEWER).json()["forecasts"]) == 2


def test_objectives_stand_on_the_first_page_the_least_left_first(world: World) -> None:
    fine = SloStatus(
        id="fast",
        entity="service:cart",
        objective=0.95,
        threshold_s=0.3,
        window_s=86_400.0,
        operation="",
        total=100,
        bad=1,
        budget_left=0.8,
        updated=NOW,
    )
    world.ledger.put(fine, replace(fine, id="right", budget_left=-0.2, state=SloState.EXHAUSTED))
    home = ask(world, "GET", "/api/v1/home", Role.VIEWER).json()
    assert [one["id"] for one in home["slos"]] == ["right", "fast"]
    found = ask(world, "GET", "/api/v1/slos?state=exhausted", Role.VIEWER).json()["items"]
    assert [one["id"] for one in found] == ["right"]


def test_objectives_that_are_no_longer_declared_are_not_shown(world: World) -> None:
    fine = waiting(Slo(name="declared", entity="service:cart"), NOW)
    world.ledger.put(fine, replace(fine, id="gone", state=SloState.BURNING))
    world.api = create_api(replace(world.services, slos=frozenset({"declared"})))
    for path, key in (("/api/v1/slos", "items"), ("/api/v1/home", "slos")):
        found = ask(world, "GET", path, Role.VIEWER).json()[key]
        assert [one["id"] for one in found] == ["declared"]
