"""OTLP and remote-write requests as tests need them."""

from __future__ import annotations

from typing import Any

import cramjam
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.unit.ingest.null import NOW_NS
from twofold.aiops.ingest.prometheus.message import WriteRequest

CUMULATIVE, DELTA = 2, 1


def attributes(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)


def metrics_request(*metrics: Metric, scope: str = "", **resource: Any) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    found = request.resource_metrics.add()
    found.resource.attributes.extend(attributes({"service.name": "cart"} | resource))
    inner = found.scope_metrics.add()
    inner.scope.name = scope
    inner.metrics.extend(metrics)
    return request


def gauge(name: str, value: float, time_ns: int = NOW_NS, unit: str = "", **labels: Any) -> Metric:
    metric = Metric(name=name, unit=unit)
    metric.gauge.data_points.add(as_double=value, time_unix_nano=time_ns, attributes=attributes(labels))
    return metric


def total(name: str, value: int, *, temporality: int = CUMULATIVE, monotonic: bool = True, **labels: Any) -> Metric:
    metric = Metric(name=name, unit="1")
    metric.sum.aggregation_temporality = temporality  # type: ignore[assignment]  # an enum's number
    metric.sum.is_monotonic = monotonic
    metric.sum.data_points.add(as_int=value, time_unix_nano=NOW_NS, attributes=attributes(labels))
    return metric


def histogram(name: str, bounds: list[float], counts: list[int], summed: float, **labels: Any) -> Metric:
    metric = Metric(name=name, unit="s")
    metric.histogram.aggregation_temporality = CUMULATIVE  # type: ignore[assignment]  # an enum's number
    metric.histogram.data_points.add(
        count=sum(counts),
        sum=summed,
        bucket_counts=counts,
        explicit_bounds=bounds,
        time_unix_nano=NOW_NS,
        attributes=attributes(labels),
    )
    return metric


def logs_request(
    *bodies: str,
    severity: int = 9,
    time_ns: int = NOW_NS,
    service: str = "cart",
    resource: dict[str, Any] | None = None,
) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    found = request.resource_logs.add()
    found.resource.attributes.extend(attributes({"service.name": service} | (resource or {})))
    inner = found.scope_logs.add()
    for body in bodies:
        inner.log_records.add(time_unix_nano=time_ns, severity_number=severity, body=any_value(body))
    return request


def span(name: str, *, kind: int = 2, status: int = 0, start_ns: int = NOW_NS, **labels: Any) -> Span:
    made = Span(
        trace_id=b"\x01" * 16,
        span_id=b"\x02" * 8,
        name=name,
        kind=kind,  # type: ignore[arg-type]  # an enum's number
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + 5_000_000,
        attributes=attributes({key.replace("__", "."): value for key, value in labels.items()}),
    )
    made.status.code = status  # type: ignore[assignment]  # an enum's number
    return made


def traces_request(*spans: Span, **resource: Any) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    found = request.resource_spans.add()
    found.resource.attributes.extend(attributes({"service.name": "cart"} | resource))
    found.scope_spans.add().spans.extend(spans)
    return request


def write_request(*series: tuple[dict[str, str], list[tuple[int, float]]]) -> Any:
    """Each series as its labels and (milliseconds, value) samples."""
    request = WriteRequest()
    for labels, samples in series:
        added = request.timeseries.add()
        for name, text in labels.items():
            added.labels.add(name=name, value=text)
        for time_ms, value in samples:
            added.samples.add(timestamp=time_ms, value=value)
    return request


def snappy(request: Any) -> bytes:
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
