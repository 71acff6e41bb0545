"""What all Prometheus input shares: the remote-write message, and what a metric's name and type say of its series."""

from __future__ import annotations

from typing import Final

from twofold.aiops.ingest.schema import message_class
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

# Source: Prometheus remote write 1.0 specification; prompb/remote.proto and prompb/types.proto.
WriteRequest: Final = message_class(
    "prometheus",
    {
        "Label": (("name", 1, "string"), ("value", 2, "string")),
        "Sample": (("value", 1, "double"), ("timestamp", 2, "int64")),
        "Exemplar": (("labels", 1, "Label"), ("value", 2, "double"), ("timestamp", 3, "int64")),
        "Histogram": (("timestamp", 15, "int64"),),
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
    },
    "WriteRequest",
)


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


def family_of(name: str, types: dict[str, str]) -> str:
    """Type of the family that a sample belongs to, empty when unknown."""
    if found := types.get(name):
        return found
    for suffix in _COUNTERS:
        if name.endswith(suffix) and (found := types.get(name.removesuffix(suffix))):
            return found
    return ""
