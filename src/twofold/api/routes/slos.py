"""Service level objectives and their error budgets."""

from __future__ import annotations

from collections.abc import Iterable

from twofold.api.router import After, Caller, Filter, Limit, Svc, page, router, where
from twofold.api.rules import needs
from twofold.api.services import Services
from twofold.api.views.page import Page
from twofold.records.access import Permission
from twofold.records.slo import SloState, SloStatus

routes = router("slos")


@routes.get("/slos", operation_id="list_slos", openapi_extra=needs(Permission.READ))
def list_slos(
    caller: Caller,
    services: Svc,
    entity: Filter = "",
    state: SloState | None = None,
    limit: Limit = 100,
    after: After = "",
) -> Page[SloStatus]:
    """How every objective stands; objectives are declared in the settings under `slos`."""
    conditions = where(entity=entity, state=state)
    found = page(services.ledger, SloStatus, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)
    return Page(items=declared(found.items, services), next=found.next)


def declared(found: Iterable[SloStatus], services: Services) -> list[SloStatus]:
    """Without those that the settings no longer name: nothing counts them any more."""
    return [slo for slo in found if services.slos is None or slo.id in services.slos]
