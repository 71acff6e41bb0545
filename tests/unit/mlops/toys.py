"""Small models and projects that train in moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twofold.mlops import formats
from twofold.mlops.registry.registry import Registry
from twofold.mlops.release.releases import Releases
from twofold.records.model import Candidate, Field, GateResult, ModelKind, ModelVersion, ReleaseStage
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSED = GateResult(name="schema", passed=True, value=0.0, limit=0.0, text="outputs are as declared")
FAILED = GateResult(name="metric roc_auc", passed=False, value=0.5, limit=0.7, text="roc_auc is 0.5, wanted 0.7")
INPUTS = (Field(name="a", datatype="FP64"), Field(name="b", datatype="FP64"))
OUTPUTS = (Field(name="score", datatype="FP64"),)
RECIPE = """\
name: toy
owner: team
label: positive
dataset: {name: points, path: data}
parameters: {strength: 1.0}
inputs: [{name: a, datatype: FP64}, {name: b, datatype: FP64}]
outputs: [{name: score, datatype: FP64}]
gates:
  - {gate: schema}
  - {gate: metric, metric: roc_auc, min: 0.8}
  - {gate: not_worse_than_live, metric: roc_auc, margin: 0.02}
"""
CODE = """\
import numpy as np
import pyarrow.csv
from sklearn.linear_model import LogisticRegression


def load(data_dir):
    return pyarrow.csv.read_csv(data_dir / "points.csv")


def train(table, seed, parameters):
    inputs = np.column_stack([table["a"].to_numpy(), table["b"].to_numpy()])
    return LogisticRegression(C=parameters["strength"]).fit(inputs, table["positive"].to_numpy())
"""


class Clock:
    """A wall clock that moves one second at each look."""

    def __init__(self, start: datetime = START) -> None:
        self.time = start

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


def points(rows: int = 200, seed: int = 0) -> npt.NDArray[np.float64]:
    """Rows of (a, b, positive)."""
    inputs = np.random.default_rng(seed).normal(size=(rows, 2))
    return np.column_stack([inputs, inputs.sum(axis=1) > 0]).astype(np.float64)


def fit(seed: int = 0) -> Any:
    """A fitted classifier."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - heavy

    rows = points(seed=seed)
    return LogisticRegression().fit(rows[:, :2], rows[:, 2].astype(int))


def model_bytes(seed: int = 0) -> bytes:
    """A model file."""
    return formats.dump(fit(seed))[1]


def write_project(folder: Path, code: str = CODE, recipe: str = RECIPE) -> Path:
    """A project on disk, with data."""
    (folder / "data").mkdir(parents=True)
    (folder / "project.py").write_text(code, encoding="utf-8")
    (folder / "twofold.yaml").write_text(recipe, encoding="utf-8")
    lines = ["a,b,positive", *(f"{a:.4f},{b:.4f},{int(c)}" for a, b, c in points())]
    (folder / "data" / "points.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def register(
    ledger: Ledger,
    blobs: Blobs,
    data: bytes,
    *,
    model: str = "toy",
    gates: tuple[GateResult, ...] = (PASSED,),
    now: Clock | None = None,
    **more: Any,
) -> ModelVersion:
    """The next version of a model."""
    candidate = Candidate(
        model=model,
        kind=ModelKind.SERVED,
        format="skops",
        artifact=blobs.add(data),
        inputs=INPUTS,
        outputs=OUTPUTS,
        owner="team",
        **more,
    )
    return Registry(ledger, blobs, now or Clock()).register(candidate, gates)


def put_live(ledger: Ledger, version: ModelVersion, now: Clock | None = None) -> None:
    """Release a version to live, by the way of shadow when another is live."""
    releases = Releases(ledger, now or Clock())
    if releases.live(version.model):
        releases.release(version.model, version.version, ReleaseStage.SHADOW, approver="ann", reason="try")
    releases.release(version.model, version.version, ReleaseStage.LIVE, approver="ann", reason="go")
