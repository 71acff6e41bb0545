"""The first page in one call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from twofold.api.drift import drift_of, live_version, model_of
from twofold.api.health import MOST, NOT_MERGED, UNRESOLVED, WRONG_NOW
from twofold.api.router import Caller, Svc, router
from twofold.api.routes.slos import declared
from twofold.api.rules import needs
from twofold.api.services import Services
from twofold.api.views.forecasts import soonest
from twofold.api.views.home import Counts, Home, ModelAtRisk, NoiseRemoved, SystemHealth
from twofold.api.views.models import DriftValue
from twofold.records.access import Permission
from twofold.records.alert import Alert, AlertKind, AlertState
from twofold.records.entity import Entity
from twofold.records.event import Event, EventKind
from twofold.records.finding import Finding
from twofold.records.forecast import Forecast, ForecastState
from twofold.records.incident import Incident, IncidentState
from twofold.records.model import Release
from twofold.records.slo import SloStatus

routes = router("home")
_DAY: Final = timedelta(hours=24)
_SHOWN: Final = 10  # recent incidents and changes


@routes.get("/home", operation_id="get_home", openapi_extra=needs(Permission.READ))
def get_home(caller: Caller, services: Svc) -> Home:
    """Open incidents, models at risk, what changed, how much noise was removed."""
    ledger, tenant = services.ledger, caller.tenant
    since = datetime.now(UTC) - _DAY
    counts = _counts(services, tenant, since)
    resolved = {"state": IncidentState.RESOLVED} | NOT_MERGED
    return Home(
        open_incidents=list(ledger.find(Incident, tenant=tenant, where={"state": UNRESOLVED}, limit=MOST)),
        recent_incidents=list(ledger.find(Incident, tenant=tenant, where=resolved, limit=_SHOWN)),
        counts=counts,
        models_at_risk=_models_at_risk(services, tenant),
        changes=list(ledger.find(Event, tenant=tenant, where={"kind": EventKind.CHANGE}, limit=_SHOWN)),
        health=_health(services, tenant),
        noise_removed=NoiseRemoved(
            findings=counts.findings_24h, alerts=counts.alerts_24h, incidents=counts.incidents_24h
        ),
        slos=sorted(
            declared(ledger.find(SloStatus, tenant=tenant, limit=MOST), services), key=lambda slo: slo.budget_left
        ),
        forecasts=soonest(ledger.find(Forecast, tenant=tenant, where={"state": ForecastState.OPEN}, limit=MOST))[
            :_SHOWN
        ],
    )


def _counts(services: Services, tenant: str, since: datetime) -> Counts:
    count = services.ledger.count
    resolved = services.ledger.find(
        Incident, tenant=tenant, where={"state": IncidentState.RESOLVED} | NOT_MERGED, since=since - _DAY, limit=MOST
    )
    return Counts(
        open=count(Incident, tenant=tenant, where={"state": IncidentState.OPEN}),
        acknowledged=count(Incident, tenant=tenant, where={"state": IncidentState.ACKNOWLEDGED}),
        resolved_24h=sum(1 for incident in resolved if incident.end is not None and incident.end >= since),
        alerts_firing=count(Alert, tenant=tenant, where={"state": AlertState.FIRING, "kind": AlertKind.OBSERVED}),
        findings_24h=count(Finding, tenant=tenant, since=since),
        alerts_24h=count(Alert, tenant=tenant, where={"kind": AlertKind.OBSERVED}, since=since),
        incidents_24h=count(Incident, tenant=tenant, where=NOT_MERGED, since=since),
    )


def _health(services: Services, tenant: str) -> SystemHealth:
    pulse = services.pulse.pulse()
    return SystemHealth(
        entities=services.ledger.count(Entity, tenant=tenant),
        series=services.catalog.count(tenant=tenant),
        points_per_s=pulse.points_per_s,
        lag_s=pulse.lag_s,
        journal_bytes=pulse.journal_bytes,
    )


def _models_at_risk(services: Services, tenant: str) -> list[ModelAtRisk]:
    """Models with an unresolved alert on themselves or their features, the worst score first."""
    alerts = services.ledger.find(Alert, tenant=tenant, where=WRONG_NOW, limit=MOST)
    worst: dict[str, Alert] = {}
    for alert in sorted(alerts, key=lambda each: each.score):
        if model := model_of(alert.entity):
            worst[model] = alert
    if not worst:
        return []
    releases = services.ledger.find
    live = {
        model: live_version(releases(Release, tenant=tenant, where={"model": model}, limit=MOST)) for model in worst
    }
    drift = drift_of(services, tenant, live)
    return [
        ModelAtRisk(
            model=model,
            version=live[model],
            reason=alert.title,
            drift=_worst(drift.get(model, ())),
        )
        for model, alert in sorted(worst.items(), key=lambda pair: -pair[1].score)
    ]


def _worst(values: Sequence[DriftValue]) -> float | None:
    known = [each.value for each in values if each.value is not None]
    return max(known, default=None)
