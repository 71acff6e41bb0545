"""Models, projects, runbooks, the demo: pages out of the ledger, acts through ports."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.api_world import NOW, World, a_release, an_execution
from tests.unit.api.test_incidents import a_finding, an_alert
from twofold.api.services import NoDemo
from twofold.errors import NotFound, Unavailable
from twofold.records.access import Audit, Role
from twofold.records.finding import FindingState
from twofold.records.model import DatasetVersion, ModelKind, ModelVersion, Project, ReleaseStage, Run, RunState
from twofold.records.runbook import Runbook
from twofold.records.series import Origin, sid_text
from twofold.records.time import SECOND_NS, to_ns
from twofold.store.history import Table

ask = World.ask


def a_version(number: int, **changes: Any) -> ModelVersion:
    fields: dict[str, Any] = {
        "id": f"ranker@{number}",
        "model": "ranker",
        "version": str(number),
        "kind": ModelKind.SERVED,
        "format": "skops",
        "artifact": "sha256/x",
        "artifact_sha256": "x",
        "created": NOW + timedelta(seconds=number),
        "run": f"r{number}",
        "dataset": "orders@1",
    }
    return ModelVersion(**(fields | changes))


@pytest.fixture
def ranked(world: World) -> World:
    """A model with two versions, one live and one canary, whose price drifts."""
    drift, _ = world.catalog.register(
        "model.drift.psi", {"feature": "price"}, entity="feature:ranker/price", tenant="main", origin=Origin.MODEL
    )
    world.catalog.register(
        "model.drift.psi", {"feature": "age"}, entity="feature:ranker/age", tenant="main", origin=Origin.MODEL
    )
    shadow, _ = world.catalog.register(
        "model.drift.psi", {"feature": "price", "version": "9"}, entity="feature:ranker/price", tenant="main"
    )
    rate, _ = world.catalog.register("model.request_rate", {}, entity="model:ranker", tenant="main")
    now_ns = to_ns(NOW)
    world.history.add(
        Table.SAMPLES,
        {"sid": drift, "time_ns": now_ns - 60 * SECOND_NS, "value": 0.1},
        {"sid": drift, "time_ns": now_ns - SECOND_NS, "value": 0.7},
        {"sid": shadow, "time_ns": now_ns - SECOND_NS, "value": 3.0},
        {"sid": rate, "time_ns": now_ns - SECOND_NS, "value": 12.0},
    )
    world.ledger.put(
        a_version(1),
        a_version(2),
        Project(id="p", title="Ranker", owner="mia", risk="low", model="ranker", path="/p"),
        Run(id="r1", project="p", model="ranker", state=RunState.SUCCEEDED, started=NOW, dataset="orders@1"),
        DatasetVersion(id="orders@1", dataset="orders", sha256="s", rows=9, size_bytes=9, location="l", created=NOW),
        a_release(),
        a_release(id="ranker-2", version="2", stage=ReleaseStage.CANARY, seq=2, weight=0.25),
        a_finding(series=sid_text(drift), entity="feature:ranker/price", state=FindingState.OPEN),
        an_alert(entity="feature:ranker/price"),
        a_version(1, id="panel@1", model="panel", kind=ModelKind.DETECTOR, owner="twofold"),
    )
    return world


def test_the_list_shows_who_is_live_how_it_does_and_worst_drift_first(ranked: World) -> None:
    panel, ranker = ask(ranked, "GET", "/api/v1/models", Role.VIEWER).json()["items"]
    assert (panel["model"], panel["kind"], panel["live_version"], panel["health"]) == ("panel", "detector", "", "ok")
    assert (ranker["live_version"], ranker["versions"], ranker["owner"]) == ("1", 2, "mia")
    assert ranker["health"] == "affected"
    assert ranker["request_rate"] == 12.0
    assert [(value["feature"], value["value"]) for value in ranker["drift"]] == [("price", 0.7), ("age", None)]


def test_the_page_of_a_model_holds_lineage_gates_releases_traffic_and_drift(ranked: World) -> None:
    page = ask(ranked, "GET", "/api/v1/models/ranker", Role.VIEWER).json()
    assert [version["version"] for version in page["versions"]] == ["2", "1"]
    assert [(share["version"], share["stage"], share["weight"]) for share in page["traffic"]] == [
        ("1", "live", 0.75),
        ("2", "canary", 0.25),
    ]
    assert [release["seq"] for release in page["releases"]] == [2, 1]
    assert [run["id"] for run in page["runs"]] == ["r1"]
    assert [dataset["id"] for dataset in page["datasets"]] == ["orders@1"]
    assert page["project"]["id"] == "p"
    assert [(value["feature"], value["finding"] and value["finding"]["id"]) for value in page["drift"]] == [
        ("price", "f1"),
        ("age", None),
    ]


def test_an_unknown_model_is_not_found(world: World) -> None:
    assert ask(world, "GET", "/api/v1/models/nothing", Role.VIEWER).status_code == 404
    assert ask(world, "GET", "/api/v1/models", Role.VIEWER).json() == {"items": [], "next": ""}


def test_a_release_a_rollback_and_a_training_carry_who_asked(world: World) -> None:
    body = {"version": "2", "stage": "canary", "weight": 0.1, "reason": "better"}
    made = ask(world, "POST", "/api/v1/models/ranker/releases", Role.ML_ENGINEER, json=body)
    assert (made.status_code, made.json()["approver"]) == (201, "ml-engineer")
    ask(world, "POST", "/api/v1/models/ranker/rollback", Role.ADMIN, json={"reason": "worse"})
    started = ask(world, "POST", "/api/v1/projects/p/train", Role.ML_ENGINEER, json={"seed": 7})
    assert (started.status_code, started.json()) == (202, {"workflow_id": "run-1"})
    ask(world, "POST", "/api/v1/projects/p/train", Role.ML_ENGINEER)
    assert [(name, asked.get("actor"), asked.get("seed")) for name, asked in world.asked.calls] == [
        ("release", "ml-engineer", None),
        ("rollback", "admin", None),
        ("train", "ml-engineer", 7),
        ("train", "ml-engineer", None),
    ]
    bad = ask(world, "POST", "/api/v1/models/ranker/releases", Role.ML_ENGINEER, json=body | {"weight": 2})
    assert bad.status_code == 422
    live = {"version": "1", "stage": "live", "reason": "x", "accept_unknown": True}
    ask(world, "POST", "/api/v1/models/ranker/releases", Role.ML_ENGINEER, json=live)
    assert world.asked.calls[-1][1]["accept_unknown"] is True
    told = world.ledger.find(Audit, tenant="main", limit=1)[0]
    assert told.detail["accept_unknown"] == "True", "the audit says so too"


def test_projects_and_runs_are_listed(ranked: World) -> None:
    assert [p["id"] for p in ask(ranked, "GET", "/api/v1/projects", Role.VIEWER).json()["items"]] == ["p"]
    assert [r["id"] for r in ask(ranked, "GET", "/api/v1/runs?project=p", Role.VIEWER).json()["items"]] == ["r1"]
    assert ask(ranked, "GET", "/api/v1/runs/r1", Role.VIEWER).json()["state"] == "succeeded"


def test_an_execution_is_proposed_approved_by_hash_and_decided(world: World) -> None:
    world.ledger.put(an_execution(), Runbook(id="restart", title="Restart", description="", match=(), steps=()))
    assert [r["id"] for r in ask(world, "GET", "/api/v1/runbooks", Role.VIEWER).json()["items"]] == ["restart"]
    asked = {"runbook": "restart", "incident": "i1", "arguments": {"entity": "service:cart"}, "dry_run": True}
    made = ask(world, "POST", "/api/v1/executions", Role.RESPONDER, json=asked).json()
    assert (made["requester"], made["dry_run"]) == ("responder", True)
    path = "/api/v1/executions/e1"
    wrong = ask(world, "POST", f"{path}/approve", Role.APPROVER, json={"approval_hash": "b" * 64})
    assert wrong.status_code == 409
    assert ask(world, "POST", f"{path}/approve", Role.RESPONDER, json={"approval_hash": "a" * 64}).status_code == 403
    right = ask(world, "POST", f"{path}/approve", Role.APPROVER, json={"approval_hash": "a" * 64})
    assert (right.json()["state"], right.json()["approver"]) == ("approved", "approver")
    assert ask(world, "POST", f"{path}/reject", Role.APPROVER, json={"reason": "no"}).json()["state"] == "rejected"
    decided = ask(world, "POST", f"{path}/decide", Role.APPROVER, json={"step": "restart", "outcome": "failed"})
    assert decided.status_code == 200
    assert world.asked.calls[-1][1]["outcome"] == "failed"
    assert ask(world, "GET", path, Role.VIEWER).json()["id"] == "e1"
    listed = ask(world, "GET", "/api/v1/executions?state=proposed&incident=i1", Role.VIEWER).json()["items"]
    assert [execution["id"] for execution in listed] == ["e1"]


def test_the_kill_switch_is_off_until_somebody_throws_it(world: World) -> None:
    assert ask(world, "GET", "/api/v1/kill-switch", Role.VIEWER).json()["engaged"] is False
    ask(world, "PUT", "/api/v1/kill-switch", Role.APPROVER, json={"engaged": True})
    found = ask(world, "GET", "/api/v1/kill-switch", Role.VIEWER).json()
    assert (found["engaged"], found["author"]) == (True, "approver")


def test_the_demo_is_broken_and_mended(world: World) -> None:
    found = ask(world, "GET", "/api/v1/demo", Role.VIEWER).json()
    assert (found["available"], found["shop"]) == (True, {"services": ["cart"]})
    broken = ask(world, "POST", "/api/v1/demo/faults/latency", Role.RESPONDER, json={"seconds": 5}).json()
    assert broken["faults"][0]["active"] is True
    assert broken["faults"][0]["since"] == "1970-01-01T00:00:01Z"
    mended = ask(world, "DELETE", "/api/v1/demo/faults/latency", Role.RESPONDER).json()
    assert mended["faults"][0]["active"] is False
    assert ask(world, "POST", "/api/v1/demo/faults/other", Role.RESPONDER).status_code == 404


def test_without_a_demo_there_is_nothing_to_break() -> None:
    none = NoDemo()
    assert none.state().available is False
    with pytest.raises(Unavailable):
        none.break_fault("latency", seconds=None)
    with pytest.raises(NotFound):
        none.mend_fault("latency")
