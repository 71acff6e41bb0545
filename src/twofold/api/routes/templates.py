"""Log templates: found by meaning or text, with their rates, and the lines of one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import numpy as np
from fastapi import Path, Query

from twofold.aiops.detect.mining.board import longest_constant, pattern_of
from twofold.aiops.detect.mining.search import containing
from twofold.api.router import Caller, Filter, Limit, Svc, router
from twofold.api.rules import needs
from twofold.api.services import Services
from twofold.api.views.logs import SearchBy, TemplateOrder, Templates, TemplateUseView, TemplateView, Trend
from twofold.api.views.page import Moment, Page
from twofold.api.views.telemetry import LogLine
from twofold.errors import NotFound
from twofold.records.access import Permission
from twofold.records.series import parse_sid
from twofold.records.template import LogTemplate
from twofold.records.time import SECOND_NS, to_datetime, to_ns
from twofold.store.history import LineQuery

routes = router("logs")
Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
_HOUR: Final = timedelta(hours=1)
_STEP_S: Final = 120
_RECENT: Final = 3  # steps at the end of the hour that are held against the rest
_FAR: Final = 0.2  # of the nearest: what is farther answers another question
_AT_ONCE: Final = 2000  # candidate lines read at a time
_READ: Final = 20  # times, at most: a rare form among many candidates is not worth more

_ORDERS: Final[Mapping[TemplateOrder, Callable[[LogTemplate], Any]]] = {
    TemplateOrder.LINES: lambda one: -one.lines,
    TemplateOrder.ERRORS: lambda one: (-one.errors, -one.lines),
    TemplateOrder.NEWEST: lambda one: -one.first_seen.timestamp(),
    TemplateOrder.LATEST: lambda one: -one.last_seen.timestamp(),
}


@routes.get("/logs/templates", operation_id="list_templates", openapi_extra=needs(Permission.READ))
def list_templates(
    caller: Caller,
    services: Svc,
    *,
    q: Annotated[str, Query(max_length=400, description="a question in plain words, or a part of the text")] = "",
    by: SearchBy = SearchBy.MEANING,
    entity: Filter = "",
    severity: Annotated[int, Query(ge=0, le=24, description="least OpenTelemetry SeverityNumber")] = 0,
    order: TemplateOrder = TemplateOrder.LINES,
    limit: Limit = 50,
) -> Templates:
    """What the log lines say, one item a statement that writes them. With `q` the nearest first, else by `order`."""
    known = services.templates.templates(caller.tenant)
    wanted = [one for one in known if one.severity >= severity and _written_by(one, entity)]
    near: dict[str, float] = {}
    if q and by is SearchBy.TEXT:
        held = set(containing({int(one.id, 16): one.text for one in wanted}, q))
        wanted = [one for one in wanted if int(one.id, 16) in held]
    elif q:
        found = services.templates.search(q, known, tenant=caller.tenant)
        least = _FAR * max((nearness for _, nearness in found), default=0.0)
        near = {f"{identity:016x}": nearness for identity, nearness in found if nearness >= least}
        wanted = [one for one in wanted if one.id in near]
    wanted.sort(key=lambda one: -near[one.id] if near else _ORDERS[order](one))
    shown = wanted[:limit]
    trends = _trends(services, shown, caller.tenant)
    top = max(near.values(), default=1.0)
    return Templates(
        items=[_view(one, trends.get(one.id), near[one.id] / top if near else None) for one in shown],
        total=len(wanted),
        by_model=services.templates.by_model,
    )


def _written_by(template: LogTemplate, entity: str) -> bool:
    return not entity or any(use.entity == entity for use in template.uses)


@routes.get("/logs/templates/{template}", operation_id="get_template", openapi_extra=needs(Permission.READ))
def get_template(template: Id, caller: Caller, services: Svc) -> TemplateView:
    """One template."""
    found = _find(services, template, caller.tenant)
    return _view(found, _trends(services, [found], caller.tenant).get(found.id), None)


def _find(services: Services, template: str, tenant: str) -> LogTemplate:
    for one in services.templates.templates(tenant):
        if one.id == template:
            return one
    raise NotFound(f"no log template {template}; it may have become part of another, or be forgotten", id=template)


@routes.get(
    "/logs/templates/{template}/lines", operation_id="list_template_lines", openapi_extra=needs(Permission.READ)
)
def list_template_lines(
    template: Id,
    caller: Caller,
    services: Svc,
    entity: Filter = "",
    start: Moment | None = None,
    end: Moment | None = None,
    limit: Limit = 100,
) -> Page[LogLine]:
    """Its lines, newest first, of the hour before `end`; by default of the hour before it was last seen."""
    found = _find(services, template, caller.tenant)
    until = end or found.last_seen + timedelta(minutes=1)
    since_ns = to_ns(start or until - _HOUR)
    lines: list[LogLine] = []
    for row in _lines(services, found, entity, (since_ns, to_ns(until)), caller.tenant):
        lines.append(_line(row))
        if len(lines) == limit:
            break
    return Page(items=lines)


def _lines(
    services: Services, template: LogTemplate, entity: str, window_ns: tuple[int, int], tenant: str
) -> Iterator[Mapping[str, Any]]:
    """Rows of log lines that fit the template, newest first."""
    pattern, text = pattern_of(template.forms), longest_constant(template.forms)
    start_ns, end_ns = window_ns
    for _ in range(_READ):
        asked = LineQuery(start_ns=start_ns, end_ns=end_ns, text=text, entity=entity, most=_AT_ONCE)
        rows = services.history.lines(asked, tenant=tenant).to_pylist()
        yield from (row for row in rows if pattern.fullmatch(row["body"]))
        if len(rows) < _AT_ONCE or rows[-1]["time_ns"] >= end_ns:
            return
        end_ns = rows[-1]["time_ns"]


def _line(row: Mapping[str, Any]) -> LogLine:
    return LogLine(
        time=to_datetime(row["time_ns"]),
        entity=row["entity"],
        severity=row["severity"],
        body=row["body"],
        trace_id=row["trace_id"],
    )


def _trends(services: Services, templates: Sequence[LogTemplate], tenant: str) -> dict[str, Trend]:
    """By template id; those without a series have none."""
    of = {parse_sid(use.series): one.id for one in templates for use in one.uses if use.series}
    if not of:
        return {}
    steps = int(_HOUR.total_seconds()) // _STEP_S
    end_ns = (to_ns(datetime.now(UTC)) // (_STEP_S * SECOND_NS) + 1) * (_STEP_S * SECOND_NS)
    start_ns = end_ns - steps * _STEP_S * SECOND_NS
    found = services.history.samples(list(of), start_ns, end_ns, tenant=tenant, step_ns=_STEP_S * SECOND_NS)
    rates = {identity: np.zeros(steps) for identity in of.values()}
    for sid, time_ns, mean in zip(
        *(found.column(name).to_pylist() for name in ("sid", "time_ns", "mean")), strict=True
    ):
        if math.isfinite(mean) and 0 <= (step := (time_ns - start_ns) // (_STEP_S * SECOND_NS)) < steps:
            rates[of[sid]][step] += mean
    return {identity: _trend(start_ns, rate) for identity, rate in rates.items()}


def _trend(start_ns: int, rate: np.ndarray) -> Trend:
    before = float(rate[:-_RECENT].mean())
    return Trend(
        start=to_datetime(start_ns),
        step_s=_STEP_S,
        rate=[round(each, 4) for each in rate.tolist()],
        change=round(float(rate[-_RECENT:].mean()) / before, 3) if before > 0 else None,
    )


def _view(template: LogTemplate, trend: Trend | None, nearness: float | None) -> TemplateView:
    return TemplateView(
        id=template.id,
        text=template.text,
        example=template.example,
        lines=template.lines,
        errors=template.errors,
        severity=template.severity,
        first_seen=template.first_seen,
        last_seen=template.last_seen,
        uses=[
            TemplateUseView(
                entity=use.entity,
                lines=use.lines,
                errors=use.errors,
                severity=use.severity,
                first_seen=use.first_seen,
                last_seen=use.last_seen,
                series=use.series,
            )
            for use in template.uses
        ],
        trend=trend,
        nearness=None if nearness is None else round(nearness, 4),
    )
