"""Runbooks, their executions and the kill switch."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from twofold.api.router import After, Caller, Filter, Limit, Svc, page, router, where
from twofold.api.rules import needs
from twofold.api.services import Services
from twofold.api.views.incidents import Reason
from twofold.api.views.page import Page
from twofold.api.views.runbooks import Approval, Decision, KillSwitch, NewExecution, SetKillSwitch
from twofold.records.access import Permission, Setting
from twofold.records.runbook import Execution, ExecutionState, Runbook, StepState

routes = router("runbooks")
ENGAGED = "engaged"


@routes.get("/runbooks", operation_id="list_runbooks", openapi_extra=needs(Permission.READ))
def list_runbooks(caller: Caller, services: Svc, limit: Limit = 100, after: After = "") -> Page[Runbook]:
    """Remedies that Twofold knows, by id."""
    return page(services.ledger, Runbook, tenant=caller.tenant, limit=limit, after=after, newest_first=False)


@routes.get("/executions", operation_id="list_executions", openapi_extra=needs(Permission.READ))
def list_executions(
    caller: Caller,
    services: Svc,
    incident: Filter = "",
    state: Annotated[list[ExecutionState] | None, Query()] = None,
    limit: Limit = 100,
    after: After = "",
) -> Page[Execution]:
    """Newest first; several `state` mean any of them."""
    conditions = where(incident=incident, state=state)
    return page(services.ledger, Execution, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)


@routes.get("/executions/{execution}", operation_id="get_execution", openapi_extra=needs(Permission.READ))
def get_execution(execution: str, caller: Caller, services: Svc) -> Execution:
    """One execution with its steps as they stand."""
    return services.ledger.get(Execution, execution, tenant=caller.tenant)


@routes.post(
    "/executions",
    operation_id="propose_execution",
    status_code=201,
    openapi_extra=needs(Permission.RESPOND, "runbook", "incident", "dry_run"),
)
def propose_execution(body: NewExecution, caller: Caller, services: Svc) -> Execution:
    """Ask for a remedy; somebody else must approve it."""
    return services.responder.propose(
        runbook=body.runbook,
        incident=body.incident,
        arguments=body.arguments,
        dry_run=body.dry_run,
        requester=caller.name,
        tenant=caller.tenant,
    )


@routes.post(
    "/executions/{execution}/approve",
    operation_id="approve_execution",
    openapi_extra=needs(Permission.APPROVE, "approval_hash"),
)
def approve_execution(execution: str, body: Approval, caller: Caller, services: Svc) -> Execution:
    """Approve exactly what the hash names; the requester cannot."""
    return services.responder.approve(
        execution, approval_hash=body.approval_hash, approver=caller.name, tenant=caller.tenant
    )


@routes.post(
    "/executions/{execution}/reject",
    operation_id="reject_execution",
    openapi_extra=needs(Permission.APPROVE, "reason"),
)
def reject_execution(execution: str, body: Reason, caller: Caller, services: Svc) -> Execution:
    """Turn a proposal down."""
    return services.responder.reject(execution, reason=body.reason, actor=caller.name, tenant=caller.tenant)


@routes.post(
    "/executions/{execution}/decide",
    operation_id="decide_step",
    openapi_extra=needs(Permission.APPROVE, "step", "outcome"),
)
def decide_step(execution: str, body: Decision, caller: Caller, services: Svc) -> Execution:
    """Say what an UNKNOWN step did."""
    return services.responder.decide(
        execution, step=body.step, outcome=StepState(body.outcome), actor=caller.name, tenant=caller.tenant
    )


@routes.get("/kill-switch", operation_id="get_kill_switch", openapi_extra=needs(Permission.READ))
def get_kill_switch(caller: Caller, services: Svc) -> KillSwitch:
    """Whether remedies are stopped."""
    return _view(services.responder.kill_switch(tenant=caller.tenant))


@routes.put("/kill-switch", operation_id="set_kill_switch", openapi_extra=needs(Permission.APPROVE, "engaged"))
def set_kill_switch(body: SetKillSwitch, caller: Caller, services: Svc) -> KillSwitch:
    """Stop or allow every remedy."""
    return _view(_set(services, caller.name, caller.tenant, engaged=body.engaged))


def _set(services: Services, actor: str, tenant: str, *, engaged: bool) -> Setting:
    return services.responder.set_kill_switch(engaged=engaged, actor=actor, tenant=tenant)


def _view(setting: Setting | None) -> KillSwitch:
    if setting is None:
        return KillSwitch(engaged=False)
    return KillSwitch(engaged=setting.value == ENGAGED, changed=setting.changed, author=setting.author)
