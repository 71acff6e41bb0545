"""The whole way of a project, step by step, and what it leaves in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from tests.unit.mlops import toys
from twofold.errors import ConfigError, NotFound
from twofold.mlops.pipeline import Pipeline, register_project, register_projects
from twofold.mlops.release.releases import Releases
from twofold.records.model import DatasetVersion, ModelVersion, Project, ReleaseStage, Run, RunState
from twofold.store.blobs.files import FileBlobs
from twofold.store.history import Table
from twofold.store.ledger.sql import SqlLedger


class Steps:
    """A workflow context that replays recorded steps, and may crash before recording one."""

    def __init__(self, workflow_id: str, crash_in: str = "") -> None:
        self.workflow_id = workflow_id
        self.crash_in = crash_in
        self.records: dict[str, bytes] = {}

    def step(self, name: str, call: Callable[[], Any], *, idempotent: bool, timeout_s: float = 60.0) -> Any:
        assert idempotent
        assert timeout_s > 0
        if name not in self.records:
            result = orjson.dumps(call())
            if name == self.crash_in:
                self.crash_in = ""
                raise KeyboardInterrupt
            self.records[name] = result
        return orjson.loads(self.records[name])

    def receive(self, topic: str, timeout_s: float) -> Any:
        raise AssertionError(f"nothing is received: {topic} {timeout_s}")

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing sleeps: {seconds}")


@pytest.fixture
def pipeline(ledger: SqlLedger, blobs: FileBlobs, project: Path) -> Pipeline:
    register_project(ledger, project)
    return Pipeline(ledger, blobs, now=toys.Clock())


def test_a_project_goes_to_shadow_and_everything_is_recorded(pipeline: Pipeline, ledger: SqlLedger) -> None:
    order = {"project": "toy", "seed": 42, "parameters": {"strength": 0.5}, "release": True, "approver": "ann"}
    answer = pipeline.run(Steps("run-1"), order)
    assert answer["error"] == ""
    assert (answer["state"], answer["version"], answer["gates_passed"]) == ("succeeded", "1", True)
    version = ledger.get(ModelVersion, "toy@1", tenant="main")
    run = ledger.get(Run, "run-1", tenant="main")
    dataset = ledger.get(DatasetVersion, answer["dataset"], tenant="main")
    assert run.state is RunState.SUCCEEDED
    assert run.requester == "ann"
    assert (run.seed, run.parameters) == (42, {"strength": "0.5"})
    assert run.ended
    assert run.ended > run.started
    assert (version.run, version.dataset, version.owner) == ("run-1", dataset.id, "team")
    assert version.artifact_sha256 == run.artifact_sha256
    assert [gate.name for gate in version.gates] == ["schema", "metric roc_auc", "not worse than live by roc_auc"]
    assert Releases(ledger).traffic("toy") == [("1", ReleaseStage.SHADOW, 0.0)]


def test_a_crash_after_any_steps_effect_changes_nothing(pipeline: Pipeline, ledger: SqlLedger) -> None:
    steps = Steps("run-1")
    arguments = {"project": "toy", "release": True, "approver": "ann"}
    for crash_in in ("snapshot", "train", "gate", "register", "track", "release"):
        steps.crash_in = crash_in
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(steps, arguments)
    answer = pipeline.run(steps, arguments)
    assert answer["version"] == "1"
    assert answer["release"] == "toy#1"
    assert ledger.count(ModelVersion, tenant="main") == 1
    assert ledger.count(Run, tenant="main") == 1
    assert len(Releases(ledger).history("toy")) == 1


def test_failed_code_is_a_failed_run_without_a_version(ledger: SqlLedger, blobs: FileBlobs, tmp_path: Path) -> None:
    register_project(ledger, toys.write_project(tmp_path / "bad", "raise RuntimeError('no luck')"))
    answer = Pipeline(ledger, blobs).run(Steps("run-1"), {"project": "toy"})
    assert answer["state"] == "failed"
    assert "no luck" in answer["error"]
    assert ledger.get(Run, "run-1", tenant="main").state is RunState.FAILED
    assert ledger.count(ModelVersion, tenant="main") == 0


def test_unreadable_data_is_a_failed_run(pipeline: Pipeline, ledger: SqlLedger, project: Path) -> None:
    (project / "data" / "points.csv").write_text("a,b\n1\n1,2,3\n")
    answer = pipeline.run(Steps("run-1"), {"project": "toy"})
    assert answer["state"] == "failed"
    assert "points.csv" in ledger.get(Run, "run-1", tenant="main").error


def test_a_version_that_fails_its_gates_is_registered_but_not_released(
    ledger: SqlLedger, blobs: FileBlobs, tmp_path: Path
) -> None:
    register_project(ledger, toys.write_project(tmp_path / "weak", recipe=toys.RECIPE.replace("min: 0.8", "min: 1.1")))
    answer = Pipeline(ledger, blobs).run(Steps("run-1"), {"project": "toy", "release": True, "approver": "ann"})
    assert (answer["version"], answer["gates_passed"], answer["release"]) == ("1", False, "")
    assert Releases(ledger).traffic("toy") == []


class PinnedHistory:
    """A history of one table, pinned."""

    def pin(self, table: Table) -> str:
        return f"delta:{table}@7"

    def pinned(self, reference: str, sql: str, *, tenant: str) -> pa.Table:
        assert (reference, sql, tenant) == ("delta:predictions@7", "select 1", "main")
        rows = toys.points()
        return pa.table({"a": rows[:, 0], "b": rows[:, 1], "positive": rows[:, 2]})


def test_a_dataset_may_be_a_query_over_a_pinned_table(ledger: SqlLedger, blobs: FileBlobs, tmp_path: Path) -> None:
    code = toys.CODE.replace(
        'pyarrow.csv.read_csv(data_dir / "points.csv")', 'pa.ipc.open_file(data_dir / "data.arrow").read_all()'
    )
    recipe = toys.RECIPE.replace("path: data", "table: predictions, query: select 1")
    register_project(
        ledger, toys.write_project(tmp_path / "own", code.replace("import pyarrow.csv", "import pyarrow as pa"), recipe)
    )
    without = Pipeline(ledger, blobs).run(Steps("run-1"), {"project": "toy"})
    assert "cannot be read here" in without["error"]
    answer = Pipeline(ledger, blobs, history=PinnedHistory()).run(Steps("run-2"), {"project": "toy"})  # type: ignore[arg-type]  # the two calls that a snapshot makes
    assert answer["error"] == ""
    assert ledger.get(DatasetVersion, answer["dataset"], tenant="main").source == "delta:predictions@7"


def test_an_unknown_project_is_an_error(pipeline: Pipeline) -> None:
    with pytest.raises(NotFound):
        pipeline.run(Steps("run-1"), {"project": "nobody"})


def test_projects_are_found_and_bad_ones_named(ledger: SqlLedger, tmp_path: Path) -> None:
    toys.write_project(tmp_path / "all" / "good")
    toys.write_project(tmp_path / "all" / "bad", recipe=toys.RECIPE.replace("gate: schema", "gate: magic"))
    toys.write_project(tmp_path / "all" / "worse", recipe="[]")
    projects, wrong = register_projects(ledger, tmp_path / "all")
    assert [project.id for project in projects] == ["toy"]
    assert len(wrong) == 2
    assert any("magic" in reason for reason in wrong)
    assert ledger.get(Project, "toy", tenant="main").path.endswith("good")
    with pytest.raises(ConfigError):
        register_project(ledger, tmp_path / "all" / "bad")
