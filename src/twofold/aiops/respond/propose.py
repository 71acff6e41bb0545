"""From a diagnosis to a proposed execution: the best fitting runbook whose steps the inventory can do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from twofold.aiops.respond.actions import Actions
from twofold.aiops.respond.approval import approval_hash
from twofold.aiops.respond.runbooks import fill, fitting
from twofold.errors import NotFound, TwofoldError
from twofold.records.diagnosis import Diagnosis, Suspect
from twofold.records.event import Event
from twofold.records.runbook import Execution, ExecutionState, Runbook, StepRun
from twofold.store.ledger import Ledger

SUSPECTS: Final = 3
EXPIRES: Final = timedelta(minutes=30)


def best_remedy(
    diagnosis: Diagnosis, *, runbooks: Sequence[Runbook], actions: Actions, ledger: Ledger, now: datetime
) -> Execution | None:
    """The proposal for the most suspect entity that a runbook fits and the inventory can act on; None without one."""
    for suspect in diagnosis.suspects[:SUSPECTS]:
        change, version = _change(suspect, ledger, diagnosis.tenant)
        for runbook in fitting(runbooks, suspect, change):
            values = suspect_values(suspect.entity, diagnosis.incident, change=suspect.change, version=version)
            try:
                return build(
                    runbook, values, incident=diagnosis.incident, actions=actions, now=now, tenant=diagnosis.tenant
                )
            except TwofoldError:
                continue  # this runbook cannot act on this entity here; the next may
    return None


def suspect_values(entity: str, incident: str, *, change: str = "", version: str = "") -> dict[str, str]:
    """What `${…}` in a runbook's arguments may name."""
    return {
        "entity": entity,
        "entity_name": entity.partition(":")[2],
        "incident": incident,
        "change": change,
        "version": version,
    }


def build(
    runbook: Runbook,
    values: Mapping[str, str],
    *,
    incident: str,
    actions: Actions,
    now: datetime,
    tenant: str,
    requester: str = "twofold",
    dry_run: bool = False,
) -> Execution:
    """A proposed execution with everything validated.

    Raises:
        NotFound: The inventory declares no such target or operation.
        InputError: Bad arguments.
        ConfigError: A step uses an unknown name.
    """
    filled = {step.name: fill(step.arguments, values) for step in runbook.steps}
    targets = {t for step in runbook.steps for t in actions.get(step.action).targets(filled[step.name])}
    arguments: dict[str, Any] = {"values": dict(values), "steps": filled}
    expires = now + EXPIRES
    key = f"{tenant}|{incident}|{runbook.id}|{sorted(targets)}|{requester}|{dry_run}|{now.isoformat()}"
    return Execution(
        id=f"exec-{hashlib.sha256(key.encode()).hexdigest()[:16]}",
        runbook=runbook.id,
        title=f"{runbook.title}: {', '.join(sorted(targets))}",
        incident=incident,
        state=ExecutionState.PROPOSED,
        targets=tuple(sorted(targets)),
        arguments=arguments,
        approval_hash=approval_hash(runbook, arguments, tuple(targets), expires, dry_run=dry_run),
        expires=expires,
        created=now,
        steps=tuple(StepRun(name=step.name, action=step.action) for step in runbook.steps),
        requester=requester,
        dry_run=dry_run,
        tenant=tenant,
    )


def _change(suspect: Suspect, ledger: Ledger, tenant: str) -> tuple[str, str]:
    if not suspect.change:
        return "", ""
    try:
        event = ledger.get(Event, suspect.change, tenant=tenant)
    except NotFound:
        return "", ""
    return (event.change.value if event.change else ""), event.version
