"""What all Prometheus input shares: the remote-write messages, and what a metric's name and type say of its series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twofold.aiops.ingest.schema import Field, message_class
from twofold.records.series import SeriesKind

_UNITS: Final = {
    "seconds": "s",
    "bytes": "By",
    "ratio": "1",
    "celsius": "Cel",
    "meters": "m",
    "volts": "V",
    "joules": "J",
}
_COUNTERS: Final = ("_total", "_count", "_sum", "_bucket")
_PARTS: Final = ("_count", "_sum", "_bucket")
COUNTER_TYPES: Final = frozenset({"counter"})
HISTOGRAM_TYPES: Final = frozenset({"histogram", "summary", "gaugehistogram"})
TYPES: Final = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")

# The same in both versions of the protocol.
_SHARED: Final[dict[str, tuple[Field, ...]]] = {
    "BucketSpan": (("offset", 1, "sint32"), ("length", 2, "uint32")),
    "Histogram": (
        ("count_int", 1, "uint64"),
        ("count_float", 2, "double"),
        ("sum", 3, "double"),
        ("schema", 4, "sint32"),
        ("zero_threshold", 5, "double"),
        ("zero_count_int", 6, "uint64"),
        ("zero_count_float", 7, "double"),
        ("negative_spans", 8, "BucketSpan"),
        ("negative_deltas", 9, "repeated sint64"),
        ("negative_counts", 10, "repeated double"),
        ("positive_spans", 11, "BucketSpan"),
        ("positive_deltas", 12, "repeated sint64"),
        ("positive_counts", 13, "repeated double"),
        ("reset_hint", 14, "int32"),
        ("timestamp", 15, "int64"),
        ("custom_values", 16, "repeated double"),
        ("start_timestamp", 17, "int64"),  # version 2 only
    ),
}
# Source: Prometheus remote write 1.0 specification; prompb/remote.proto and prompb/types.proto.
WriteRequest: Final = message_class(
    "prometheus",
    {
        "Label": (("name", 1, "string"), ("value", 2, "string")),
        "Sample": (("value", 1, "double"), ("timestamp", 2, "int64")),
        "Exemplar": (("labels", 1, "Label"), ("value", 2, "double"), ("timestamp", 3, "int64")),
        "TimeSeries": (
            ("labels", 1, "Label"),
            ("samples", 2, "Sample"),
            ("exemplars", 3, "Exemplar"),
            ("histograms", 4, "Histogram"),
        ),
        "MetricMetadata": (
            ("type", 1, "int32"),
            ("metric_family_name", 2, "string"),
            ("help", 4, "string"),
            ("unit", 5, "string"),
        ),
        "WriteRequest": (("timeseries", 1, "TimeSeries"), ("metadata", 3, "MetricMetadata")),
        **_SHARED,
    },
    "WriteRequest",
)
# Source: Prometheus remote write 2.0 specification; prompb/io/prometheus/write/v2/types.proto. `metadata` is single
# in truth; of several the last counts. Senders before its last draft put a start time into the series, not the sample.
_VERSION_2: Final[dict[str, tuple[Field, ...]]] = {
    "Sample": (("value", 1, "double"), ("timestamp", 2, "int64"), ("start_timestamp", 3, "int64")),
    "Exemplar": (("labels_refs", 1, "repeated uint32"), ("value", 2, "double"), ("timestamp", 3, "int64")),
    "Metadata": (("type", 1, "int32"), ("help_ref", 3, "uint32"), ("unit_ref", 4, "uint32")),
    "TimeSeries": (
        ("labels_refs", 1, "repeated uint32"),
        ("samples", 2, "Sample"),
        ("histograms", 3, "Histogram"),
        ("exemplars", 4, "Exemplar"),
        ("metadata", 5, "Metadata"),
        ("created_timestamp", 6, "int64"),
    ),
    "Request": (("symbols", 4, "repeated string"), ("timeseries", 5, "TimeSeries")),
    **_SHARED,
}
Request2: Final = message_class("io.prometheus.write.v2", _VERSION_2, "Request")


TRACE_LABELS: Final = ("trace_id", "traceID", "traceId")


def trace_of(labels: Mapping[str, str]) -> str:
    """The trace id among an exemplar's labels, by the usual names; empty without one."""
    return next((labels[name] for name in TRACE_LABELS if labels.get(name)), "")


def kind_of(name: str, family_type: str) -> SeriesKind:
    """Kind of a sample's series, by its family's type where that is known, else by its name.

    >>> kind_of("http_requests_total", ""), kind_of("queue_count", "gauge")
    (<SeriesKind.COUNTER: 'counter'>, <SeriesKind.GAUGE: 'gauge'>)
    """
    if family_type in COUNTER_TYPES:
        return SeriesKind.COUNTER
    if family_type in HISTOGRAM_TYPES:
        counts = family_type != "gaugehistogram" and name.endswith(_PARTS)
        return SeriesKind.COUNTER if counts else SeriesKind.GAUGE
    if family_type in {"", "unknown"} and name.endswith(_COUNTERS):
        return SeriesKind.COUNTER
    return SeriesKind.GAUGE


def unit_of(name: str) -> str:
    """UCUM unit that the name's suffix tells; counts have unit 1.

    >>> unit_of("http_request_duration_seconds_sum"), unit_of("process_resident_memory_bytes"), unit_of("up")
    ('s', 'By', '')
    """
    if name.endswith(("_count", "_bucket")):
        return "1"
    return _UNITS.get(name.removesuffix("_sum").removesuffix("_total").rpartition("_")[2], "")


def ucum(unit: str) -> str:
    """The UCUM unit of a unit as Prometheus writes it; one that is not in the table stays as it is.

    >>> ucum("seconds"), ucum("requests")
    ('s', 'requests')
    """
    return _UNITS.get(unit, unit)


def family_of(name: str, types: dict[str, str]) -> str:
    """Type of the family that a sample belongs to, empty when unknown."""
    if found := types.get(name):
        return found
    for suffix in _COUNTERS:
        if name.endswith(suffix) and (found := types.get(name.removesuffix(suffix))):
            return found
    return ""
