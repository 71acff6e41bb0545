"""The compiled walkers give what the validated way gives, or give up; never anything else, whatever the bytes."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.unit.ingest.messages import (
    CUMULATIVE,
    DELTA,
    any_value,
    attributes,
    gauge,
    histogram,
    metrics_request,
    snappy,
    total,
    write_request,
)
from tests.unit.ingest.mutation import mutated, repeatable
from tests.unit.ingest.null import NOW_NS, Bench, NullCatalog
from twofold.aiops.ingest import known as known_module
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.known import Known, Walked
from twofold.aiops.ingest.otlp.message import PROTOBUF, parse
from twofold.aiops.ingest.otlp.metrics import rows_of
from twofold.aiops.ingest.prometheus import remote_write
from twofold.aiops.ingest.rows import Rows
from twofold.aiops.ingest.series import SeriesIndex
from twofold.errors import DecodeError

PAGE = mmap.PAGESIZE


class Way:
    """Both ways of one protocol, over one catalog."""

    def __init__(self, walker: str) -> None:
        self.known = Known(walker)
        self.known.compile()
        catalog = NullCatalog()
        self._index = SeriesIndex(catalog)
        self._naming = Naming(catalog)
        self._walker = walker

    def validated(self, body: bytes) -> Rows:
        if self._walker == "write":
            return remote_write.rows_of(remote_write.parse(body), self._index, {}, "main")
        request = parse(ExportMetricsServiceRequest, body, PROTOBUF)
        return rows_of(request, self._index, self._naming, "main")

    def learn(self, body: bytes) -> Walked | None:
        walked = self.known.walk(body)
        if walked is not None:
            self.known.learn(walked, self.validated(body), "main")
        return walked

    def short(self, body: bytes) -> Rows | None:
        walked = self.known.walk(body)
        return None if walked is None else self.known.rows(walked, "main")


@pytest.fixture(scope="module")
def otlp() -> Way:
    return Way("otlp")


@pytest.fixture(scope="module")
def write() -> Way:
    return Way("write")


def assert_equal(left: Rows, right: Rows) -> None:
    assert left.points == right.points
    for column in ("sid", "time_ns", "point"):
        assert getattr(left, column).tolist() == getattr(right, column).tolist()
    assert left.value.view(np.uint64).tolist() == right.value.view(np.uint64).tolist(), "equal to the last bit"


texts = st.sampled_from(["", "a", "host-1", "eu-west-1a", "x" * 40, "ünï", "12345678", "123456789"])
labels = st.dictionaries(texts.filter(bool), st.one_of(texts, st.integers(-5, 5), st.booleans()), max_size=4)
times = st.one_of(st.just(0), st.just(NOW_NS), st.integers(0, 2**63 - 1))


@st.composite
def metric_messages(draw: st.DrawFn) -> Metric:
    name, kind = draw(texts.filter(bool)), draw(st.sampled_from(["gauge", "sum", "histogram"]))
    metric = Metric(name=name, unit=draw(texts), description=draw(texts))
    if draw(st.booleans()):
        metric.metadata.extend(attributes(draw(labels)))
    data = getattr(metric, kind)
    if kind != "gauge":
        data.aggregation_temporality = draw(st.sampled_from([CUMULATIVE, DELTA]))
    if kind == "sum":
        data.is_monotonic = draw(st.booleans())
    for _ in range(draw(st.integers(1, 4))):
        point = data.data_points.add(
            time_unix_nano=draw(times), start_time_unix_nano=draw(times), attributes=attributes(draw(labels))
        )
        if kind == "histogram":
            fill_histogram(draw, point)
        elif draw(st.booleans()):
            point.as_int = draw(st.integers(-(2**63), 2**63 - 1))
        else:
            point.as_double = draw(st.floats())
        if draw(st.booleans()):
            point.exemplars.add(as_double=1.0, trace_id=b"x" * 16, filtered_attributes=attributes(draw(labels)))
    return metric


def fill_histogram(draw: st.DrawFn, point: Any) -> None:
    bounds = sorted(draw(st.sets(st.floats(-1e9, 1e9), max_size=5)))
    if draw(st.booleans()):
        point.explicit_bounds.extend(bounds)
        point.bucket_counts.extend(
            draw(st.lists(st.integers(0, 2**50), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
        )
    point.count = draw(st.integers(0, 2**64 - 1))
    if draw(st.booleans()):
        point.sum = draw(st.floats())
    if draw(st.booleans()):
        point.min, point.max = 0.0, 1.0


@st.composite
def otlp_bodies(draw: st.DrawFn) -> bytes:
    request = ExportMetricsServiceRequest()
    for _ in range(draw(st.integers(0, 3))):
        resource = request.resource_metrics.add(schema_url=draw(texts))
        if draw(st.booleans()):
            resource.resource.attributes.extend(attributes(draw(labels)))
        for _ in range(draw(st.integers(1, 2))):
            scope = resource.scope_metrics.add(schema_url=draw(texts))
            scope.scope.name = draw(texts)
            scope.metrics.extend(draw(st.lists(metric_messages(), min_size=1, max_size=3)))
    return request.SerializeToString()


@st.composite
def write_bodies(draw: st.DrawFn) -> bytes:
    samples = st.lists(st.tuples(st.integers(0, 2**63 // 10**6 - 1), st.floats()), min_size=1, max_size=4)
    series = st.tuples(labels.map(lambda found: {"__name__": "m"} | {k: str(v) for k, v in found.items()}), samples)
    request = write_request(*draw(st.lists(series, max_size=4)))
    for each in request.timeseries:
        if draw(st.booleans()):
            each.exemplars.add(value=1.0, timestamp=5)
    body: bytes = request.SerializeToString()
    return body


RELAXED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(body=otlp_bodies())
@RELAXED
def test_every_canonical_otlp_request_goes_the_short_way_with_equal_rows(otlp: Way, body: bytes) -> None:
    assert otlp.learn(body) is not None, "what encoders write is walked"
    expected = otlp.validated(body)
    if not expected.rejected:
        found = otlp.short(body)
        assert found is not None
        assert_equal(found, expected)


@given(body=write_bodies())
@RELAXED
def test_every_canonical_write_request_goes_the_short_way_with_equal_rows(write: Way, body: bytes) -> None:
    assert write.learn(body) is not None
    expected = write.validated(body)
    if not expected.rejected:
        found = write.short(body)
        assert found is not None
        assert_equal(found, expected)


def corpus(walker: str) -> list[bytes]:
    """Requests without exemplars, whose bytes no walker looks at."""
    if walker == "write":
        one = {"__name__": "http_requests_total", "instance": "c:1", "job": "cart"}
        made = [
            write_request((one, [(NOW_NS // 10**6, 1.0)]), (one | {"code": "500"}, [(NOW_NS // 10**6, 0.0), (5, 2.5)])),
            write_request((one, [(0, 0.0)])),
        ]
        return [request.SerializeToString() for request in made]
    inner = gauge("queue", 7.0, unit="1", shard=1)
    inner.gauge.data_points.add(as_int=-3, time_unix_nano=5, attributes=attributes({"shard": 2}))
    scoped = metrics_request(inner, total("t", 1, a="b"), scope="lib")
    scoped.resource_metrics[0].schema_url = scoped.resource_metrics[0].scope_metrics[0].schema_url = "https://x"
    return [
        scoped.SerializeToString(),
        metrics_request(histogram("h", [0.1, 1.0], [1, 2, 3], 4.0, route="/"), gauge("a", 1.0)).SerializeToString(),
        (metrics_request(gauge("a", 1.0)).SerializeToString() + metrics_request(total("b", 2)).SerializeToString()),
    ]


@pytest.mark.parametrize("walker", ["otlp", "write"])
def test_mutated_requests_are_walked_as_protobuf_reads_them_or_given_up(
    walker: str, request: pytest.FixtureRequest
) -> None:
    way: Way = request.getfixturevalue(walker)
    bodies = corpus(walker)
    for body in bodies:
        way.learn(body)
    chance = repeatable(7)
    walked = short = 0
    for _ in range(20_000):
        body = mutated(bodies, chance)
        found = way.short(body)
        walked += way.known.walk(body) is not None
        if found is None:
            continue
        short += 1
        try:
            expected = way.validated(body)
        except DecodeError as error:
            raise AssertionError(f"protobuf refuses what was walked: {body.hex()}") from error
        assert not expected.rejected, body.hex()
        assert_equal(found, expected)
    assert walked > 1000, "the mutations are not all hopeless"
    assert short > 200, "known series were met again"


class Guarded:
    """Memory that ends at a page nobody may touch: a byte too far ends the process."""

    def __init__(self, size: int) -> None:
        pages = -(-size // PAGE) + 1
        self._map = mmap.mmap(-1, pages * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(ctypes.c_void_p(start + (pages - 1) * PAGE), PAGE, 0) == 0
        self._end = (pages - 1) * PAGE
        self._start = start

    def place(self, body: bytes) -> int:
        """Address of these bytes, put right before the guard."""
        self._map[self._end - len(body) : self._end] = body
        return self._start + self._end - len(body)

    def last(self, size: int) -> int:
        """Address of the last `size` bytes."""
        return self._start + self._end - size


@pytest.mark.parametrize("walker", ["otlp", "write"])
def test_no_byte_outside_the_padded_request_or_the_rows_is_touched(walker: str, request: pytest.FixtureRequest) -> None:
    way: Way = request.getfixturevalue(walker)
    kernels = way.known._kernels
    assert kernels is not None
    memory, rows = Guarded(1 << 16), Guarded(1 << 16)
    bodies = corpus(walker)
    chance = repeatable(11)
    for _ in range(20_000):
        body = mutated(bodies, chance)
        room = chance.choice((0, 1, 2, 5, 100))
        start = memory.place(body + bytes(kernels.padding))
        count, _ = kernels.walk(start, len(body), np.uint64(1), rows.last(room * known_module.ROW_BYTES), room)
        assert count <= room


def first_point(request: ExportMetricsServiceRequest) -> Any:
    return request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]


def second_metric(request: ExportMetricsServiceRequest) -> Metric:
    made: Metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="more")
    return made


@pytest.mark.parametrize(
    "change",
    [
        lambda request: first_point(request).ClearField("as_double"),
        lambda request: setattr(first_point(request), "flags", 1),
        lambda request: setattr(first_point(request), "time_unix_nano", 2**63),
        lambda request: second_metric(request).summary.data_points.add(),
        lambda request: second_metric(request).exponential_histogram.data_points.add(),
        lambda request: second_metric(request).sum.data_points.add(as_int=1),
    ],
    ids=["no value", "flags", "time past int64", "summary", "exponential histogram", "no temporality"],
)
def test_what_the_walker_does_not_know_it_leaves_to_the_validated_way(
    otlp: Way, change: Callable[[ExportMetricsServiceRequest], object]
) -> None:
    request = metrics_request(gauge("a", 1.0))
    assert otlp.known.walk(request.SerializeToString()) is not None
    change(request)
    assert otlp.known.walk(request.SerializeToString()) is None


def test_no_two_of_a_hundred_thousand_similar_series_share_a_hash(otlp: Way) -> None:
    kernels = otlp.known._kernels
    assert kernels is not None
    hashes: list[np.ndarray[Any, Any]] = []
    for block in range(50):
        request = metrics_request()
        metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="m")
        for number in range(2000):
            point = metric.gauge.data_points.add(as_double=1.0)
            point.attributes.add(key="host", value=any_value(f"host-{block:04d}-{number:08d}"))
        walked = otlp.known.walk(request.SerializeToString())
        assert walked is not None
        hashes.append(walked.rows[: walked.count * 32].view(np.uint64)[::4].copy())
    together = np.concatenate(hashes)
    assert len(np.unique(together)) == len(together) == 100_000
    low = np.bincount((together & np.uint64(1023)).astype(np.int64), minlength=1024)
    assert low.max() < 160, "low bits, which choose the place in the table, are spread evenly"


def test_a_table_grows_and_begins_anew_past_its_limit(otlp: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Known("otlp")
    known.compile()
    way = Way.__new__(Way)
    way.__dict__ |= otlp.__dict__ | {"known": known}
    bodies = [
        metrics_request(*(gauge(f"m{block}.{number}", 1.0) for number in range(3000))).SerializeToString()
        for block in range(4)
    ]
    for body in bodies:
        way.learn(body)
    assert all(way.short(body) is not None for body in bodies)
    monkeypatch.setattr(known_module, "MAX_KNOWN", 5000)
    way.learn(metrics_request(gauge("one more", 1.0)).SerializeToString())
    assert way.short(bodies[0]) is None
    assert known._counts["main"] == 1


def test_over_http_known_series_take_the_short_way_and_nothing_changes() -> None:
    plain, fast = Bench(), Bench(config=IngestConfig())
    fast.ingest._metrics.known.compile()
    fast.ingest._write.known.compile()
    for step in range(3):
        metrics = metrics_request(gauge("a", float(step), NOW_NS + step, x="1"), histogram("h", [1.0], [step, 1], 2.0))
        written = write_request(({"__name__": "up", "job": "x"}, [(NOW_NS // 10**6 + step, 1.0)]))
        for bench in (plain, fast):
            headers = {"content-type": "application/x-protobuf"}
            bench.client.post("/v1/metrics", content=metrics.SerializeToString(), headers=headers)
            bench.client.post("/api/v1/write", content=snappy(written), headers=headers)
    assert fast.samples() == plain.samples()
    body = metrics_request(gauge("a", 9.0, NOW_NS, x="1")).SerializeToString()
    walked = fast.ingest._metrics.known.walk(body)
    assert walked is not None
    assert fast.ingest._metrics.known.rows(walked, "main") is not None
    assert fast.ingest._metrics.known.rows(walked, "other") is None, "what one tenant sent is unknown to another"
    assert not fast.counts.imbalance()


def test_when_kernels_do_not_compile_requests_are_still_decoded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known = Known("otlp")
    monkeypatch.setattr(known, "compile", lambda: (_ for _ in ()).throw(OSError("no cache folder")))
    known_module.compile_in_background(known).join()
    assert "kernels do not compile" in caplog.text
    assert not known.warm
    assert known.walk(b"") is None


@pytest.mark.parametrize("level", ["resource_metrics", "scope_metrics", "metrics"])
def test_texts_that_no_point_vouches_for_are_left_to_the_validated_way(otlp: Way, level: str) -> None:
    request = metrics_request(gauge("a", 1.0))
    resource = request.resource_metrics[0]
    holder: Any = {"resource_metrics": request, "scope_metrics": resource, "metrics": resource.scope_metrics[0]}[level]
    getattr(holder, level).add()
    assert otlp.known.walk(request.SerializeToString()) is None
