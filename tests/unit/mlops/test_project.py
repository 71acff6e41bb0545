"""A project folder is read whole, and what is wrong names its file, key and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.mlops import toys
from twofold.errors import ConfigError
from twofold.mlops.project import discover, read
from twofold.records.model import ReleaseStage

DEMO = Path(__file__).parents[3] / "demo" / "model"


def test_the_demo_project_is_valid_and_short() -> None:
    definition = read(DEMO)
    assert definition.model == "recommender"
    assert [one.name for one in definition.inputs] == [
        "price", "discount", "rating", "popularity", "basket_value", "hour",
    ]  # fmt: skip
    assert [step.stage for step in definition.rollout] == [ReleaseStage.SHADOW, ReleaseStage.CANARY, ReleaseStage.LIVE]
    assert definition.monitors.latency_ratio == 2.0
    assert len((DEMO / "project.py").read_text().splitlines()) <= 40


def test_a_project_becomes_a_record_with_its_owner(project: Path) -> None:
    record = read(project).record("acme")
    assert (record.id, record.owner, record.model, record.tenant) == ("toy", "team", "toy", "acme")


def test_source_files_leave_out_data_hidden_files_and_byte_code(project: Path) -> None:
    (project / ".git").mkdir()
    (project / ".git" / "x").write_text("x")
    (project / "__pycache__").mkdir()
    (project / "__pycache__" / "project.pyc").write_text("x")
    assert [path.name for path in read(project).files()] == ["project.py", "twofold.yaml"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("name: Bad Name", "name"),
        ("risk: none", "risk"),
        ("holdout: 1.5", "holdout"),
        ("seed: -1", "seed"),
        ("inputs: []", "inputs"),
        ("inputs: [{name: a}, {name: a}]", "inputs"),
        ("inputs: [{name: a, datatype: FP99}]", "inputs"),
        ("dataset: {name: points, path: nowhere}", "dataset"),
        ("dataset: {name: points}", "dataset"),
        ("dataset: {path: data}", "dataset"),
        ("gates: [{metric: roc_auc}]", "gates"),
        ("rollout: [{stage: sideways}]", "rollout"),
        ("surprise: 1", "surprise"),
        ("owner: 7", "owner"),
        ("parameters: 7", "parameters"),
        ("gates: 7", "gates"),
        ("monitors: {fame: 1}", "monitors"),
        ("monitors: {output_psi: 0}", "monitors"),
    ],
)
def test_a_wrong_value_stops_with_its_key(project: Path, line: str, named: str) -> None:
    recipe = project / "twofold.yaml"
    kept = [old for old in recipe.read_text().split("\ngates:")[0].splitlines() if not old.startswith(f"{named}:")]
    recipe.write_text("\n".join([*kept, line]))
    with pytest.raises(ConfigError, match=named) as caught:
        read(project)
    assert str(recipe) in caught.value.message


@pytest.mark.parametrize("text", ["- a list", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(project: Path, text: str) -> None:
    (project / "twofold.yaml").write_text(text)
    with pytest.raises(ConfigError):
        read(project)


def test_a_folder_without_the_files_is_no_project(tmp_path: Path, project: Path) -> None:
    with pytest.raises(ConfigError, match=r"no twofold\.yaml"):
        read(tmp_path)
    (project / "project.py").unlink()
    with pytest.raises(ConfigError, match=r"no project\.py"):
        read(project)


def test_discovery_gives_the_good_and_names_the_bad(tmp_path: Path) -> None:
    toys.write_project(tmp_path / "good")
    toys.write_project(tmp_path / "bad", recipe="name: 1")
    found, wrong = discover(tmp_path)
    assert [one.name for one in found] == ["toy"]
    assert "bad" in wrong[0].message
