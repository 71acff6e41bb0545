"""Entities, how they depend on each other, and their health."""

from __future__ import annotations

from twofold.api.health import entity_views, present_health, whole_map
from twofold.api.router import After, Caller, Limit, Svc, page, router, where
from twofold.api.rules import needs
from twofold.api.views.page import Page
from twofold.api.views.topology import EntityView, Topology
from twofold.records.access import Permission
from twofold.records.entity import Entity, EntityKind

routes = router("topology")


@routes.get("/entities", operation_id="list_entities", openapi_extra=needs(Permission.READ))
def list_entities(
    caller: Caller, services: Svc, kind: EntityKind | None = None, limit: Limit = 1000, after: After = ""
) -> Page[EntityView]:
    """Last seen first."""
    found = page(services.ledger, Entity, tenant=caller.tenant, limit=limit, after=after, conditions=where(kind=kind))
    health = present_health(services.ledger, caller.tenant)
    return Page(items=entity_views(found.items, health), next=found.next)


@routes.get("/topology", operation_id="get_topology", openapi_extra=needs(Permission.READ))
def get_topology(caller: Caller, services: Svc) -> Topology:
    """The whole map, as of now."""
    return whole_map(services.ledger, caller.tenant)
