"""The second process, niced: durable workflows (remedies, notices, training) and compaction.

It learns what to do from the ledger alone: an approved execution, a requested run, a new incident.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from twofold.aiops.respond import execute, notices
from twofold.aiops.respond.execute import Executor
from twofold.aiops.respond.notices import Notices
from twofold.app.logs import quiet_libraries
from twofold.app.remedies import remedies
from twofold.app.runtime import Spare
from twofold.app.stores import open_blobs, open_history
from twofold.config import Config, failpoint
from twofold.errors import NotFound, TwofoldError
from twofold.flow.outgoing import Outgoing
from twofold.flow.watch import Follower, Watch, read_cursor
from twofold.flow.workflow import Json, Workflows
from twofold.flow.workflow.dbos import DbosWorkflows, WorkflowConfig
from twofold.joints import backtests, tuning
from twofold.joints.backtests import Backtests
from twofold.joints.labels import snapshot_verdicts
from twofold.joints.outcomes import newly_judged
from twofold.joints.trust import APPROVER, Trusts
from twofold.joints.tuning import Tuning, ensure_project
from twofold.mlops import pipeline
from twofold.mlops.registry.projection import Projection
from twofold.mlops.registry.tracking import MlflowTracking
from twofold.mlops.release.canaries import Canaries
from twofold.records.alert import Alert
from twofold.records.backtest import Backtest, BacktestState
from twofold.records.diagnosis import Diagnosis
from twofold.records.incident import Incident
from twofold.records.model import ModelKind, Project, Release, ReleaseStage, Run, RunState
from twofold.records.runbook import Execution, ExecutionState, StepState
from twofold.store.catalog.files import FileCatalog
from twofold.store.failpoints import arm
from twofold.store.history import Table
from twofold.store.kept import KeptTraces
from twofold.store.ledger import Change, Ledger
from twofold.store.ledger.audit import append_audit
from twofold.store.ledger.sql import open_ledger
from twofold.store.retention import expire

log = logging.getLogger("twofold.worker")

_NICE: Final = 10
_COMPACT_S: Final = 300.0
_CANARY_S: Final = 10.0
_ORPHAN_S: Final = 12.0


class Worker:
    """Takes up what the ledger asks for."""

    def __init__(self, config: Config) -> None:
        home = config.home
        self.ledger = open_ledger(home / "ledger.sqlite")
        self.blobs = open_blobs(config)
        self.history = open_history(config)
        self.retention = config.retention
        self.kept = KeptTraces(self.ledger, self.history, self.blobs)
        runbooks, actions = remedies(config, self.ledger)
        self.workflows = DbosWorkflows(
            WorkflowConfig(url=f"sqlite:///{home / 'workflows.sqlite'}"), lease=home / "worker.lock"
        )
        executor = Executor(
            self.ledger, runbooks={r.id: r for r in runbooks}, actions=actions, audit=_auditor(self.ledger)
        )
        channels = config.respond.channels
        outgoing = Outgoing(trusted=[channel.url for channel in channels], config=config.respond.outgoing)
        self.foretelling = any(channel.predictions for channel in channels)
        base_url = f"http://{config.http.host}:{config.http.port}"
        self.notices = Notices(channels, outgoing, base_url=base_url, config=config.respond.notices)
        tracking = MlflowTracking.on_disk(home)
        training = pipeline.Pipeline(self.ledger, self.blobs, history=self.history, tracking=tracking)
        self.catalog = FileCatalog(home / "catalog", lazy=True)
        replays = Backtests(
            self.ledger,
            self.blobs,
            self.history,
            self.catalog,
            correlate=config.correlate,
            lateness_s=config.lateness_s,
            joint=config.joint,
        )
        self.workflows.register(execute.NAME, executor.run)
        self.workflows.register(notices.NAME, self.notices.run)
        self.workflows.register(pipeline.NAME, training.run)
        self.workflows.register(backtests.NAME, replays.run)
        self.workflows.register(tuning.NAME, Tuning(self.ledger, self.blobs, replays).run)
        ensure_project(self.ledger)
        for folder in config.models.projects:
            _, wrong = pipeline.register_projects(self.ledger, folder)
            for reason in wrong:
                log.warning("a project is left out: %s", reason)
        self.trusts = Trusts(self.ledger, config.detectors.trust)
        self.canaries = Canaries(self.ledger, self.history)
        self.watches = [
            self._watch("worker", self.follow),
            self._watch("projection", Projection(self.ledger, tracking).follow),  # slow, so it waits for nobody
        ]

    def follow(self, changes: Sequence[Change]) -> None:
        """Start what these writes ask for; all starts are idempotent by id."""
        for change in changes:
            if change.table == "executions":
                self._execution(self.ledger.get(Execution, change.id, tenant=change.tenant))
            elif change.table == "runs":
                self._run(self.ledger.get(Run, change.id, tenant=change.tenant))
            elif change.table == "backtests":
                self._backtest(self.ledger.get(Backtest, change.id, tenant=change.tenant))
            elif change.table == "incidents":
                self._incident(self.ledger.get(Incident, change.id, tenant=change.tenant))
            elif change.table == "alerts" and self.foretelling:
                self.notices.foretell(self.workflows, self.ledger.get(Alert, change.id, tenant=change.tenant))
            elif change.table == "releases":
                self._release(self.ledger.get(Release, change.id, tenant=change.tenant))
        for tenant in {change.tenant for change in changes if change.table in {"diagnoses", "findings"}}:
            self.kept.note(tenant)
        self._learn(changes)

    def _learn(self, changes: Sequence[Change]) -> None:
        """Verdicts become a dataset; what they and time say of live versions may take one back."""
        for tenant in {change.tenant for change in changes if change.table == "verdicts"}:
            snapshot_verdicts(self.ledger, self.blobs, tenant=tenant)
        for tenant in newly_judged(self.ledger, changes):
            self.trusts.check(tenant=tenant)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        self.workflows.launch()
        for watch in self.watches:
            watch.start()
        compact_at = time.monotonic() + _COMPACT_S
        expire_at = time.monotonic() + _COMPACT_S
        while not stop.wait(_CANARY_S):
            _patiently("canaries", self.canaries.check)
            if time.monotonic() >= compact_at:
                compact_at = time.monotonic() + _COMPACT_S
                _patiently("compaction", self.history.compact)
                Spare(from_bytes=0, most_bytes=0).give_back()
            if time.monotonic() >= expire_at:
                expire_at = time.monotonic() + self.retention.every_s
                _patiently("retention", self._expire)
        for watch in self.watches:
            watch.stop()
        self.workflows.close()
        self.history.close()
        self.ledger.close()

    def _expire(self) -> None:
        """Let go what is past its time, but for the traces that are cited."""

        def letting_go(table: Table, before_ns: int) -> None:
            if table is Table.SPANS:
                self.kept.keep(before_ns)

        expire(self.history, self.retention, now_ns=time.time_ns(), letting_go=letting_go)

    def _watch(self, name: str, follower: Follower) -> Watch:
        cursor = f"cursors/{name}"
        return Watch(
            self.ledger,
            [follower],
            after=read_cursor(self.blobs, cursor),
            save=lambda seq: self.blobs.put(cursor, str(seq).encode()),
        )

    def _execution(self, execution: Execution) -> None:
        if execution.dry_run:
            return
        if execution.state is ExecutionState.APPROVED:
            arguments = {"execution": execution.id, "tenant": execution.tenant}
            self.workflows.start(execute.NAME, execution.id, arguments)
        elif execution.state is ExecutionState.UNKNOWN:
            _answer(self.workflows, execution)

    def _run(self, run: Run) -> None:
        if run.state is not RunState.REQUESTED:
            return
        if self.ledger.get(Project, run.project, tenant=run.tenant).kind is ModelKind.DETECTOR:
            self.catalog.refresh()
            self.workflows.start(tuning.NAME, run.id, {"run": run.id, "tenant": run.tenant})
        else:
            arguments: dict[str, Json] = {"project": run.project, "tenant": run.tenant, "approver": run.requester}
            arguments |= {"release": True, "parameters": {name: _value(text) for name, text in run.parameters.items()}}
            if run.seed:
                arguments["seed"] = run.seed
            self.workflows.start(pipeline.NAME, run.id, arguments)

    def _backtest(self, backtest: Backtest) -> None:
        if backtest.state is BacktestState.REQUESTED:
            self.catalog.refresh()
            arguments = {"backtest": backtest.id, "tenant": backtest.tenant}
            self.workflows.start(backtests.NAME, backtest.id, arguments)

    def _release(self, release: Release) -> None:
        """A version that we took back ourselves is told of: nobody may have been looking."""
        if release.stage is ReleaseStage.ROLLED_BACK and release.approver == APPROVER:
            self.notices.taken_back(self.workflows, release)

    def _incident(self, incident: Incident) -> None:
        try:
            diagnosis = self.ledger.get(Diagnosis, incident.id, tenant=incident.tenant)
        except NotFound:
            diagnosis = None
        self.notices.tell(self.workflows, incident, diagnosis)


def run(config: Config) -> None:
    """Work until SIGTERM or the first process is gone. Raises `Conflict` when another worker holds the folder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    quiet_libraries()
    os.nice(_NICE)
    arm(failpoint())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_with_parent, args=(stop,), daemon=True).start()
    Worker(config).run(stop)
    logging.shutdown()
    os._exit(0)  # threads of steps that wait or poll would hold the interpreter; they go on at the next start


def _with_parent(stop: threading.Event) -> None:
    """The first process holds the other end of standard input: its end, however it came, is ours.

    A step that does not end in time is cut off like by a crash: the next worker needs the lease, and knows what to do.
    """
    while os.read(0, 1024):  # not the buffered reader: it would hold its lock when the interpreter ends
        pass
    stop.set()
    time.sleep(_ORPHAN_S)
    os._exit(1)


def _patiently(what: str, work: Callable[[], object]) -> None:
    """Chores that are tried again at the next round."""
    try:
        work()
    except TwofoldError:
        log.exception("%s failed and is tried again later", what)


def _value(text: str) -> Json:
    """A parameter as its text says: a number, a truth value, a list; what is no JSON is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _auditor(ledger: Ledger) -> execute.Audit:
    def audit(tenant: str, actor: str, action: str, target: str, detail: Mapping[str, str]) -> None:
        append_audit(ledger, actor=actor, action=action, target=target, tenant=tenant, detail=detail)

    return audit


def _answer(workflows: Workflows, execution: Execution) -> None:
    """A person's decision on a step of unknown outcome, sent once: later ones find no one waiting."""
    for step in execution.steps:
        decided = step.state in (StepState.SUCCEEDED, StepState.FAILED)
        if decided and " says: " in step.output:
            workflows.send(execution.id, execute.DECISION, {"step": step.name, "outcome": step.state.value})
