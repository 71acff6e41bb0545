"""Prometheus remote write 2.0 becomes the same series and samples as 1.0, and the answer counts what was written."""

from __future__ import annotations

import contextlib
import math
import struct
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.ingest.messages import snappy, write_request
from tests.unit.ingest.mutation import mutated, repeatable
from tests.unit.ingest.null import NOW_NS, Bench, NullCatalog
from tests.unit.ingest.test_walk import Guarded
from twofold.aiops.ingest.clean.config import CleanConfig
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.exemplars import Exemplars
from twofold.aiops.ingest.known import ROW_BYTES, Known
from twofold.aiops.ingest.prometheus import remote_write2
from twofold.aiops.ingest.prometheus.message import Request2
from twofold.aiops.ingest.rows import Rows
from twofold.aiops.ingest.series import SeriesIndex
from twofold.errors import DecodeError, Overloaded
from twofold.records.example import Exemplar
from twofold.records.frame import FrameKind

NOW_MS = NOW_NS // 10**6
HEADERS = {
    "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "2.0.0",
}
LABELS = {"__name__": "http_requests_total", "instance": "c:1", "job": "cart"}
COUNTER, GAUGE, HISTOGRAM = 1, 2, 3
MARK = struct.pack("<Q", 0x7FF0000000000002)
STALE = struct.unpack("<d", MARK)[0]


class Writer:
    """Builds a request as Prometheus does: symbols once, the empty one first."""

    def __init__(self) -> None:
        self.request = Request2()
        self._refs: dict[str, int] = {}
        self.ref("")

    def ref(self, text: str) -> int:
        if text not in self._refs:
            self._refs[text] = len(self._refs)
            self.request.symbols.append(text)
        return self._refs[text]

    def series(self, labels: dict[str, str], *samples: tuple[int, float], kind: int = 0, **more: Any) -> Any:
        made = self.request.timeseries.add()
        made.labels_refs.extend(self.ref(text) for pair in labels.items() for text in pair)
        for time_ms, value in samples:
            made.samples.add(timestamp=time_ms, value=value, start_timestamp=more.get("start", 0))
        made.metadata.add(type=kind, help_ref=self.ref(more.get("help", "")), unit_ref=self.ref(more.get("unit", "")))
        return made


def post(bench: Bench, writer: Writer) -> httpx.Response:
    return bench.client.post("/api/v1/write", content=snappy(writer.request), headers=HEADERS)


def counted(answer: httpx.Response) -> list[int]:
    """Samples, histograms and exemplars that the answer says were written."""
    prefix = "x-prometheus-remote-write-"
    return [int(answer.headers[f"{prefix}{name}-written"]) for name in ("samples", "histograms", "exemplars")]


def test_samples_are_stored_under_their_labels_and_counted_in_the_answer(bench: Bench) -> None:
    writer = Writer()
    writer.series(LABELS, (NOW_MS, 1.0), (NOW_MS + 1, 2.0), kind=COUNTER, help="Requests.")
    writer.series({"__name__": "load", "job": "cart"}, (NOW_MS, 0.5), kind=GAUGE, unit="seconds")
    answer = post(bench, writer)
    assert (answer.status_code, answer.content, counted(answer)) == (204, b"", [3, 0, 0])
    key = ("http_requests_total", (("instance", "c:1"), ("job", "cart")))
    assert bench.samples()[key] == [(NOW_MS * 10**6, 1.0), ((NOW_MS + 1) * 10**6, 2.0)]
    requests, load = bench.rows(FrameKind.SERIES)
    assert (requests["entity"], requests["kind"]) == ("service:cart", "counter")
    assert (load["kind"], load["unit"]) == ("gauge", "s")


@pytest.mark.parametrize(
    ("media", "code"),
    [
        ("application/x-protobuf; proto=io.prometheus.write.v2.Request", 204),
        ('application/x-protobuf;proto="io.prometheus.write.v2.Request"', 204),
        ("application/x-protobuf;proto=io.prometheus.write.v2.Samples", 415),
        ("text/plain;proto=io.prometheus.write.v2.Request", 415),
    ],
)
def test_the_message_is_told_by_the_content_type(bench: Bench, media: str, code: int) -> None:
    writer = Writer()
    writer.series(LABELS, (NOW_MS, 1.0))
    headers = HEADERS | {"content-type": media}
    assert bench.client.post("/api/v1/write", content=snappy(writer.request), headers=headers).status_code == code


def test_the_old_message_named_in_full_is_version_one(bench: Bench) -> None:
    headers = HEADERS | {"content-type": "application/x-protobuf;proto=prometheus.WriteRequest"}
    body = snappy(write_request((LABELS, [(NOW_MS, 1.0)])))
    answer = bench.client.post("/api/v1/write", content=body, headers=headers)
    assert (answer.status_code, len(bench.samples())) == (204, 1)
    assert "x-prometheus-remote-write-samples-written" not in answer.headers


def test_the_type_of_a_series_decides_over_its_name(bench: Bench) -> None:
    writer = Writer()
    writer.series({"__name__": "jobs_total", "job": "x"}, (NOW_MS, 1.0), kind=GAUGE)
    post(bench, writer)
    assert bench.rows(FrameKind.SERIES)[0]["kind"] == "gauge"


def test_native_histograms_make_the_rows_of_classic_ones(bench: Bench) -> None:
    writer = Writer()
    series = writer.series({"__name__": "took_seconds", "job": "cart"}, kind=HISTOGRAM)
    made = series.histograms.add(
        timestamp=NOW_MS, count_float=6.0, sum=3.0, schema=0, zero_count_float=1.0, zero_threshold=1e-9
    )
    made.negative_spans.add(offset=0, length=1)  # [-1, -0.5)
    made.negative_counts.append(2.0)
    made.positive_spans.add(offset=1, length=1)  # (1, 2]
    made.positive_counts.append(3.0)
    answer = post(bench, writer)
    assert (answer.status_code, counted(answer)) == (204, [0, 1, 0])
    found = {(name, dict(labels).get("le")): points[0][1] for (name, labels), points in bench.samples().items()}
    assert found == {
        ("took_seconds_count", None): 6.0,
        ("took_seconds_sum", None): 3.0,
        ("took_seconds_bucket", "-0.5"): 2.0,
        ("took_seconds_bucket", "0"): 3.0,
        ("took_seconds_bucket", "2"): 6.0,
    }
    units = {series["metric"]: series["unit"] for series in bench.rows(FrameKind.SERIES)}
    assert units == {"took_seconds_count": "1", "took_seconds_sum": "s", "took_seconds_bucket": "1"}


def test_custom_buckets_keep_their_boundaries(bench: Bench) -> None:
    writer = Writer()
    series = writer.series({"__name__": "took", "job": "cart"}, kind=HISTOGRAM)
    made = series.histograms.add(
        timestamp=NOW_MS, count_int=6, sum=9.0, schema=-53, custom_values=[0.1, 1.0, 10.0], positive_deltas=[2, 1, -2]
    )
    made.positive_spans.add(offset=0, length=1)
    made.positive_spans.add(offset=1, length=2)
    post(bench, writer)
    found = {dict(labels).get("le"): points[0][1] for (_, labels), points in bench.samples().items() if labels}
    assert {le: found[le] for le in ("0.1", "1", "10")} == {"0.1": 2.0, "1": 2.0, "10": 5.0}


def test_a_gauge_histogram_may_shrink_so_its_rows_are_gauges(bench: Bench) -> None:
    writer = Writer()
    series = writer.series({"__name__": "sizes", "job": "cart"}, kind=HISTOGRAM)
    series.histograms.add(timestamp=NOW_MS, count_int=1, sum=1.0, reset_hint=3, zero_count_int=1)
    post(bench, writer)
    assert {series["kind"] for series in bench.rows(FrameKind.SERIES)} == {"gauge"}


def test_marks_of_a_series_end_are_kept_also_of_a_histogram(bench: Bench) -> None:
    writer = Writer()
    writer.series(LABELS, (NOW_MS, STALE))
    writer.series({"__name__": "took", "job": "cart"}).histograms.add(timestamp=NOW_MS, sum=STALE)
    answer = post(bench, writer)
    assert (answer.status_code, counted(answer)) == (204, [1, 1, 0])
    assert not bench.counts.total(Item.POINTS).dropped
    ended = {name for (name, _), ((_, value),) in bench.samples().items() if struct.pack("<d", value) == MARK}
    assert ended == {LABELS["__name__"], "took_count", "took_sum"}


def test_a_rejected_part_is_400_with_its_reason_and_the_rest_is_stored(bench: Bench) -> None:
    writer = Writer()
    writer.series(LABELS, (NOW_MS, 1.0), (NOW_MS + 10**9, 2.0))
    writer.series({"job": "nameless"}, (NOW_MS, 1.0))
    writer.series({"__name__": "a", "job": "x"}, (NOW_MS, 1.0)).labels_refs[3] = 999
    writer.series({"__name__": "b"}, (NOW_MS, 1.0)).labels_refs.append(0)
    writer.series({"__name__": "c"}).histograms.add(timestamp=NOW_MS, schema=99)
    answer = post(bench, writer)
    assert (answer.status_code, counted(answer)) == (400, [1, 0, 0])
    assert answer.text == (
        "4 of 5 points rejected: bad_labels 2, bad_symbol 1, future 1; 1 of 1 points rejected: histogram_schema 1"
    )
    assert [len(points) for points in bench.samples().values()] == [1]


@pytest.mark.parametrize("place", ["sample", "series"])
def test_a_young_counter_begins_with_a_zero_where_it_began(bench: Bench, place: str) -> None:
    for time_ms, value in ((NOW_MS, 5.0), (NOW_MS + 1000, 6.0)):
        writer = Writer()
        series = writer.series(LABELS, (time_ms, value), kind=COUNTER)
        if place == "sample":
            series.samples[0].start_timestamp = NOW_MS - 30_000
        else:
            series.created_timestamp = NOW_MS - 30_000
        assert counted(post(bench, writer)) == [1, 0, 0]
    (points,) = bench.samples().values()
    assert points == [((NOW_MS - 30_000) * 10**6, 0.0), (NOW_MS * 10**6, 5.0), ((NOW_MS + 1000) * 10**6, 6.0)]
    assert bench.counts.total(Item.POINTS).stored == 2
    assert bench.counts.total(Item.POINTS).rows == 3


def test_a_zero_that_lies_too_far_back_does_not_cost_the_sample() -> None:
    bench = Bench(config=IngestConfig(walker=False, clean=CleanConfig(past_s=60.0)))
    writer = Writer()
    writer.series(LABELS, (NOW_MS - 50_000, 5.0), kind=COUNTER, start=NOW_MS - 70_000)
    assert counted(post(bench, writer)) == [1, 0, 0]
    assert list(bench.samples().values()) == [[((NOW_MS - 50_000) * 10**6, 5.0)]]


def test_an_old_counter_and_a_gauge_get_no_zero(bench: Bench) -> None:
    writer = Writer()
    writer.series(LABELS, (NOW_MS, 5.0), kind=COUNTER, start=NOW_MS - 3_600_000)
    writer.series({"__name__": "load"}, (NOW_MS, 5.0), kind=GAUGE, start=NOW_MS - 30_000)
    post(bench, writer)
    assert {value for points in bench.samples().values() for _, value in points} == {5.0}


def test_what_may_succeed_later_says_so_and_that_nothing_was_written(bench: Bench) -> None:
    bench.journal.error = Overloaded("queue full", retry_after_s=7)
    writer = Writer()
    writer.series(LABELS, (NOW_MS, 1.0))
    answer = post(bench, writer)
    assert (answer.status_code, answer.headers["retry-after"], counted(answer)) == (429, "7", [0, 0, 0])


def test_another_encoding_than_snappy_is_415_and_garbage_400(bench: Bench) -> None:
    body = Writer().request.SerializeToString()
    answer = bench.client.post("/api/v1/write", content=body, headers=HEADERS | {"content-encoding": "lz4"})
    assert answer.status_code == 415
    assert bench.client.post("/api/v1/write", content=b"\x05garbage", headers=HEADERS).status_code == 400


def test_exemplars_with_a_trace_are_kept_as_evidence(bench: Bench) -> None:
    writer = Writer()
    series = writer.series({"__name__": "took_seconds_bucket", "job": "cart"}, (NOW_MS, 1.0), kind=HISTOGRAM)
    for labels, value, time_ms in (
        ({"trace_id": "AB" * 16, "span_id": "cd" * 8}, 0.25, NOW_MS - 1),
        ({"user": "7"}, 1.0, NOW_MS),
        ({"trace_id": "ab" * 16}, 1.0, 0),
        ({"trace_id": "ab" * 16}, 1.0, NOW_MS + 10**9),
    ):
        refs = [writer.ref(text) for pair in labels.items() for text in pair]
        series.exemplars.add(labels_refs=refs, value=value, timestamp=time_ms)
    series.exemplars.add(labels_refs=[99, 1], value=1.0, timestamp=NOW_MS)
    answer = post(bench, writer)
    assert (answer.status_code, counted(answer)) == (400, [1, 0, 2])
    assert answer.text == "3 of 5 exemplars rejected: bad_symbol 1, future 1, no_time 1"
    (found,) = bench.rows(FrameKind.EXEMPLARS)
    assert (found["trace_id"], found["entity"], found["operation"]) == ("ab" * 16, "service:cart", "took_seconds")
    assert (found["duration_ns"], found["time_ns"]) == (250_000_000, (NOW_MS - 1) * 10**6)
    assert bench.counts.total(Item.EXEMPLARS).dropped == {"no_trace_id": 1}


# --- the short way gives the same


Both = tuple[Rows, tuple[list[Exemplar], Outcome]]


class Way:
    """Both ways over one catalog."""

    def __init__(self) -> None:
        self.known = Known("write2")
        self.known.compile()
        self._index = SeriesIndex(NullCatalog())

    def validated(self, body: bytes) -> tuple[remote_write2.Decoded, tuple[list[Exemplar], Outcome]]:
        exemplars = Exemplars("main", 2 * NOW_NS)
        found = remote_write2.decoded(remote_write2.parse(body), self._index, "main", exemplars)
        return found, (exemplars.finish(), exemplars.outcome)

    def short(self, body: bytes) -> Both | None:
        walked = self.known.walk(body)
        rows = None if walked is None else self.known.rows(walked, "main")
        if walked is None or rows is None:
            return None
        exemplars = Exemplars("main", 2 * NOW_NS)
        remote_write2.pointed(walked, body, exemplars)
        return rows, (exemplars.finish(), exemplars.outcome)

    def learn(self, body: bytes) -> bool:
        walked = self.known.walk(body)
        found, _ = self.validated(body)
        if walked is not None and found.histograms is None:
            self.known.learn(walked, found.samples, "main")
        return walked is not None


@pytest.fixture(scope="module")
def way() -> Way:
    return Way()


def assert_same(mine: Both, theirs: tuple[remote_write2.Decoded, tuple[list[Exemplar], Outcome]]) -> None:
    rows, expected = mine[0], theirs[0].samples
    assert theirs[0].histograms is None
    assert rows.points == expected.points
    for column in ("sid", "time_ns", "point"):
        assert getattr(rows, column).tolist() == getattr(expected, column).tolist()
    assert rows.value.view(np.uint64).tolist() == expected.value.view(np.uint64).tolist(), "equal to the last bit"
    assert mine[1] == theirs[1], "the same exemplars"


texts = st.sampled_from(["a", "host-1", "eu-west-1a", "x" * 40, "ünï", "12345678", "123456789"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    writer = Writer()
    for text in draw(st.lists(texts.filter(str.isascii), max_size=3)):
        writer.ref(text)
    for _ in range(draw(st.integers(1, 5))):
        labels = {"__name__": draw(texts)} | draw(st.dictionaries(texts, texts, max_size=4))
        times = st.integers(0, 2 * NOW_MS)
        samples = draw(st.lists(st.tuples(times, st.floats()), min_size=1, max_size=3))
        series = writer.series(
            labels, *samples, kind=draw(st.integers(0, 9)), help=draw(texts), unit=draw(texts), start=draw(times)
        )
        if draw(st.booleans()):
            series.exemplars.add(labels_refs=[writer.ref("trace_id"), writer.ref("abc")], value=1.0, timestamp=NOW_MS)
        if draw(st.booleans()):
            series.created_timestamp = draw(times)
    body: bytes = writer.request.SerializeToString()
    return body


@given(requests())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_learnt_is_decoded_to_the_same_rows(way: Way, body: bytes) -> None:
    assert way.learn(body), "the walker takes what encoders write"
    mine = way.short(body)
    assert mine is not None
    assert_same(mine, way.validated(body))


def test_the_order_of_symbols_does_not_matter(way: Way) -> None:
    first, second = Writer(), Writer()
    second.ref("zzz")
    second.ref("cart")
    for writer, value in ((first, 1.0), (second, 2.0)):
        writer.series(LABELS, (NOW_MS, value), kind=COUNTER, help="Requests.")
    way.learn(first.request.SerializeToString())
    found = way.short(second.request.SerializeToString())
    assert found is not None
    assert found[0].value.tolist() == [2.0]


@pytest.mark.parametrize("change", ["label", "type", "unit", "help", "start", "created"])
def test_a_series_that_differs_in_anything_is_not_known(way: Way, change: str) -> None:
    plain: dict[str, Any] = {"kind": COUNTER, "help": "Requests", "unit": "s", "start": 5}
    of = {"__name__": f"only_{change}", "job": "a"}
    first, second = Writer(), Writer()
    first.series(of, (NOW_MS, 1.0), **plain)
    changed: dict[str, dict[str, Any]] = {
        "type": {"kind": GAUGE},
        "unit": {"unit": "m"},
        "help": {"help": "x"},
        "start": {"start": 6},
    }
    other = of | {"job": "b"} if change == "label" else of
    series = second.series(other, (NOW_MS, 1.0), **plain | changed.get(change, {}))
    if change == "created":
        series.created_timestamp = 9
    way.learn(first.request.SerializeToString())
    assert way.short(first.request.SerializeToString()) is not None
    assert way.short(second.request.SerializeToString()) is None


def test_text_that_is_no_utf8_never_passes_the_short_way(way: Way) -> None:
    writer = Writer()
    writer.series({"__name__": "up", "job": "x"}, (NOW_MS, 1.0))
    writer.ref("unused-symbol")
    body = writer.request.SerializeToString()
    way.learn(body)
    assert way.short(body) is not None
    broken = body.replace(b"unused-symbol", b"unused-\xff\xfe\xfd\xfc\xfb\xfa")
    assert way.short(broken) is None
    with pytest.raises(DecodeError):
        way.validated(broken)


def corpus() -> bytes:
    writer = Writer()
    for each in range(4):
        series = writer.series(LABELS | {"n": str(each)}, (NOW_MS, each), (NOW_MS + 1, math.nan), kind=1, help="ü")
        refs = [writer.ref("trace_id"), writer.ref("ab" * 16)]
        series.exemplars.add(labels_refs=refs, value=1.0, timestamp=NOW_MS)
    body: bytes = writer.request.SerializeToString()
    return body


def test_mutated_requests_give_the_same_rows_or_none(way: Way) -> None:
    bodies = [corpus()]
    chance = repeatable(11)
    short = 0
    for body in bodies + [mutated(bodies, chance) for _ in range(4000)]:
        try:
            found = way.validated(body)
        except DecodeError:
            with contextlib.suppress(DecodeError):  # from an exemplar, which only this way's end looks into
                assert way.short(body) is None
            continue
        way.learn(body)
        mine = way.short(body)
        if mine is not None:
            short += 1
            assert_same(mine, found)
    assert short > 100


def test_no_byte_outside_the_padded_request_or_the_rows_is_touched(way: Way) -> None:
    kernels = way.known._kernels
    assert kernels is not None
    memory, rows = Guarded(1 << 16), Guarded(1 << 16)
    bodies = [corpus()]
    chance = repeatable(11)
    for _ in range(10_000):
        body = mutated(bodies, chance)
        room = chance.choice((0, 1, 2, 5, 12, 100))
        start = memory.place(body + bytes(kernels.padding))
        count, _ = kernels.walk(start, len(body), np.uint64(1), rows.last(room * ROW_BYTES), room)
        assert count <= room
