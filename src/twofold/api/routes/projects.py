"""Model projects and their training runs."""

from __future__ import annotations

from twofold.api.router import After, Caller, Filter, Limit, Svc, page, router, where
from twofold.api.rules import needs
from twofold.api.views.models import Train, Training
from twofold.api.views.page import Page
from twofold.records.access import Permission
from twofold.records.model import Project, Run, RunState

routes = router("projects")


@routes.get("/projects", operation_id="list_projects", openapi_extra=needs(Permission.READ))
def list_projects(caller: Caller, services: Svc, limit: Limit = 100, after: After = "") -> Page[Project]:
    """By id."""
    return page(services.ledger, Project, tenant=caller.tenant, limit=limit, after=after, newest_first=False)


@routes.post(
    "/projects/{project}/train",
    operation_id="train_project",
    status_code=202,
    openapi_extra=needs(Permission.TRAIN, "seed", "parameters"),
)
def train_project(project: str, caller: Caller, services: Svc, body: Train | None = None) -> Training:
    """Start a training in the worker; its run shows under `/runs`."""
    seed = body.seed if body else None
    parameters = body.parameters if body else {}
    started = services.models.train(project, seed=seed, actor=caller.name, tenant=caller.tenant, parameters=parameters)
    return Training(workflow_id=started)


@routes.get("/runs", operation_id="list_runs", openapi_extra=needs(Permission.READ))
def list_runs(
    caller: Caller,
    services: Svc,
    project: Filter = "",
    model: Filter = "",
    state: RunState | None = None,
    limit: Limit = 100,
    after: After = "",
) -> Page[Run]:
    """Newest first."""
    conditions = where(project=project, model=model, state=state)
    return page(services.ledger, Run, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)


@routes.get("/runs/{run}", operation_id="get_run", openapi_extra=needs(Permission.READ))
def get_run(run: str, caller: Caller, services: Svc) -> Run:
    """One training run."""
    return services.ledger.get(Run, run, tenant=caller.tenant)
