"""Our own read-only SQL over telemetry: one SELECT, bounded in time, rows and memory, of the caller's tenant alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from threading import BoundedSemaphore
from typing import Any, Final

import pyarrow as pa

from twofold.api.router import Caller, Svc, router
from twofold.api.rules import needs
from twofold.api.views.sql import Column, NewQuery, Rows
from twofold.errors import InputError, Overloaded
from twofold.records.access import Permission
from twofold.records.series import Series
from twofold.records.time import to_ns
from twofold.store.history import FIRST_NS, LAST_NS

routes = router("sql")
AT_ONCE: Final = 2
"""Statements that run at the same time; each may take the memory that the history's limits name."""
_RUNNING: Final = BoundedSemaphore(AT_ONCE)
_MOST_SERIES: Final = 200_000
_EXACT: Final = 2**53
_SERIES: Final = pa.schema(
    [
        pa.field("sid", pa.int64()),
        pa.field("metric", pa.string()),
        pa.field("entity", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("origin", pa.string()),
        pa.field("labels", pa.map_(pa.string(), pa.string())),
    ]
)


@routes.post("/sql", operation_id="query_sql", openapi_extra=needs(Permission.READ, "sql"))
def query_sql(body: NewQuery, caller: Caller, services: Svc) -> Rows:
    """Rows of one SELECT, in DuckDB's SQL. `series` holds what a `sid` means: `labels['job']` and so on."""
    start_ns = FIRST_NS if body.start is None else to_ns(body.start)
    end_ns = LAST_NS if body.end is None else to_ns(body.end)
    if end_ns <= start_ns:
        raise InputError(f"start {body.start} is not before end {body.end}", reason="window")
    if not _RUNNING.acquire(blocking=False):
        raise Overloaded(f"{AT_ONCE} statements run already, the limit; try again when one has ended")
    try:
        named = "series" in body.sql.lower()
        known = services.catalog.find(tenant=caller.tenant, limit=_MOST_SERIES) if named else ()
        found = services.history.query(
            body.sql,
            tenant=caller.tenant,
            start_ns=start_ns,
            end_ns=end_ns,
            tables={"series": _series(known)} if named else None,
        )
    finally:
        _RUNNING.release()
    shown = found.slice(0, body.limit)
    columns = [[_cell(value) for value in column.to_pylist()] for column in shown.columns]
    return Rows(
        columns=[Column(name=field.name, type=str(field.type)) for field in found.schema],
        rows=[list(row) for row in zip(*columns, strict=True)],
        truncated=found.num_rows > body.limit,
    )


def _series(known: Sequence[Series]) -> pa.Table:
    columns: list[list[Any]] = [
        [each.sid for each in known],
        [each.metric for each in known],
        [each.entity for each in known],
        [each.unit for each in known],
        [each.kind.value for each in known],
        [each.origin.value for each in known],
        [list(each.labels.items()) for each in known],
    ]
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, _SERIES, strict=True)], schema=_SERIES
    )


def _cell(value: Any) -> Any:
    """A value as JSON holds it: what is not finite is null, what would lose bits is text."""
    if isinstance(value, list | tuple):
        return [_cell(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _cell(each) for key, each in value.items()}
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > _EXACT:
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
