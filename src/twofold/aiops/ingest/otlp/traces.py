"""OTLP spans to a batch of spans: the validated way, walked in Python, and the short way, compiled."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.entities import Naming, peer_entity
from twofold.aiops.ingest.otlp.logs import SPAN_ID_BYTES, TRACE_ID_BYTES
from twofold.aiops.ingest.otlp.message import KEPT, attributes_json, pick, text, texts
from twofold.aiops.ingest.otlp.short import (
    FEW,
    MAX_BYTES,
    Ints,
    Kernels,
    Resources,
    Short,
    TextColumn,
    coded,
    fits,
    nested,
)
from twofold.records.columns import SPANS

SERVER_ERROR: Final = 500
_EXCEPTION: Final = ("exception.type", "exception.message")
_LAST_KIND: Final = 5
_BYTES_PER_SPAN: Final = (
    32  # a real span has 24 bytes of ids alone; a request of many that lack them goes the other way
)


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
    encoded, error, peer = _judged(span, kept)
    parent = span.parent_span_id
    columns["trace_id"].append(span.trace_id.hex())
    columns["span_id"].append(span.span_id.hex())
    columns["parent_id"].append(parent.hex() if len(parent) == SPAN_ID_BYTES and any(parent) else "")
    columns["name"].append(span.name)
    columns["kind"].append(kind)
    columns["start_ns"].append(span.start_time_unix_nano)
    columns["duration_ns"].append(max(0, span.end_time_unix_nano - span.start_time_unix_nano))
    columns["error"].append(error)
    columns["peer"].append(peer)
    columns["attributes"].append(encoded)


def _judged(span: Span, kept: Mapping[str, str]) -> tuple[str, bool, str]:
    """What a span's attributes tell: themselves as JSON, whether it failed, and its peer."""
    values, encoded = attributes_json(span.attributes, _more(span, kept))
    words = {key: value for key, value in values.items() if isinstance(value, str)}
    return encoded, is_error(span.status.code, values), peer_entity(span.kind, words)


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


class ShortSpans(Short):
    """The short way: gives what `spans_of` gives, or None."""

    walker: ClassVar[str] = "spans"
    reserved: ClassVar[tuple[str, ...]] = (*KEPT, "otel.status_description", *_EXCEPTION)

    def __init__(self, naming: Naming) -> None:
        super().__init__()
        self._resources = Resources(naming, _resource)
        self._seed = secrets.randbits(63)

    def decode(self, body: bytes, tenant: str, latest_ns: int) -> tuple[pa.RecordBatch, Outcome] | None:
        """Spans of a request; None when kernels are cold or the validated way must decide."""
        if self.kernels is None or len(body) > MAX_BYTES:
            return None
        return self._decode(self.kernels, body, tenant, latest_ns)

    def warm_up(self, kernels: Kernels) -> None:
        """Decode a request without a span."""
        self._decode(kernels, b"", "", 0)

    def _decode(
        self, kernels: Kernels, body: bytes, tenant: str, latest_ns: int
    ) -> tuple[pa.RecordBatch, Outcome] | None:
        walked = _Walked(kernels, body, latest_ns, self._seed)
        if walked.senders < 0:
            return None
        try:
            known = [self._resources.get(tenant, body[first:last]) for first, last in walked.resources.tolist()]
            slow = walked.slow([kept for _, kept, _ in known])
            peers = walked.peers()
        except ProtobufError:
            return None
        return walked.batch(known, slow, peers)


class _Walked:
    """One request between the two kernels."""

    def __init__(self, kernels: Kernels, body: bytes, latest_ns: int, seed: int) -> None:
        module = kernels.module
        room = len(body) // _BYTES_PER_SPAN + FEW
        places = 1 << (2 * room).bit_length()
        self._kernels, self._body = kernels, body
        self._padded = kernels.padded(body)
        self._base = self._padded.ctypes.data
        self._rows, resources = np.empty((room, kernels.row), np.int64), np.empty((room, 2), np.int64)
        self._doubles = np.empty(len(body) // 9 + 1)
        self._state = kernels.state(self._doubles)
        tables = np.zeros((2, places + 1), np.int32)
        self._names, self._peers = np.empty((room + 1, 2), np.int64), np.empty((room + 1, 2), np.int64)
        self._names[0] = self._peers[0] = 0
        parts = (self._rows, resources, None, tables[0], self._names, tables[1], self._peers)
        work = np.zeros(module.WORK, np.int64)
        work[:4] = self._state.ctypes.data, latest_ns, seed, room
        work[4:11] = [places if part is None else part.ctypes.data for part in parts]
        self.senders: int = kernels.walk(self._base, len(body), work.ctypes.data)
        self._count, *refused = work[module.W_COUNT // 8 :].tolist()
        self._rejected = Counter(
            {name: n for name, n in zip(("bad_id", "no_time", "future"), refused, strict=True) if n}
        )
        self._rows = self._rows[: self._count]
        self.resources = resources[: max(self.senders, 0)] - self._base

    def slow(self, kept: Sequence[Mapping[str, str]]) -> list[tuple[int, str, bool, str]]:
        """Row, attributes, error and peer of each slow row, through protobuf. Raises its error."""
        module = self._kernels.module
        at = np.flatnonzero(self._rows[:, module.SLOW_ROW] >= 0)
        resource = self._rows[at, module.RESOURCE].tolist()
        return [
            (row, *_judged(span, kept[number]))
            for row, span, number in zip(at.tolist(), self._spans(at), resource, strict=True)
        ]

    def peers(self) -> list[str]:
        """The peers by their number in rows, 0 being none: each named from one of the spans that have it."""
        count = int(self._peers[0, 0])
        return ["", *(_judged(span, {})[2] for span in self._spans(self._peers[1 : count + 1, 1]))]

    def _spans(self, rows: Ints) -> Sequence[Span]:
        if not len(rows):
            return ()
        module = self._kernels.module
        places = self._rows[rows][:, [module.RECORD, module.RECORD_END]] - self._base
        parts = [self._body[first:last] for first, last in places.tolist()]
        request = ExportTraceServiceRequest.FromString(nested(10, [nested(18, [nested(18, parts)])]))
        found: Sequence[Span] = request.resource_spans[0].scope_spans[0].spans
        return found

    def batch(
        self,
        known: Sequence[tuple[str, dict[str, str], bytes]],
        slow: Sequence[tuple[int, str, bool, str]],
        peers: list[str],
    ) -> tuple[pa.RecordBatch, Outcome] | None:
        """The columns; None when they are too large for Arrow."""
        kernels, rows, count = self._kernels, self._rows, self._count
        prefixes, prefix_bytes = kernels.addresses([members for _, _, members in known])
        tokens = kernels.tokens(self._state, self._doubles)
        sides, side_bytes = kernels.addresses([encoded.encode() for _, encoded, _, _ in slow])
        members = int((prefixes[1::2] - prefixes[::2])[rows[:, kernels.module.RESOURCE]].sum())
        json_bytes = kernels.count(self._state, "JSON_BYTES") + members + 2 * count + len(tokens) + len(side_bytes)
        if not fits(json_bytes, 32 * count):
            return None
        start_ns, duration_ns = np.empty(count, np.int64), np.empty(count, np.int64)
        kind, error = np.empty(count, np.int8), np.empty(count, np.bool_)
        resource, name, peer = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.int32)
        made = [TextColumn(count, size, kernels.padding) for size in (32 * count, 16 * count, 16 * count, json_bytes)]
        places = [start_ns, duration_ns, kind, error, resource, name, peer]
        places += [array for column in made for array in (column.offsets, column.data)]
        columns = np.array([array.ctypes.data for array in places], np.int64)
        kernels.render(
            rows.ctypes.data,
            count,
            prefixes.ctypes.data,
            tokens.ctypes.data,
            sides.ctypes.data,
            columns.ctypes.data,
        )
        for row, _, failed, entity in slow:
            error[row], peer[row] = failed, len(peers)
            peers.append(entity)
        del prefix_bytes, side_bytes  # they had to stay until here
        trace_id, span_id, parent_id, attributes = (column.array() for column in made)
        entity_of = coded([entity for entity, _, _ in known], resource)
        arrays = [trace_id, span_id, parent_id, entity_of, coded(self._texts(), name), pa.array(kind)]
        arrays += [pa.array(start_ns), pa.array(duration_ns), pa.array(error), coded(peers, peer), attributes]
        outcome = Outcome(Item.SPANS, count + self._rejected.total(), count, rows=count, rejected=self._rejected)
        return pa.RecordBatch.from_arrays(arrays, schema=SPANS), outcome

    def _texts(self) -> list[str]:
        """The names of spans by their number."""
        places = self._names[1 : int(self._names[0, 0]) + 1] - self._base
        return [self._body[first:last].decode() for first, last in places.tolist()]


def _resource(data: bytes) -> Any:
    request = ExportTraceServiceRequest.FromString(nested(10, [nested(10, [data])]))
    return request.resource_spans[0].resource
