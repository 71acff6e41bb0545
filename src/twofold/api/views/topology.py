"""Entities and how they do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from twofold.api.views.page import View
from twofold.records.entity import Edge, EntityKind


class Health(StrEnum):
    """`suspect`: named by an open diagnosis. `affected`: has a firing alert."""

    OK = "ok"
    SUSPECT = "suspect"
    AFFECTED = "affected"


class EntityView(View):
    """An entity and its health."""

    id: str
    kind: EntityKind
    name: str
    tenant: str
    attributes: Mapping[str, str]
    last_seen: datetime | None
    health: Health


class Topology(View):
    """Entities and how they depend on each other."""

    entities: list[EntityView]
    edges: list[Edge]
