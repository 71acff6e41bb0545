"""Traces and log lines, out of the history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import Path, Query

from twofold.api.router import Caller, Filter, Limit, Svc, router
from twofold.api.rules import needs
from twofold.api.views.page import Moment, Page
from twofold.api.views.telemetry import LogLine, SpanView, Trace
from twofold.errors import NotFound
from twofold.records.access import Permission
from twofold.records.time import to_datetime, to_ns
from twofold.store.history import FIRST_NS, LAST_NS, LineQuery

routes = router("traces")
SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
_KINDS: Final[tuple[SpanKind, ...]] = ("unspecified", "internal", "server", "client", "producer", "consumer")
_SPANS: Final = 5000  # of one trace


@routes.get("/traces/{trace_id}", operation_id="get_trace", openapi_extra=needs(Permission.READ))
def get_trace(
    trace_id: Annotated[str, Path(pattern="^[0-9a-fA-F]{32}$")],
    caller: Caller,
    services: Svc,
    start: Moment | None = None,
    end: Moment | None = None,
) -> Trace:
    """Its spans by start, the first 5000. `start` and `end` narrow the search."""
    since, until = to_ns(start) if start else FIRST_NS, to_ns(end) if end else LAST_NS
    found = services.history.trace(trace_id.lower(), tenant=caller.tenant, start_ns=since, end_ns=until)
    rows = found.slice(0, _SPANS).to_pylist()
    if not rows:
        raise NotFound(f"no spans of trace {trace_id}; they may be older than the history keeps", id=trace_id)
    return Trace(trace_id=trace_id.lower(), spans=[_span(row) for row in rows])


@routes.get("/logs", operation_id="list_logs", openapi_extra=needs(Permission.READ))
def list_logs(
    caller: Caller,
    services: Svc,
    entity: Filter = "",
    start: Moment | None = None,
    end: Moment | None = None,
    q: Annotated[str, Query(max_length=400, description="text that the line holds")] = "",
    severity: Annotated[int, Query(ge=0, le=24, description="least OpenTelemetry SeverityNumber")] = 0,
    trace_id: Annotated[str, Query(pattern="^([0-9a-fA-F]{32})?$")] = "",
    limit: Limit = 200,
) -> Page[LogLine]:
    """The last hour by default, newest first."""
    until = end or datetime.now(UTC) + timedelta(seconds=1)
    asked = LineQuery(
        text=q,
        entity=entity,
        severity=severity,
        trace_id=trace_id.lower(),
        start_ns=to_ns(start or until - timedelta(hours=1)),
        end_ns=to_ns(until),
        most=limit,
    )
    rows = services.history.lines(asked, tenant=caller.tenant).to_pylist()
    return Page(
        items=[
            LogLine(
                time=to_datetime(row["time_ns"]),
                entity=row["entity"],
                severity=row["severity"],
                body=row["body"],
                trace_id=row["trace_id"],
            )
            for row in rows
        ]
    )


def _span(row: Mapping[str, Any]) -> SpanView:
    kind = row["kind"] if 0 <= row["kind"] < len(_KINDS) else 0
    return SpanView(
        span_id=row["span_id"],
        parent_id=row["parent_id"],
        entity=row["entity"],
        name=row["name"],
        kind=_KINDS[kind],
        start=to_datetime(row["start_ns"]),
        duration_ms=row["duration_ns"] / 1e6,
        error=row["error"],
        peer=row["peer"],
        attributes=orjson.loads(row["attributes"] or "{}"),
    )
