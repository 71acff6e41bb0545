"""One reproducible training of a project: snapshot and code in, artifact and run record out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from twofold.errors import InputError
from twofold.mlops.child import ChildFailed, Limits, run
from twofold.mlops.project import Definition
from twofold.mlops.train.child import ARTIFACT, HOLDOUT, PROFILE
from twofold.mlops.train.environment import code_sha256
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import Candidate, DatasetVersion, ModelKind, Run, RunState
from twofold.store.blobs import Blobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What one training left: its run record, and a candidate if it succeeded."""

    run: Run
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to train.

    Attributes:
        data: Folder in which the snapshot's files stand.
        seed, parameters: Instead of, and over, those of the project.
        started: Wall clock at the start of the run.
    """

    run: str
    definition: Definition
    dataset: DatasetVersion
    data: Path
    started: datetime
    seed: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    requester: str = ""
    tenant: str = DEFAULT_TENANT

    def record(self) -> Run:
        """The run as it starts."""
        definition = self.definition
        return Run(
            id=self.run,
            project=definition.name,
            model=definition.model,
            state=RunState.RUNNING,
            started=self.started,
            dataset=self.dataset.id,
            code_sha256=code_sha256(definition.folder, definition.files()),
            seed=definition.seed if self.seed is None else self.seed,
            parameters={name: _text(value) for name, value in sorted(self.chosen().items())},
            requester=self.requester,
            tenant=self.tenant,
        )

    def chosen(self) -> dict[str, Any]:
        """The project's parameters, overlaid."""
        return {**self.definition.parameters, **self.parameters}


def train(order: Order, blobs: Blobs, limits: Limits | None = None) -> Trained:
    """Train in a process of its own. A failure of the user's code is a failed run, not an exception.

    Raises:
        Unavailable: No process could be started.
    """
    definition, started = order.definition, order.record()
    request = {
        "project": str(definition.folder),
        "data": str(order.data),
        "inputs": [{"name": one.name, "datatype": one.datatype} for one in definition.inputs],
        "outputs": [{"name": one.name, "datatype": one.datatype} for one in definition.outputs],
        "label": definition.label,
        "holdout": definition.holdout,
        "seed": started.seed,
        "parameters": order.chosen(),
    }
    with tempfile.TemporaryDirectory(prefix="twofold-train-") as name:
        folder = Path(name)
        try:
            reply = run("twofold.mlops.train.child", request, folder=folder, limits=limits)
        except (ChildFailed, InputError) as error:
            return Trained(run=replace(started, state=RunState.FAILED, error=error.message))
        artifact, holdout, reference = (
            blobs.add((folder / file).read_bytes()) for file in (ARTIFACT, HOLDOUT, PROFILE)
        )
    finished = replace(
        started,
        state=RunState.SUCCEEDED,
        metrics=reply["metrics"],
        environment_sha256=reply["environment_sha256"],
        artifact_sha256=artifact.rsplit("/", 1)[-1],
    )
    candidate = Candidate(
        model=definition.model,
        kind=ModelKind.SERVED,
        format=reply["format"],
        artifact=artifact,
        run=order.run,
        dataset=order.dataset.id,
        inputs=definition.inputs,
        outputs=definition.outputs,
        metrics=reply["metrics"],
        reference=reference,
        holdout=holdout,
        label=definition.label,
        owner=definition.owner,
        description=definition.title,
        tenant=order.tenant,
    )
    return Trained(run=finished, candidate=candidate)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
