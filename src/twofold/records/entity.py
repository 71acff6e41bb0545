"""Things that can fail, and how they lean on each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

DEFAULT_TENANT = "main"


class EntityKind(StrEnum):
    """What sort of thing an entity is. Models, features and datasets fail like services do."""

    SERVICE = "service"
    HOST = "host"
    POD = "pod"
    DATABASE = "database"
    QUEUE = "queue"
    JOB = "job"
    MODEL = "model"
    FEATURE = "feature"
    DATASET = "dataset"


class Relation(StrEnum):
    """How an edge's source depends on its target."""

    CALLS = "calls"
    RUNS_ON = "runs_on"
    READS = "reads"
    FEEDS = "feeds"
    TRAINED_ON = "trained_on"
    SERVES = "serves"


def entity_id(kind: EntityKind, name: str) -> str:
    """The id that names an entity everywhere: `kind:name`.

    >>> entity_id(EntityKind.SERVICE, "checkout")
    'service:checkout'
    """
    return f"{kind.value}:{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A thing that can fail, named by OpenTelemetry resource attributes.

    Attributes:
        id: `kind:name`; a feature is `feature:<model>/<feature>`.
        attributes: Resource attributes as they came, flat, values as text.
    """

    id: str
    kind: EntityKind
    name: str
    tenant: str = DEFAULT_TENANT
    attributes: Mapping[str, str] = field(default_factory=dict)
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """`source` depends on `target`: a caller on its callee, a service on its host, a model on its dataset.

    Attributes:
        source: Entity id of the dependent.
        target: Entity id it depends on. Trouble flows from target to source.
        calls: Calls seen in the window that reported it; 0 for declared edges.
        observations: How often it was seen: spans matched with their parents, addresses named; 0 for declared ones.
        confidence: 0..1 when it was last seen: 1 for what is declared or stated by the source itself, else it grows
            with the observations.
    """

    source: str
    target: str
    relation: Relation
    tenant: str = DEFAULT_TENANT
    calls: int = 0
    observations: int = 0
    confidence: float = 1.0
    last_seen: datetime | None = None
