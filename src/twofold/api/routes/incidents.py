"""Incidents: the list, the page of one, and what people do to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Query

from twofold.api.health import MOST, NOT_MERGED, health_of, map_around
from twofold.api.router import After, Caller, Filter, Limit, Svc, cut, page, router, where
from twofold.api.rules import Identity, needs
from twofold.api.views.incidents import Assign, IncidentDetail, Note
from twofold.api.views.page import Page
from twofold.errors import Conflict, NotFound
from twofold.records.access import Permission
from twofold.records.alert import Alert, Severity
from twofold.records.diagnosis import Diagnosis
from twofold.records.finding import Finding
from twofold.records.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from twofold.records.runbook import Execution
from twofold.records.verdict import Verdict
from twofold.store.ledger import Ledger

routes = router("incidents")
_SCANNED: Final = 200  # incidents read at a time when text or entity is searched
_ORDER: Final = list(TimelineKind)  # of lines of one moment: an incident opens before it is diagnosed


@routes.get("/incidents", operation_id="list_incidents", openapi_extra=needs(Permission.READ))
def list_incidents(
    caller: Caller,
    services: Svc,
    *,
    state: Annotated[list[IncidentState] | None, Query()] = None,
    severity: Annotated[list[Severity] | None, Query()] = None,
    entity: Filter = "",
    q: Annotated[str, Query(max_length=400, description="words of the title, summary, owner or entities")] = "",
    backfilled: Annotated[bool | None, Query(description="only, or no, incidents of backfilled history")] = None,
    merged: Annotated[bool, Query(description="also incidents whose alerts another one took over")] = False,
    limit: Limit = 100,
    after: After = "",
) -> Page[Incident]:
    """Newest first; several `state` or `severity` mean any of them. Merged ones are left out unless asked for."""
    conditions = where(state=state, severity=severity, backfilled=backfilled) | ({} if merged else NOT_MERGED)
    if not q and not entity:
        return page(services.ledger, Incident, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)
    found: list[Incident] = []
    for incident in _walk(services.ledger, caller.tenant, conditions, after):
        if _matches(incident, q, entity):
            found.append(incident)
        if len(found) > limit:
            break
    return cut(found, limit)


def _walk(ledger: Ledger, tenant: str, conditions: dict[str, object], after: str) -> Iterator[Incident]:
    while found := ledger.find(Incident, tenant=tenant, where=conditions, limit=_SCANNED, after=after):
        yield from found
        after = found[-1].id


def _matches(incident: Incident, q: str, entity: str) -> bool:
    text = " ".join((incident.id, incident.title, incident.summary, incident.owner, *incident.entities)).lower()
    return (not entity or entity in incident.entities) and all(word in text for word in q.lower().split())


@routes.get("/incidents/{incident}", operation_id="get_incident", openapi_extra=needs(Permission.READ))
def get_incident(incident: str, caller: Caller, services: Svc) -> IncidentDetail:
    """Everything of one incident's page."""
    ledger, tenant = services.ledger, caller.tenant
    found = ledger.get(Incident, incident, tenant=tenant)
    here = {"incident": incident}
    alerts = ledger.find(Alert, tenant=tenant, where=here, limit=MOST, newest_first=False)
    diagnosis = _diagnosis(ledger, incident, tenant)
    ids = set(found.entities) | {alert.entity for alert in alerts}
    ids |= {suspect.entity for suspect in diagnosis.suspects} if diagnosis else set()
    timeline = ledger.find(TimelineEntry, tenant=tenant, where=here, limit=MOST, newest_first=False)
    return IncidentDetail(
        incident=found,
        merged_into=_survivor(ledger, found),
        took_over=list(ledger.find(Incident, tenant=tenant, where={"merged_into": incident}, limit=MOST)),
        alerts=list(alerts),
        findings=_findings(ledger, alerts, tenant),
        diagnosis=diagnosis,
        timeline=sorted(timeline, key=lambda line: (line.time, _ORDER.index(line.kind))),
        topology=map_around(ledger, tenant, ids, health_of(alerts, [diagnosis] if diagnosis else [])),
        executions=list(ledger.find(Execution, tenant=tenant, where=here, limit=MOST)),
        verdicts=list(ledger.find(Verdict, tenant=tenant, where=here, limit=MOST)),
    )


def _survivor(ledger: Ledger, incident: Incident) -> Incident | None:
    """The incident that has its alerts now, over all mergers since; None when it was not merged."""
    if not incident.merged_into:
        return None
    found = ledger.get(Incident, incident.merged_into, tenant=incident.tenant)
    return _survivor(ledger, found) or found


def _diagnosis(ledger: Ledger, incident: str, tenant: str) -> Diagnosis | None:
    try:
        return ledger.get(Diagnosis, incident, tenant=tenant)
    except NotFound:
        return None


def _findings(ledger: Ledger, alerts: Iterable[Alert], tenant: str) -> list[Finding]:
    ids = sorted({finding for alert in alerts for finding in alert.findings})
    if not ids:
        return []
    return list(ledger.find(Finding, tenant=tenant, where={"id": ids}, limit=MOST, newest_first=False))


@routes.post(
    "/incidents/{incident}/acknowledge",
    operation_id="acknowledge_incident",
    openapi_extra=needs(Permission.RESPOND),
)
def acknowledge_incident(incident: str, caller: Caller, services: Svc) -> Incident:
    """Say that somebody looks at it; without an owner the caller becomes it."""

    def change(present: Incident) -> Incident:
        if present.state is IncidentState.RESOLVED:
            raise Conflict(f"{present.title!r} is resolved already", state=present.state.value)
        return replace(present, state=IncidentState.ACKNOWLEDGED, owner=present.owner or caller.name)

    text = f"{caller.name} acknowledged"
    return _act(services.ledger, caller, incident, change, TimelineKind.ACKNOWLEDGED, text)


@routes.post("/incidents/{incident}/resolve", operation_id="resolve_incident", openapi_extra=needs(Permission.RESPOND))
def resolve_incident(incident: str, caller: Caller, services: Svc) -> Incident:
    """Close it by hand; a new alert opens it again."""

    def change(present: Incident) -> Incident:
        if present.state is IncidentState.RESOLVED:
            raise Conflict(f"{present.title!r} is resolved already", state=present.state.value)
        return replace(present, state=IncidentState.RESOLVED, end=datetime.now(UTC))

    text = f"{caller.name} resolved it by hand"
    return _act(services.ledger, caller, incident, change, TimelineKind.RESOLVED, text)


@routes.post(
    "/incidents/{incident}/assign",
    operation_id="assign_incident",
    openapi_extra=needs(Permission.RESPOND, "owner"),
)
def assign_incident(incident: str, body: Assign, caller: Caller, services: Svc) -> Incident:
    """Give it to somebody."""

    def change(present: Incident) -> Incident:
        return replace(present, owner=body.owner)

    text = f"{caller.name} gave it to {body.owner}" if body.owner else f"{caller.name} took the owner away"
    return _act(services.ledger, caller, incident, change, TimelineKind.NOTE, text)


@routes.post(
    "/incidents/{incident}/note", operation_id="note_incident", openapi_extra=needs(Permission.RESPOND, "text")
)
def note_incident(incident: str, body: Note, caller: Caller, services: Svc) -> Incident:
    """Write a line into the timeline."""

    def change(present: Incident) -> Incident:
        return present

    return _act(services.ledger, caller, incident, change, TimelineKind.NOTE, body.text)


def _act(
    ledger: Ledger,
    caller: Identity,
    incident: str,
    change: Callable[[Incident], Incident],
    kind: TimelineKind,
    text: str,
) -> Incident:
    """Change the incident and tell so in its timeline."""
    changed = ledger.update(Incident, incident, change, tenant=caller.tenant)
    ledger.put(
        TimelineEntry(
            id=uuid.uuid4().hex,
            incident=incident,
            time=datetime.now(UTC),
            kind=kind,
            text=text,
            actor=caller.name,
            tenant=caller.tenant,
        )
    )
    return changed
