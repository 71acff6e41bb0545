"""The five places where the two loops meet, on real parts: stores, pipeline, registry and releases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tests.flow.plant import Plant, Steps
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.respond.execute import Executor
from twofold.errors import Conflict
from twofold.joints.labels import SCHEMA, snapshot_verdicts
from twofold.joints.probation import judge_panel
from twofold.mlops.data.snapshot import materialise
from twofold.records.alert import Alert
from twofold.records.codec import to_json
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge, Entity, EntityKind, Relation
from twofold.records.event import ChangeKind, Event
from twofold.records.finding import Finding
from twofold.records.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from twofold.records.model import DatasetVersion, ModelKind, ModelVersion, ReleaseStage
from twofold.records.runbook import Execution, ExecutionState
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.store.ledger.audit import append_audit

BROKEN = {"model errors": 0.4, "model output": 1.5, "shop errors": 0.3}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    yield made
    made.close()


@pytest.fixture
def promoted(plant: Plant) -> Plant:
    """Version 1 served well for a quarter of an hour; then version 2 went live and things went wrong."""
    plant.register(run="r1", artifact=b"one")
    plant.releases.release("recommender", "1", ReleaseStage.LIVE, approver="ann", reason="first")
    plant.follow()
    plant.run(900)
    plant.register(run="r2", artifact=b"two")
    for stage in (ReleaseStage.SHADOW, ReleaseStage.LIVE):
        plant.releases.release("recommender", "2", stage, approver="ann", reason="fresh data")
    plant.follow()
    plant.run(90, BROKEN)
    return plant


# Joint 1: our detectors are models


def test_the_shipped_detector_is_a_gated_released_version_and_signs_its_findings(plant: Plant) -> None:
    version = plant.ledger.get(ModelVersion, "panel@1", tenant="main")
    assert (version.kind, version.format) == (ModelKind.DETECTOR, "config")
    assert version.gates
    assert all(gate.passed for gate in version.gates)
    assert [release.stage for release in plant.releases.history("panel")] == [ReleaseStage.SHADOW, ReleaseStage.LIVE]
    plant.run(900)
    plant.run(60, {"shop latency": 2.0})
    findings = plant.ledger.find(Finding, tenant="main")
    assert {finding.entity for finding in findings} == {"service:shop"}
    assert {finding.detector for finding in findings} == {"panel@1"}


def test_starting_again_registers_and_releases_nothing_anew(plant: Plant) -> None:
    before = plant.ledger.head()
    plant.released.ensure()
    assert plant.ledger.head() == before


def test_another_version_goes_live_and_running_pipelines_take_it_with_what_they_learnt(plant: Plant) -> None:
    plant.run(900)
    other = PanelConfig(persist_s=20.0)
    candidate = plant.registry.config_candidate("panel", ModelKind.DETECTOR, to_json(other), owner="ann")
    version = plant.registry.register(candidate, judge_panel(other))
    for stage in (ReleaseStage.SHADOW, ReleaseStage.LIVE):
        plant.releases.release("panel", version.version, stage, approver="ann", reason="waits longer")
    assert plant.released.refresh()
    assert not plant.released.refresh(), "told once"
    assert plant.released.panel().config == other
    plant.runner.rebuild()
    plant.run(120, {"shop latency": 2.0})
    (finding,) = plant.ledger.find(Finding, tenant="main")
    assert finding.detector == "panel@2", "the new version"
    assert plant.runner.progress.refused_builds == 0
    plant.releases.rollback("panel", approver="ann", reason="finds too late")
    assert plant.released.refresh()
    assert plant.released.panel().id == "panel@1"


def test_a_detector_that_failed_its_gates_cannot_go_live(plant: Plant) -> None:
    blind = PanelConfig(least_score=1e6)
    gates = judge_panel(blind)
    assert not all(gate.passed for gate in gates)
    candidate = plant.registry.config_candidate("panel", ModelKind.DETECTOR, to_json(blind), owner="ann")
    version = plant.registry.register(candidate, gates)
    with pytest.raises(Conflict, match="probation_recall"):
        plant.releases.release("panel", version.version, ReleaseStage.SHADOW, approver="ann", reason="try")
    assert not plant.released.refresh()


# Joint 2: deployed models are things that fail


def test_a_deployed_model_stands_in_the_topology_with_features_and_dataset(plant: Plant) -> None:
    plant.register(run="r1", artifact=b"one")
    plant.releases.release("recommender", "1", ReleaseStage.LIVE, approver="ann", reason="first")
    assert plant.follow() == 1
    plant.run(30)
    entities = {entity.id: entity for entity in plant.ledger.find(Entity, tenant="main")}
    assert entities["model:recommender"].kind is EntityKind.MODEL
    assert entities["feature:recommender/price"].kind is EntityKind.FEATURE
    assert entities["dataset:prices"].attributes["version"] == "prices@0123456789abcdef"
    edges = {(edge.source, edge.relation, edge.target) for edge in plant.ledger.find(Edge, tenant="main")}
    assert edges >= {
        ("model:recommender", Relation.FEEDS, "feature:recommender/price"),
        ("model:recommender", Relation.FEEDS, "feature:recommender/age"),
        ("model:recommender", Relation.TRAINED_ON, "dataset:prices"),
    }


# Joint 3: promotions are changes


def test_a_promotion_is_ranked_as_the_cause_of_what_broke_right_after_it(promoted: Plant) -> None:
    promotion = promoted.releases.history("recommender")[-1]
    change = f"release:{promotion.id}"
    event = promoted.ledger.get(Event, change, tenant="main")
    assert (event.change, event.entity, event.version) == (ChangeKind.PROMOTION, "model:recommender", "2")
    (incident,) = promoted.ledger.find(Incident, tenant="main")
    assert incident.state is IncidentState.OPEN
    first = promoted.ledger.get(Diagnosis, incident.id, tenant="main").suspects[0]
    assert (first.entity, first.change) == ("model:recommender", change)
    told = promoted.ledger.find(TimelineEntry, tenant="main", where={"incident": incident.id})
    assert any(line.kind is TimelineKind.CHANGE and line.ref == change for line in told)


def test_a_promotion_that_is_sent_twice_is_one_event(promoted: Plant) -> None:
    """A crash between journal and cursor sends it again."""
    before = promoted.ledger.count(Event, tenant="main")
    promoted.promotions.follow(promoted.ledger.changes(0))
    promoted.run(10, BROKEN)
    assert promoted.ledger.count(Event, tenant="main") == before
    assert promoted.ledger.count(Incident, tenant="main") == 1


def test_a_promotion_long_before_or_of_another_model_is_not_the_cause(plant: Plant) -> None:
    plant.register(run="r1", artifact=b"one")
    plant.releases.release("recommender", "1", ReleaseStage.LIVE, approver="ann", reason="first")
    plant.follow()
    plant.run(3600)
    plant.run(90, BROKEN)
    (incident,) = plant.ledger.find(Incident, tenant="main")
    suspects = plant.ledger.get(Diagnosis, incident.id, tenant="main").suspects
    assert suspects[0].entity == "model:recommender"
    assert {suspect.change for suspect in suspects} == {""}


def test_a_shadow_is_no_cause_and_does_not_stand_for_the_model(plant: Plant) -> None:
    """It answers nobody; blaming it would propose to take back a version that did nothing."""
    plant.register(run="r1", artifact=b"one")
    plant.releases.release("recommender", "1", ReleaseStage.LIVE, approver="ann", reason="first")
    plant.follow()
    plant.run(1800)
    plant.register(run="r2", artifact=b"two")
    plant.releases.release("recommender", "2", ReleaseStage.SHADOW, approver="ann", reason="fresh data")
    assert plant.follow() == 1
    plant.run(90, BROKEN)
    (incident,) = plant.ledger.find(Incident, tenant="main")
    suspects = plant.ledger.get(Diagnosis, incident.id, tenant="main").suspects
    assert {suspect.change for suspect in suspects} == {""}
    assert plant.ledger.get(Entity, "model:recommender", tenant="main").attributes["version"] == "1"


# Joint 4: remedies cross over


def test_rolling_the_model_back_is_proposed_approved_run_and_verified(promoted: Plant) -> None:
    (proposal,) = promoted.ledger.find(Execution, tenant="main")
    assert (proposal.runbook, proposal.targets) == ("rollback-model", ("model:recommender",))
    promoted.responder.approve(proposal.id, approval_hash=proposal.approval_hash, approver="bob", tenant="main")

    def between(step: str) -> None:
        if step == "verify":
            assert promoted.follow() == 1
            promoted.run(240)

    def audit(tenant: str, actor: str, action: str, target: str, detail: Mapping[str, str]) -> None:
        append_audit(promoted.ledger, actor=actor, action=action, target=target, tenant=tenant, detail=detail)

    executor = Executor(
        promoted.ledger,
        runbooks={runbook.id: runbook for runbook in promoted.runbooks},
        actions=promoted.actions,
        audit=audit,
    )
    executor.run(Steps(between), {"execution": proposal.id, "tenant": "main"})
    done = promoted.ledger.get(Execution, proposal.id, tenant="main")
    assert done.state is ExecutionState.SUCCEEDED, done.result
    last = promoted.releases.history("recommender")[-1]
    assert (last.stage, last.version, last.previous) == (ReleaseStage.ROLLED_BACK, "2", "1")
    assert last.evidence == (f"{proposal.id}/roll back",)
    assert promoted.releases.live("recommender") == "1"
    assert promoted.ledger.get(Entity, "model:recommender", tenant="main").attributes["version"] == "1"
    (incident,) = promoted.ledger.find(Incident, tenant="main")
    assert incident.state is IncidentState.RESOLVED
    event = promoted.ledger.get(Event, f"release:{last.id}", tenant="main")
    assert event.change is ChangeKind.ROLLBACK


def test_a_model_with_nothing_to_go_back_to_is_not_proposed_a_rollback(plant: Plant) -> None:
    plant.register(run="r1", artifact=b"one")
    plant.run(900)
    plant.releases.release("recommender", "1", ReleaseStage.LIVE, approver="ann", reason="first")
    plant.follow()
    plant.run(90, BROKEN)
    assert plant.ledger.count(Incident, tenant="main") == 1
    assert plant.ledger.find(Execution, tenant="main") == []


# Joint 5: verdicts are labels


def _verdict(plant: Plant, key: str, subject: VerdictSubject, ref: str, value: VerdictValue, after_s: int = 0) -> None:
    (incident,) = plant.ledger.find(Incident, tenant="main")
    time = plant.now() + timedelta(seconds=after_s)
    verdict = Verdict(id=key, subject=subject, ref=ref, incident=incident.id, value=value, author="ann", time=time)
    plant.ledger.put(verdict)


def _rows(plant: Plant, version: DatasetVersion, folder: Path) -> list[dict[str, object]]:
    (path,) = materialise(version, plant.blobs, folder).iterdir()
    with pa.ipc.open_file(path) as file:
        table = file.read_all()
    assert table.schema == SCHEMA
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


def test_verdicts_end_in_a_dataset_version_of_their_own_content(promoted: Plant, tmp_path: Path) -> None:
    alert = promoted.ledger.find(Alert, tenant="main", where={"entity": "model:recommender"})[0]
    _verdict(promoted, "v1", VerdictSubject.ALERT, alert.id, VerdictValue.NOISE)
    _verdict(promoted, "v2", VerdictSubject.SUSPECT, "model:recommender", VerdictValue.RIGHT)
    first = snapshot_verdicts(promoted.ledger, promoted.blobs)
    again = snapshot_verdicts(promoted.ledger, promoted.blobs)
    assert first == again, "the same verdicts are the same version, also at another time"
    assert first.id == f"verdicts@{first.sha256[:16]}"
    assert promoted.ledger.count(DatasetVersion, tenant="main") == 1
    rows = {str(row["verdict"]): row for row in _rows(promoted, first, tmp_path / "first")}
    assert (rows["v1"]["claimed_by"], rows["v1"]["value"], rows["v1"]["signal"]) == ("panel@1", "noise", alert.signal)
    assert (rows["v2"]["claimed_by"], rows["v2"]["rank"]) == ("causes@1", 1)

    _verdict(promoted, "v3", VerdictSubject.ALERT, alert.id, VerdictValue.RIGHT, after_s=60)
    second = snapshot_verdicts(promoted.ledger, promoted.blobs)
    assert second.id != first.id
    values = {row["verdict"]: row["value"] for row in _rows(promoted, second, tmp_path / "second")}
    assert values == {"v2": "right", "v3": "right"}, "of one author's words on one alert the last counts"
    assert len(_rows(promoted, first, tmp_path / "still")) == 2, "an earlier version never changes"
