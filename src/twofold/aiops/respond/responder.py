"""The responder: proposals, approvals and the rules that bind them. Acting itself is `execute`'s."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from twofold.aiops.respond.actions import Actions
from twofold.aiops.respond.approval import approval_hash as signed_hash_of
from twofold.aiops.respond.propose import best_remedy, build, suspect_values
from twofold.aiops.respond.switch import ENGAGED, KILL_SWITCH, RELEASED, halted, kill_switch
from twofold.aiops.respond.timeline import entry
from twofold.errors import Conflict, Denied, InputError, NotFound
from twofold.records.access import Setting
from twofold.records.diagnosis import Diagnosis
from twofold.records.frame import Lane
from twofold.records.incident import Incident, IncidentState, TimelineKind
from twofold.records.runbook import Execution, ExecutionState, Runbook, StepState
from twofold.store.ledger import Ledger

BUSY: Final = (ExecutionState.APPROVED, ExecutionState.RUNNING, ExecutionState.VERIFYING, ExecutionState.UNKNOWN)
ENDED: Final = (ExecutionState.SUCCEEDED, ExecutionState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponderConfig:
    """Rules for acting.

    Attributes:
        settle_s: A top suspect must stand this long in event time before a proposal replaces an earlier one.
    """

    settle_s: float = 10.0


class Responder:
    """Proposes, and takes approvals. Thread-safe: every change is one serialised ledger transaction.

    Args:
        clock: Wall clock; approvals and notices are the only ones who read it.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        runbooks: Sequence[Runbook],
        actions: Actions,
        config: ResponderConfig | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._runbooks = {runbook.id: runbook for runbook in runbooks}
        self._actions = actions
        self._config = config or ResponderConfig()
        self._clock = clock
        self._lock = threading.Lock()

    def runbooks(self) -> list[Runbook]:
        """All runbooks, by id."""
        return sorted(self._runbooks.values(), key=lambda runbook: runbook.id)

    def follow(self, records: Sequence[object], tenant: str, lane: Lane) -> None:
        """Propose for every new live diagnosis, withdraw for every end (a follower of the pipeline's sink)."""
        if lane is not Lane.LIVE:
            return
        for record in records:
            if isinstance(record, Incident) and record.state is IncidentState.RESOLVED:
                self.withdraw(record.id, "the incident is over", tenant)
            if isinstance(record, Diagnosis) and record.suspects:
                self.consider(record, tenant)

    def consider(self, diagnosis: Diagnosis, tenant: str) -> Execution | None:
        """Propose the best remedy, once per (runbook, targets); an older proposal that no longer fits is withdrawn."""
        with self._lock:
            incident = self._ledger.get(Incident, diagnosis.incident, tenant=tenant)
            if incident.state is IncidentState.RESOLVED or incident.backfilled:
                return None
            earlier = self._ledger.find(Execution, tenant=tenant, where={"incident": incident.id})
            if any(one.state in BUSY for one in earlier):
                return None
            now = self._clock()
            best = best_remedy(
                diagnosis,
                runbooks=list(self._runbooks.values()),
                actions=self._actions,
                ledger=self._ledger,
                now=now,
            )
            if best is None or any((one.runbook, one.targets) == (best.runbook, best.targets) for one in earlier):
                return None
            waiting = [one for one in earlier if one.state is ExecutionState.PROPOSED and one.requester == "twofold"]
            if any(now - one.created < timedelta(seconds=self._config.settle_s) for one in waiting):
                return None
            for one in waiting:
                self._end(one.id, tenant, ExecutionState.EXPIRED, f"superseded by {best.title}")
            self._ledger.put(best, entry(best, TimelineKind.PROPOSED, f"Proposed: {best.title}", now))
            return best

    def withdraw(self, incident: str, reason: str, tenant: str) -> None:
        """End what still waits for approval on an incident."""
        with self._lock:
            where = {"incident": incident, "state": ExecutionState.PROPOSED}
            for one in self._ledger.find(Execution, tenant=tenant, where=where):
                self._end(one.id, tenant, ExecutionState.EXPIRED, reason)

    def propose(
        self,
        *,
        runbook: str,
        incident: str,
        arguments: Mapping[str, Any],
        dry_run: bool,
        requester: str,
        tenant: str,
    ) -> Execution:
        """A person asks for a runbook; `arguments` names the `entity` to act on.

        A dry run is over at once: it says what each step would do.

        Raises:
            NotFound: No such runbook, incident, or declared target.
            InputError: No `entity` among the arguments.
        """
        self._ledger.get(Incident, incident, tenant=tenant)
        entity = arguments.get("entity")
        if not isinstance(entity, str) or not entity:
            raise InputError("arguments need `entity`: the id of what to act on", reason="bad_argument")
        found = self._runbook(runbook)
        now = self._clock()
        execution = build(
            found,
            suspect_values(entity, incident),
            incident=incident,
            actions=self._actions,
            now=now,
            tenant=tenant,
            requester=requester,
            dry_run=dry_run,
        )
        if dry_run:
            execution = self._rehearse(found, execution, now)
        what = "Dry run" if dry_run else "Requested"
        self._ledger.put(
            execution, entry(execution, TimelineKind.PROPOSED, f"{what}: {execution.title}", now, requester)
        )
        return execution

    def approve(self, execution: str, *, approval_hash: str, approver: str, tenant: str) -> Execution:
        """Approve what was signed, and nothing else. The worker starts it.

        Raises:
            NotFound: No such execution.
            Conflict: Not waiting, expired, changed since it was shown, target busy or cooling down.
            Denied: Requester and approver are the same person, or the kill switch is engaged.
        """
        with self._lock:
            now = self._clock()
            self._check(self._ledger.get(Execution, execution, tenant=tenant), approval_hash, approver, now)

            def approved(stored: Execution) -> Execution:
                if stored.state is not ExecutionState.PROPOSED:
                    raise Conflict(f"execution {stored.id} is {stored.state}, not proposed", state=stored.state)
                return replace(stored, state=ExecutionState.APPROVED, approver=approver, approved_at=now)

            result = self._ledger.update(Execution, execution, approved, tenant=tenant)
            self._ledger.put(entry(result, TimelineKind.APPROVED, f"Approved: {result.title}", now, approver))
            return result

    def reject(self, execution: str, *, reason: str, actor: str, tenant: str) -> Execution:
        """Decline a proposal. Raises `Conflict` when it is no longer waiting."""
        result = self._end(execution, tenant, ExecutionState.REJECTED, reason or "rejected")
        text = f"Rejected: {result.title}" + (f" ({reason})" if reason else "")
        self._ledger.put(entry(result, TimelineKind.REJECTED, text, self._clock(), actor))
        return result

    def decide(self, execution: str, *, step: str, outcome: StepState, actor: str, tenant: str) -> Execution:
        """A person says how a step of unknown outcome ended; the worker goes on from there.

        Raises:
            InputError: `outcome` is neither `succeeded` nor `failed`.
            Conflict: The step is not UNKNOWN.
        """
        if outcome not in (StepState.SUCCEEDED, StepState.FAILED):
            raise InputError(f"outcome {outcome.value!r} must be `succeeded` or `failed`", reason="bad_outcome")
        now = self._clock()

        def decided(stored: Execution) -> Execution:
            if not any(run.name == step and run.state is StepState.UNKNOWN for run in stored.steps):
                raise Conflict(f"step {step!r} of {stored.id} is not of unknown outcome", step=step)
            steps = tuple(
                replace(run, state=outcome, ended=now, output=f"{run.output}; {actor} says: {outcome}")
                if run.name == step
                else run
                for run in stored.steps
            )
            return replace(stored, steps=steps)

        result = self._ledger.update(Execution, execution, decided, tenant=tenant)
        self._ledger.put(entry(result, TimelineKind.STEP, f"{step}: {actor} says it {outcome}", now, actor, ref=step))
        return result

    def kill_switch(self, *, tenant: str) -> Setting | None:
        """The switch as last set; None when nobody ever touched it."""
        return kill_switch(self._ledger, tenant)

    def set_kill_switch(self, *, engaged: bool, actor: str, tenant: str) -> Setting:
        """Stop or allow every remedy, in every process: steps not yet begun do not begin."""
        setting = Setting(
            id=KILL_SWITCH, value=ENGAGED if engaged else RELEASED, changed=self._clock(), author=actor, tenant=tenant
        )
        self._ledger.put(setting)
        return setting

    def _check(self, execution: Execution, signed_hash: str, approver: str, now: datetime) -> None:
        if execution.state is not ExecutionState.PROPOSED:
            raise Conflict(f"execution {execution.id} is {execution.state}, not proposed", state=execution.state)
        if now >= execution.expires:
            raise Conflict(f"the proposal expired at {execution.expires.isoformat()}; request it again")
        if approver == execution.requester:
            raise Denied("requester and approver must be two people", requester=approver)
        if halted(self._ledger, execution.tenant):
            raise Denied("the kill switch is engaged: no execution may start")
        runbook = self._runbook(execution.runbook)
        current = signed_hash_of(
            runbook, execution.arguments, execution.targets, execution.expires, dry_run=execution.dry_run
        )
        if signed_hash != current or execution.approval_hash != current:
            raise Conflict("what was signed is not what would run: the runbook or its arguments changed; look again")
        if len(execution.targets) > runbook.blast_radius:
            raise Denied(
                f"{len(execution.targets)} targets are more than the runbook's limit of {runbook.blast_radius}"
            )
        for other in self._ledger.find(Execution, tenant=execution.tenant, limit=200):
            self._check_other(execution, runbook, other, now)

    @staticmethod
    def _check_other(execution: Execution, runbook: Runbook, other: Execution, now: datetime) -> None:
        if other.id == execution.id or not set(other.targets) & set(execution.targets) or other.dry_run:
            return
        if other.state in BUSY:
            raise Conflict(f"execution {other.id} already acts on {', '.join(other.targets)}", other=other.id)
        cooled = now - (other.ended or other.created) >= timedelta(seconds=runbook.cooldown_s)
        if other.state in ENDED and other.runbook == execution.runbook and not cooled:
            raise Conflict(
                f"{other.runbook} ran on {', '.join(other.targets)} less than {runbook.cooldown_s:g} s ago",
                other=other.id,
            )

    def _rehearse(self, runbook: Runbook, execution: Execution, now: datetime) -> Execution:
        filled = execution.arguments["steps"]
        steps = tuple(
            replace(
                run,
                state=StepState.SKIPPED,
                output=f"would {self._actions.get(step.action).describe(filled[step.name])}",
            )
            for run, step in zip(execution.steps, runbook.steps, strict=True)
        )
        return replace(
            execution, state=ExecutionState.SUCCEEDED, steps=steps, ended=now, result="dry run: nothing was done"
        )

    def _end(self, execution_id: str, tenant: str, state: ExecutionState, result: str) -> Execution:
        now = self._clock()

        def ended(stored: Execution) -> Execution:
            if stored.state is not ExecutionState.PROPOSED:
                raise Conflict(f"execution {stored.id} is {stored.state}, not proposed", state=stored.state)
            return replace(stored, state=state, result=result, ended=now)

        return self._ledger.update(Execution, execution_id, ended, tenant=tenant)

    def _runbook(self, runbook_id: str) -> Runbook:
        if runbook_id not in self._runbooks:
            raise NotFound(f"no runbook {runbook_id!r}; known: {sorted(self._runbooks)}", runbook=runbook_id)
        return self._runbooks[runbook_id]
