"""Exemplars of OTLP data points, looked for apart from the points: few points have any."""

from __future__ import annotations

from typing import Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric

from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.exemplars import Exemplars
from twofold.aiops.ingest.otlp.message import texts

TRACE_ID: Final = b"\x2a\x10"  # an exemplar's field 5 of 16 bytes: a request without these bytes points at no trace


def exemplars_of(request: ExportMetricsServiceRequest, naming: Naming, tenant: str, latest_ns: int) -> Exemplars:
    """Every exemplar of the request."""
    found = Exemplars(tenant, latest_ns)
    for resource in request.resource_metrics:
        entity = naming.resource(texts(resource.resource.attributes), tenant=tenant)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for each in _exemplars(metric):
                    value = each.as_double if each.WhichOneof("value") == "as_double" else float(each.as_int)
                    found.add(each.trace_id.hex(), entity, metric.name, metric.unit, value, each.time_unix_nano)
    return found


def _exemplars(metric: Metric) -> list[Exemplar]:
    match metric.WhichOneof("data"):
        case None | "summary":
            return []
        case data:
            return [each for point in getattr(metric, data).data_points for each in point.exemplars]
