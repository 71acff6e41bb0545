"""Alerts that belong together, with a life, a timeline and an owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twofold.records.alert import Severity
from twofold.records.entity import DEFAULT_TENANT


class IncidentState(StrEnum):
    """Life of an incident. Recovered signals resolve it; a person may close it earlier."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class TimelineKind(StrEnum):
    """What one line of the timeline tells."""

    OPENED = "opened"
    ALERT = "alert"
    ALERT_RESOLVED = "alert_resolved"
    CHANGE = "change"
    DIAGNOSIS = "diagnosis"
    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    STEP = "step"
    VERIFIED = "verified"
    NOTICE = "notice"
    VERDICT = "verdict"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One line of an incident's story; append-only.

    Attributes:
        id: Deterministic, so that a replay appends nothing twice.
        actor: Who did it: a user's name, or `twofold`.
        ref: Id of the alert, event, execution or verdict it speaks of.
    """

    id: str
    incident: str
    time: datetime
    kind: TimelineKind
    text: str
    entity: str = ""
    actor: str = "twofold"
    ref: str = ""
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Alerts that belong together.

    Attributes:
        id: Deterministic in the first alert's id.
        start: Onset of the earliest alert (event time).
        detected: Event time at which the incident opened.
        entities: Ids of the entities with an alert, in order of onset.
        merged_into: Id of the older incident that took over this one's alerts; then it is resolved and has none.
        backfilled: Built from the backfill lane: no notices, no actions.
    """

    id: str
    title: str
    state: IncidentState
    severity: Severity
    start: datetime
    detected: datetime
    last_seen: datetime
    end: datetime | None = None
    entities: tuple[str, ...] = field(default_factory=tuple)
    alerts: tuple[str, ...] = field(default_factory=tuple)
    owner: str = ""
    summary: str = ""
    merged_into: str = ""
    backfilled: bool = False
    tenant: str = DEFAULT_TENANT
