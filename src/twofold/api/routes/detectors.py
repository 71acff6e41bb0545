"""Our own detectors as models: other settings as a version, and backtests of what would have paged."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime

from twofold.aiops.detect.rules import read_rules
from twofold.api.drift import live_version, traffic_of
from twofold.api.router import After, Caller, Filter, Limit, Svc, page, router, where
from twofold.api.rules import needs
from twofold.api.services import Services
from twofold.api.views.detectors import NewBacktest, NewDetector, NewRules
from twofold.api.views.page import Page
from twofold.errors import InputError, NotFound
from twofold.joints.hindsight import inside
from twofold.joints.settings import demand_replayable
from twofold.records.access import Permission
from twofold.records.backtest import Backtest, BacktestState, Label
from twofold.records.finding import FindingState
from twofold.records.incident import IncidentState
from twofold.records.model import ModelKind, ModelVersion, Release, ReleaseStage
from twofold.records.shadow import Rehearsal, ShadowFinding, ShadowPage
from twofold.records.trust import Trust

routes = router("detectors")


@routes.post(
    "/detectors/{model}/versions",
    operation_id="configure_detector",
    status_code=201,
    openapi_extra=needs(Permission.RELEASE, "settings", "description"),
)
def configure_detector(model: str, body: NewDetector, caller: Caller, services: Svc) -> ModelVersion:
    """Register other settings as the detector's next version; the same settings again give the same version."""
    return services.models.configure(
        model, body.settings, description=body.description, actor=caller.name, tenant=caller.tenant
    )


@routes.post(
    "/rules",
    operation_id="import_rules",
    status_code=201,
    openapi_extra=needs(Permission.RELEASE, "name", "rules", "description"),
)
def import_rules(body: NewRules, caller: Caller, services: Svc) -> ModelVersion:
    """Keep a Prometheus rule file under a name, to be replayed by it; its gate tells what cannot be."""
    return services.models.import_rules(
        body.name, body.rules, description=body.description, actor=caller.name, tenant=caller.tenant
    )


@routes.get("/detectors/{model}/shadow", operation_id="get_rehearsal", openapi_extra=needs(Permission.READ))
def get_rehearsal(model: str, caller: Caller, services: Svc, version: Filter = "") -> Rehearsal:
    """A shadow beside the live version: who would have paged for what. Without `version` the newest shadow."""
    if not version:
        releases = services.ledger.find(Release, tenant=caller.tenant, where={"model": model}, limit=1000)
        shadows = [row.version for row in traffic_of(releases) if row.stage is ReleaseStage.SHADOW]
        if not shadows:
            raise NotFound(f"no version of {model!r} is a shadow", kind="Rehearsal", id=model)
        version = shadows[-1]
    return services.models.rehearsal(model, version=version, tenant=caller.tenant)


@routes.get("/detectors/{model}/trust", operation_id="get_trust", openapi_extra=needs(Permission.READ))
def get_trust(model: str, caller: Caller, services: Svc) -> Trust:
    """What people's verdicts say of the live version, and what would take it back."""
    found = services.models.trust(model, tenant=caller.tenant)
    if found is None:
        raise NotFound(f"no version of {model!r} is live", kind="Trust", id=model)
    return found


@routes.get("/shadow/findings", operation_id="list_shadow_findings", openapi_extra=needs(Permission.READ))
def list_shadow_findings(
    caller: Caller,
    services: Svc,
    detector: Filter = "",
    entity: Filter = "",
    series: Filter = "",
    state: FindingState | None = None,
    limit: Limit = 100,
    after: After = "",
) -> Page[ShadowFinding]:
    """What shadows found, newest first. None of it is an alert."""
    conditions = where(detector=detector, entity=entity, series=series, state=state)
    return page(services.ledger, ShadowFinding, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)


@routes.get("/shadow/pages", operation_id="list_shadow_pages", openapi_extra=needs(Permission.READ))
def list_shadow_pages(
    caller: Caller,
    services: Svc,
    detector: Filter = "",
    state: IncidentState | None = None,
    limit: Limit = 100,
    after: After = "",
) -> Page[ShadowPage]:
    """What shadows would have paged for, newest first."""
    conditions = where(detector=detector, state=state) | {"merged_into": ""}
    return page(services.ledger, ShadowPage, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)


@routes.post(
    "/backtests",
    operation_id="request_backtest",
    status_code=202,
    openapi_extra=needs(Permission.TRAIN, "model", "version", "start", "end"),
)
def request_backtest(body: NewBacktest, caller: Caller, services: Svc) -> Backtest:
    """Ask the worker for a replay of history; its progress and result show under `/backtests/{id}`."""
    if body.end <= body.start:
        raise InputError(f"the period ends at {body.end}, which is not after its start {body.start}")
    labels = tuple(Label(**label.model_dump()) for label in body.labels)
    inside(labels, body.start, body.end)
    model, version, rules = _what(body, services, caller.tenant)
    asked = Backtest(
        id=uuid.uuid4().hex,
        model=model,
        version=version,
        rules=rules,
        start=body.start,
        end=body.end,
        warm_up_s=body.warm_up_s,
        requester=caller.name,
        created=datetime.now(UTC),
        labels=labels,
        tenant=caller.tenant,
    )
    services.ledger.put(asked)
    return asked


def _what(body: NewBacktest, services: Services, tenant: str) -> tuple[str, str, str]:
    """Model, version, and the rule file that it is, if it is one. Raises `NotFound`, `InputError`."""
    if body.rules is not None:
        read_rules(body.rules)
        return "rules", hashlib.sha256(body.rules.encode()).hexdigest()[:12], body.rules
    version = body.version
    if not version:
        releases = services.ledger.find(Release, tenant=tenant, where={"model": body.model}, limit=1000)
        version = live_version(releases) or _newest_rules(services, body.model, tenant)
    if not version:
        raise NotFound(
            f"no version of {body.model!r} is live, and no rules are kept under that name", kind="Model", id=body.model
        )
    found = services.ledger.get(ModelVersion, f"{body.model}@{version}", tenant=tenant)
    rules = services.models.rules(found)
    if not rules:
        demand_replayable(found)
    return body.model, version, rules


def _newest_rules(services: Services, name: str, tenant: str) -> str:
    """The number of the newest rule file of this name; empty when there is none."""
    of = {"model": name, "kind": ModelKind.RULES}
    return next((found.version for found in services.ledger.find(ModelVersion, tenant=tenant, where=of, limit=1)), "")


@routes.get("/backtests", operation_id="list_backtests", openapi_extra=needs(Permission.READ))
def list_backtests(
    caller: Caller,
    services: Svc,
    model: Filter = "",
    version: Filter = "",
    state: BacktestState | None = None,
    limit: Limit = 50,
    after: After = "",
) -> Page[Backtest]:
    """Newest first."""
    conditions = where(model=model, version=version, state=state)
    return page(services.ledger, Backtest, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)


@routes.get("/backtests/{backtest}", operation_id="get_backtest", openapi_extra=needs(Permission.READ))
def get_backtest(backtest: str, caller: Caller, services: Svc) -> Backtest:
    """One backtest, with its progress or its result."""
    return services.ledger.get(Backtest, backtest, tenant=caller.tenant)
