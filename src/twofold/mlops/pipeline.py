"""The way of a project as one durable workflow, readable in one place.

    snapshot → train → gate → register → track → release to shadow (where asked)

It alone calls the stages, which never call each other. Every step's result is JSON, so a crash
goes on after the last finished step; every step is idempotent, so the one cut off runs again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from twofold.errors import ConfigError, Conflict, InputError
from twofold.flow.workflow import Context, Json
from twofold.mlops.child import Limits
from twofold.mlops.data.snapshot import materialise, snapshot_files, snapshot_table
from twofold.mlops.gate.gates import gates
from twofold.mlops.gate.judge import judge
from twofold.mlops.project import Definition, discover, read
from twofold.mlops.registry.registry import Registry
from twofold.mlops.registry.tracking import NullTracking, Tracking
from twofold.mlops.release.releases import Releases
from twofold.mlops.train.trainer import Order, train
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import (
    Candidate,
    DatasetVersion,
    Field,
    GateResult,
    ModelKind,
    Project,
    ReleaseStage,
    Run,
    RunState,
)
from twofold.store.blobs import Blobs
from twofold.store.history import History, Table
from twofold.store.ledger import Ledger

NAME: Final = "train"
"""Name under which the workflow is registered. Its id is the run's id."""


def utc_now() -> datetime:
    """The wall clock: training is an act, not a stage."""
    return datetime.now(UTC)


def register_project(ledger: Ledger, folder: Path, *, tenant: str = DEFAULT_TENANT) -> Project:
    """Read a project's folder, check all that it declares, and note it in the ledger.

    Raises:
        ConfigError: Something in it is wrong; names file, key and value.
    """
    definition = read(folder)
    gates(definition.gates)
    project = definition.record(tenant)
    ledger.put(project)
    return project


def register_projects(ledger: Ledger, root: Path, *, tenant: str = DEFAULT_TENANT) -> tuple[list[Project], list[str]]:
    """Register every project directly below a folder; the second list says what is wrong with the others."""
    found, wrong = discover(root)
    projects: list[Project] = []
    reasons = [error.message for error in wrong]
    for definition in found:
        try:
            projects.append(register_project(ledger, definition.folder, tenant=tenant))
        except ConfigError as error:
            reasons.append(error.message)
    return projects, reasons


class Pipeline:
    """Trains projects. `run` is the workflow function.

    Its arguments are JSON: `project` (id), `tenant`, and where wanted `seed`, `parameters`, `approver` (who asked
    for it) and `release` (true: to shadow if the gates passed; a shadow answers nobody). It answers `{run, state,
    error, dataset, version, gates_passed, release}`.
    """

    def __init__(
        self,
        ledger: Ledger,
        blobs: Blobs,
        *,
        history: History | None = None,
        tracking: Tracking | None = None,
        limits: Limits | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._history = history
        self._tracking = tracking or NullTracking()
        self._limits = limits or Limits()
        self._now = now
        self._registry = Registry(ledger, blobs, now)
        self._releases = Releases(ledger, now)

    def run(self, context: Context, arguments: Mapping[str, Json]) -> Json:
        """The workflow. User code that fails is a failed run in the answer, not an exception.

        Raises:
            NotFound: No such project.
            ConfigError: Its folder no longer holds a valid project.
        """
        tenant = str(arguments.get("tenant", DEFAULT_TENANT))
        run_id = context.workflow_id
        wall_s = self._limits.wall_s
        dataset = context.step(
            "snapshot", lambda: self._snapshot(arguments, run_id, tenant), idempotent=True, timeout_s=600
        )
        if dataset["error"]:
            return _answer(run_id, error=dataset["error"])
        trained = context.step(
            "train",
            lambda: self._train(arguments, run_id, dataset["id"], tenant),
            idempotent=True,
            timeout_s=wall_s + 60,
        )
        if trained["error"]:
            return _answer(run_id, dataset=dataset["id"], error=trained["error"])
        results = context.step(
            "gate", lambda: self._gate(arguments, trained["candidate"], tenant), idempotent=True, timeout_s=wall_s + 60
        )
        passed = bool(results) and all(result["passed"] for result in results)
        version = context.step(
            "register", lambda: self._register(trained["candidate"], results, tenant), idempotent=True
        )
        context.step("track", lambda: self._track(run_id, version, tenant), idempotent=True, timeout_s=120)
        release = ""
        if arguments.get("release") and arguments.get("approver") and passed:
            release = context.step("release", lambda: self._release(arguments, version, tenant), idempotent=True)
        return _answer(run_id, dataset=dataset["id"], version=version, gates_passed=passed, release=release)

    def _definition(self, arguments: Mapping[str, Json], tenant: str) -> Definition:
        project = self._ledger.get(Project, str(arguments["project"]), tenant=tenant)
        return read(Path(project.path))

    def _snapshot(self, arguments: Mapping[str, Json], run_id: str, tenant: str) -> Json:
        definition = self._definition(arguments, tenant)
        try:
            version = self._taken(definition, tenant)
        except InputError as error:
            requester = str(arguments.get("approver", ""))
            self._ledger.put(_refused(definition, run_id, self._now(), error.message, requester, tenant))
            return {"id": "", "error": error.message}
        known = self._ledger.find(DatasetVersion, tenant=tenant, where={"id": version.id}, limit=1)
        if not known:
            self._ledger.put(version)
        return {"id": version.id, "error": ""}

    def _taken(self, definition: Definition, tenant: str) -> DatasetVersion:
        source = definition.dataset
        if source.path is not None:
            return snapshot_files(source.name, source.path, self._blobs, now=self._now(), tenant=tenant)
        if self._history is None or source.table not in set(Table):
            raise InputError(
                f"dataset {source.name}: table {source.table!r} cannot be read here; tables are {', '.join(Table)}",
                reason="table",
            )
        reference = self._history.pin(Table(source.table))
        rows = self._history.pinned(reference, source.query, tenant=tenant)
        return snapshot_table(source.name, rows, self._blobs, now=self._now(), source=reference, tenant=tenant)

    def _train(self, arguments: Mapping[str, Json], run_id: str, dataset_id: str, tenant: str) -> Json:
        definition = self._definition(arguments, tenant)
        dataset = self._ledger.get(DatasetVersion, dataset_id, tenant=tenant)
        with tempfile.TemporaryDirectory(prefix="twofold-data-") as name:
            order = Order(
                run=run_id,
                definition=definition,
                dataset=dataset,
                data=materialise(dataset, self._blobs, Path(name)),
                started=self._now(),
                seed=arguments.get("seed"),
                parameters=arguments.get("parameters") or {},
                requester=str(arguments.get("approver", "")),
                tenant=tenant,
            )
            self._ledger.put(order.record())
            trained = train(order, self._blobs, self._limits)
        self._ledger.put(replace(trained.run, ended=self._now()))
        return {
            "error": trained.run.error,
            "candidate": asdict(trained.candidate) if trained.candidate else None,
        }

    def _gate(self, arguments: Mapping[str, Json], candidate: Json, tenant: str) -> Json:
        definition = self._definition(arguments, tenant)
        number = self._releases.live(definition.model, tenant=tenant)
        live = self._registry.version(definition.model, number, tenant=tenant) if number else None
        results = judge(definition.gates, _candidate(candidate), self._blobs, live=live, limits=self._limits)
        return [asdict(result) for result in results]

    def _register(self, candidate: Json, results: Json, tenant: str) -> Json:
        made = replace(_candidate(candidate), tenant=tenant)
        return self._registry.register(made, [GateResult(**result) for result in results]).version

    def _track(self, run_id: str, version: str, tenant: str) -> Json:
        """Copy the run to the tracker. It keeps copies only, so its failure is noted and stops nothing."""
        run = self._ledger.get(Run, run_id, tenant=tenant)
        registered = self._registry.version(run.model, version, tenant=tenant)
        reference = self._tracking.log(run, registered, self._registry.artifact(registered))
        if reference:
            self._ledger.update(Run, run_id, lambda kept: replace(kept, tracking_ref=reference), tenant=tenant)
        return reference

    def _release(self, arguments: Mapping[str, Json], version: str, tenant: str) -> Json:
        definition = self._definition(arguments, tenant)
        try:
            made = self._releases.release(
                definition.model,
                version,
                ReleaseStage.SHADOW,
                approver=str(arguments.get("approver", "")),
                reason="trained and all gates passed",
                tenant=tenant,
            )
        except Conflict:  # a crash cut the first try off after its entry was written
            known = [one for one in self._releases.history(definition.model, tenant=tenant) if one.version == version]
            if not known:
                raise
            return known[-1].id
        return made.id


def _answer(run_id: str, **found: Any) -> dict[str, Any]:
    blank = {"dataset": "", "version": "", "gates_passed": False, "release": "", "error": ""}
    state = RunState.FAILED if found.get("error") else RunState.SUCCEEDED
    return {"run": run_id, "state": state.value, **blank, **found}


def _candidate(loaded: Mapping[str, Any]) -> Candidate:
    """The candidate as a step's JSON kept it."""
    fields = {name: tuple(Field(**one) for one in loaded[name]) for name in ("inputs", "outputs")}
    return Candidate(**{**loaded, **fields, "kind": ModelKind(loaded["kind"])})


def _refused(definition: Definition, run_id: str, now: datetime, error: str, requester: str, tenant: str) -> Run:
    return Run(
        id=run_id,
        project=definition.name,
        model=definition.model,
        state=RunState.FAILED,
        started=now,
        ended=now,
        error=error,
        requester=requester,
        tenant=tenant,
    )
