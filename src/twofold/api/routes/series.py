"""Series and their points, with the band that was expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import Query

from twofold.api.rates import COUNTED, rates
from twofold.api.router import Caller, Filter, Limit, Svc, router
from twofold.api.rules import needs
from twofold.api.services import Services
from twofold.api.views.page import Moment, Page
from twofold.api.views.telemetry import Band, Points, SeriesView
from twofold.errors import InputError, TooLarge
from twofold.records.access import Permission
from twofold.records.finding import Finding
from twofold.records.series import Series, parse_sid, sid_text
from twofold.records.time import SECOND_NS, to_ns
from twofold.store.history.reader import by_step

routes = router("series")
MOST_POINTS: Final = 100_000
_WISHED_POINTS: Final = 600
_FINDINGS: Final = 200
_BEFORE_NS: Final = 300 * SECOND_NS  # a counter's sample before the window gives the rate of the first in it
_LOOK_BACK: Final = timedelta(days=1)  # a finding that began this long before the window may still be open in it


@routes.get("/series", operation_id="list_series", openapi_extra=needs(Permission.READ))
def list_series(
    caller: Caller, services: Svc, entity: Filter = "", metric: Filter = "", limit: Limit = 1000
) -> Page[SeriesView]:
    """Series that match both conditions."""
    found = services.catalog.find(tenant=caller.tenant, entity=entity, metric=metric, limit=limit)
    return Page(items=[_view(series) for series in found])


@routes.get("/series/{sid}/points", operation_id="get_points", openapi_extra=needs(Permission.READ))
def get_points(
    sid: str,
    caller: Caller,
    services: Svc,
    start: Moment | None = None,
    end: Moment | None = None,
    step_s: Annotated[int | None, Query(ge=1, le=86400)] = None,
) -> Points:
    """The last hour by default, in about 600 steps by default; steps without samples are left out.

    Counters are given per second.
    """
    series = services.catalog.get(_parsed(sid), tenant=caller.tenant)
    until = end or datetime.now(UTC)
    since = start or until - timedelta(hours=1)
    step = _step(since, until, step_s)
    start_ns = to_ns(since) // (step * SECOND_NS) * step * SECOND_NS
    table = _steps(services, series, start_ns, to_ns(until), step * SECOND_NS)
    time_ns = table.column("time_ns").to_numpy()
    findings = _findings(services, sid_text(series.sid), since, until, caller.tenant)
    return Points(
        series=_view(replace(series, unit=f"{series.unit or '1'}/s") if series.kind in COUNTED else series),
        start=since,
        end=until,
        step_s=step,
        time_ms=(time_ns // 1_000_000).tolist(),
        mean=_finite(table.column("mean")),
        min=_finite(table.column("min")),
        max=_finite(table.column("max")),
        band=_band(services, series, time_ns, findings),
        findings=findings,
    )


def _steps(services: Services, series: Series, start_ns: int, end_ns: int, step_ns: int) -> pa.Table:
    read = services.history.samples
    if series.kind not in COUNTED:
        return read([series.sid], start_ns, end_ns, tenant=series.tenant, step_ns=step_ns)
    found = rates(read([series.sid], start_ns - _BEFORE_NS, end_ns, tenant=series.tenant), series.kind)
    return by_step(found.filter(pc.field("time_ns") >= start_ns), step_ns)


def _parsed(sid: str) -> int:
    try:
        return parse_sid(sid)
    except ValueError as error:
        raise InputError(f"sid {sid!r} is not 16 hex digits", reason="sid") from error


def _step(start: datetime, end: datetime, step_s: int | None) -> int:
    span_s = (end - start).total_seconds()
    if span_s <= 0:
        raise InputError(f"start {start.isoformat()} is not before end {end.isoformat()}", reason="window")
    step = step_s or max(1, math.ceil(span_s / _WISHED_POINTS))
    if span_s / step > MOST_POINTS:
        raise TooLarge(
            f"{span_s / step:.0f} points are more than {MOST_POINTS}; ask for step_s of {span_s / MOST_POINTS:.0f}",
            reason="points",
            limit=MOST_POINTS,
        )
    return step


def _findings(services: Services, series: str, start: datetime, end: datetime, tenant: str) -> list[Finding]:
    found = services.ledger.find(
        Finding, tenant=tenant, where={"series": series}, since=start - _LOOK_BACK, until=end, limit=_FINDINGS
    )
    return [finding for finding in found if finding.seen >= start]


def _band(services: Services, series: Series, time_ns: npt.NDArray[np.int64], findings: Sequence[Finding]) -> Band:
    """What the detector says; else what findings say of their own windows; else nothing."""
    if (said := services.bands.band(series, time_ns)) is not None:
        return Band(low=_finite(said[0]), high=_finite(said[1]))
    low, high = np.full(len(time_ns), np.nan), np.full(len(time_ns), np.nan)
    for finding in findings:
        inside = (time_ns >= to_ns(finding.onset)) & (time_ns <= to_ns(finding.seen))
        low[inside], high[inside] = finding.low, finding.high
    if np.isnan(low).all() and np.isnan(high).all():
        return Band(low=None, high=None)
    return Band(low=_finite(low), high=_finite(high))


def _finite(column: Any) -> list[float | None]:
    """Values as JSON numbers: what is not finite becomes null."""
    values = np.asarray(column, dtype=np.float64)
    return [float(value) if math.isfinite(value) else None for value in values]


def _view(series: Series) -> SeriesView:
    return SeriesView(
        sid=sid_text(series.sid),
        metric=series.metric,
        labels=series.labels,
        entity=series.entity,
        unit=series.unit,
        kind=series.kind,
        origin=series.origin,
        tenant=series.tenant,
    )
