"""Alerts and the findings under them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from twofold.api.router import After, Caller, Filter, Limit, Svc, page, router, where
from twofold.api.rules import needs
from twofold.api.views.page import Moment, Page
from twofold.records.access import Permission
from twofold.records.alert import Alert, AlertKind, AlertState
from twofold.records.finding import Finding, FindingState

routes = router("alerts")


@routes.get("/alerts", operation_id="list_alerts", openapi_extra=needs(Permission.READ))
def list_alerts(
    caller: Caller,
    services: Svc,
    state: Annotated[list[AlertState] | None, Query()] = None,
    entity: Filter = "",
    incident: Filter = "",
    kind: AlertKind = AlertKind.OBSERVED,
    limit: Limit = 100,
    after: After = "",
) -> Page[Alert]:
    """Newest first; several `state` mean any of them. Predicted ones are listed apart, with `kind=predicted`."""
    conditions = where(state=state, entity=entity, incident=incident, kind=kind)
    return page(services.ledger, Alert, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)


@routes.get("/alerts/{alert}", operation_id="get_alert", openapi_extra=needs(Permission.READ))
def get_alert(alert: str, caller: Caller, services: Svc) -> Alert:
    """One alert."""
    return services.ledger.get(Alert, alert, tenant=caller.tenant)


@routes.get("/findings", operation_id="list_findings", openapi_extra=needs(Permission.READ))
def list_findings(
    caller: Caller,
    services: Svc,
    series: Filter = "",
    entity: Filter = "",
    state: FindingState | None = None,
    since: Moment | None = None,
    limit: Limit = 100,
    after: After = "",
) -> Page[Finding]:
    """By onset, newest first."""
    return page(
        services.ledger,
        Finding,
        tenant=caller.tenant,
        limit=limit,
        after=after,
        since=since,
        conditions=where(series=series, entity=entity, state=state),
    )
