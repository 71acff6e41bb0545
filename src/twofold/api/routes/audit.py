"""The chained record of what was done."""

from __future__ import annotations

from twofold.api.router import After, Caller, Filter, Limit, Svc, page, router, where
from twofold.api.rules import needs
from twofold.api.views.page import Page
from twofold.records.access import Audit, Permission

routes = router("audit")


@routes.get("/audit", operation_id="list_audit", openapi_extra=needs(Permission.ADMIN))
def list_audit(
    caller: Caller,
    services: Svc,
    actor: Filter = "",
    action: Filter = "",
    limit: Limit = 100,
    after: After = "",
) -> Page[Audit]:
    """Newest first. Each entry's hash covers the one before it."""
    return page(
        services.ledger,
        Audit,
        tenant=caller.tenant,
        limit=limit,
        after=after,
        conditions=where(actor=actor, action=action),
    )
