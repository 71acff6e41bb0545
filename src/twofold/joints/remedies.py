"""Joint 4: remedies cross over. Rolling back and retraining a model are runbook actions like a restart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from twofold.errors import InputError, NotFound
from twofold.mlops.release.releases import Releases
from twofold.mlops.traffic import fold
from twofold.records.entity import DEFAULT_TENANT, EntityKind, entity_id
from twofold.records.model import ModelKind, Project, ReleaseStage, Run, RunState
from twofold.store.ledger import Ledger

Arguments = Mapping[str, Any]


def _model(arguments: Arguments) -> str:
    name = arguments.get("model")
    if not isinstance(name, str) or not name:
        raise InputError(f"a model action needs the argument `model`, got {name!r}", reason="bad_argument")
    return name.removeprefix("model:")


class RollbackModel:
    """Puts the version that was live before back.

    Args:
        approver: Name under which the release ledger notes it; the execution's own approver stands in its audit.
    """

    name = "model.rollback"

    def __init__(self, ledger: Ledger, *, approver: str = "runbook", tenant: str = DEFAULT_TENANT) -> None:
        self._releases = Releases(ledger)
        self._approver = approver
        self._tenant = tenant

    def targets(self, arguments: Arguments) -> tuple[str, ...]:
        """The model. Raises `NotFound` when nothing can be gone back to."""
        model = _model(arguments)
        if not self._back(model):
            raise NotFound(f"{model} has no version that was live before", model=model)
        return (entity_id(EntityKind.MODEL, model),)

    def describe(self, arguments: Arguments) -> str:
        """Which version would come back."""
        model = _model(arguments)
        return f"roll {model} back from {self._releases.live(model, tenant=self._tenant)} to {self._back(model)}"

    def run(self, arguments: Arguments, *, key: str) -> str:
        """Append the rollback to the release ledger; the data plane follows within a second."""
        model = _model(arguments)
        release = self._releases.rollback(
            model,
            version=self._releases.live(model, tenant=self._tenant),
            approver=self._approver,
            reason=f"runbook {key}",
            evidence=(key,),
            tenant=self._tenant,
        )
        return f"{model} {release.version} rolled back, {release.previous} answers"

    def check(self, arguments: Arguments) -> bool | None:
        """Whether the newest release is a rollback."""
        history = self._releases.history(_model(arguments), tenant=self._tenant)
        return bool(history) and history[-1].stage is ReleaseStage.ROLLED_BACK

    def _back(self, model: str) -> str:
        return fold(self._releases.history(model, tenant=self._tenant)).previous


class RetrainModel:
    """Asks the worker for a candidate; gates and people decide on its release."""

    name = "model.retrain"

    def __init__(
        self,
        ledger: Ledger,
        *,
        tenant: str = DEFAULT_TENANT,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._tenant = tenant
        self._clock = clock

    def targets(self, arguments: Arguments) -> tuple[str, ...]:
        """The model. Raises `NotFound` when no project trains it."""
        self._project(arguments)
        return (entity_id(EntityKind.MODEL, _model(arguments)),)

    def describe(self, arguments: Arguments) -> str:
        """Which project would train."""
        return f"train a candidate of {_model(arguments)} with project {self._project(arguments).id}"

    def run(self, arguments: Arguments, *, key: str) -> str:
        """Write the request; the same key again is the same run."""
        run = request_training(
            self._ledger, self._project(arguments), requester=f"runbook {key}", key=key, now=self._clock()
        )
        return f"training {run.id} asked for"

    def check(self, arguments: Arguments) -> bool | None:
        """Cannot be told from the model alone: other runs look the same."""
        self._project(arguments)
        return None

    def _project(self, arguments: Arguments) -> Project:
        found = self._ledger.find(Project, tenant=self._tenant, where={"model": _model(arguments)}, limit=1)
        if not found or found[0].kind is not ModelKind.SERVED:
            raise NotFound(f"no project trains {_model(arguments)}", model=_model(arguments))
        return found[0]


def request_training(
    ledger: Ledger,
    project: Project,
    *,
    requester: str,
    key: str,
    now: datetime,
    seed: int | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Run:
    """Note that a run is wanted; the worker takes it up. The same key gives the same run."""
    run_id = f"run-{hashlib.sha256(f'{project.tenant}|{project.id}|{key}'.encode()).hexdigest()[:16]}"
    try:
        return ledger.get(Run, run_id, tenant=project.tenant)
    except NotFound:
        run = Run(
            id=run_id,
            project=project.id,
            model=project.model,
            state=RunState.REQUESTED,
            started=now,
            seed=seed or 0,
            parameters=parameters or {},
            requester=requester,
            tenant=project.tenant,
        )
        ledger.put(run)
        return run
