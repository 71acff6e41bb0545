"""One finding, explained: why it fired, what drove it, what was like it, and what would silence it."""

from __future__ import annotations

from twofold.api.drift import live_version
from twofold.api.health import MOST
from twofold.api.past import Past, outcomes
from twofold.api.router import Caller, Svc, router
from twofold.api.rules import needs
from twofold.api.services import Services
from twofold.api.views.findings import DetectorView, Explanation
from twofold.errors import NotFound
from twofold.records.access import Permission
from twofold.records.finding import Finding
from twofold.records.incident import Incident
from twofold.records.model import Release, ReleaseStage
from twofold.records.series import Series, parse_sid

routes = router("alerts")


@routes.get("/findings/{finding}", operation_id="explain_finding", openapi_extra=needs(Permission.READ))
def explain_finding(finding: str, caller: Caller, services: Svc) -> Explanation:
    """What contributed, what was like it and came of that, who claims it, and what would silence it."""
    found = services.ledger.get(Finding, finding, tenant=caller.tenant)
    past = Past(services.ledger, found)
    alert, similar = past.alert(), past.similar()
    why = services.explain.why(found, _series(services, found))
    incident = _incident(services, alert.incident, caller.tenant) if alert and alert.incident else None
    return Explanation(
        finding=found,
        alert=alert,
        incident=incident.id if incident else "",
        incident_title=incident.title if incident else "",
        reasons=list(why.reasons),
        replayed=why.replayed,
        contributions=past.contributions(),
        past=similar,
        outcomes=outcomes(similar),
        detector=_detector(services, found),
        silencers=list(why.silencers),
    )


def _series(services: Services, finding: Finding) -> Series:
    """What the catalog knows of the series; else what the finding says."""
    sid = parse_sid(finding.series)
    try:
        return services.catalog.get(sid, tenant=finding.tenant)
    except NotFound:
        return Series(sid=sid, metric=finding.metric, entity=finding.entity, unit=finding.unit, tenant=finding.tenant)


def _incident(services: Services, incident: str, tenant: str) -> Incident | None:
    try:
        return services.ledger.get(Incident, incident, tenant=tenant)
    except NotFound:
        return None


def _detector(services: Services, finding: Finding) -> DetectorView:
    model, _, version = finding.detector.partition("@")
    releases = services.ledger.find(Release, tenant=finding.tenant, where={"model": model}, limit=MOST)
    went_live = [one for one in releases if one.version == version and one.stage is ReleaseStage.LIVE]
    return DetectorView(
        id=finding.detector,
        model=model,
        version=version,
        live=live_version(releases) == version,
        released=went_live[0].time if went_live else None,
        approver=went_live[0].approver if went_live else "",
    )
