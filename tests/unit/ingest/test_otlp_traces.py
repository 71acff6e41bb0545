"""OTLP spans become spans with entity, peer and error."""

from __future__ import annotations

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.unit.ingest.messages import any_value, span, traces_request
from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.entities import peer_entity
from twofold.records.frame import FrameKind


def send(bench: Bench, *spans: Span, **resource: str) -> ExportTraceServiceResponse:
    body = traces_request(*spans, **resource).SerializeToString()
    answer = bench.client.post("/v1/traces", content=body, headers={"content-type": "application/x-protobuf"})
    assert answer.status_code == 200
    return ExportTraceServiceResponse.FromString(answer.content)


def test_a_span_keeps_what_stages_need(bench: Bench) -> None:
    one = span("GET /cart", http__route="/cart")
    one.parent_span_id = b"\x03" * 8
    send(bench, one, **{"service.version": "1.2", "host.name": "h1"})
    (row,) = bench.rows(FrameKind.SPANS)
    attributes = orjson.loads(row.pop("attributes"))
    assert row == {
        "trace_id": "01" * 16,
        "span_id": "02" * 8,
        "parent_id": "03" * 8,
        "entity": "service:cart",
        "name": "GET /cart",
        "kind": 2,
        "start_ns": NOW_NS,
        "duration_ns": 5_000_000,
        "error": False,
        "peer": "",
    }
    assert attributes == {"service.version": "1.2", "host.name": "h1", "http.route": "/cart"}


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (span("a", status=2), True),
        (span("a", status=1), False),
        (span("a", http__response__status_code=503), True),
        (span("a", http__status_code=500), True),
        (span("a", http__response__status_code=404), False),
    ],
)
def test_a_span_failed_by_its_status_or_by_http_5xx(bench: Bench, made: Span, *, error: bool) -> None:
    send(bench, made)
    assert bench.rows(FrameKind.SPANS)[0]["error"] is error


@pytest.mark.parametrize(
    ("kind", "attributes", "peer"),
    [
        (3, {"peer.service": "payment", "server.address": "10.0.0.9"}, "service:payment"),
        (3, {"db.system": "postgresql", "server.address": "orders-db"}, "database:postgresql/orders-db"),
        (3, {"db.system.name": "redis", "peer.service": "cache"}, "database:cache"),
        (3, {"db.system": "sqlite", "server.address": "localhost"}, "database:sqlite"),
        (4, {"messaging.system": "rabbitmq", "messaging.destination.name": "orders"}, "queue:orders"),
        (5, {"messaging.destination.name": "orders"}, "queue:orders"),
        (5, {"server.address": "broker"}, ""),
        (3, {"server.address": "catalog.shop.svc.cluster.local"}, "service:catalog"),
        (3, {"url.full": "https://api.example.com/v1"}, "service:api.example.com"),
        (3, {"server.address": "10.1.2.3"}, "host:10.1.2.3"),
        (3, {"server.address": "127.0.0.1", "server.port": "80"}, ""),
        (2, {"peer.service": "payment"}, ""),
        (3, {"url.full": "http://127.0.0.1:7070/v2/models/fraud/versions/3/infer"}, "model:fraud"),
        (3, {"url.full": "http://[broken"}, ""),
    ],
)
def test_the_peer_of_a_span(kind: int, attributes: dict[str, str], peer: str) -> None:
    assert peer_entity(kind, attributes) == peer


def test_the_first_exception_is_kept_as_attributes(bench: Bench) -> None:
    made = span("a", status=2)
    made.status.message = "boom"
    event = made.events.add(name="exception")
    event.attributes.add(key="exception.type", value=any_value("ValueError"))
    event.attributes.add(key="exception.stacktrace", value=any_value("long"))
    send(bench, made)
    attributes = orjson.loads(bench.rows(FrameKind.SPANS)[0]["attributes"])
    assert attributes == {"otel.status_description": "boom", "exception.type": "ValueError"}


def test_spans_without_ids_or_start_are_rejected_and_the_others_kept(bench: Bench) -> None:
    nameless, timeless, zero, late = span("a"), span("b"), span("c"), span("d", start_ns=NOW_NS + 10**13)
    nameless.trace_id = b"short"
    timeless.start_time_unix_nano = 0
    zero.span_id = bytes(8)
    answer = send(bench, nameless, timeless, zero, late, span("good"))
    assert answer.partial_success.rejected_spans == 4
    assert answer.partial_success.error_message == "4 of 5 spans rejected: bad_id 2, future 1, no_time 1"
    assert [row["name"] for row in bench.rows(FrameKind.SPANS)] == ["good"]


def test_an_end_before_the_start_is_a_duration_of_zero(bench: Bench) -> None:
    made = span("a")
    made.end_time_unix_nano = made.start_time_unix_nano - 5
    send(bench, made)
    assert bench.rows(FrameKind.SPANS)[0]["duration_ns"] == 0
