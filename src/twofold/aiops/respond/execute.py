"""The durable workflow that runs an approved execution, step by step, and verifies recovery.

Runs in the worker process. Everything that decides the way is read inside a recorded step, so a
recovered workflow takes the same way; a step with an effect runs at most once unless it is declared
idempotent (promise P3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from twofold.aiops.respond.actions import Actions
from twofold.aiops.respond.approval import approval_hash
from twofold.aiops.respond.switch import halted
from twofold.aiops.respond.timeline import entry, note
from twofold.errors import Unavailable
from twofold.flow.workflow import Context, Json, StepFailed, StepInterrupted
from twofold.records.alert import Alert, AlertState
from twofold.records.incident import Incident, IncidentState, TimelineKind
from twofold.records.runbook import Execution, ExecutionState, Runbook, Step, StepRun, StepState
from twofold.records.slo import BURN, SLOW_BURN
from twofold.store.ledger import Ledger

NAME: Final = "runbook"
DECISION: Final = "decision"
_DECIDE_S: Final = 24 * 3600.0
_POLL_S: Final = 1.0
_BURN_S: Final = 2700.0

_ORDER: Final = (
    StepState.PENDING,
    StepState.RUNNING,
    StepState.UNKNOWN,
    StepState.SKIPPED,
    StepState.FAILED,
    StepState.SUCCEEDED,
)
"""A step only goes on: a recovered workflow tells its way again, and a person may have decided meanwhile."""

Audit = Callable[[str, str, str, str, Mapping[str, str]], None]
"""(tenant, actor, action, target, detail) -> None; raises when the record cannot be written: then nothing is done."""


class Executor:
    """The workflow over a ledger and a registry of actions.

    Args:
        audit: Called before every act; if it raises, the act does not happen.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        runbooks: Mapping[str, Runbook],
        actions: Actions,
        audit: Audit,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._runbooks = runbooks
        self._actions = actions
        self._audit = audit
        self._clock = clock

    def run(self, context: Context, arguments: Mapping[str, Json]) -> Json:
        """The workflow `runbook`: arguments `execution` and `tenant`. Returns the final state."""
        key, tenant = arguments["execution"], arguments["tenant"]
        refusal = context.step("check approval", lambda: self._refusal(key, tenant), idempotent=True)
        if refusal:
            return self._finish(key, tenant, ExecutionState.FAILED, refusal)
        execution = self._ledger.get(Execution, key, tenant=tenant)
        runbook = self._runbooks[execution.runbook]
        self._set(key, tenant, state=ExecutionState.RUNNING)
        for step in runbook.steps:
            problem = self._step(context, execution, step)
            if problem:
                return self._finish(key, tenant, ExecutionState.FAILED, problem)
        self._set(key, tenant, state=ExecutionState.VERIFYING)
        within_s = runbook.verify.within_s
        verified = context.step(
            "verify",
            lambda: self._verify(execution, within_s),
            idempotent=True,
            timeout_s=max(within_s, _BURN_S) + 60,
        )
        if not verified["recovered"]:
            return self._finish(key, tenant, ExecutionState.FAILED, verified["text"], TimelineKind.VERIFIED)
        return self._finish(key, tenant, ExecutionState.SUCCEEDED, verified["text"], TimelineKind.VERIFIED)

    def _refusal(self, key: str, tenant: str) -> str:
        execution = self._ledger.get(Execution, key, tenant=tenant)
        runbook = self._runbooks.get(execution.runbook)
        if runbook is None:
            return f"runbook {execution.runbook} is gone"
        if execution.state not in (ExecutionState.APPROVED, ExecutionState.RUNNING):
            return f"execution is {execution.state}, not approved"
        signed = approval_hash(
            runbook, execution.arguments, execution.targets, execution.expires, dry_run=execution.dry_run
        )
        if signed != execution.approval_hash:
            return "the runbook changed after it was approved"
        if not execution.approver or execution.approver == execution.requester:
            return "requester and approver must be two people"
        if self._clock() >= execution.expires:
            return f"the approval expired at {execution.expires.isoformat()}"
        return ""

    def _step(self, context: Context, execution: Execution, step: Step) -> str:
        """Run one step; returns what went wrong, or nothing."""
        action = self._actions.get(step.action)
        filled: Mapping[str, Any] = execution.arguments["steps"][step.name]

        def act() -> Json:
            if halted(self._ledger, execution.tenant):
                return {"halted": "the kill switch was engaged"}
            self._audit(
                execution.tenant,
                execution.approver,
                f"runbook.step:{step.action}",
                ", ".join(execution.targets),
                {"execution": execution.id, "step": step.name, "incident": execution.incident},
            )
            try:
                return {"output": action.run(filled, key=f"{execution.id}/{step.name}")}
            except Unavailable as error:
                if step.idempotent or not error.facts.get("sent"):
                    raise
                return {"unclear": error.message}  # it may have arrived: no failure that one may just repeat

        self._tell(execution, step, StepState.RUNNING, "")
        try:
            result = context.step(step.name, act, idempotent=step.idempotent, timeout_s=step.timeout_s)
        except StepFailed as error:
            return self._tell(execution, step, StepState.FAILED, str(error))
        except StepInterrupted as error:
            return self._unknown(context, execution, step, str(error))
        if "unclear" in result:
            return self._unknown(context, execution, step, result["unclear"])
        if "halted" in result:
            return self._tell(execution, step, StepState.SKIPPED, result["halted"])
        self._tell(execution, step, StepState.SUCCEEDED, result["output"])
        return ""

    def _unknown(self, context: Context, execution: Execution, step: Step, why: str) -> str:
        """A step of unclear effect: ask the world read-only, then a person.

        Only an answer about this very step counts: an answer about an earlier one may come twice.
        """
        action = self._actions.get(step.action)
        filled = execution.arguments["steps"][step.name]
        done = context.step(f"{step.name}:check", lambda: action.check(filled), idempotent=True)
        if done is True:
            self._tell(execution, step, StepState.SUCCEEDED, f"{why}; its check says that it took effect")
            return ""
        self._tell(execution, step, StepState.UNKNOWN, f"{why}; its effect is not known, a person must look")
        self._set(execution.id, execution.tenant, state=ExecutionState.UNKNOWN)
        answer = context.receive(DECISION, _DECIDE_S)
        while answer is not None and answer["step"] != step.name:
            answer = context.receive(DECISION, _DECIDE_S)
        outcome = StepState.FAILED if answer is None else StepState(answer["outcome"])
        if outcome is StepState.SUCCEEDED:
            self._set(execution.id, execution.tenant, state=ExecutionState.RUNNING)
            return ""
        return f"step {step.name!r} was cut off and judged failed"

    def _verify(self, execution: Execution, within_s: float) -> Json:
        """Recovered when no alert of the incident on a target, and none opened by the fault, still fires."""
        begun = time.monotonic()
        while True:
            incident = self._ledger.get(Incident, execution.incident, tenant=execution.tenant)
            alerts = self._ledger.find(Alert, tenant=execution.tenant, where={"incident": incident.id}, limit=1000)
            firing = [alert for alert in alerts if alert.state is not AlertState.RESOLVED]
            if not firing or incident.state is IncidentState.RESOLVED:
                return {"recovered": True, "text": f"Recovered: all {len(alerts)} signals are back in their bands"}
            patience_s = patience(alerts, within_s)
            if time.monotonic() >= begun + patience_s:
                names = ", ".join(sorted({f"{alert.entity} {alert.signal}" for alert in firing})[:3])
                return {"recovered": False, "text": f"Not recovered within {patience_s:g} s: still firing {names}"}
            time.sleep(_POLL_S)

    def _tell(self, execution: Execution, step: Step, state: StepState, output: str) -> str:
        now = self._clock()

        def told(run: StepRun) -> StepRun:
            if run.name != step.name or _ORDER.index(run.state) > _ORDER.index(state):
                return run
            ended = None if state in (StepState.RUNNING, StepState.UNKNOWN) else now
            return replace(run, state=state, started=run.started or now, ended=ended, output=output or run.output)

        self._ledger.update(
            Execution,
            execution.id,
            lambda stored: replace(stored, steps=tuple(told(run) for run in stored.steps)),
            tenant=execution.tenant,
        )
        if state is not StepState.RUNNING:
            text = f"{step.name}: {state}" + (f" ({output})" if output else "")
            note(self._ledger, entry(execution, TimelineKind.STEP, text, now, ref=step.name))
        return output

    def _set(
        self, key: str, tenant: str, *, state: ExecutionState, result: str = "", ended: datetime | None = None
    ) -> Execution:
        return self._ledger.update(
            Execution, key, lambda stored: replace(stored, state=state, result=result, ended=ended), tenant=tenant
        )

    def _finish(
        self, key: str, tenant: str, state: ExecutionState, result: str, kind: TimelineKind = TimelineKind.STEP
    ) -> Json:
        now = self._clock()
        execution = self._set(key, tenant, state=state, result=result, ended=now)
        note(self._ledger, entry(execution, kind, result, now, ref="result"))
        return {"state": state.value, "result": result}


def patience(alerts: Sequence[Alert], within_s: float) -> float:
    """How long to wait for recovery: where only error budgets tell of trouble, until their windows can be clean."""
    burns = bool(alerts) and all(alert.signal in (BURN, SLOW_BURN) for alert in alerts)
    return max(within_s, _BURN_S) if burns else within_s
