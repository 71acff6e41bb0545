"""Prometheus remote write becomes series and samples, and is answered as Prometheus expects."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tests.unit.ingest.messages import snappy, write_request
from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.clean.series import Factors
from twofold.aiops.ingest.counts import Item
from twofold.errors import Overloaded, StorageFull
from twofold.records.frame import FrameKind

NOW_MS = NOW_NS // 10**6
HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
LABELS = {"__name__": "http_requests_total", "instance": "c:1", "job": "cart"}
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def test_samples_are_stored_under_their_labels(bench: Bench) -> None:
    body = snappy(write_request((LABELS, [(NOW_MS, 1.0), (NOW_MS + 1, 2.0)])))
    answer = bench.client.post("/api/v1/write", content=body, headers=HEADERS)
    assert (answer.status_code, answer.content) == (204, b"")
    key = ("http_requests_total", (("instance", "c:1"), ("job", "cart")))
    assert bench.samples() == {key: [(NOW_MS * 10**6, 1.0), ((NOW_MS + 1) * 10**6, 2.0)]}
    (series,) = bench.rows(FrameKind.SERIES)
    assert (series["entity"], series["kind"]) == ("service:cart", "counter")


def test_metadata_decides_the_kind_over_the_name(bench: Bench) -> None:
    request = write_request(({"__name__": "jobs_total", "job": "x"}, [(NOW_MS, 1.0)]))
    request.metadata.add(type=2, metric_family_name="jobs_total")
    bench.client.post("/api/v1/write", content=snappy(request), headers=HEADERS)
    assert bench.rows(FrameKind.SERIES)[0]["kind"] == "gauge"


def test_marks_of_a_series_end_are_kept_and_other_nan_are_not(bench: Bench) -> None:
    body = snappy(write_request((LABELS, [(NOW_MS, 1.0), (NOW_MS + 1, STALE), (NOW_MS + 2, float("nan"))])))
    assert bench.client.post("/api/v1/write", content=body, headers=HEADERS).status_code == 204
    assert bench.counts.total(Item.POINTS).dropped == {"not_finite": 1}
    ((_, (_, mark)),) = bench.samples().values()
    assert struct.pack("<d", mark) == struct.pack("<d", STALE)


def test_a_mark_survives_the_change_of_units() -> None:
    factors = Factors()
    factors.set(7, 0.001)
    found = factors.apply(np.array([7, 7, 8]), np.array([500.0, STALE, 2.0]))
    assert found[[0, 2]].tolist() == [0.5, 2.0]
    assert struct.pack("<d", found[1]) == struct.pack("<d", STALE)


def test_a_rejected_sample_is_400_and_the_others_are_stored(bench: Bench) -> None:
    request = write_request(
        (LABELS, [(NOW_MS, 1.0), (NOW_MS + 10**9, 2.0)]),
        ({"job": "nameless"}, [(NOW_MS, 1.0)]),
        ({"__name__": "a", "b": ""}, [(1 << 62, 1.0), (-5, 1.0), (-(1 << 63), 1.0)]),
    )
    answer = bench.client.post("/api/v1/write", content=snappy(request), headers=HEADERS)
    assert answer.status_code == 400
    assert answer.text == "5 of 6 points rejected: bad_labels 1, future 2, no_time 2"
    assert [len(points) for points in bench.samples().values()] == [1]


def test_a_native_histogram_makes_the_rows_of_a_classic_one(bench: Bench) -> None:
    request = write_request(({"__name__": "took_seconds", "job": "cart"}, []))
    histogram = request.timeseries[0].histograms.add(
        timestamp=NOW_MS, count_int=7, sum=9.5, schema=1, zero_count_int=1, positive_deltas=[2, -1, 2]
    )
    histogram.positive_spans.add(offset=1, length=2)  # (1, 1.41] and (1.41, 2]
    histogram.positive_spans.add(offset=1, length=1)  # (2.83, 4]
    assert bench.client.post("/api/v1/write", content=snappy(request), headers=HEADERS).status_code == 204
    found = {(name, dict(labels).get("le")): points[0][1] for (name, labels), points in bench.samples().items()}
    assert found == {
        ("took_seconds_count", None): 7.0,
        ("took_seconds_sum", None): 9.5,
        ("took_seconds_bucket", "0"): 1.0,
        ("took_seconds_bucket", "2"): 4.0,
        ("took_seconds_bucket", "4"): 7.0,
    }
    assert {series["kind"] for series in bench.rows(FrameKind.SERIES)} == {"counter"}
    assert bench.counts.total(Item.POINTS).stored == 1


def test_a_native_histogram_whose_spans_do_not_fit_is_rejected_by_reason(bench: Bench) -> None:
    request = write_request((LABELS, []))
    request.timeseries[0].histograms.add(timestamp=NOW_MS).positive_spans.add(offset=0, length=3)
    request.timeseries[0].histograms.add(timestamp=NOW_MS, schema=-9)
    answer = bench.client.post("/api/v1/write", content=snappy(request), headers=HEADERS)
    assert (answer.status_code, answer.text) == (400, "2 of 2 points rejected: bad_buckets 1, histogram_schema 1")


@pytest.mark.parametrize(
    ("error", "code"), [(Overloaded("queue full", retry_after_s=7), 429), (StorageFull("disk full"), 503)]
)
def test_what_may_succeed_later_says_so(bench: Bench, error: Exception, code: int) -> None:
    bench.journal.error = error
    answer = bench.client.post(
        "/api/v1/write", content=snappy(write_request((LABELS, [(NOW_MS, 1.0)]))), headers=HEADERS
    )
    assert answer.status_code == code
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("body", [b"", b"\x05garbage", snappy(write_request()) + b"x", b"\xff\xff\xff\xff\x7f"])
def test_bytes_that_are_not_a_write_request_are_refused(bench: Bench, body: bytes) -> None:
    assert bench.client.post("/api/v1/write", content=body, headers=HEADERS).status_code in {400, 413}


def test_a_message_that_nobody_knows_is_415(bench: Bench) -> None:
    headers = HEADERS | {"content-type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}
    answer = bench.client.post("/api/v1/write", content=snappy(write_request()), headers=headers)
    assert answer.status_code == 415


def test_exemplars_with_a_trace_are_kept_as_evidence(bench: Bench) -> None:
    request = write_request(({"__name__": "took_seconds_bucket", "job": "cart", "le": "1"}, [(NOW_MS, 1.0)]))
    exemplar = request.timeseries[0].exemplars.add(value=0.25, timestamp=NOW_MS - 1)
    exemplar.labels.add(name="traceID", value="AB" * 16)
    assert bench.client.post("/api/v1/write", content=snappy(request), headers=HEADERS).status_code == 204
    (found,) = bench.rows(FrameKind.EXEMPLARS)
    assert (found["trace_id"], found["entity"], found["operation"]) == ("ab" * 16, "service:cart", "took_seconds")
    assert found["duration_ns"] == 250_000_000
