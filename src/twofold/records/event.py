"""Things that happened: changes, alerts from outside, log lines of a new shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twofold.records.entity import DEFAULT_TENANT


class EventKind(StrEnum):
    """What sort of event. A notice neither changes nor alerts: a pipeline's result, a pod that was scheduled."""

    CHANGE = "change"
    EXTERNAL_ALERT = "external_alert"
    NEW_TEMPLATE = "new_template"
    ODD_VALUE = "odd_value"
    NOTICE = "notice"


class ChangeKind(StrEnum):
    """What was changed. A promotion of a model is a change like a deploy."""

    DEPLOY = "deploy"
    CONFIG = "config"
    FLAG = "flag"
    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    DATA_VERSION = "data_version"
    SCHEMA = "schema"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened at one time to one entity.

    Attributes:
        id: Deterministic: the same notice sent twice is one event.
        change: Set only for `EventKind.CHANGE`.
        state: For external alerts `firing` or `resolved`; else empty.
        version: What the entity runs after a change, where known.
    """

    id: str
    kind: EventKind
    time: datetime
    entity: str
    title: str
    tenant: str = DEFAULT_TENANT
    change: ChangeKind | None = None
    version: str = ""
    state: str = ""
    source: str = ""
    link: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
