"""Native histograms to the rows that classic ones make: `_count`, `_sum`, `_bucket{le}` with counts up to `le`.

Exponential buckets are merged to powers of two, as those of OTLP are: the merge is exact whatever
schema the sender moves to. Custom boundaries stay. The bucket `+Inf` is left out: it equals the count.

Source: Prometheus "Native Histograms" specification.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

from twofold.aiops.ingest.buckets import boundary, number_text
from twofold.aiops.ingest.rows import STALE, STALE_BITS
from twofold.errors import DecodeError
from twofold.records.series import SeriesKind

_STALE: Final = struct.pack("<Q", int(STALE_BITS))
CUSTOM: Final = -53
LEAST_SCHEMA, MOST_SCHEMA = -4, 52
GAUGE: Final = 3  # ResetHint: it goes up and down


class Part(NamedTuple):
    """One row of a histogram, and what its series is."""

    metric: str
    labels: Mapping[str, str]
    unit: str
    kind: SeriesKind
    value: float


def parts_of(histogram: Any, metric: str, labels: Mapping[str, str], type_name: str, unit: str) -> list[Part]:
    """The rows of a histogram of this name, labels, type and unit; count first.

    Raises:
        DecodeError: Spans that do not fit their counts, counts below zero, boundaries out of order
            (`bad_buckets`), or a schema that is not known (`histogram_schema`).
    """
    goes_down = type_name == "gaugehistogram" or histogram.reset_hint == GAUGE
    kind = SeriesKind.GAUGE if goes_down else SeriesKind.COUNTER
    count = float(histogram.count_int or histogram.count_float)
    found = [
        Part(f"{metric}_count", labels, "1", kind, count),
        Part(f"{metric}_sum", labels, unit, kind, histogram.sum),
    ]
    if struct.pack("<d", histogram.sum) == _STALE:
        return [part._replace(value=STALE) for part in found]  # it has no buckets, and the sum tells what it is
    return found + [
        Part(f"{metric}_bucket", {**labels, "le": number_text(bound)}, "1", kind, float(upto))
        for bound, upto in _cumulated(histogram)
    ]


def _cumulated(histogram: Any) -> Iterator[tuple[float, float]]:
    """Boundaries and how many observations are up to each."""
    if histogram.schema == CUSTOM:
        return zip(histogram.custom_values, accumulate(_custom(histogram)), strict=True)
    if not LEAST_SCHEMA <= histogram.schema <= MOST_SCHEMA:
        raise DecodeError(f"histogram schema {histogram.schema} is not known", reason="histogram_schema")
    merged = _merged(histogram)
    bounds = sorted(merged)
    return zip(bounds, accumulate(merged[bound] for bound in bounds), strict=True)


def _custom(histogram: Any) -> list[float]:
    """Counts between the custom boundaries; what lies above the last is in the count alone."""
    bounds = histogram.custom_values
    if not all(map(math.isfinite, bounds)) or any(left >= right for left, right in pairwise(bounds)):
        raise DecodeError("custom boundaries must be finite and grow", reason="bad_buckets")
    counts = [0.0] * (len(bounds) + 1)
    for index, more in _buckets(histogram.positive_spans, histogram.positive_deltas, histogram.positive_counts):
        if not 0 <= index < len(counts):
            raise DecodeError(f"bucket {index} has no boundary, there are {len(bounds)}", reason="bad_buckets")
        counts[index] = more
    return counts[:-1]


def _merged(histogram: Any) -> dict[float, float]:
    """Observations per bucket of schema 0, by upper boundary; zeros count below every positive boundary.

    Bucket i ends at b**i, where OTLP's begins: hence the one less.
    """
    found: dict[float, float] = {}
    negative = _buckets(histogram.negative_spans, histogram.negative_deltas, histogram.negative_counts)
    positive = _buckets(histogram.positive_spans, histogram.positive_deltas, histogram.positive_counts)
    zeros = float(histogram.zero_count_int or histogram.zero_count_float)
    rows = [(-boundary(index - 1, histogram.schema, 0), more) for index, more in negative]
    rows += [(0.0, zeros)]
    rows += [(boundary(index - 1, histogram.schema, 1), more) for index, more in positive]
    for bound, more in rows:
        if more:
            found[bound] = found.get(bound, 0.0) + more
    return found


def _buckets(spans: Sequence[Any], deltas: Sequence[int], counts: Sequence[float]) -> Iterator[tuple[int, float]]:
    """Index and count of every bucket. Raises `DecodeError` (`bad_buckets`)."""
    values = [float(count) for count in accumulate(deltas)] if deltas else list(counts)
    if sum(span.length for span in spans) != len(values) or (deltas and counts):
        raise DecodeError("spans of a histogram do not fit its counts", reason="bad_buckets")
    if not all(value >= 0 for value in values):
        raise DecodeError("a bucket counts below zero", reason="bad_buckets")
    index, place = 0, 0
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            yield index, values[place]
            index, place = index + 1, place + 1
