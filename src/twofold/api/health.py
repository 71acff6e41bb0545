"""Health of entities, from firing alerts and open diagnoses; and the slice of the map around an incident."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from twofold.api.views.topology import EntityView, Health, Topology
from twofold.records.alert import Alert, AlertKind, AlertState
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge, Entity, EntityKind
from twofold.records.incident import Incident, IncidentState
from twofold.store.ledger import Ledger

MOST: Final = 10_000  # entities, edges or alerts that one answer holds
SUSPECTS: Final = 3  # of a diagnosis, that count as suspect
NOT_MERGED: Final = {"merged_into": ""}  # of incidents: those that stand for themselves
UNRESOLVED: Final = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)
UNRESOLVED_ALERT: Final = (AlertState.FIRING, AlertState.ACKNOWLEDGED)
WRONG_NOW: Final = {"state": UNRESOLVED_ALERT, "backfilled": False, "kind": AlertKind.OBSERVED}
"""Of alerts: those that say that something is wrong, not that something will be."""


def present_health(ledger: Ledger, tenant: str) -> Mapping[str, Health]:
    """Health of every entity that is not OK now."""
    alerts = ledger.find(Alert, tenant=tenant, where=WRONG_NOW, limit=MOST)
    incidents = ledger.find(Incident, tenant=tenant, where={"state": UNRESOLVED, "backfilled": False}, limit=MOST)
    ids = [incident.id for incident in incidents]
    diagnoses = ledger.find(Diagnosis, tenant=tenant, where={"incident": ids}, limit=MOST) if ids else ()
    return health_of(alerts, diagnoses)


def health_of(alerts: Iterable[Alert], diagnoses: Iterable[Diagnosis]) -> Mapping[str, Health]:
    """Affected by an alert; suspect, which tells more, by a diagnosis."""
    health = {alert.entity: Health.AFFECTED for alert in alerts}
    for diagnosis in diagnoses:
        health |= {suspect.entity: Health.SUSPECT for suspect in diagnosis.suspects[:SUSPECTS]}
    return health


def entity_views(entities: Iterable[Entity], health: Mapping[str, Health]) -> list[EntityView]:
    """Entities with their health, by id."""
    return [
        EntityView(
            id=entity.id,
            kind=entity.kind,
            name=entity.name,
            tenant=entity.tenant,
            attributes=entity.attributes,
            last_seen=entity.last_seen,
            health=health.get(entity.id, Health.OK),
        )
        for entity in sorted(entities, key=lambda each: each.id)
    ]


def whole_map(ledger: Ledger, tenant: str) -> Topology:
    """Every entity and edge with the present health."""
    entities = ledger.find(Entity, tenant=tenant, limit=MOST)
    edges = ledger.find(Edge, tenant=tenant, limit=MOST)
    return Topology(entities=entity_views(entities, present_health(ledger, tenant)), edges=_sorted(edges))


def map_around(ledger: Ledger, tenant: str, ids: Collection[str], health: Mapping[str, Health]) -> Topology:
    """The entities, their direct neighbours, and the edges between all of these."""
    near = set(ids)
    for end in ("source", "target"):
        edges = ledger.find(Edge, tenant=tenant, where={end: sorted(ids)}, limit=MOST)
        near |= {edge.source for edge in edges} | {edge.target for edge in edges}
    both = {"source": sorted(near), "target": sorted(near)}
    known = {entity.id: entity for entity in ledger.find(Entity, tenant=tenant, where={"id": sorted(near)}, limit=MOST)}
    entities = [known.get(key) or _unseen(key, tenant) for key in near]
    edges = ledger.find(Edge, tenant=tenant, where=both, limit=MOST)
    return Topology(entities=entity_views(entities, health), edges=_sorted(edges))


def _unseen(key: str, tenant: str) -> Entity:
    """An entity that an alert names before the topology stage wrote it."""
    kind, _, name = key.partition(":")
    known = kind in set(EntityKind)
    return Entity(id=key, kind=EntityKind(kind) if known else EntityKind.SERVICE, name=name or key, tenant=tenant)


def _sorted(edges: Sequence[Edge]) -> list[Edge]:
    newest = max((edge.last_seen for edge in edges if edge.last_seen), default=None)
    aged = [faded(edge, newest) if newest else edge for edge in edges]
    return sorted(aged, key=lambda edge: (edge.source, edge.target, edge.relation))


def faded(edge: Edge, now: datetime) -> Edge:
    """The edge as sure as it is now: half as sure for each day that it was not seen. What is declared stays."""
    if edge.last_seen is None or not edge.observations:
        return edge
    days = max((now - edge.last_seen) / timedelta(days=1), 0.0)
    return replace(edge, confidence=round(edge.confidence * 0.5**days, 3))
