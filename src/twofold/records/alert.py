"""Findings or outside alerts that share a fingerprint, with one life."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twofold.records.entity import DEFAULT_TENANT


class AlertKind(StrEnum):
    """OBSERVED: something is wrong. PREDICTED: something will run out; it pages nobody and joins no incident."""

    OBSERVED = "observed"
    PREDICTED = "predicted"


class AlertState(StrEnum):
    """Life of an alert."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How bad; words, so that nothing depends on colour."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One deduplicated problem of one entity.

    Attributes:
        id: Deterministic in (fingerprint, start of this life).
        fingerprint: Same problem, same fingerprint: tenant, entity, signal, direction.
        signal: What is wrong, as a metric name or the outside alert's name.
        kind: Whether it was observed or is predicted.
        findings: Ids of the findings merged here, newest last; of a prediction the forecasts'.
        count: Findings and repeats merged so far.
    """

    id: str
    fingerprint: str
    entity: str
    signal: str
    title: str
    state: AlertState
    severity: Severity
    start: datetime
    last_seen: datetime
    end: datetime | None = None
    incident: str = ""
    source: str = "twofold"
    kind: AlertKind = AlertKind.OBSERVED
    findings: tuple[str, ...] = field(default_factory=tuple)
    count: int = 1
    score: float = 0.0
    backfilled: bool = False
    tenant: str = DEFAULT_TENANT
