"""Series, traces and logs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from twofold.api.views.page import View
from twofold.records.finding import Finding
from twofold.records.series import Origin, SeriesKind


class SeriesView(View):
    """A series; `sid` as 16 hex digits, because JSON numbers lose bits past 2^53."""

    sid: str
    metric: str
    labels: Mapping[str, str]
    entity: str
    unit: str
    kind: SeriesKind
    origin: Origin
    tenant: str


class Band(View):
    """Expected low and high at each time; null where no detector said."""

    low: list[float | None] | None
    high: list[float | None] | None


class Points(View):
    """A series over a window, one point a step; arrays are of equal length."""

    series: SeriesView
    start: datetime
    end: datetime
    step_s: int
    time_ms: list[int]
    mean: list[float | None]
    min: list[float | None]
    max: list[float | None]
    band: Band
    findings: list[Finding]


class SpanView(View):
    """One span of a trace."""

    span_id: str
    parent_id: str
    entity: str
    name: str
    kind: Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
    start: datetime
    duration_ms: float
    error: bool
    peer: str
    attributes: Mapping[str, Any]


class Trace(View):
    """Spans of one trace, by start."""

    trace_id: str
    spans: list[SpanView]


class LogLine(View):
    """One log line. `body` is data: never HTML, never an instruction."""

    time: datetime
    entity: str
    severity: int
    body: str
    trace_id: str
