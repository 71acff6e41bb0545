"""The process by which a model reaches and stays in production."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twofold.records.entity import DEFAULT_TENANT


class ModelKind(StrEnum):
    """Who runs it: a user's model is served; our own detectors and rankers run inside the stages.

    RULES are alert rules of another system: nothing runs them here, backtests replay them.
    """

    SERVED = "served"
    DETECTOR = "detector"
    RANKER = "ranker"
    FORECASTER = "forecaster"
    MINER = "miner"
    RULES = "rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A user's model project: data, train, evaluate, gates, rollout, monitors, owner, risk."""

    id: str
    title: str
    owner: str
    risk: str
    model: str
    path: str
    kind: ModelKind = ModelKind.SERVED
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """Immutable, content-addressed snapshot.

    Attributes:
        id: `<dataset>@<first 16 hex digits of the content's SHA-256>`.
        location: Blob key or `delta:<table>@<version>`.
        schema: Column name to Arrow type, as text.
    """

    id: str
    dataset: str
    sha256: str
    rows: int
    size_bytes: int
    location: str
    created: datetime
    schema: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    tenant: str = DEFAULT_TENANT


class RunState(StrEnum):
    """Life of a training run. Asked for in one process, it is taken up by the worker."""

    REQUESTED = "requested"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One reproducible training: same code, data, environment, seed and parameters give the same bytes.

    Attributes:
        code_sha256, environment_sha256: Content hashes of the project's source files and of the lock.
        artifact_sha256: Hash of the model file that came out.
        tracking_ref: Run id in the experiment tracker.
        requester: Who asked for it.
    """

    id: str
    project: str
    model: str
    state: RunState
    started: datetime
    dataset: str = ""
    code_sha256: str = ""
    environment_sha256: str = ""
    seed: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifact_sha256: str = ""
    ended: datetime | None = None
    error: str = ""
    tracking_ref: str = ""
    requester: str = ""
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input or output of a model. `datatype` is an Open Inference Protocol type (`FP64`, `INT64`, `BYTES`)."""

    name: str
    datatype: str
    entity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One test that a version had to pass.

    Attributes:
        unknown: The evidence cannot tell: not passed, and not failed either. A person may accept that.
    """

    name: str
    passed: bool
    value: float
    limit: float
    text: str
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A result on its way to becoming a version: training hands it to the gates and to the registry.

    Attributes:
        artifact: Blob key of the model file (`sha256/<hex>`).
        reference: Blob key of the reference profile, or empty.
        holdout: Blob key of the rows that training never saw (Arrow file), or empty.
        label: Column of the holdout that holds the truth, or empty.
    """

    model: str
    kind: ModelKind
    format: str
    artifact: str
    run: str = ""
    dataset: str = ""
    inputs: tuple[Field, ...] = field(default_factory=tuple)
    outputs: tuple[Field, ...] = field(default_factory=tuple)
    metrics: Mapping[str, float] = field(default_factory=dict)
    reference: str = ""
    holdout: str = ""
    label: str = ""
    owner: str = ""
    description: str = ""
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A run's registered result.

    Attributes:
        id: `<model>@<version>`.
        version: 1, 2, 3 … as text, per model.
        format: `skops`, `onnx`, `lightgbm` … or `config` for our own detectors.
        artifact: Blob key of the model file.
        reference: Blob key of the reference profile (histograms of inputs and outputs on the training data) for drift.
    """

    id: str
    model: str
    version: str
    kind: ModelKind
    format: str
    artifact: str
    artifact_sha256: str
    created: datetime
    run: str = ""
    dataset: str = ""
    inputs: tuple[Field, ...] = field(default_factory=tuple)
    outputs: tuple[Field, ...] = field(default_factory=tuple)
    metrics: Mapping[str, float] = field(default_factory=dict)
    gates: tuple[GateResult, ...] = field(default_factory=tuple)
    reference: str = ""
    owner: str = ""
    description: str = ""
    tenant: str = DEFAULT_TENANT


class ReleaseStage(StrEnum):
    """Where a version stands."""

    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    RETIRED = "retired"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One entry of the append-only ledger.

    Attributes:
        seq: Position in the model's history, from 1.
        weight: Share of traffic, 0..1: canary's share; 1 for live; 0 for shadow.
        previous: Version that was live before. For `ROLLED_BACK`: the version that answers from now on.
        evidence: Gate results or incident ids that justify it, readable.
    """

    id: str
    model: str
    version: str
    stage: ReleaseStage
    seq: int
    time: datetime
    weight: float
    previous: str
    approver: str
    reason: str
    evidence: tuple[str, ...] = field(default_factory=tuple)
    tenant: str = DEFAULT_TENANT
