"""Readiness rises with evidence, and no area can hide behind another."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.mlops import toys
from twofold.mlops.govern.readiness import Evidence, readiness
from twofold.records.model import (
    DatasetVersion,
    GateResult,
    ModelKind,
    ModelVersion,
    Release,
    ReleaseStage,
    Run,
    RunState,
)

VERSION = ModelVersion(
    id="toy@1",
    model="toy",
    version="1",
    kind=ModelKind.SERVED,
    format="skops",
    artifact="sha256/aa",
    artifact_sha256="aa",
    created=toys.START,
)
RUN = Run(
    id="run-1",
    project="toy",
    model="toy",
    state=RunState.SUCCEEDED,
    started=toys.START,
    dataset="points@1",
    code_sha256="c",
    environment_sha256="e",
    artifact_sha256="aa",
)
DATASET = DatasetVersion(
    id="points@1",
    dataset="points",
    sha256="d",
    rows=9,
    size_bytes=9,
    location="",
    created=toys.START,
    schema={"a": "double"},
)


def release(stage: ReleaseStage, seq: int) -> Release:
    return Release(
        id=f"toy#{seq}",
        model="toy",
        version="1",
        stage=stage,
        seq=seq,
        time=toys.START,
        weight=0.0,
        previous="",
        approver="ann",
        reason="r",
    )


FULL = Evidence(
    version=replace(
        VERSION,
        inputs=toys.INPUTS,
        owner="team",
        reference="sha256/bb",
        gates=(toys.PASSED, GateResult(name="robustness", passed=True, value=0, limit=1, text="")),
    ),
    run=RUN,
    dataset=DATASET,
    repeats=(replace(RUN, id="run-2"),),
    releases=(release(ReleaseStage.SHADOW, 1), release(ReleaseStage.LIVE, 2), release(ReleaseStage.ROLLED_BACK, 3)),
    monitored=True,
)


def test_nothing_known_scores_zero_and_everything_one() -> None:
    assert readiness(Evidence(version=VERSION)).score == 0.0
    full = readiness(FULL)
    assert [check.name for check in full.checks if not check.passed] == []
    assert full.score == 1.0


def test_one_bad_area_is_the_score() -> None:
    unmonitored = readiness(
        replace(
            FULL,
            monitored=False,
            releases=(release(ReleaseStage.ROLLED_BACK, 1),),
            version=replace(FULL.version, reference=""),
        )
    )
    assert unmonitored.score == 0.0


def test_a_repeat_with_other_bytes_is_no_reproduction_and_another_recipe_no_repeat() -> None:
    def reproduced(*repeats: Run) -> bool:
        checks = readiness(replace(FULL, repeats=repeats)).checks
        return next(check.passed for check in checks if check.name == "reproduced")

    assert reproduced(replace(RUN, id="run-2"))
    assert not reproduced(replace(RUN, id="run-2", artifact_sha256="zz"))
    assert not reproduced(replace(RUN, id="run-2", seed=9))
    assert not reproduced(RUN)


def test_a_failed_gate_shows_by_name() -> None:
    found = readiness(replace(FULL, version=replace(FULL.version, gates=(toys.FAILED,))))
    assert any("metric roc_auc" in check.text and not check.passed for check in found.checks)
