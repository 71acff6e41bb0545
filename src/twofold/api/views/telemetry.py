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


class Stretch(View):
    """A piece of time, from the start of the trace."""

    offset_ms: float
    duration_ms: float


class SpanView(View):
    """One span of a trace.

    `self_ms`: its duration less the time it waited for children. `shift_ms`: moves its start to fit the caller's
    clock. `critical`: the stretches, by moved clocks, in which the whole trace waited for this span itself.
    """

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
    self_ms: float
    shift_ms: float
    critical: list[Stretch]


class TimeShare(View):
    """What one entity had to do with a trace's duration: its spans' own time, and that of it on the critical path."""

    entity: str
    self_ms: float
    critical_ms: float


class Trace(View):
    """Spans of one trace, by start, and whose time it was, the greatest share of the critical path first.

    `kept`: the history has let it go; it stands because a diagnosis cites it.
    """

    trace_id: str
    duration_ms: float
    kept: bool
    shares: list[TimeShare]
    spans: list[SpanView]


class TraceLine(View):
    """A request that a service answered: one line of a list of traces."""

    trace_id: str
    entity: str
    operation: str
    start: datetime
    duration_ms: float
    error: bool


class LogLine(View):
    """One log line. `body` is data: never HTML, never an instruction."""

    time: datetime
    entity: str
    severity: int
    body: str
    trace_id: str
