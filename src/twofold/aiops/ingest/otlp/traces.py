"""OTLP spans to a batch of spans, parsed by protobuf, walked in Python into column lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.entities import Naming, peer_entity
from twofold.aiops.ingest.otlp.logs import SPAN_ID_BYTES, TRACE_ID_BYTES
from twofold.aiops.ingest.otlp.message import KEPT, attributes_json, pick, text, texts
from twofold.records.columns import SPANS

SERVER_ERROR: Final = 500
_EXCEPTION: Final = ("exception.type", "exception.message")
_LAST_KIND: Final = 5


def spans_of(
    request: ExportTraceServiceRequest, naming: Naming, tenant: str, latest_ns: int
) -> tuple[pa.RecordBatch, Outcome]:
    """Every span as a row of schema `SPANS`, and what became of them.

    Rejected: no 16-byte trace id and 8-byte span id (`bad_id`), no start (`no_time`), start after
    `latest_ns` (`future`). An end before the start gives duration 0. Of the span's events only the
    first exception's type and message are kept, as attributes; links are not kept.
    """
    columns: dict[str, list[Any]] = {name: [] for name in SPANS.names}
    rejected: Counter[str] = Counter()
    received = 0
    for resource in request.resource_spans:
        attributes = texts(resource.resource.attributes)
        entity = naming.resource(attributes, tenant=tenant)
        kept = pick(attributes, KEPT)
        for scope in resource.scope_spans:
            for span in scope.spans:
                received += 1
                if reason := _fault(span, latest_ns):
                    rejected[reason] += 1
                    continue
                columns["entity"].append(entity)
                _append(columns, span, kept)
    batch = pa.record_batch([pa.array(columns[field.name], field.type) for field in SPANS], schema=SPANS)
    stored = batch.num_rows
    return batch, Outcome(Item.SPANS, received, stored, rows=stored, rejected=rejected)


def _fault(span: Span, latest_ns: int) -> str:
    if len(span.trace_id) != TRACE_ID_BYTES or len(span.span_id) != SPAN_ID_BYTES:
        return "bad_id"
    if not any(span.trace_id) or not any(span.span_id):
        return "bad_id"
    if not span.start_time_unix_nano:
        return "no_time"
    return "future" if max(span.start_time_unix_nano, span.end_time_unix_nano) > latest_ns else ""


def _append(columns: dict[str, list[Any]], span: Span, kept: Mapping[str, str]) -> None:
    kind = span.kind if 0 <= span.kind <= _LAST_KIND else 0
    values, encoded = attributes_json(span.attributes, _more(span, kept))
    parent = span.parent_span_id
    columns["trace_id"].append(span.trace_id.hex())
    columns["span_id"].append(span.span_id.hex())
    columns["parent_id"].append(parent.hex() if len(parent) == SPAN_ID_BYTES and any(parent) else "")
    columns["name"].append(span.name)
    columns["kind"].append(kind)
    columns["start_ns"].append(span.start_time_unix_nano)
    columns["duration_ns"].append(max(0, span.end_time_unix_nano - span.start_time_unix_nano))
    columns["error"].append(is_error(span.status.code, values))
    columns["peer"].append(peer_entity(kind, {key: value for key, value in values.items() if isinstance(value, str)}))
    columns["attributes"].append(encoded)


def _more(span: Span, kept: Mapping[str, str]) -> dict[str, str]:
    """What else is kept as attributes: the resource's, the status's message and the first exception."""
    more = dict(kept)
    if span.status.message:
        more["otel.status_description"] = span.status.message
    event = next((each for each in span.events if each.name == "exception"), None)
    if event is not None:
        more.update({each.key: text(each.value) for each in event.attributes if each.key in _EXCEPTION})
    return more


def is_error(status: int, attributes: Mapping[str, Any]) -> bool:
    """Whether a span failed: its status says so, or HTTP answered 5xx.

    >>> is_error(0, {"http.response.status_code": 503}), is_error(0, {"http.response.status_code": 404})
    (True, False)
    """
    if status == SpanStatus.STATUS_CODE_ERROR:
        return True
    code = attributes.get("http.response.status_code", attributes.get("http.status_code"))
    return isinstance(code, int) and code >= SERVER_ERROR
