"""OTLP metrics to rows, the validated way: parsed by protobuf, walked in Python.

How data points become series (labels: service and identity of the resource, name of the scope, attributes):

| data | series | kind |
|---|---|---|
| gauge, non-monotonic cumulative sum | `<name>` | gauge |
| monotonic sum | `<name>` | counter if cumulative, delta if delta |
| histogram | `<name>.count`, `<name>.sum`, `<name>.bucket{le}` with counts up to `le` | counter or delta |
| exponential histogram | the same, its buckets merged to powers of two | counter or delta |
| summary | `<name>.count`, `<name>.sum` (counter), `<name>{quantile}` (gauge) | |

Exponential buckets are merged to scale 0 (each boundary twice the one before), because there the
merge is exact, whatever scale the sender moves to, and cumulative and delta points stay counters
that any quantile over a rate can use; a quantile of a cumulative histogram would only tell the
mean since the process started. The bucket `+Inf` is left out: it equals the count.
Minima and maxima are not kept: those of cumulative points tell of all time. Raw counters and deltas are
stored; rates are derived by detection. A young counter begins with a zero at its start time (`starts`).
Of an exponential delta every boundary that it has had makes a row, so that they can be summed (`Ladders`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from twofold.aiops.ingest.buckets import Ladders, boundary, number_text
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.otlp.message import IDENTITY, pick, texts
from twofold.aiops.ingest.rows import STALE, RowList, Rows
from twofold.aiops.ingest.series import SeriesIndex
from twofold.aiops.ingest.starts import Beginnings
from twofold.records.series import SeriesKind

NO_RECORDED_VALUE: Final = 1  # DataPointFlags: the series ended
SCOPE: Final = "otel.scope.name"
LABELS: Final = ("service.name", *IDENTITY)  # metric and labels alone name a series: two services are never one

_KINDS: Final = {
    AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE: SeriesKind.COUNTER,
    AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA: SeriesKind.DELTA,
}


def rows_of(
    request: ExportMetricsServiceRequest,
    index: SeriesIndex,
    naming: Naming,
    tenant: str,
    begun: Beginnings | None = None,
    ladders: Ladders | None = None,
) -> Rows:
    """Every data point of the request as rows, in its order; new series are registered."""
    found = RowList()
    for resource in request.resource_metrics:
        attributes = texts(resource.resource.attributes)
        entity = naming.resource(attributes, tenant=tenant)
        identity = pick(attributes, LABELS)
        for scope in resource.scope_metrics:
            base = identity | ({SCOPE: scope.scope.name} if scope.scope.name else {})
            for metric in scope.metrics:
                _Walk(metric, base, entity, tenant, index, found, begun, ladders).walk()
    return found.rows()


class _Walk:
    """One metric's points into the list of rows."""

    def __init__(
        self,
        metric: Metric,
        base: dict[str, str],
        entity: str,
        tenant: str,
        index: SeriesIndex,
        found: RowList,
        begun: Beginnings | None,
        ladders: Ladders | None,
    ) -> None:
        self._metric = metric
        self._base = base
        self._entity = entity
        self._tenant = tenant
        self._index = index
        self._found = found
        self._begun = begun
        self._ladders = ladders

    def walk(self) -> None:
        metric = self._metric
        match metric.WhichOneof("data"):
            case "gauge":
                self._each(metric.gauge.data_points, self._number, SeriesKind.GAUGE)
            case "sum":
                kind = _KINDS.get(metric.sum.aggregation_temporality)
                if kind is SeriesKind.COUNTER and not metric.sum.is_monotonic:
                    kind = SeriesKind.GAUGE
                self._each(metric.sum.data_points, self._number, kind)
            case "histogram":
                self._each(metric.histogram.data_points, self._histogram, _kind(metric.histogram))
            case "exponential_histogram":
                self._each(
                    metric.exponential_histogram.data_points, self._exponential, _kind(metric.exponential_histogram)
                )
            case "summary":
                self._each(metric.summary.data_points, self._summary, SeriesKind.COUNTER)

    def _each(self, points: Iterable[Any], add: Callable[[Any, SeriesKind], str], kind: SeriesKind | None) -> None:
        """Add each point; what cannot be added is counted by the reason that `add` returns."""
        for point in points:
            if kind is None:
                self._found.rejected["no_temporality"] += 1
            elif not self._metric.name:
                self._found.rejected["no_name"] += 1
            elif reason := add(point, kind):
                self._found.rejected[reason] += 1
            else:
                self._found.next_point()

    def _row(
        self, name: str, labels: dict[str, str], kind: SeriesKind, point: Any, value: float, unit: str | None = None
    ) -> None:
        ended = bool(point.flags & NO_RECORDED_VALUE)
        unit = self._metric.unit if unit is None else unit
        sid = self._index.resolve(name, labels, entity=self._entity, tenant=self._tenant, unit=unit, kind=kind)
        if kind is SeriesKind.COUNTER and self._begun is not None and not ended:
            start_ns = point.start_time_unix_nano
            if self._begun.is_new(sid, start_ns, point.time_unix_nano):
                self._found.add(sid, start_ns, 0.0)
        self._found.add(sid, point.time_unix_nano, STALE if ended else value)

    def _number(self, point: NumberDataPoint, kind: SeriesKind) -> str:
        match point.WhichOneof("value"):
            case "as_double":
                value = point.as_double
            case "as_int":
                value = float(point.as_int)
            case _ if point.flags & NO_RECORDED_VALUE:
                value = STALE
            case _:
                return "no_value"
        self._row(self._metric.name, self._base | texts(point.attributes), kind, point, value)
        return ""

    def _histogram(self, point: HistogramDataPoint, kind: SeriesKind) -> str:
        bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
        if (counts and len(counts) != len(bounds) + 1) or any(left >= right for left, right in pairwise(bounds)):
            return "bad_buckets"
        labels = self._base | texts(point.attributes)
        self._totals(labels, point, kind)
        if counts:
            self._buckets(labels, bounds, accumulate(counts), point, kind)
        return ""

    def _exponential(self, point: ExponentialHistogramDataPoint, kind: SeriesKind) -> str:
        labels = self._base | texts(point.attributes)
        self._totals(labels, point, kind)
        upper = power_of_two_buckets(point)
        bounds = sorted(upper)
        if kind is SeriesKind.DELTA and self._ladders is not None:
            bounds = self._ladders.bounds((self._tenant, self._metric.name, tuple(labels.items())), upper)
        self._buckets(labels, bounds, accumulate(upper.get(bound, 0) for bound in bounds), point, kind)
        return ""

    def _summary(self, point: SummaryDataPoint, kind: SeriesKind) -> str:
        labels = self._base | texts(point.attributes)
        self._totals(labels, point, kind)
        for each in point.quantile_values:
            quantile = labels | {"quantile": number_text(each.quantile)}
            self._row(self._metric.name, quantile, SeriesKind.GAUGE, point, each.value)
        return ""

    def _totals(self, labels: dict[str, str], point: Any, kind: SeriesKind) -> None:
        self._row(f"{self._metric.name}.count", labels, kind, point, float(point.count), "1")
        if isinstance(point, SummaryDataPoint) or point.HasField("sum"):
            self._row(f"{self._metric.name}.sum", labels, kind, point, point.sum)

    def _buckets(
        self, labels: dict[str, str], bounds: list[float], upto: Iterable[int], point: Any, kind: SeriesKind
    ) -> None:
        name = f"{self._metric.name}.bucket"
        for bound, count in zip(bounds, upto, strict=False):  # the last count is the one up to +Inf
            self._row(name, labels | {"le": number_text(bound)}, kind, point, float(count), "1")


def _kind(data: Any) -> SeriesKind | None:
    return _KINDS.get(data.aggregation_temporality)


def power_of_two_buckets(point: ExponentialHistogramDataPoint) -> dict[float, int]:
    """Observations per bucket of scale 0, keyed by its upper boundary; zeros count below every positive boundary.

    Source: OpenTelemetry metrics data model, "Exponential Buckets".
    """
    found: dict[float, int] = {}

    def add(boundary: float, count: int) -> None:
        found[boundary] = found.get(boundary, 0) + count

    for offset, count in enumerate(point.negative.bucket_counts):
        if count:
            add(-boundary(point.negative.offset + offset, point.scale, 0), count)
    if point.zero_count:
        add(0.0, point.zero_count)
    for offset, count in enumerate(point.positive.bucket_counts):
        if count:
            add(boundary(point.positive.offset + offset, point.scale, 1), count)
    return found
