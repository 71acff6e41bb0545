"""OTLP metrics become the right series and samples."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.unit.ingest.messages import (
    CUMULATIVE,
    DELTA,
    attributes,
    gauge,
    histogram,
    metrics_request,
    total,
)
from tests.unit.ingest.null import NOW_NS, Bench, NullCatalog
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.exemplars import Exemplars, Glances
from twofold.aiops.ingest.otlp.response import Status
from twofold.aiops.ingest.rows import is_mark
from twofold.errors import Overloaded, StorageFull, Unavailable
from twofold.flow.decode import decode
from twofold.records.example import Exemplar
from twofold.records.frame import FrameKind, Lane

PROTOBUF = {"content-type": "application/x-protobuf"}
CART = (("service.name", "cart"),)  # the label of every series that the messages' resource sends


def send(bench: Bench, *metrics: Metric, **resource: str) -> ExportMetricsServiceResponse:
    request = metrics_request(*metrics, **resource)
    answer = bench.client.post("/v1/metrics", content=request.SerializeToString(), headers=PROTOBUF)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-protobuf"
    return ExportMetricsServiceResponse.FromString(answer.content)


def test_a_gauge_is_one_sample_with_its_attributes_as_labels(bench: Bench) -> None:
    answer = send(bench, gauge("queue.length", 7.5, unit="{item}", queue="orders", shard=3))
    assert not answer.HasField("partial_success")
    assert bench.samples() == {("queue.length", (("queue", "orders"), *CART, ("shard", "3"))): [(NOW_NS, 7.5)]}
    (series,) = bench.rows(FrameKind.SERIES)
    assert (series["entity"], series["unit"], series["kind"]) == ("service:cart", "{item}", "gauge")


def test_definitions_stand_before_the_samples_in_the_same_append_and_only_once(bench: Bench) -> None:
    send(bench, gauge("a", 1.0))
    send(bench, gauge("a", 2.0, NOW_NS + 1))
    assert bench.journal.calls == [[FrameKind.SERIES, FrameKind.SAMPLES], [FrameKind.SAMPLES]]


@pytest.mark.parametrize(
    ("temporality", "monotonic", "kind"),
    [(CUMULATIVE, True, "counter"), (CUMULATIVE, False, "gauge"), (DELTA, True, "delta"), (DELTA, False, "delta")],
)
def test_the_kind_of_a_sum_follows_temporality_and_monotonicity(
    bench: Bench, *, temporality: int, monotonic: bool, kind: str
) -> None:
    send(bench, total("requests", 41, temporality=temporality, monotonic=monotonic))
    (series,) = bench.rows(FrameKind.SERIES)
    assert series["kind"] == kind
    assert bench.samples() == {("requests", CART): [(NOW_NS, 41.0)]}


def test_a_sum_without_temporality_is_rejected_and_the_sender_told(bench: Bench) -> None:
    answer = send(bench, total("requests", 1, temporality=0), gauge("ok", 1.0))
    assert answer.partial_success.rejected_data_points == 1
    assert answer.partial_success.error_message == "1 of 2 points rejected: no_temporality 1"
    assert list(bench.samples()) == [("ok", CART)]


def test_a_histogram_becomes_count_sum_and_counts_up_to_each_bound(bench: Bench) -> None:
    send(bench, histogram("http.server.duration", [0.1, 1.0], [5, 3, 2], 4.5, route="/x"))
    found = {(name, dict(labels).get("le")): points[0][1] for (name, labels), points in bench.samples().items()}
    assert found == {
        ("http.server.duration.count", None): 10.0,
        ("http.server.duration.sum", None): 4.5,
        ("http.server.duration.bucket", "0.1"): 5.0,
        ("http.server.duration.bucket", "1"): 8.0,
    }
    assert {series["kind"] for series in bench.rows(FrameKind.SERIES)} == {"counter"}
    assert bench.counts.total(Item.POINTS).stored == 1
    assert bench.counts.total(Item.POINTS).rows == 4


def test_a_histogram_whose_buckets_do_not_fit_its_bounds_is_rejected(bench: Bench) -> None:
    answer = send(bench, histogram("h", [0.1], [1, 2, 3], 1.0), histogram("h", [2.0, 1.0], [1, 2, 3], 1.0))
    assert answer.partial_success.error_message == "2 of 2 points rejected: bad_buckets 2"


def test_an_exponential_histogram_is_merged_to_powers_of_two_without_loss(bench: Bench) -> None:
    metric = Metric(name="latency", unit="s")
    metric.exponential_histogram.aggregation_temporality = CUMULATIVE  # type: ignore[assignment]  # an enum's number
    point = metric.exponential_histogram.data_points.add(
        count=11, sum=20.0, scale=1, zero_count=1, time_unix_nano=NOW_NS
    )
    point.positive.offset = -2  # at scale 1: (0.5, 0.707], (0.707, 1], (1, 1.414], (1.414, 2]
    point.positive.bucket_counts.extend([1, 2, 3, 4])
    send(bench, metric)
    found = {(name, dict(labels).get("le")): points[0][1] for (name, labels), points in bench.samples().items()}
    assert found == {
        ("latency.count", None): 11.0,
        ("latency.sum", None): 20.0,
        ("latency.bucket", "0"): 1.0,
        ("latency.bucket", "1"): 4.0,
        ("latency.bucket", "2"): 11.0,
    }


def test_the_intervals_of_an_exponential_delta_can_be_summed_at_every_boundary_met_before(bench: Bench) -> None:
    for step, index in enumerate((0, 2, 0)):  # (1, 2], (4, 8], (1, 2]
        metric = Metric(name="latency", unit="s")
        metric.exponential_histogram.aggregation_temporality = DELTA  # type: ignore[assignment]  # an enum's number
        point = metric.exponential_histogram.data_points.add(count=1, sum=1.0, time_unix_nano=NOW_NS + step)
        point.positive.offset = index
        point.positive.bucket_counts.append(1)
        send(bench, metric)
    found = {dict(labels).get("le"): [value for _, value in points] for (_, labels), points in bench.samples().items()}
    assert found["2"] == [1.0, 0.0, 1.0]
    assert found["8"] == [1.0, 1.0]


def test_a_summary_keeps_its_quantiles(bench: Bench) -> None:
    metric = Metric(name="rpc")
    point = metric.summary.data_points.add(count=4, sum=2.0, time_unix_nano=NOW_NS)
    point.quantile_values.add(quantile=0.5, value=0.4)
    send(bench, metric)
    assert bench.samples() == {
        ("rpc.count", CART): [(NOW_NS, 4.0)],
        ("rpc.sum", CART): [(NOW_NS, 2.0)],
        ("rpc", (("quantile", "0.5"), *CART)): [(NOW_NS, 0.4)],
    }


def test_two_instances_and_two_scopes_are_different_series(bench: Bench) -> None:
    send(bench, gauge("a", 1.0), **{"service.instance.id": "1"})
    send(bench, gauge("a", 2.0), **{"service.instance.id": "2"})
    request = metrics_request(gauge("a", 3.0), scope="lib")
    bench.client.post("/v1/metrics", content=request.SerializeToString(), headers=PROTOBUF)
    assert sorted(labels for _, labels in bench.samples()) == [
        (("otel.scope.name", "lib"), *CART),
        (("service.instance.id", "1"), *CART),
        (("service.instance.id", "2"), *CART),
    ]


def test_two_services_that_measure_the_same_are_two_series(bench: Bench) -> None:
    send(bench, gauge("load", 1.0), **{"service.name": "cart"})
    send(bench, gauge("load", 2.0), **{"service.name": "checkout"})
    assert list(bench.samples().values()) == [[(NOW_NS, 1.0)], [(NOW_NS, 2.0)]]
    assert [series["entity"] for series in bench.rows(FrameKind.SERIES)] == ["service:cart", "service:checkout"]


def test_the_future_is_rejected_nan_dropped_and_the_rest_stored(bench: Bench) -> None:
    answer = send(
        bench,
        gauge("future", 1.0, NOW_NS + 601 * 10**9),
        gauge("timeless", 1.0, 0),
        gauge("nan", float("nan")),
        gauge("inf", float("inf")),
        gauge("good", 1.0, NOW_NS + 599 * 10**9),
    )
    assert answer.partial_success.error_message == "2 of 5 points rejected: future 1, no_time 1"
    assert bench.counts.total(Item.POINTS).dropped == {"not_finite": 2}
    assert list(bench.samples()) == [("good", CART)]


def test_a_point_without_a_recorded_value_marks_the_end_of_its_series(bench: Bench) -> None:
    lived, ended, counted, spread = (
        gauge("a", 1.0),
        gauge("a", 1.0, NOW_NS + 1),
        total("b", 3),
        histogram("c", [0.1], [1, 2], 4.0),
    )
    for point in (ended.gauge.data_points[0], counted.sum.data_points[0], spread.histogram.data_points[0]):
        point.flags = 1
    ended.gauge.data_points[0].ClearField("as_double")
    assert not send(bench, lived, ended, counted, spread).HasField("partial_success")
    samples = {name: rows for (name, _), rows in bench.samples().items()}
    assert samples["a"][0] == (NOW_NS, 1.0)
    assert set(samples) == {"a", "b", "c.count", "c.sum", "c.bucket"}
    marks = np.array([rows[-1][1] for rows in samples.values()])
    assert is_mark(marks).all()
    assert not bench.counts.imbalance()


def test_a_point_whose_series_the_limit_refuses_is_rejected_whole() -> None:
    bench = Bench(catalog=NullCatalog(limit=3))
    answer = send(bench, gauge("a", 1.0), histogram("h", [0.1, 0.2], [1, 1, 1], 1.0), gauge("a", 2.0))
    assert answer.partial_success.error_message == "1 of 3 points rejected: cardinality 1; too many series"
    assert list(bench.samples()) == [("a", CART)]
    assert not bench.counts.imbalance()


@pytest.mark.parametrize(
    ("error", "code", "retry", "reason"),
    [
        (Overloaded("full", retry_after_s=3), 429, "3", "overloaded"),
        (StorageFull("disk full"), 503, "30", "storage_full"),
        (Unavailable("read-only"), 503, "5", "unavailable"),
    ],
)
def test_when_the_journal_cannot_take_it_the_sender_is_told_when_to_come_back(
    bench: Bench, error: Exception, code: int, retry: str, reason: str
) -> None:
    bench.journal.error = error
    body = metrics_request(gauge("a", 1.0)).SerializeToString()
    answer = bench.client.post("/v1/metrics", content=body, headers=PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (code, retry)
    assert Status.FromString(answer.content).message
    assert bench.counts.total(Item.POINTS).rejected == {reason: 1}
    bench.journal.error = None
    send(bench, gauge("a", 1.0))
    assert bench.samples(), "the definition that could not be written went with the next request"


def test_a_fault_of_ours_is_never_a_500(bench: Bench) -> None:
    bench.journal.error = RuntimeError("bug")
    body = metrics_request(gauge("a", 1.0)).SerializeToString()
    answer = bench.client.post("/v1/metrics", content=body, headers=PROTOBUF)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_json_is_read_and_answered_as_json(bench: Bench) -> None:
    body = MessageToJson(metrics_request(gauge("a", 1.5), total("t", 2, temporality=0)))
    answer = bench.client.post("/v1/metrics", content=body, headers={"content-type": "application/json"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["partialSuccess"]["rejectedDataPoints"] == "1"
    assert bench.samples() == {("a", CART): [(NOW_NS, 1.5)]}


@pytest.mark.parametrize("media", ["application/json", "application/x-protobuf"])
def test_what_does_not_decode_is_400_with_a_status_in_the_same_media_type(bench: Bench, media: str) -> None:
    answer = bench.client.post("/v1/metrics", content=b"\xff\xffnot a message", headers={"content-type": media})
    assert (answer.status_code, answer.headers["content-type"]) == (400, media)
    if media == "application/json":
        status = orjson.loads(answer.content)
        assert status["code"] == 3
        assert status["details"][0]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    else:
        assert Status.FromString(answer.content).details[0].type_url.endswith("BadRequest")


def test_an_empty_request_succeeds(bench: Bench) -> None:
    answer = bench.client.post("/v1/metrics", content=b"", headers=PROTOBUF)
    assert (answer.status_code, answer.content) == (200, b"")


def test_another_media_type_is_415(bench: Bench) -> None:
    assert bench.client.post("/v1/metrics", content=b"x", headers={"content-type": "text/csv"}).status_code == 415


def test_the_backfill_lane_comes_from_the_header(bench: Bench) -> None:
    body = metrics_request(gauge("a", 1.0, 10**18)).SerializeToString()
    bench.client.post("/v1/metrics", content=body, headers=PROTOBUF | {"x-twofold-lane": "backfill"})
    assert {frame.lane for frame in bench.journal.frames} == {Lane.BACKFILL}
    wrong = bench.client.post("/v1/metrics", content=body, headers=PROTOBUF | {"x-twofold-lane": "fast"})
    assert wrong.status_code == 400


def test_attributes_of_every_type_become_text(bench: Bench) -> None:
    metric = Metric(name="a")
    point = metric.gauge.data_points.add(as_int=1, time_unix_nano=NOW_NS)
    point.attributes.extend(attributes({"bool": True, "int": -3, "float": 0.5, "text": "x"}))
    point.attributes.add(key="list").value.array_value.values.add(string_value="y")
    point.attributes.add(key="none")
    send(bench, metric)
    ((_, labels),) = bench.samples()
    assert dict(labels) == dict(CART) | {
        "bool": "true",
        "int": "-3",
        "float": "0.5",
        "text": "x",
        "list": '["y"]',
        "none": "",
    }


def test_a_young_counter_begins_with_a_zero_where_it_began_and_a_reset_with_another(bench: Bench) -> None:
    for time_s, start_s, value in ((0, -30, 5), (10, -30, 6), (20, 15, 7)):
        metric = total("requests", value)
        metric.sum.data_points[0].time_unix_nano = NOW_NS + time_s * 10**9
        metric.sum.data_points[0].start_time_unix_nano = NOW_NS + start_s * 10**9
        send(bench, metric)
    (points,) = bench.samples().values()
    assert [((time_ns - NOW_NS) // 10**9, value) for time_ns, value in points] == [
        (-30, 0.0),
        (0, 5.0),
        (10, 6.0),
        (15, 0.0),
        (20, 7.0),
    ]
    assert bench.counts.total(Item.POINTS).stored == 3


@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])
def test_a_histogram_begins_with_zeros_only_if_it_is_cumulative(bench: Bench, temporality: int) -> None:
    metric = histogram("took", [0.1], [1, 2], 3.0)
    metric.histogram.aggregation_temporality = temporality  # type: ignore[assignment]  # an enum's number
    metric.histogram.data_points[0].start_time_unix_nano = NOW_NS - 10**9
    send(bench, metric)
    lengths = {len(points) for points in bench.samples().values()}
    assert lengths == ({2} if temporality == CUMULATIVE else {1})


def test_exemplars_with_a_trace_are_kept_as_evidence(bench: Bench) -> None:
    metric = histogram("http.server.duration", [0.1, 1.0], [5, 3, 2], 4.5)
    for value in (0.5, 0.7):
        metric.histogram.data_points[0].exemplars.add(
            as_double=value, trace_id=b"\xab" * 16, span_id=b"\xcd" * 8, time_unix_nano=NOW_NS - 5
        )
    metric.histogram.data_points[0].exemplars.add(as_double=0.9, time_unix_nano=NOW_NS)
    send(bench, metric, gauge("load", 1.0))
    slowest, _ = bench.rows(FrameKind.EXEMPLARS)
    assert (slowest["trace_id"], slowest["entity"], slowest["duration_ns"]) == ("ab" * 16, "service:cart", 700_000_000)
    assert (slowest["operation"], slowest["time_ns"]) == ("http.server.duration", NOW_NS - 5)
    assert bench.counts.total(Item.EXEMPLARS).dropped == {"no_trace_id": 1}
    items, event_ns = decode(bench.frames(FrameKind.EXEMPLARS)[0])
    assert [item.duration_ns for item in items if isinstance(item, Exemplar)] == [700_000_000, 500_000_000]
    assert event_ns == 0, "an exemplar does not move the clock"


def test_exemplars_are_looked_for_in_a_small_share_of_the_time() -> None:
    now, done = [0.0], []
    glances = Glances(0.1, lambda: now[0])

    def work() -> Exemplars:
        done.append(now[0])
        now[0] += 2.0
        return Exemplars("main", NOW_NS)

    for _ in range(100):
        glances.take(work)
        now[0] += 1.0
    assert done == [0.0, 22.0, 44.0, 66.0, 88.0]
