"""The first page."""

from __future__ import annotations

from twofold.api.views.page import View
from twofold.records.event import Event
from twofold.records.forecast import Forecast
from twofold.records.incident import Incident
from twofold.records.slo import SloStatus


class Counts(View):
    """Numbers of the first page."""

    open: int
    acknowledged: int
    resolved_24h: int
    alerts_firing: int
    findings_24h: int
    alerts_24h: int
    incidents_24h: int


class ModelAtRisk(View):
    """A live model with a firing alert on itself, its features or its data."""

    model: str
    version: str
    reason: str
    drift: float | None


class SystemHealth(View):
    """How Twofold itself does."""

    entities: int
    series: int
    points_per_s: float
    lag_s: float
    journal_bytes: int


class NoiseRemoved(View):
    """Of the last 24 hours: findings became alerts became incidents."""

    findings: int
    alerts: int
    incidents: int


class Home(View):
    """The first page."""

    open_incidents: list[Incident]
    recent_incidents: list[Incident]
    counts: Counts
    models_at_risk: list[ModelAtRisk]
    changes: list[Event]
    health: SystemHealth
    noise_removed: NoiseRemoved
    slos: list[SloStatus]
    forecasts: list[Forecast]
