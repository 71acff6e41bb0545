"""The real OpenTelemetry SDK exports metrics, logs and traces over gRPC to a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

from tests.flow.receiving import Receiving, receiving
from twofold.aiops.ingest.counts import Item
from twofold.errors import Overloaded
from twofold.records.frame import FrameKind
from twofold.records.series import SeriesKind

RESOURCE = Resource({"service.name": "checkout", "service.instance.id": "checkout-1"})
BASE = (("otel.scope.name", "shop"), ("service.instance.id", "checkout-1"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Receiving]:
    with receiving(tmp_path) as made:
        yield made


def metrics(server: Receiving, **options: Any) -> MeterProvider:
    exporter = OTLPMetricExporter(f"http://127.0.0.1:{server.grpc.port}", insecure=True, **options)
    return MeterProvider(
        [PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)],
        resource=RESOURCE,
        views=[View(instrument_name="exp", aggregation=ExponentialBucketHistogramAggregation())],
    )


@pytest.mark.parametrize("compression", list(grpc.Compression))
def test_metrics_of_every_instrument_arrive(server: Receiving, compression: grpc.Compression) -> None:
    provider = metrics(server, compression=compression)
    meter = provider.get_meter("shop")
    meter.create_counter("orders").add(3, {"kind": "web"})
    meter.create_up_down_counter("open").add(-2)
    meter.create_histogram("took", unit="s").record(0.3)
    meter.create_histogram("exp", unit="s").record(3.0)
    meter.create_gauge("load").set(0.5)
    provider.shutdown()
    found = {key: points[-1][1] for key, points in server.samples().items()}
    assert found["orders", (("kind", "web"), *BASE)] == 3.0
    assert found["open", BASE] == -2.0
    assert found["load", BASE] == 0.5
    assert found["took.count", BASE] == found["exp.count", BASE] == 1.0
    assert found["took.bucket", (("le", "5"), *BASE)] == 1.0
    assert found["exp.bucket", (("le", "4"), *BASE)] == 1.0


def test_a_sender_of_deltas_makes_delta_series(server: Receiving) -> None:
    delta = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
    provider = metrics(server, preferred_temporality=delta)
    meter = provider.get_meter("shop")
    orders, took = meter.create_counter("orders"), meter.create_histogram("took")
    for more in (3, 4):
        orders.add(more)
        took.record(0.3)
        provider.force_flush()
    provider.shutdown()
    found = {key[0]: [value for _, value in points] for key, points in server.samples().items()}
    assert found["orders"] == [3.0, 4.0]
    assert found["took.count"] == [1.0, 1.0]
    kinds = {series.metric: series.kind for series in server.series().values()}
    assert set(kinds.values()) == {SeriesKind.DELTA}


def test_spans_and_their_logs_arrive_with_one_trace_id(server: Receiving) -> None:
    to = {"endpoint": f"http://127.0.0.1:{server.grpc.port}", "insecure": True}
    tracing, logs = TracerProvider(resource=RESOURCE), LoggerProvider(resource=RESOURCE)
    tracing.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(**to)))
    logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(**to)))
    with tracing.get_tracer("shop").start_as_current_span("POST /checkout", kind=SpanKind.SERVER):
        logs.get_logger("shop").emit(body="payment failed", severity_number=SeverityNumber.ERROR)
    tracing.shutdown()
    logs.shutdown()
    (checkout,) = server.rows(FrameKind.SPANS)
    (line,) = server.rows(FrameKind.LOGS)
    assert (checkout["name"], checkout["entity"]) == ("POST /checkout", "service:checkout")
    assert (line["body"], line["severity"], line["trace_id"]) == ("payment failed", 17, checkout["trace_id"])


def test_the_sdk_sends_again_what_was_refused_for_overload(server: Receiving, monkeypatch: pytest.MonkeyPatch) -> None:
    append = server.journal.append
    refused: list[int] = []

    def busy(frames: object) -> object:
        if not refused:
            refused.append(1)
            raise Overloaded("queue full", retry_after_s=1)
        return append(frames)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(server.journal, "append", busy)
    tracing = TracerProvider(resource=RESOURCE)
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{server.grpc.port}", insecure=True)
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.get_tracer("shop").start_span("again").end()
    tracing.shutdown()
    assert [row["name"] for row in server.rows(FrameKind.SPANS)] == ["again"]
    total = server.counts.total(Item.SPANS)
    assert (total.received, total.stored, total.rejected) == (2, 1, {"overloaded": 1})
