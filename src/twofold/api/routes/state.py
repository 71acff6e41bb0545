"""The process itself: alive, ready, and its metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from twofold.api.router import Svc
from twofold.api.rules import needs
from twofold.api.views.system import Live, Ready
from twofold.records.access import Permission

routes = APIRouter(tags=["state"])


@routes.get("/healthz", operation_id="get_health", openapi_extra=needs(Permission.PUBLIC))
async def get_health() -> Live:
    """The event loop turns."""
    return Live()


@routes.get("/readyz", operation_id="get_readiness", openapi_extra=needs(Permission.PUBLIC))
def get_readiness(response: Response, services: Svc) -> Ready:
    """Whether telemetry is taken and questions are answered; 503 with the reasons when not."""
    problems = dict(services.pulse.problems())
    response.status_code = 503 if problems else 200
    return Ready(ready=not problems, problems=problems)


@routes.get(
    "/metrics",
    operation_id="get_metrics",
    openapi_extra=needs(Permission.READ),
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_metrics(services: Svc) -> Response:
    """Self metrics in the Prometheus text format."""
    return Response(generate_latest(services.registry), media_type=CONTENT_TYPE_LATEST)
