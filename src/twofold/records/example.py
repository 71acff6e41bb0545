"""Telemetry kept whole beside the numbers made from it: a trace or a log line that a diagnosis can cite.

Passed down the pipeline, not stored: spans and logs themselves stand in the history.
"""

from __future__ import annotations

from dataclasses import dataclass

from twofold.records.entity import DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """One telling span of a window: the slowest, or one that failed.

    Attributes:
        entity: Who reported the span; for a client span the caller.
        callee: Entity id of a client span's target, else empty.
        kind: `server`, `consumer` or `client`, as in the labels of the span series.
        time_ns: End of the span.
    """

    trace_id: str
    entity: str
    operation: str
    duration_ns: int
    error: bool
    time_ns: int
    callee: str = ""
    kind: str = ""
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExample:
    """One log line of severity warning or worse, or one with an odd value.

    The body is data from outside: show it as text only.

    Attributes:
        severity: OpenTelemetry SeverityNumber: 13 and up warns, 17 and up is an error.
        trace_id: 32 hex digits, or empty.
        why: What is odd about it; empty for one that tells by its severity.
    """

    entity: str
    time_ns: int
    severity: int
    body: str
    trace_id: str = ""
    why: str = ""
    tenant: str = DEFAULT_TENANT
