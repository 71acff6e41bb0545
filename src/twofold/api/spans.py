"""Rows of spans as a trace that tells where its time went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import orjson

from twofold.aiops.detect.traces.tree import Node, Spent, spent
from twofold.api.views.telemetry import SpanView, Stretch, TimeShare, Trace, TraceLine
from twofold.records.time import to_datetime

SpanKind = Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
_KINDS: Final[tuple[SpanKind, ...]] = ("unspecified", "internal", "server", "client", "producer", "consumer")
Row = Mapping[str, Any]


def trace_view(trace_id: str, rows: Sequence[Row], *, kept: bool = False) -> Trace:
    """The spans, of which there is at least one, with the own time of each and the critical path."""
    nodes = [
        Node(row["span_id"], row["parent_id"], row["entity"], row["kind"], row["start_ns"], row["duration_ns"])
        for row in rows
    ]
    times = spent(nodes)
    first_ns = min(each.start_ns for each in times.values())
    last_ns = max(each.end_ns for each in times.values())
    return Trace(
        trace_id=trace_id,
        duration_ms=(last_ns - first_ns) / 1e6,
        kept=kept,
        shares=_shares(nodes, times),
        spans=[_span(row, times[row["span_id"]], first_ns) for row in rows],
    )


def trace_line(row: Row) -> TraceLine:
    """One line of a list."""
    return TraceLine(
        trace_id=row["trace_id"],
        entity=row["entity"],
        operation=row["name"],
        start=to_datetime(row["start_ns"]),
        duration_ms=row["duration_ns"] / 1e6,
        error=row["error"],
    )


def _shares(nodes: Sequence[Node], times: Mapping[str, Spent]) -> list[TimeShare]:
    own_ns: dict[str, int] = defaultdict(int)
    critical_ns: dict[str, int] = defaultdict(int)
    for key, entity in {node.span: node.entity for node in reversed(nodes)}.items():
        own_ns[entity] += times[key].own_ns
        critical_ns[entity] += times[key].critical_ns
    order = sorted(own_ns, key=lambda entity: (-critical_ns[entity], -own_ns[entity], entity))
    return [
        TimeShare(entity=entity, self_ms=own_ns[entity] / 1e6, critical_ms=critical_ns[entity] / 1e6)
        for entity in order
    ]


def _span(row: Row, time: Spent, first_ns: int) -> SpanView:
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
        self_ms=time.own_ns / 1e6,
        shift_ms=time.shift_ns / 1e6,
        critical=[
            Stretch(offset_ms=(start_ns - first_ns) / 1e6, duration_ms=length_ns / 1e6)
            for start_ns, length_ns in time.critical
        ],
    )
