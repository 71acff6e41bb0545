"""One module a noun; `ROUTERS` is the whole REST API."""

from typing import Final

from fastapi import APIRouter

from twofold.api.routes import (
    alerts,
    audit,
    changes,
    demo,
    detectors,
    forecasts,
    home,
    incidents,
    models,
    projects,
    prometheus,
    runbooks,
    series,
    session,
    slos,
    sql,
    state,
    stream,
    tokens,
    topology,
    traces,
    users,
    verdicts,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    session.routes,
    home.routes,
    incidents.routes,
    verdicts.routes,
    alerts.routes,
    changes.routes,
    topology.routes,
    series.routes,
    prometheus.routes,
    sql.routes,
    traces.routes,
    models.routes,
    projects.routes,
    detectors.routes,
    forecasts.routes,
    slos.routes,
    runbooks.routes,
    stream.routes,
    users.routes,
    tokens.routes,
    audit.routes,
    demo.routes,
    state.routes,
)
