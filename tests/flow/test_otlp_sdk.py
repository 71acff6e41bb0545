"""The real OpenTelemetry SDK exports metrics, logs and traces over HTTP to a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from tests.flow.receiving import Receiving, receiving
from twofold.aiops.ingest.counts import Item
from twofold.errors import Overloaded
from twofold.records.frame import FrameKind

RESOURCE = Resource({"service.name": "checkout", "service.instance.id": "checkout-1", "service.version": "7"})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Receiving]:
    with receiving(tmp_path) as made:
        yield made


@pytest.mark.parametrize("compression", list(Compression))
def test_metrics_of_every_instrument_arrive(server: Receiving, compression: Compression) -> None:
    exporter = OTLPMetricExporter(f"{server.url}/v1/metrics", compression=compression)
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)],
        resource=RESOURCE,
        views=[View(instrument_name="exp", aggregation=ExponentialBucketHistogramAggregation())],
    )
    meter = provider.get_meter("shop")
    meter.create_counter("orders").add(3, {"kind": "web"})
    meter.create_up_down_counter("open").add(-2)
    meter.create_histogram("took", unit="s").record(0.3)
    meter.create_histogram("exp", unit="s").record(3.0)
    meter.create_gauge("load").set(0.5)
    provider.shutdown()
    base = (("otel.scope.name", "shop"), ("service.instance.id", "checkout-1"), ("service.name", "checkout"))
    found = {key: points[-1][1] for key, points in server.samples().items()}
    assert found["orders", (("kind", "web"), *base)] == 3.0
    assert found["open", base] == -2.0
    assert found["load", base] == 0.5
    assert found["took.count", base] == found["exp.count", base] == 1.0
    assert found["took.sum", base] == 0.3
    assert found["took.bucket", (("le", "0"), *base)] == 0.0
    assert found["took.bucket", (("le", "5"), *base)] == 1.0
    assert found["exp.bucket", (("le", "4"), *base)] == 1.0
    assert {series.entity for series in server.series().values()} == {"service:checkout"}


def test_spans_and_their_logs_arrive_with_one_trace_id(server: Receiving) -> None:
    tracing = TracerProvider(resource=RESOURCE)
    tracing.add_span_processor(
        SimpleSpanProcessor(OTLPSpanExporter(f"{server.url}/v1/traces", compression=Compression.Gzip))
    )
    logs = LoggerProvider(resource=RESOURCE)
    logs.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(f"{server.url}/v1/logs", compression=Compression.Gzip))
    )
    tracer = tracing.get_tracer("shop")
    with tracer.start_as_current_span("POST /checkout", kind=SpanKind.SERVER):
        with tracer.start_as_current_span("pay", kind=SpanKind.CLIENT, attributes={"peer.service": "payment"}) as span:
            span.record_exception(TimeoutError("payment did not answer"))
            span.set_status(Status(StatusCode.ERROR, "timeout"))
        logs.get_logger("shop").emit(body="payment failed", severity_number=SeverityNumber.ERROR)
    tracing.shutdown()
    logs.shutdown()
    pay, checkout = server.rows(FrameKind.SPANS)
    assert (pay["name"], pay["peer"], pay["error"], pay["kind"]) == ("pay", "service:payment", True, 3)
    assert orjson.loads(pay["attributes"])["exception.type"] == "TimeoutError"
    assert (checkout["name"], checkout["error"], checkout["parent_id"]) == ("POST /checkout", False, "")
    assert pay["parent_id"] == checkout["span_id"]
    (line,) = server.rows(FrameKind.LOGS)
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
    tracing.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{server.url}/v1/traces")))
    tracing.get_tracer("shop").start_span("again").end()
    tracing.shutdown()
    assert [row["name"] for row in server.rows(FrameKind.SPANS)] == ["again"]
    total = server.counts.total(Item.SPANS)
    assert (total.received, total.stored, total.rejected) == (2, 1, {"overloaded": 1})
