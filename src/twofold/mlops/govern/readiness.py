"""How ready a model is for production: a score computed from evidence, never from a questionnaire.

Source: Breck et al. (2017), "The ML Test Score: A Rubric for ML Production Readiness".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from twofold.records.model import DatasetVersion, ModelVersion, Project, Release, ReleaseStage, Run, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the ledger knows of one version.

    Attributes:
        run: The run that made it, or None.
        repeats: Other runs of the same code, data, environment, seed and parameters.
        monitored: Drift series exist for it.
    """

    version: ModelVersion
    project: Project | None = None
    run: Run | None = None
    dataset: DatasetVersion | None = None
    repeats: Sequence[Run] = field(default_factory=tuple)
    releases: Sequence[Release] = field(default_factory=tuple)
    monitored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One test of readiness."""

    name: str
    area: str
    passed: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The checks, and the score that follows: the lowest area's share, so that no area can hide behind another."""

    checks: tuple[Check, ...]
    score: float


def readiness(evidence: Evidence) -> Readiness:
    """Score one version, 0..1."""
    checks = (*_data(evidence), *_model(evidence), *_infrastructure(evidence), *_monitoring(evidence))
    shares = []
    for area in dict.fromkeys(check.area for check in checks):
        own = [check.passed for check in checks if check.area == area]
        shares.append(sum(own) / len(own))
    return Readiness(checks=checks, score=min(shares))


def _data(evidence: Evidence) -> tuple[Check, ...]:
    dataset, version = evidence.dataset, evidence.version
    schema = bool(dataset and dataset.schema) and bool(version.inputs)
    return (
        Check(
            name="dataset versioned",
            area="data",
            passed=dataset is not None,
            text=f"trained on {dataset.id}, {dataset.rows} rows" if dataset else "no dataset version is recorded",
        ),
        Check(
            name="schema declared",
            area="data",
            passed=schema,
            text=f"{len(version.inputs)} inputs declared over a known schema"
            if schema
            else "inputs or schema are missing",
        ),
    )


def _model(evidence: Evidence) -> tuple[Check, ...]:
    gates = evidence.version.gates
    failed = [gate.name for gate in gates if not gate.passed]
    kinds = {gate.name.split(" ")[0] for gate in gates}
    beyond = sorted(kinds & {"slice", "robustness", "not", "backtest", "fairness"})
    return (
        Check(
            name="gates passed",
            area="model",
            passed=bool(gates) and not failed,
            text=f"failed: {', '.join(failed)}"
            if failed
            else f"{len(gates)} gates passed"
            if gates
            else "no gate was run",
        ),
        Check(
            name="judged beyond one metric",
            area="model",
            passed=bool(beyond),
            text="slices, robustness or the live version were looked at"
            if beyond
            else "only whole-set metrics were looked at",
        ),
    )


def _infrastructure(evidence: Evidence) -> tuple[Check, ...]:
    run, version = evidence.run, evidence.version
    hashed = run is not None and bool(run.code_sha256 and run.environment_sha256)
    same = [one for one in evidence.repeats if run and one.state is RunState.SUCCEEDED and _same_recipe(one, run)]
    equal = [one for one in same if one.artifact_sha256 == version.artifact_sha256]
    reproduced = bool(same) and len(equal) == len(same)
    back = [one for one in evidence.releases if one.stage is ReleaseStage.ROLLED_BACK]
    owner = version.owner or (evidence.project.owner if evidence.project else "")
    return (
        Check(
            name="owned",
            area="infrastructure",
            passed=bool(owner),
            text=f"owned by {owner}" if owner else "nobody owns it",
        ),
        Check(
            name="recipe recorded",
            area="infrastructure",
            passed=hashed,
            text="code and environment are hashed" if hashed else "code or environment of its run is unknown",
        ),
        Check(
            name="reproduced",
            area="infrastructure",
            passed=reproduced,
            text=f"{len(equal)} of {len(same)} repeated runs gave the same bytes" if same else "never trained twice",
        ),
        Check(
            name="rollback tested",
            area="infrastructure",
            passed=bool(back),
            text=f"rolled back {len(back)} times" if back else "no version of this model was ever rolled back",
        ),
    )


def _monitoring(evidence: Evidence) -> tuple[Check, ...]:
    own = [one for one in evidence.releases if one.version == evidence.version.version]
    stages = {one.stage for one in own}
    careful = bool(stages & {ReleaseStage.SHADOW, ReleaseStage.CANARY})
    return (
        Check(
            name="reference profile",
            area="monitoring",
            passed=bool(evidence.version.reference),
            text="drift has a reference"
            if evidence.version.reference
            else "no reference profile: drift cannot be measured",
        ),
        Check(
            name="monitored",
            area="monitoring",
            passed=evidence.monitored,
            text="drift series exist" if evidence.monitored else "no drift series yet",
        ),
        Check(
            name="met traffic before live",
            area="monitoring",
            passed=careful,
            text="was shadow or canary first" if careful else "was neither shadow nor canary",
        ),
    )


def _same_recipe(one: Run, other: Run) -> bool:
    return one.id != other.id and all(
        getattr(one, name) == getattr(other, name)
        for name in ("code_sha256", "environment_sha256", "dataset", "seed", "parameters")
    )
