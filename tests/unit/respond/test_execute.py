"""An approved execution runs its steps, verifies by the incident's own signals, and tells the story."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from tests.unit.respond.conftest import Shop, alert, diagnosis
from twofold.aiops.respond.actions import Actions
from twofold.aiops.respond.execute import Executor, patience
from twofold.aiops.respond.responder import Responder
from twofold.aiops.respond.runbooks import load_runbooks
from twofold.errors import Unavailable
from twofold.flow.workflow import Json, StepFailed, StepInterrupted
from twofold.records.alert import AlertState
from twofold.records.incident import TimelineEntry
from twofold.records.runbook import Execution, ExecutionState, StepState
from twofold.records.slo import BURN
from twofold.store.ledger import Ledger


class PlainContext:
    """Runs steps at once; `cut` names a step that a crash cut off; `answers` are what people send, in order."""

    workflow_id = "w"

    def __init__(self, cut: str = "", *answers: Json) -> None:
        self._cut = cut
        self._answers = list(answers)

    def step(self, name: str, call: Callable[[], Json], *, idempotent: bool, timeout_s: float = 60.0) -> Json:  # noqa: ARG002 - the port's signature
        if name == self._cut:
            raise StepInterrupted(f"{name} was cut off")
        try:
            return call()
        except Exception as error:
            raise StepFailed(f"{type(error).__name__}: {error}") from error

    def receive(self, topic: str, timeout_s: float) -> Json | None:  # noqa: ARG002 - the port's signature
        return self._answers.pop(0) if self._answers else None

    def sleep(self, seconds: float) -> None:
        """Not used here."""


class Rig:
    """An approved rollback and what runs it."""

    def __init__(self, ledger: Ledger, actions: Actions) -> None:
        runbooks = load_runbooks([], actions)
        self.ledger = ledger
        self.audited: list[str] = []
        self.audit_fails = False
        self.responder = Responder(ledger, runbooks=runbooks, actions=actions)
        self.executor = Executor(ledger, runbooks={r.id: r for r in runbooks}, actions=actions, audit=self._audit)
        proposal = self.responder.consider(diagnosis(), "main")
        assert proposal is not None
        self.execution = self.responder.approve(
            proposal.id, approval_hash=proposal.approval_hash, approver="bob", tenant="main"
        )

    def _audit(self, tenant: str, actor: str, action: str, target: str, detail: Mapping[str, str]) -> None:
        if self.audit_fails:
            raise Unavailable("the audit record cannot be written")
        self.audited.append(f"{tenant} {actor} {action} {target} {detail['step']}")

    def run(self, context: PlainContext | None = None) -> Execution:
        self.executor.run(context or PlainContext(), {"execution": self.execution.id, "tenant": "main"})
        return self.ledger.get(Execution, self.execution.id, tenant="main")


@pytest.fixture
def rig(ledger: Ledger, actions: Actions) -> Rig:
    return Rig(ledger, actions)


def test_the_step_is_called_once_and_recovery_verified(rig: Rig, shop: Shop) -> None:
    def recover() -> None:
        time.sleep(0.3)
        rig.ledger.put(alert(AlertState.RESOLVED))

    recovery = threading.Thread(target=recover)
    recovery.start()
    done = rig.run()
    recovery.join()
    assert done.state is ExecutionState.SUCCEEDED
    assert "back in their bands" in done.result
    assert shop.calls == [("/rollback", f"{done.id}/roll back")]
    assert rig.audited == ["main bob runbook.step:deploy.rollback service:checkout roll back"]
    lines = [line.text for line in rig.ledger.find(TimelineEntry, tenant="main", newest_first=False)]
    assert lines[-2].startswith("roll back: succeeded")
    assert lines[-1] == done.result


def test_running_the_workflow_again_tells_nothing_twice(rig: Rig) -> None:
    rig.ledger.put(alert(AlertState.RESOLVED))
    rig.run()
    lines = len(rig.ledger.find(TimelineEntry, tenant="main"))
    rig.executor._tell(rig.execution, rig.executor._runbooks["rollback-deploy"].steps[0], StepState.SUCCEEDED, "x")
    rig.executor._finish(rig.execution.id, "main", ExecutionState.SUCCEEDED, "y")
    again = len(rig.ledger.find(TimelineEntry, tenant="main"))
    rig.executor._finish(rig.execution.id, "main", ExecutionState.SUCCEEDED, "y")
    assert len(rig.ledger.find(TimelineEntry, tenant="main")) == again == lines + 2


def test_no_audit_record_no_act(rig: Rig, shop: Shop) -> None:
    rig.audit_fails = True
    done = rig.run()
    assert done.state is ExecutionState.FAILED
    assert shop.calls == []


def test_a_failing_step_ends_the_execution(rig: Rig, shop: Shop) -> None:
    shop.status = 500
    done = rig.run()
    assert (done.state, done.steps[0].state) == (ExecutionState.FAILED, StepState.FAILED)
    assert "answered 500" in done.steps[0].output


@pytest.mark.parametrize(
    ("outcome", "state"), [("succeeded", ExecutionState.SUCCEEDED), ("failed", ExecutionState.FAILED)]
)
def test_a_cut_off_step_waits_for_a_person(rig: Rig, shop: Shop, outcome: str, state: ExecutionState) -> None:
    rig.ledger.put(alert(AlertState.RESOLVED))
    done = rig.run(PlainContext("roll back", {"step": "roll back", "outcome": outcome}))
    assert done.state is state
    assert shop.calls == [], "it is never silently run again"
    assert any("a person must look" in line.text for line in rig.ledger.find(TimelineEntry, tenant="main"))


def test_the_kill_switch_stops_a_step_that_has_not_begun(rig: Rig, shop: Shop) -> None:
    rig.responder.set_kill_switch(engaged=True, actor="ann", tenant="main")
    done = rig.run()
    assert (done.state, done.steps[0].state) == (ExecutionState.FAILED, StepState.SKIPPED)
    assert shop.calls == []


def test_an_execution_that_nobody_approved_does_not_run(rig: Rig, shop: Shop) -> None:
    rig.ledger.update(Execution, rig.execution.id, lambda e: replace(e, approver=""), tenant="main")
    assert rig.run().state is ExecutionState.FAILED
    assert shop.calls == []


def test_an_answer_about_another_step_is_not_taken_for_this_one(rig: Rig) -> None:
    """Decisions are sent at least once, so one about an earlier step may still wait in the queue."""
    rig.ledger.put(alert(AlertState.RESOLVED))
    stale, fresh = {"step": "drain", "outcome": "succeeded"}, {"step": "roll back", "outcome": "failed"}
    assert rig.run(PlainContext("roll back", stale, fresh)).state is ExecutionState.FAILED


def test_nobody_answers_for_a_day_and_the_execution_fails(rig: Rig) -> None:
    assert rig.run(PlainContext("roll back")).state is ExecutionState.FAILED


def test_what_a_person_decided_while_the_worker_was_down_stays(rig: Rig) -> None:
    """A recovered workflow tells its way again; that must not take the decision back."""
    rig.run(PlainContext("roll back"))
    rig.responder.decide(rig.execution.id, step="roll back", outcome=StepState.SUCCEEDED, actor="ann", tenant="main")
    rig.run(PlainContext("roll back", {"step": "roll back", "outcome": "succeeded"}))
    (step,) = rig.ledger.get(Execution, rig.execution.id, tenant="main").steps
    assert step.state is StepState.SUCCEEDED
    assert step.output.endswith("ann says: succeeded")


def test_a_call_that_may_have_arrived_is_unknown_not_failed(rig: Rig, shop: Shop) -> None:
    """After a timeout nobody knows; calling it a failure would invite to do it twice."""
    rig.ledger.put(alert(AlertState.RESOLVED))
    shop.before = lambda: time.sleep(1.5)
    done = rig.run(PlainContext("", {"step": "roll back", "outcome": "succeeded"}))
    assert done.state is ExecutionState.SUCCEEDED
    assert len(shop.calls) == 1
    assert any("its effect is not known" in line.text for line in rig.ledger.find(TimelineEntry, tenant="main"))


def test_a_budget_that_alone_burnt_is_given_time_until_its_window_is_clean() -> None:
    burns = replace(alert(AlertState.FIRING), signal=BURN)
    assert patience([burns], 120.0) == 2700.0
    assert patience([burns, alert(AlertState.FIRING)], 120.0) == 120.0
    assert patience([], 120.0) == 120.0
