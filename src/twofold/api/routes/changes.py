"""Things that happened: changes, alerts from outside, notices."""

from __future__ import annotations

from twofold.api.router import After, Caller, Filter, Limit, Svc, page, router, where
from twofold.api.rules import needs
from twofold.api.views.page import Moment, Page
from twofold.records.access import Permission
from twofold.records.event import ChangeKind, Event, EventKind

routes = router("changes")


@routes.get("/changes", operation_id="list_changes", openapi_extra=needs(Permission.READ))
def list_changes(
    caller: Caller,
    services: Svc,
    entity: Filter = "",
    change: ChangeKind | None = None,
    since: Moment | None = None,
    limit: Limit = 100,
    after: After = "",
) -> Page[Event]:
    """Newest first."""
    return page(
        services.ledger,
        Event,
        tenant=caller.tenant,
        limit=limit,
        after=after,
        since=since,
        conditions=where(kind=EventKind.CHANGE, entity=entity, change=change),
    )


@routes.get("/events", operation_id="list_events", openapi_extra=needs(Permission.READ))
def list_events(
    caller: Caller,
    services: Svc,
    kind: EventKind | None = None,
    entity: Filter = "",
    source: Filter = "",
    since: Moment | None = None,
    limit: Limit = 100,
    after: After = "",
) -> Page[Event]:
    """Changes, alerts from outside and notices, newest first."""
    return page(
        services.ledger,
        Event,
        tenant=caller.tenant,
        limit=limit,
        after=after,
        since=since,
        conditions=where(kind=kind, entity=entity, source=source),
    )
