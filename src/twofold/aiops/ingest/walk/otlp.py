"""Walks an OTLP `ExportMetricsServiceRequest` with gauges, sums and histograms.

Gives up on everything that is not written as encoders write it: unknown or repeated fields, fields
out of order, flags, points without a value, exponential histograms, summaries, and on metrics, scopes
and resources that hold no point, whose texts no hash would cover. Exemplars are skipped without a look.

A point's hash covers resource, scope, schema addresses, name, description, unit, kind of data,
temporality, metadata, attributes and bounds: all that the series depends on, and every text that
protobuf would check.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.aiops.ingest.walk.pointer import (
    FAIL,
    U,
    digest,
    finish,
    load8,
    load64,
    load_double,
    load_int,
    put,
    round_,
    span,
)
from twofold.stats.jit import kernel, part

# Tags: field number << 3 | wire type (0 varint, 1 eight bytes, 2 length-delimited).
_RESOURCE_METRICS: Final = 10
_RESOURCE: Final = 10
_SCOPE_METRICS: Final = 18
_SCOPE: Final = 10
_METRICS: Final = 18
_SCHEMA_URL: Final = 26
_NAME, _DESCRIPTION, _UNIT, _METADATA = 10, 18, 26, 98
_GAUGE, _SUM, _HISTOGRAM = 42, 58, 74
_POINT, _TEMPORALITY, _MONOTONIC = 10, 16, 24
_START, _TIME = 17, 25
_AS_DOUBLE, _AS_INT, _NUMBER_EXEMPLAR, _NUMBER_ATTRIBUTE, _NUMBER_FLAGS = 33, 49, 42, 58, 64
_COUNT, _TOTAL, _BUCKETS, _BOUNDS, _EXEMPLAR, _ATTRIBUTE, _FLAGS, _MIN, _MAX = 33, 41, 50, 58, 66, 74, 80, 89, 97

_CUMULATIVE: Final = 2
_TOP: Final = U(1 << 63)


@kernel
def walk(start: int, size: int, seed: np.uint64, out: int, room: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """Rows and points written to `out`, which has room for `room` rows; rows `FAIL` when the walker gives up."""
    p = start
    end = start + size
    rows = 0
    points = 0
    while p < end:
        if load8(p) != _RESOURCE_METRICS:
            return FAIL, 0
        p, inner = span(p + 1, end)
        if inner < 0:
            return FAIL, 0
        before = rows
        rows, points = _resource(p, inner, seed, out, rows, points, room)
        if rows <= before:
            return FAIL, 0
        p = inner
    return rows, points


@part
def _envelope(p: int, end: int, h: np.uint64) -> tuple[np.uint64, int]:  # pragma: no cover - compiled
    """Hash of the head (resource or scope) and the schema address around repeated fields, and where these begin.

    The order must be head, repeated, address; head and address at most once. `FAIL` otherwise.
    """
    last = 0
    first = end
    while p < end:
        tag = load8(p)
        at = p
        p, inner = span(p + 1, end)
        if inner < 0 or tag < last:
            return h, FAIL
        if tag in (_RESOURCE, _SCHEMA_URL):
            if tag == last:
                return h, FAIL
            h = digest(p, inner, h, tag)
        elif tag != _SCOPE_METRICS:
            return h, FAIL
        elif first == end:
            first = at
        last = tag
        p = inner
    return h, first


@part
def _resource(
    p: int, end: int, h: np.uint64, out: int, rows: int, points: int, room: int
) -> tuple[int, int]:  # pragma: no cover - compiled
    h, p = _envelope(p, end, h)
    if p < 0:
        return FAIL, 0
    while p < end and load8(p) == _SCOPE_METRICS:
        p, inner = span(p + 1, end)
        hs, q = _envelope(p, inner, round_(h, U(_SCOPE_METRICS)))
        if q < 0 or q == inner:
            return FAIL, 0
        while q < inner and load8(q) == _METRICS:
            q, e = span(q + 1, inner)
            before = rows
            rows, points = _metric(q, e, hs, out, rows, points, room)
            if rows <= before:
                return FAIL, 0
            q = e
        p = inner
    return rows, points


@part
def _metric(
    p: int, end: int, h: np.uint64, out: int, rows: int, points: int, room: int
) -> tuple[int, int]:  # pragma: no cover - compiled
    h, data, first, stop = _head(p, end, h)
    kind = _kind(first, stop, data)
    if data <= 0 or kind < 0:
        return FAIL, 0
    h = round_(h, U(kind))
    if data == _HISTOGRAM:
        return _histograms(first, stop, h, out, rows, points, room)
    return _numbers(first, stop, h, out, rows, points, room)


@part
def _head(p: int, end: int, h: np.uint64) -> tuple[np.uint64, int, int, int]:  # pragma: no cover - compiled
    """Hash of a metric's own fields, the tag of its data (0 none, `FAIL` not canonical), and where these stand."""
    last, data, first, stop = 0, 0, p, p
    while p < end:
        tag = load8(p)
        p, inner = span(p + 1, end)
        if inner < 0 or tag < last or (tag == last and tag != _METADATA):
            return h, FAIL, 0, 0
        if tag in (_NAME, _DESCRIPTION, _UNIT, _METADATA):
            h = digest(p, inner, h, tag)
        elif tag in (_GAUGE, _SUM, _HISTOGRAM) and data == 0:
            data, first, stop = tag, p, inner
        else:
            return h, FAIL, 0, 0
        last = tag
        p = inner
    return h, data, first, stop


@part
def _kind(p: int, end: int, data: int) -> int:  # pragma: no cover - compiled
    """Which data, temporality and monotonicity, as one number; `FAIL` unless points come first."""
    temporality = 0
    monotonic = 0
    last = _POINT
    while p < end:
        tag = load8(p)
        if tag == _POINT and last == _POINT:
            _, p = span(p + 1, end)
            if p < 0:
                return FAIL
        elif (
            tag > last
            and p + 2 <= end
            and ((tag == _TEMPORALITY and data != _GAUGE) or (tag == _MONOTONIC and data == _SUM))
        ):
            value = load8(p + 1)
            if tag == _TEMPORALITY:
                temporality = value
            else:
                monotonic = value
            last = tag
            p += 2
        else:
            return FAIL
    if temporality > _CUMULATIVE or monotonic > 1 or (data != _GAUGE and temporality == 0):
        return FAIL
    return (data << 3) | (temporality << 1) | monotonic


@part
def _numbers(  # noqa: C901, PLR0912 - one branch a field of the message
    p: int, end: int, h: np.uint64, out: int, rows: int, points: int, room: int
) -> tuple[int, int]:  # pragma: no cover - compiled
    while p < end and load8(p) == _POINT:
        p, inner = span(p + 1, end)
        own = h
        time = 0
        value = 0.0
        found = False
        while p < inner:
            tag = load8(p)
            p += 1
            if tag == _NUMBER_ATTRIBUTE:
                p, stop = span(p, inner)
                if stop < 0:
                    return FAIL, 0
                own = digest(p, stop, own, tag)
                p = stop
            elif tag == _TIME:
                time = load_int(p)
                p += 8
            elif tag == _START:
                p += 8
            elif tag == _AS_DOUBLE:
                value = load_double(p)
                found = True
                p += 8
            elif tag == _AS_INT:
                value = float(load_int(p))
                found = True
                p += 8
            elif tag == _NUMBER_EXEMPLAR:
                _, p = span(p, inner)
                if p < 0:
                    return FAIL, 0
            elif tag == _NUMBER_FLAGS and load8(p) == 0:
                p += 1
            else:
                return FAIL, 0
        if p != inner or not found or time < 0 or rows >= room:
            return FAIL, 0
        put(out, rows, finish(own, 0), time, value, points)
        rows += 1
        points += 1
    return rows, points


@part
def _histograms(  # noqa: C901, PLR0911, PLR0912, PLR0915 - one branch a field of the message
    p: int, end: int, h: np.uint64, out: int, rows: int, points: int, room: int
) -> tuple[int, int]:  # pragma: no cover - compiled
    while p < end and load8(p) == _POINT:
        p, inner = span(p + 1, end)
        own = h
        time = 0
        count = U(0)
        total = 0.0
        summed = False
        buckets, buckets_end, bounds, bounds_end = 0, 0, 0, 0
        while p < inner:
            tag = load8(p)
            p += 1
            if tag in (_ATTRIBUTE, _EXEMPLAR, _BUCKETS, _BOUNDS):
                p, stop = span(p, inner)
                if stop < 0:
                    return FAIL, 0
                if tag == _ATTRIBUTE:
                    own = digest(p, stop, own, tag)
                elif tag == _BUCKETS:
                    if buckets != 0:
                        return FAIL, 0
                    buckets, buckets_end = p, stop
                elif tag == _BOUNDS:
                    if bounds != 0:
                        return FAIL, 0
                    bounds, bounds_end = p, stop
                p = stop
            elif tag == _TIME:
                time = load_int(p)
                p += 8
            elif tag == _COUNT:
                count = load64(p)
                p += 8
            elif tag == _TOTAL:
                total = load_double(p)
                summed = True
                p += 8
            elif tag in (_START, _MIN, _MAX):
                p += 8
            elif tag == _FLAGS and load8(p) == 0:
                p += 1
            else:
                return FAIL, 0
        size = buckets_end - buckets
        limits = bounds_end - bounds
        if p != inner or time < 0 or (size | limits) & 7 or (size > 0 and size != limits + 8):
            return FAIL, 0
        if rows + 2 + (limits >> 3) > room:
            return FAIL, 0
        own = digest(bounds, bounds_end, own, _BOUNDS)
        put(out, rows, finish(own, 1), time, float(count), points)
        rows += 1
        if summed:
            put(out, rows, finish(own, 2), time, total, points)
            rows += 1
        upto = U(0)
        for bucket in range((size >> 3) - 1):
            more = load64(buckets + (bucket << 3))
            if more > _TOP - upto:
                return FAIL, 0
            upto += more
            put(out, rows, finish(own, 3 + bucket), time, float(upto), points)
            rows += 1
        points += 1
    return rows, points
