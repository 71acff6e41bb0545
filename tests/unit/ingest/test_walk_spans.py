"""The compiled way of spans gives what protobuf walked in Python gives, or leaves it to that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError as ProtobufError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.unit.ingest.messages import any_value, attributes, span, traces_request
from tests.unit.ingest.mutation import mutated, repeatable
from tests.unit.ingest.null import NOW_NS, Bench, NullCatalog
from tests.unit.ingest.signals import Guarded, attributes_of, outcome_facts, resources, times, values, words
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Outcome
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.otlp.short import nested
from twofold.aiops.ingest.otlp.traces import ShortSpans, spans_of
from twofold.records.columns import SPANS
from twofold.records.frame import FrameKind

LATEST_NS = NOW_NS + 10**12
Decoded = tuple[pa.RecordBatch, Outcome]


class Way:
    """Both ways over one catalog."""

    def __init__(self) -> None:
        self._naming = Naming(NullCatalog())
        self.walker = ShortSpans(self._naming)
        self.walker.compile()

    def validated(self, body: bytes) -> Decoded:
        return spans_of(ExportTraceServiceRequest.FromString(body), self._naming, "main", LATEST_NS)

    def short(self, body: bytes) -> Decoded | None:
        return self.walker.decode(body, "main", LATEST_NS)


@pytest.fixture(scope="module")
def way() -> Way:
    return Way()


def assert_equal(found: Decoded, expected: Decoded) -> None:
    batch, outcome = found
    assert outcome_facts(outcome) == outcome_facts(expected[1])
    assert batch.schema == SPANS
    batch.validate(full=True)
    for name in ("entity", "name", "peer"):
        assert batch.column(name).dictionary.equals(expected[0].column(name).dictionary), f"order of first {name}"
    for name in SPANS.names:
        assert batch.column(name).to_pylist() == expected[0].column(name).to_pylist(), name


ids = st.one_of(st.just(b"\x01" * 8), st.binary(min_size=8, max_size=8), st.just(bytes(8)), st.binary(max_size=9))
urls = st.one_of(
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["http://", "https://user@", "//", "", "ht\ntp://", " http://", "a:b://", "://", "HTTP:/\t/"]),
        st.sampled_from(
            ["shop", "10.0.0.1:80", "[::1]:7070", "[broken", "localhost", "api.shop.svc.cluster", "ünï.de", ""]
        ),
        st.sampled_from(
            ["", "/", "?q", "#f", "/v1/1?x=2", "/v2/models/fraud/versions/3/infer", "\n/x", " /", "//z/infer"]
        ),
        st.sampled_from(["", "", "\n", "x", " "]),
    ),
    words,
)
STORES = (
    "db.system",
    "db.system.name",
    "db.namespace",
    "db.name",
    "messaging.destination",
    "messaging.destination.name",
)
speaking = st.one_of(
    st.tuples(st.sampled_from(["url.full", "http.url", "url.path"]), urls),
    st.tuples(
        st.sampled_from(["peer.service", "server.address", "net.peer.name", "twofold.model", *STORES]),
        st.sampled_from(["", "a", "orders", "127.0.0.1", "10.1.2.3", "[::1]", "x.svc.y"]),
    ),
    st.tuples(
        st.sampled_from(["http.response.status_code", "http.status_code"]),
        st.one_of(st.sampled_from([200, 499, 500, 503, -1, 2**40, "500", True, 500.0])),
    ),
)


@st.composite
def span_messages(draw: st.DrawFn) -> Span:
    made = Span(
        trace_id=draw(st.one_of(st.just(b"\x07" * 16), st.binary(max_size=17))),
        span_id=draw(ids),
        parent_span_id=draw(ids),
        trace_state=draw(words),
        name=draw(st.one_of(st.sampled_from(["GET /", "SELECT"]), words)),
        kind=draw(st.integers(0, 5)),  # type: ignore[arg-type]  # an enum's number
        start_time_unix_nano=draw(times),
        end_time_unix_nano=draw(times),
        flags=draw(st.sampled_from([0, 1, 0x101])),
        dropped_attributes_count=draw(st.sampled_from([0, 300])),
    )
    if draw(st.booleans()):
        made.attributes.extend(draw(attributes_of))
    told = dict(draw(st.lists(speaking, max_size=4)))
    made.attributes.extend(each for each in attributes(told) if each.key not in {a.key for a in made.attributes})
    if draw(st.booleans()):
        made.status.message = draw(words)
        made.status.code = draw(st.integers(0, 2))  # type: ignore[assignment]  # an enum's number
    for _ in range(draw(st.integers(0, 2))):
        event = made.events.add(time_unix_nano=NOW_NS, name=draw(st.sampled_from(["exception", "exceptiom", "log"])))
        event.attributes.extend(draw(exceptions))
    if draw(st.integers(0, 4)) == 0:
        made.links.add(trace_id=b"x" * 16, trace_state=draw(words), attributes=draw(attributes_of), flags=1)
    return made


exceptions = st.lists(
    st.builds(
        KeyValue,
        key=st.sampled_from(["exception.type", "exception.message", "exception.stacktrace", "exception.messagf"]),
        value=st.one_of(words.map(lambda text: AnyValue(string_value=text)), values),
    ),
    max_size=4,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 3))):
        found = request.resource_spans.add(schema_url=draw(words))
        if draw(st.booleans()):
            found.resource.attributes.extend(attributes(draw(resources)))
        for _ in range(draw(st.integers(0, 2))):
            inner = found.scope_spans.add(schema_url=draw(words))
            inner.scope.name = draw(words)
            inner.spans.extend(draw(st.lists(span_messages(), max_size=4)))
    return request.SerializeToString()


RELAXED = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(body=bodies())
@RELAXED
def test_every_request_as_encoders_write_it_goes_the_short_way_with_equal_rows(way: Way, body: bytes) -> None:
    found, expected = way.short(body), way.validated(body)
    if found is None:
        assert expected[1].rejected, "only a refused span that has nested values is left to protobuf"
    else:
        assert_equal(found, expected)


@given(told=st.lists(st.lists(speaking, max_size=3), max_size=8))
@RELAXED
def test_spans_that_share_a_peer_in_the_walk_share_it_in_the_validated_way(way: Way, told: list[Any]) -> None:
    made = []
    for number, each in enumerate(told):
        one = span("a", kind=3 + number % 3)
        one.attributes.extend(attributes(dict(each)))
        made.append(one)
    body = traces_request(*made).SerializeToString()
    found = way.short(body)
    assert found is not None
    assert_equal(found, way.validated(body))


def test_a_thousand_addresses_of_one_host_ask_for_its_name_once(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = ShortSpans._decode.__globals__["peer_entity"]

    def counted(*given: object) -> object:
        asked.append(1)
        return real(*given)

    monkeypatch.setitem(ShortSpans._decode.__globals__, "peer_entity", counted)
    made = [span("GET", kind=3, url__full=f"https://api.example.com/orders/{n}?page={n}") for n in range(1000)]
    found = way.short(traces_request(*made).SerializeToString())
    assert found is not None
    assert set(found[0].column("peer").to_pylist()) == {"service:api.example.com"}
    assert len(asked) == 1


def corpus() -> list[bytes]:
    """Requests with something of everything."""
    failed = span("GET /cart", status=2, http__response__status_code=503, http__route="/cart", amount=2.5)
    failed.parent_span_id, failed.status.message, failed.trace_state = b"\x03" * 8, "boom", "a=b"
    event = failed.events.add(name="exception", time_unix_nano=NOW_NS)
    event.attributes.extend(attributes({"exception.type": "ValueError", "exception.message": 'no "x"', "n": 1}))
    asking = span("SELECT", kind=3, db__system="postgresql", server__address="orders-db", ok=False)
    asking.flags = 0x101
    asking.links.add(trace_id=b"\x05" * 16, span_id=b"\x06" * 8, attributes=attributes({"a": 1}), flags=1)
    listed = span("list", kind=5, messaging__destination__name="orders")
    listed.attributes.add(key="list").value.array_value.values.add(string_value="x")
    one = traces_request(failed, asking, **{"service.version": "1.2", "host.name": "h1"})
    one.resource_spans[0].scope_spans[0].scope.version = "1"
    two = traces_request(listed, span("GET /cart", kind=3, url__full="http://[broken"), span("b"))
    return [one.SerializeToString(), two.SerializeToString(), one.SerializeToString() + two.SerializeToString()]


def test_mutated_requests_are_walked_as_protobuf_reads_them_or_given_up(way: Way) -> None:
    made = corpus()
    chance = repeatable(7)
    walked = 0
    for _ in range(10_000):
        body = mutated(made, chance)
        found = way.short(body)
        if found is None:
            continue
        walked += 1
        try:
            expected = way.validated(body)
        except ProtobufError as error:
            raise AssertionError(f"protobuf refuses what was walked: {body.hex()}") from error
        assert_equal(found, expected)
    assert walked > 300, "the mutations are not all hopeless"


def test_no_byte_outside_the_padded_request_or_the_rows_is_touched(way: Way) -> None:
    kernels = way.walker.kernels
    assert kernels is not None
    memory, rows, found, texts = (Guarded(1 << 16) for _ in range(4))
    chance = repeatable(11)
    made = corpus()
    for _ in range(10_000):
        body = mutated(made, chance)
        room = chance.choice((0, 1, 2, 5, 100))
        doubles, tables = np.empty(len(body) // 9 + 1), np.zeros((2, 257), np.int32)
        peers = np.zeros((room + 1, 2), np.int64)
        names = texts.place(bytes(16 * (room + 1)))
        state = kernels.state(doubles)
        work = np.zeros(kernels.module.WORK, np.int64)
        work[:4] = state.ctypes.data, LATEST_NS, 1, room
        work[4:8] = rows.last(room * kernels.row * 8), found.last(room * 16), 256, tables[0].ctypes.data
        work[8:11] = names, tables[1].ctypes.data, peers.ctypes.data
        start = memory.place(body + bytes(kernels.padding))
        assert kernels.walk(start, len(body), work.ctypes.data) <= room
        assert work[11] <= room
        assert kernels.count(state, "DOUBLES") <= len(doubles)


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xe2\x82"])
@pytest.mark.parametrize("field", ["name", "trace_state", "status", "event", "key", "value", "link"])
def test_what_is_not_utf8_is_left_to_protobuf_which_refuses_it(way: Way, field: str, text: bytes) -> None:
    made, mark = span("a"), "~" * len(text)
    match field:
        case "status":
            made.status.message = mark
        case "event":
            made.events.add(name=mark)
        case "link":
            made.links.add(trace_state=mark)
        case "key" | "value":
            made.attributes.add(key=mark if field == "key" else "k", value=any_value(mark))
        case _:
            setattr(made, field, mark)
    body = traces_request(made).SerializeToString().replace(mark.encode(), text)
    assert way.short(body) is None
    with pytest.raises(ProtobufError):
        way.validated(body)


def test_unknown_fields_and_fields_that_come_twice_are_left_to_protobuf(way: Way) -> None:
    for more in (b"\x2a\x01y", b"\x30\x03", b"\x7a\x02\x18\x02\x7a\x00", b"\xf8\x01\x01", b"\x8d\x01\x01\x00\x00\x00"):
        body = nested(10, [nested(18, [nested(18, [span("a").SerializeToString() + more])])])
        assert way.validated(body)[0].num_rows == 1
        assert way.short(body) is None


def test_over_http_spans_take_the_short_way_and_nothing_changes() -> None:
    plain, fast = Bench(), Bench(config=IngestConfig())
    fast.ingest._traces.short.compile()
    late = traces_request(span("late", start_ns=NOW_NS + 10**13), span("b")).SerializeToString()
    for body in [*corpus(), b"\x0a\x02\xff\xff", late]:
        answers = [
            bench.client.post("/v1/traces", content=body, headers={"content-type": "application/x-protobuf"})
            for bench in (plain, fast)
        ]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].content == answers[1].content
    assert fast.rows(FrameKind.SPANS) == plain.rows(FrameKind.SPANS)
    assert not fast.counts.imbalance()
