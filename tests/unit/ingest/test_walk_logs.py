"""The compiled way of log records gives what protobuf walked in Python gives, or leaves it to that."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError as ProtobufError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.unit.ingest.messages import any_value, attributes, logs_request
from tests.unit.ingest.mutation import mutated, repeatable
from tests.unit.ingest.null import NOW_NS, Bench, NullCatalog
from tests.unit.ingest.signals import Guarded, attributes_of, outcome_facts, resources, times, values, words
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Outcome
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.otlp.logs import ShortLogs, logs_of
from twofold.aiops.ingest.otlp.short import nested
from twofold.records.columns import LOGS
from twofold.records.frame import FrameKind

LATEST_NS = NOW_NS + 10**12
Decoded = tuple[pa.RecordBatch, Outcome]


class Way:
    """Both ways over one catalog."""

    def __init__(self) -> None:
        self._naming = Naming(NullCatalog())
        self.walker = ShortLogs(self._naming)
        self.walker.compile()

    def validated(self, body: bytes) -> Decoded:
        return logs_of(ExportLogsServiceRequest.FromString(body), self._naming, "main", NOW_NS, LATEST_NS)

    def short(self, body: bytes) -> Decoded | None:
        return self.walker.decode(body, "main", NOW_NS, LATEST_NS)


@pytest.fixture(scope="module")
def way() -> Way:
    return Way()


def assert_equal(found: Decoded, expected: Decoded) -> None:
    batch, outcome = found
    assert outcome_facts(outcome) == outcome_facts(expected[1])
    assert batch.schema == LOGS
    batch.validate(full=True)
    assert batch.column("entity").dictionary.equals(expected[0].column("entity").dictionary), "order of first entity"
    for name in LOGS.names:
        assert batch.column(name).to_pylist() == expected[0].column(name).to_pylist(), name


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    request = ExportLogsServiceRequest()
    for _ in range(draw(st.integers(0, 3))):
        found = request.resource_logs.add(schema_url=draw(words))
        if draw(st.booleans()):
            found.resource.attributes.extend(attributes(draw(resources)))
        for _ in range(draw(st.integers(0, 2))):
            inner = found.scope_logs.add(schema_url=draw(words))
            if draw(st.booleans()):
                inner.scope.name, inner.scope.version = draw(words), draw(words)
                inner.scope.dropped_attributes_count = draw(st.integers(0, 3))
                inner.scope.attributes.extend(attributes(draw(resources)))
            for _ in range(draw(st.integers(0, 4))):
                record = inner.log_records.add(
                    time_unix_nano=draw(times),
                    observed_time_unix_nano=draw(times),
                    severity_number=draw(st.sampled_from([0, 1, 9, 17, 24])),
                    severity_text=draw(st.one_of(words, st.sampled_from(["WARN", " Error", "fatal"]))),
                    attributes=draw(attributes_of),
                    flags=draw(st.sampled_from([0, 1])),
                    trace_id=draw(st.binary(max_size=17)),
                    span_id=draw(st.one_of(st.just(b"\xab" * 8), st.binary(max_size=9))),
                    event_name=draw(words),
                )
                if draw(st.booleans()):
                    record.body.CopyFrom(draw(values))
    return request.SerializeToString()


RELAXED = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(body=bodies())
@RELAXED
def test_every_request_as_encoders_write_it_goes_the_short_way_with_equal_rows(way: Way, body: bytes) -> None:
    found, expected = way.short(body), way.validated(body)
    if found is None:
        assert expected[1].rejected, "only a record of the future that has nested values is left to protobuf"
    else:
        assert_equal(found, expected)


def corpus() -> list[bytes]:
    """Requests with something of everything."""
    one = logs_request(
        "card declined", 'a "quoted"\n line', "ünï", resource={"host.name": "h1", "service.version": "1"}
    )
    records = one.resource_logs[0].scope_logs[0].log_records
    records[0].attributes.extend(attributes({"amount": 12.5, "ok": True, "n": -7, "text": "tab\there"}))
    records[0].trace_id, records[0].span_id = b"\xab" * 16, b"\xcd" * 8
    records[1].attributes.add(key="list").value.array_value.values.add(string_value="x")
    records[2].event_name, records[2].observed_time_unix_nano, records[2].flags = "login", NOW_NS, 1
    one.resource_logs[0].scope_logs[0].scope.name = "lib"
    two = logs_request("x", severity=0)
    record = two.resource_logs[0].scope_logs[0].log_records[0]
    record.severity_text = "WARN"
    record.body.kvlist_value.values.add(key="k", value=any_value(1))
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
    memory, rows, found = Guarded(1 << 16), Guarded(1 << 16), Guarded(1 << 12)
    chance = repeatable(11)
    made = corpus()
    for _ in range(10_000):
        body = mutated(made, chance)
        room = chance.choice((0, 1, 2, 5, 100))
        doubles = np.empty(len(body) // 9 + 1)
        state = kernels.state(doubles)
        count, senders, _ = kernels.walk(
            memory.place(body + bytes(kernels.padding)),
            len(body),
            np.uint64(NOW_NS),
            np.uint64(LATEST_NS),
            rows.last(room * kernels.row * 8),
            found.last(room * 16),
            room,
            state.ctypes.data,
        )
        assert max(count, senders) <= room
        assert kernels.count(state, "DOUBLES") <= len(doubles)


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"1234567\xc3", b"12345678\x80"]
)
def test_what_is_not_utf8_is_left_to_protobuf_which_refuses_it(way: Way, text: bytes) -> None:
    body = logs_request("~" * len(text)).SerializeToString().replace(b"~" * len(text), text)
    assert way.short(body) is None
    with pytest.raises(ProtobufError):
        way.validated(body)


@pytest.mark.parametrize("depth", range(86, 104, 2))
def test_values_nest_as_deep_as_protobuf_takes_them(way: Way, depth: int) -> None:
    value = AnyValue(string_value="deep").SerializeToString()
    for _ in range(depth // 2):
        value = nested(42, [nested(10, [value])])
    attribute = nested(50, [nested(18, [value])])
    body = nested(10, [nested(18, [nested(18, [attribute])])])
    found = way.short(body)
    try:
        expected = way.validated(body)
    except ProtobufError:
        assert found is None
    else:
        assert found is not None
        assert_equal(found, expected)


def test_unknown_fields_and_fields_that_come_twice_are_left_to_protobuf(way: Way) -> None:
    record = logs_request("x").resource_logs[0].scope_logs[0].log_records[0].SerializeToString()
    for more in (b"\x2a\x03\x0a\x01y", b"\x10\x11", b"\xf8\x01\x01"):
        body = nested(10, [nested(18, [nested(18, [record + more])])])
        assert way.validated(body)[0].num_rows == 1
        assert way.short(body) is None


def test_over_http_lines_take_the_short_way_and_nothing_changes() -> None:
    plain, fast = Bench(), Bench(config=IngestConfig())
    fast.ingest._logs.short.compile()
    for body in [*corpus(), b"\x0a\x02\xff\xff", logs_request("late", time_ns=NOW_NS + 10**13).SerializeToString()]:
        answers = [
            bench.client.post("/v1/logs", content=body, headers={"content-type": "application/x-protobuf"})
            for bench in (plain, fast)
        ]
        assert answers[0].status_code == answers[1].status_code
        assert answers[0].content == answers[1].content
    assert fast.rows(FrameKind.LOGS) == plain.rows(FrameKind.LOGS)
    assert not fast.counts.imbalance()
