"""Traces and log lines, out of the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Path, Query

from twofold.api.router import Caller, Filter, Limit, Svc, router
from twofold.api.rules import needs
from twofold.api.spans import trace_line, trace_view
from twofold.api.views.page import Moment, Page
from twofold.api.views.telemetry import LogLine, Trace, TraceLine
from twofold.errors import NotFound
from twofold.records.access import Permission
from twofold.records.time import to_datetime, to_ns
from twofold.store.history import FIRST_NS, LAST_NS, LineQuery

routes = router("traces")
_SPANS: Final = 10_000  # of one trace
_LINES_SQL: Final = """
    SELECT trace_id, entity, name, start_ns, duration_ns, error FROM spans
    WHERE kind IN (2, 5) AND ($entity = '' OR entity = $entity) AND ($operation = '' OR name = $operation)
      AND duration_ns >= $least_ns AND (error OR NOT $failed)
    ORDER BY duration_ns DESC, start_ns, trace_id LIMIT $most
"""


@routes.get("/traces/{trace_id}", operation_id="get_trace", openapi_extra=needs(Permission.READ))
def get_trace(
    trace_id: Annotated[str, Path(pattern="^[0-9a-fA-F]{32}$")],
    caller: Caller,
    services: Svc,
    start: Moment | None = None,
    end: Moment | None = None,
) -> Trace:
    """Its spans by start, at most 10,000, and where its time went. `start` and `end` narrow the search."""
    since, until = to_ns(start) if start else FIRST_NS, to_ns(end) if end else LAST_NS
    found = services.history.trace(trace_id.lower(), tenant=caller.tenant, start_ns=since, end_ns=until)
    rows = found.slice(0, _SPANS).to_pylist()
    if not rows and (kept := services.kept.get(trace_id.lower(), tenant=caller.tenant)) is not None:
        return trace_view(trace_id.lower(), kept.slice(0, _SPANS).to_pylist(), kept=True)
    if not rows:
        raise NotFound(f"no spans of trace {trace_id}; they may be older than the history keeps", id=trace_id)
    return trace_view(trace_id.lower(), rows)


@routes.get("/traces", operation_id="list_traces", openapi_extra=needs(Permission.READ))
def list_traces(
    caller: Caller,
    services: Svc,
    entity: Filter = "",
    operation: Filter = "",
    start: Moment | None = None,
    end: Moment | None = None,
    least_ms: Annotated[float, Query(ge=0.0, description="least duration")] = 0.0,
    failed: Annotated[bool, Query(description="only requests that failed")] = False,  # noqa: FBT002 - a query parameter
    limit: Limit = 50,
) -> Page[TraceLine]:
    """Requests that services answered, the slowest first; of the last quarter of an hour by default."""
    until = end or datetime.now(UTC) + timedelta(seconds=1)
    asked = {
        "entity": entity,
        "operation": operation,
        "least_ns": int(least_ms * 1e6),
        "failed": failed,
        "most": limit,
    }
    since_ns, until_ns = to_ns(start or until - timedelta(minutes=15)), to_ns(until)
    found = services.history.query(
        _LINES_SQL, tenant=caller.tenant, parameters=asked, start_ns=since_ns, end_ns=until_ns
    )
    return Page(items=[trace_line(row) for row in found.to_pylist()])


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
