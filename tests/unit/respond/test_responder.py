"""Who may start what, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.unit.respond.conftest import NOW, Shop, diagnosis
from twofold.aiops.respond.actions import Actions
from twofold.aiops.respond.responder import Responder
from twofold.aiops.respond.runbooks import load_runbooks
from twofold.errors import Conflict, Denied, InputError, NotFound
from twofold.records.frame import Lane
from twofold.records.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from twofold.records.runbook import Execution, ExecutionState, StepState
from twofold.store.ledger import Ledger


@pytest.fixture
def now() -> list[datetime]:
    return [NOW]


@pytest.fixture
def responder(ledger: Ledger, actions: Actions, now: list[datetime]) -> Responder:
    clock: Callable[[], datetime] = lambda: now[0]  # noqa: E731 - a clock that the test turns
    return Responder(ledger, runbooks=load_runbooks([], actions), actions=actions, clock=clock)


def _proposed(responder: Responder) -> Execution:
    found = responder.consider(diagnosis(), "main")
    assert found is not None
    return found


def test_a_bad_deploy_proposes_its_rollback_once(responder: Responder, ledger: Ledger) -> None:
    responder.follow([diagnosis()], "main", Lane.LIVE)
    responder.follow([diagnosis()], "main", Lane.LIVE)
    (execution,) = ledger.find(Execution, tenant="main")
    assert execution.runbook == "rollback-deploy"
    assert execution.targets == ("service:checkout",)
    kinds = [line.kind for line in ledger.find(TimelineEntry, tenant="main", where={"incident": "inc-1"})]
    assert kinds == [TimelineKind.PROPOSED]


def test_without_a_change_the_service_is_restarted(responder: Responder) -> None:
    found = responder.consider(diagnosis(change=""), "main")
    assert found is not None
    assert found.runbook == "restart-service"


def test_nothing_is_proposed_for_what_the_inventory_does_not_declare(responder: Responder) -> None:
    assert responder.consider(diagnosis(entity="service:catalog"), "main") is None


def test_a_drifting_feature_proposes_its_data_rollback(responder: Responder) -> None:
    found = responder.consider(diagnosis(entity="feature:recommender/price", change=""), "main")
    assert found is not None
    assert found.runbook == "rollback-data"


def test_backfilled_diagnoses_propose_nothing(responder: Responder, ledger: Ledger) -> None:
    responder.follow([diagnosis()], "main", Lane.BACKFILL)
    assert ledger.find(Execution, tenant="main") == []


def test_a_changed_suspect_replaces_the_proposal_after_it_settled(
    responder: Responder, ledger: Ledger, now: list[datetime]
) -> None:
    first = _proposed(responder)
    other = diagnosis(change="")
    assert responder.consider(other, "main") is None, "too soon"
    now[0] += timedelta(seconds=11)
    second = responder.consider(other, "main")
    assert second is not None
    assert ledger.get(Execution, first.id, tenant="main").state is ExecutionState.EXPIRED


def test_the_approver_must_not_be_the_requester(responder: Responder) -> None:
    mine = responder.propose(
        runbook="restart-service",
        incident="inc-1",
        arguments={"entity": "service:checkout"},
        dry_run=False,
        requester="ann",
        tenant="main",
    )
    with pytest.raises(Denied, match="two people"):
        responder.approve(mine.id, approval_hash=mine.approval_hash, approver="ann", tenant="main")
    approved = responder.approve(mine.id, approval_hash=mine.approval_hash, approver="bob", tenant="main")
    assert (approved.state, approved.approver) == (ExecutionState.APPROVED, "bob")


def test_only_what_was_signed_is_approved(responder: Responder, ledger: Ledger) -> None:
    """Other arguments under the same id void the approval, also when the stored hash was changed with them."""
    execution = _proposed(responder)
    with pytest.raises(Conflict, match="not what would run"):
        responder.approve(execution.id, approval_hash="0" * 64, approver="bob", tenant="main")
    ledger.put(replace(execution, targets=("service:payment",)))
    with pytest.raises(Conflict, match="not what would run"):
        responder.approve(execution.id, approval_hash=execution.approval_hash, approver="bob", tenant="main")


def test_an_expired_proposal_cannot_be_approved(responder: Responder, now: list[datetime]) -> None:
    execution = _proposed(responder)
    now[0] = execution.expires
    with pytest.raises(Conflict, match="expired"):
        responder.approve(execution.id, approval_hash=execution.approval_hash, approver="bob", tenant="main")


def test_the_kill_switch_stops_approvals(responder: Responder) -> None:
    execution = _proposed(responder)
    responder.set_kill_switch(engaged=True, actor="ann", tenant="main")
    with pytest.raises(Denied, match="kill switch"):
        responder.approve(execution.id, approval_hash=execution.approval_hash, approver="bob", tenant="main")
    responder.set_kill_switch(engaged=False, actor="ann", tenant="main")
    responder.approve(execution.id, approval_hash=execution.approval_hash, approver="bob", tenant="main")


def test_a_target_is_acted_on_by_one_execution_at_a_time_and_then_cools_down(
    responder: Responder, ledger: Ledger, now: list[datetime]
) -> None:
    first = _proposed(responder)
    responder.approve(first.id, approval_hash=first.approval_hash, approver="bob", tenant="main")
    second = responder.propose(
        runbook="rollback-deploy",
        incident="inc-1",
        arguments={"entity": "service:checkout"},
        dry_run=False,
        requester="ann",
        tenant="main",
    )
    with pytest.raises(Conflict, match="already acts"):
        responder.approve(second.id, approval_hash=second.approval_hash, approver="bob", tenant="main")
    ledger.update(
        Execution, first.id, lambda e: replace(e, state=ExecutionState.SUCCEEDED, ended=now[0]), tenant="main"
    )
    with pytest.raises(Conflict, match="less than 300 s ago"):
        responder.approve(second.id, approval_hash=second.approval_hash, approver="bob", tenant="main")
    now[0] += timedelta(seconds=301)
    responder.approve(second.id, approval_hash=second.approval_hash, approver="bob", tenant="main")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(responder: Responder, shop: Shop) -> None:
    execution = responder.propose(
        runbook="rollback-deploy",
        incident="inc-1",
        arguments={"entity": "service:checkout"},
        dry_run=True,
        requester="ann",
        tenant="main",
    )
    assert execution.steps[0].state is StepState.SKIPPED
    assert f"POST {shop.url}/rollback" in execution.steps[0].output
    assert shop.calls == []


def test_bad_requests_are_refused_with_the_reason(responder: Responder) -> None:
    ask = {"incident": "inc-1", "dry_run": False, "requester": "ann", "tenant": "main"}
    with pytest.raises(NotFound, match="no runbook 'x'"):
        responder.propose(runbook="x", arguments={"entity": "service:checkout"}, **ask)  # type: ignore[arg-type]  # one dict of keywords
    with pytest.raises(InputError, match="need `entity`"):
        responder.propose(runbook="restart-service", arguments={}, **ask)  # type: ignore[arg-type]  # as above
    with pytest.raises(NotFound, match="inventory declares no"):
        responder.propose(runbook="restart-service", arguments={"entity": "service:x"}, **ask)  # type: ignore[arg-type]  # as above


def test_a_rejected_proposal_stays_rejected(responder: Responder) -> None:
    execution = _proposed(responder)
    responder.reject(execution.id, reason="false alarm", actor="ann", tenant="main")
    with pytest.raises(Conflict, match="rejected, not proposed"):
        responder.approve(execution.id, approval_hash=execution.approval_hash, approver="bob", tenant="main")


def test_a_proposal_is_withdrawn_when_its_incident_is_over(responder: Responder, ledger: Ledger) -> None:
    execution = _proposed(responder)
    over = replace(ledger.get(Incident, "inc-1", tenant="main"), state=IncidentState.RESOLVED)
    responder.follow([over], "main", Lane.BACKFILL)
    assert ledger.get(Execution, execution.id, tenant="main").state is ExecutionState.PROPOSED
    responder.follow([over], "main", Lane.LIVE)
    assert ledger.get(Execution, execution.id, tenant="main").state is ExecutionState.EXPIRED
