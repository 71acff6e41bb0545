"""Training is reproducible, keeps rows back, and turns failures of user code into failed runs."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.unit.mlops import toys
from twofold.errors import InputError
from twofold.mlops.child import Limits
from twofold.mlops.data.snapshot import snapshot_files
from twofold.mlops.project import read
from twofold.mlops.train.child import split
from twofold.mlops.train.environment import code_sha256
from twofold.mlops.train.trainer import Order, Trained, train
from twofold.records.model import RunState
from twofold.records.profile import Profile
from twofold.store.blobs.files import FileBlobs


def _train(folder: Path, blobs: FileBlobs, run: str = "run-1", limits: Limits | None = None) -> Trained:
    definition = read(folder)
    assert definition.dataset.path is not None
    dataset = snapshot_files("points", definition.dataset.path, blobs, now=toys.START)
    order = Order(run=run, definition=definition, dataset=dataset, data=definition.dataset.path, started=toys.START)
    return train(order, blobs, limits)


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_others(
    project: Path, blobs: FileBlobs, tmp_path: Path
) -> None:
    first = _train(project, blobs)
    moved = project.rename(tmp_path / "moved")
    second = _train(moved, blobs, "run-2")
    assert first.run.state is RunState.SUCCEEDED, first.run.error
    assert first.candidate
    assert second.candidate
    assert first.run.artifact_sha256 == second.run.artifact_sha256
    assert first.run.code_sha256 == second.run.code_sha256
    assert first.run.environment_sha256 == second.run.environment_sha256 != ""
    assert replace(first.candidate, run="run-2") == second.candidate
    assert first.run.metrics["roc_auc"] > 0.9
    assert first.run.parameters == {"strength": "1.0"}
    profile = Profile.from_bytes(blobs.get(first.candidate.reference))
    assert [one.name for one in (*profile.inputs, *profile.outputs)] == ["a", "b", "score"]
    held = pa.ipc.open_file(io.BytesIO(blobs.get(first.candidate.holdout))).read_all()
    assert held.num_rows == 50
    assert profile.rows == 150


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no luck')", "no luck"),
        ("def load(data_dir): return 7\ndef train(t, s, p): pass", "load() gave a int"),
        ("def load(data_dir): return {'a': [1.0]*50}\ntrain = 3", "no function train"),
        ("def load(data_dir): return {'a': [1.0]*5}\ndef train(t, s, p): pass", "5 rows"),
        ("def load(data_dir): return {'a': [1.0]*50}\ndef train(t, s, p): return {}", "builtins.dict"),
        ("import sys\nsys.exit(3)", "exit 3"),
        ("import time\ntime.sleep(60)", "longer than"),
        (toys.CODE + "\n\ndef evaluate(model, table): return 1", "evaluate() gave"),
        (toys.CODE.replace('"positive"', '"nothing"'), "nothing"),
    ],
)
def test_failing_user_code_is_a_failed_run_that_says_why(
    tmp_path: Path, blobs: FileBlobs, code: str, reason: str
) -> None:
    trained = _train(toys.write_project(tmp_path / "bad", code), blobs, limits=Limits(wall_s=8.0))
    assert trained.candidate is None
    assert trained.run.state is RunState.FAILED
    assert reason in trained.run.error


def test_own_metrics_join_ours(tmp_path: Path, blobs: FileBlobs) -> None:
    code = toys.CODE + "\n\ndef evaluate(model, table):\n    return {'money': table.num_rows * 2}\n"
    assert _train(toys.write_project(tmp_path / "own", code), blobs).run.metrics["money"] == 100.0


def test_a_declared_output_that_the_model_does_not_give_fails_the_run(tmp_path: Path, blobs: FileBlobs) -> None:
    recipe = toys.RECIPE.replace("{name: score, datatype: FP64}", "{name: score}, {name: more}")
    trained = _train(toys.write_project(tmp_path / "two", recipe=recipe), blobs)
    assert "1 outputs, twofold.yaml declares 2" in trained.run.error


def test_a_split_keeps_all_rows_once_and_is_the_same_for_the_same_seed() -> None:
    table = pa.table({"row": list(range(100))})
    known, held = split(table, 0.25, seed=3)
    assert sorted(known["row"].to_pylist() + held["row"].to_pylist()) == list(range(100))
    assert held.num_rows == 25
    assert split(table, 0.25, seed=3)[1].equals(held)
    assert not split(table, 0.25, seed=4)[1].equals(held)
    with pytest.raises(InputError, match="5 rows"):
        split(table.slice(0, 5), 0.25, seed=3)


def test_a_changed_line_of_code_changes_its_hash(project: Path) -> None:
    before = code_sha256(project, read(project).files())
    (project / "project.py").write_text(toys.CODE + "# a thought\n")
    assert code_sha256(project, read(project).files()) != before
