"""The real OpenTelemetry SDK exports metrics, logs and traces over gRPC to a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

from tests.conservation import Account, stored_rows
from tests.flow.receiving import Receiving, receiving
from tests.unit.ingest.messages import gauge, metrics_request, snappy, span, total, traces_request
from tests.unit.ingest.test_remote_write2 import HEADERS, Writer
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.otlp.grpc import METHODS
from twofold.errors import Overloaded
from twofold.flow.recorder import Recorder
from twofold.records.frame import FrameKind
from twofold.records.series import SeriesKind
from twofold.store.catalog.files import FileCatalog
from twofold.store.history import Table
from twofold.store.history.delta import DeltaHistory

METRICS, _, TRACES = METHODS

RESOURCE = Resource({"service.name": "checkout", "service.instance.id": "checkout-1"})
BASE = (("otel.scope.name", "shop"), ("service.instance.id", "checkout-1"), ("service.name", "checkout"))


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


def _rounds(server: Receiving, number: int) -> None:
    """Ten rounds of one sender: a counter, a gauge of the future and a span; a counter with exemplar and a histogram.

    The first three go over gRPC, the others over remote write 2.0.
    """
    service, begun = f"sender-{number}", time.time_ns() - 10**9
    address = f"127.0.0.1:{server.grpc.port}"
    with grpc.insecure_channel(address) as channel, httpx.Client(trust_env=False) as http:
        for step in range(10):
            now = begun + (step + 1) * 10**6
            orders = total("orders", step)
            orders.sum.data_points[0].start_time_unix_nano = begun
            orders.sum.data_points[0].time_unix_nano = now
            late = gauge("tomorrow", 1.0, now + 86_400 * 10**9)
            request = metrics_request(orders, late, **{"service.name": service}).SerializeToString()
            answer = channel.unary_unary(METRICS)(request, timeout=20)
            assert ExportMetricsServiceResponse.FromString(answer).partial_success.rejected_data_points == 1
            channel.unary_unary(TRACES)(traces_request(span("work", start_ns=now)).SerializeToString(), timeout=20)
            body = _written(service, begun // 10**6, now // 10**6, step)
            stored = http.post(f"{server.url}/api/v1/write", content=body, headers=HEADERS)
            assert stored.status_code == 204, stored.text


def _written(service: str, begun_ms: int, now_ms: int, step: int) -> bytes:
    writer = Writer()
    of = {"__name__": "took_seconds_bucket", "job": service, "le": "1"}
    series = writer.series(of, (now_ms, float(step)), kind=3, start=begun_ms)
    refs = [writer.ref("trace_id"), writer.ref("ab" * 16)]
    series.exemplars.add(labels_refs=refs, value=0.5, timestamp=now_ms)
    native = writer.series({"__name__": "size_bytes", "job": service}, kind=3)
    made = native.histograms.add(timestamp=now_ms, count_int=step + 1, sum=1.0, positive_deltas=[step + 1])
    made.positive_spans.add(offset=0, length=1)
    return snappy(writer.request)


def test_what_many_senders_of_both_protocols_sent_stands_in_the_history_once(tmp_path: Path) -> None:
    with receiving(tmp_path) as server, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: _rounds(server, number), range(8)))
        points, spans = server.counts.total(Item.POINTS), server.counts.total(Item.SPANS)
        with closing(DeltaHistory(tmp_path / "history")) as history:
            recorder = Recorder(server.journal, history, FileCatalog(tmp_path / "again"))
            recorder.drain()
            history.flush()
            samples = stored_rows(history, Table.SAMPLES)
            Account(received=points.rows, stored=samples, duplicate=history.counts["duplicate"]).check()
            Account(received=spans.rows, stored=stored_rows(history, Table.SPANS)).check()
        exemplars = server.counts.total(Item.EXEMPLARS)
    sent = 8 * 10 * 3
    assert (points.received, points.stored, points.rejected) == (sent + 8 * 10, sent, {"future": 8 * 10})
    assert points.rows == sent + 8 * 10 * 2 + 8 * 2, "a histogram is three rows; two young counters begin with zeros"
    assert spans.stored == 8 * 10
    assert exemplars.stored == 8 * 10
