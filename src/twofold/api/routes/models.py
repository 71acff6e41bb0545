"""Models: the registry's list, the page of one, releases and rollbacks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from twofold.api.drift import drift_of, live_version, model_entity, model_of, request_rates, traffic_of
from twofold.api.health import MOST, present_health
from twofold.api.router import Caller, Svc, router
from twofold.api.rules import needs
from twofold.api.services import Services
from twofold.api.views.incidents import Reason
from twofold.api.views.models import FeatureDrift, ModelDetail, ModelSummary, NewRelease
from twofold.api.views.page import Page
from twofold.api.views.topology import Health
from twofold.errors import NotFound
from twofold.records.access import Permission
from twofold.records.finding import Finding, FindingState
from twofold.records.model import DatasetVersion, ModelKind, ModelVersion, Project, Release, Run

routes = router("models")
_RUNS: Final = 50  # shown on a model's page


@routes.get("/models", operation_id="list_models", openapi_extra=needs(Permission.READ))
def list_models(caller: Caller, services: Svc) -> Page[ModelSummary]:
    """Every model that has a project or a version, by name."""
    ledger, tenant = services.ledger, caller.tenant
    versions: dict[str, list[ModelVersion]] = defaultdict(list)
    for version in ledger.find(ModelVersion, tenant=tenant, limit=MOST):
        versions[version.model].append(version)
    projects = {project.model: project for project in ledger.find(Project, tenant=tenant, limit=MOST)}
    releases: dict[str, list[Release]] = defaultdict(list)
    for release in ledger.find(Release, tenant=tenant, limit=MOST):
        releases[release.model].append(release)
    health = _health(present_health(ledger, tenant))
    live = {model: live_version(chain) for model, chain in releases.items()}
    drift = drift_of(services, tenant, live)
    rates = request_rates(services, tenant, live)
    return Page(
        items=[
            ModelSummary(
                model=model,
                kind=_kind(versions.get(model, ()), projects.get(model)),
                live_version=live.get(model, ""),
                owner=_owner(versions.get(model, ()), projects.get(model)),
                versions=len(versions.get(model, ())),
                health=health.get(model, Health.OK),
                drift=drift.get(model, []),
                request_rate=rates.get(model),
            )
            for model in sorted({*versions, *projects})
        ]
    )


@routes.get("/models/{model}", operation_id="get_model", openapi_extra=needs(Permission.READ))
def get_model(model: str, caller: Caller, services: Svc) -> ModelDetail:
    """Everything of one model's page."""
    ledger, tenant, of = services.ledger, caller.tenant, {"model": model}
    versions = ledger.find(ModelVersion, tenant=tenant, where=of, limit=MOST)
    project = next(iter(ledger.find(Project, tenant=tenant, where=of, limit=1)), None)
    if not versions and project is None:
        raise NotFound(f"no model {model!r}", kind="Model", id=model)
    releases = ledger.find(Release, tenant=tenant, where=of, limit=MOST)
    runs = ledger.find(Run, tenant=tenant, where=of, limit=_RUNS)
    datasets = sorted({version.dataset for version in versions} | {run.dataset for run in runs})
    return ModelDetail(
        model=model,
        kind=_kind(versions, project),
        owner=_owner(versions, project),
        versions=list(versions),
        releases=sorted(releases, key=lambda release: -release.seq),
        project=project,
        runs=list(runs),
        datasets=list(ledger.find(DatasetVersion, tenant=tenant, where={"id": datasets}, limit=MOST)),
        drift=_drift(services, model, live_version(releases), tenant),
        traffic=traffic_of(releases),
    )


@routes.post(
    "/models/{model}/releases",
    operation_id="release_model",
    status_code=201,
    openapi_extra=needs(Permission.RELEASE, "version", "stage", "weight", "reason", "accept_unknown"),
)
def release_model(model: str, body: NewRelease, caller: Caller, services: Svc) -> Release:
    """Put a version into a stage; appends to the release ledger."""
    return services.models.release(
        model,
        version=body.version,
        stage=body.stage,
        weight=body.weight,
        reason=body.reason,
        accept_unknown=body.accept_unknown,
        actor=caller.name,
        tenant=caller.tenant,
    )


@routes.post(
    "/models/{model}/rollback",
    operation_id="roll_back_model",
    status_code=201,
    openapi_extra=needs(Permission.RELEASE, "reason"),
)
def roll_back_model(model: str, body: Reason, caller: Caller, services: Svc) -> Release:
    """Put the version that was live before back."""
    return services.models.rollback(model, reason=body.reason, actor=caller.name, tenant=caller.tenant)


def _drift(services: Services, model: str, live: str, tenant: str) -> list[FeatureDrift]:
    """Drift of every feature, with the finding that is open on its series."""
    values = drift_of(services, tenant, {model: live}, model).get(model, [])
    where = {"series": [value.series for value in values], "state": FindingState.OPEN}
    findings = services.ledger.find(Finding, tenant=tenant, where=where, limit=MOST) if values else ()
    opened = {finding.series: finding for finding in findings}
    return [FeatureDrift(**value.model_dump(), finding=opened.get(value.series)) for value in values]


def _health(entities: Mapping[str, Health]) -> Mapping[str, Health]:
    """Health by model: its own entity's says more than its features'."""
    health = {model_of(entity): state for entity, state in entities.items() if model_of(entity)}
    own = {model: entities[model_entity(model)] for model in health if model_entity(model) in entities}
    return health | own


def _kind(versions: Sequence[ModelVersion], project: Project | None) -> ModelKind:
    if versions:
        return versions[0].kind
    return project.kind if project else ModelKind.SERVED


def _owner(versions: Sequence[ModelVersion], project: Project | None) -> str:
    if project:
        return project.owner
    return versions[0].owner if versions else ""
