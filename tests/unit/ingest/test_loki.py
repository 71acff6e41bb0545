"""Loki's push protocol, in both encodings, against its published form."""

from __future__ import annotations

import json
from typing import Any

import cramjam
import orjson
import pytest

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.capture import Captured, shift
from twofold.aiops.ingest.logs.message import PushRequest
from twofold.errors import StorageFull
from twofold.records.frame import FrameKind, Lane

PATH = "/loki/api/v1/push"
PROTOBUF = {"content-type": "application/x-protobuf"}  # as Promtail sends it: snappy without a word of it
LATE_NS = NOW_NS + 700 * 10**9


def push(labels: str, *entries: tuple[int, str] | tuple[int, str, dict[str, str]]) -> Any:
    """A request of one stream."""
    request = PushRequest()
    stream = request.streams.add(labels=labels)
    for time_ns, line, *own in entries:
        entry = stream.entries.add(line=line.encode())
        entry.timestamp.add(seconds=time_ns // 10**9, nanos=time_ns % 10**9)
        for name, value in (own[0] if own else {}).items():
            entry.metadata.add(name=name, value=value)
    return request


def packed(request: Any) -> bytes:
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def test_lines_of_a_protobuf_stream_are_stored_under_its_service(bench: Bench) -> None:
    request = push('{app="cart", env="prod"}', (NOW_NS, "level=warn slow"), (NOW_NS + 1, "plain"))
    answer = bench.client.post(PATH, content=packed(request), headers=PROTOBUF)
    assert (answer.status_code, answer.content) == (204, b"")
    first, second = bench.rows(FrameKind.LOGS)
    assert (first["time_ns"], first["entity"], first["severity"], first["body"]) == (
        NOW_NS,
        "service:cart",
        13,
        "level=warn slow",
    )
    assert orjson.loads(first["attributes"]) == {"app": "cart", "env": "prod"}
    assert (second["severity"], second["body"]) == (0, "plain")


def test_structured_metadata_gives_trace_severity_and_attributes(bench: Bench) -> None:
    own = {"trace_id": "AB" * 16, "span_id": "cd" * 8, "detected_level": "error", "user": "7"}
    request = push('{service_name="cart", level="info"}', (NOW_NS, "no", own), (NOW_NS, "yes"))
    bench.client.post(PATH, content=packed(request), headers=PROTOBUF)
    plain, rich = sorted(bench.rows(FrameKind.LOGS), key=lambda row: str(row["trace_id"]))
    assert (rich["trace_id"], rich["span_id"], rich["severity"]) == ("ab" * 16, "cd" * 8, 17)
    assert orjson.loads(rich["attributes"])["user"] == "7"
    assert plain["severity"] == 9, "the level of the stream counts where the line has none"


def test_of_two_trace_ids_one_is_taken_and_the_other_kept(bench: Bench) -> None:
    own = {"dd.trace_id": "ab" * 16, "trace_id": "cd" * 16, "span_id": "short", "severity_text": "?", "level": "ERROR"}
    bench.client.post(PATH, content=packed(push("{}", (NOW_NS, "x", own))), headers=PROTOBUF)
    (row,) = bench.rows(FrameKind.LOGS)
    assert (row["trace_id"], row["span_id"], row["severity"]) == ("cd" * 16, "", 17)
    assert orjson.loads(row["attributes"])["dd.trace_id"] == "ab" * 16


def test_json_means_the_same_as_protobuf(bench: Bench) -> None:
    values = [[str(NOW_NS), "one"], [str(NOW_NS + 1), "two", {"trace_id": "0" * 31 + "1"}]]
    body = {"streams": [{"stream": {"app": "cart"}, "values": values}]}
    assert bench.client.post(PATH, json=body).status_code == 204
    request = push('{app="cart"}', (NOW_NS, "one"), (NOW_NS + 1, "two", {"trace_id": "0" * 31 + "1"}))
    assert bench.client.post(PATH, content=packed(request), headers=PROTOBUF).status_code == 204
    rows = bench.rows(FrameKind.LOGS)
    assert rows[:2] == rows[2:]


def test_a_bad_stream_or_line_is_refused_alone_and_named(bench: Bench) -> None:
    good = [str(NOW_NS), "good"]
    body = {
        "streams": [
            {
                "stream": {"app": "cart"},
                "values": [good, ["soon", "x"], [str(NOW_NS)], [1.5, "x"], [str(LATE_NS), "x"]],
            },
            {"stream": {"app": 7}, "values": [good, good]},
            "nothing",
        ]
    }
    answer = bench.client.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.text == "7 of 8 logs rejected: bad_labels 2, bad_line 3, bad_stream 1, future 1"
    assert [row["body"] for row in bench.rows(FrameKind.LOGS)] == ["good"]
    request = push("app=cart", (NOW_NS, "x"))
    assert bench.client.post(PATH, content=packed(request), headers=PROTOBUF).status_code == 400


def test_a_line_without_a_time_happened_now(bench: Bench) -> None:
    request = PushRequest()
    request.streams.add(labels="{}").entries.add(line=b"x")
    bench.client.post(PATH, content=packed(request), headers=PROTOBUF)
    (row,) = bench.rows(FrameKind.LOGS)
    assert (row["time_ns"], row["entity"]) == (NOW_NS, "service:unknown")


def test_a_line_that_is_not_utf8_costs_its_bytes_and_nothing_else(bench: Bench) -> None:
    request = PushRequest()
    stream = request.streams.add(labels='{app="cart"}')
    stream.entries.add(line=b"caf\xe9")
    stream.entries.add(line="café".encode())
    assert bench.client.post(PATH, content=packed(request), headers=PROTOBUF).status_code == 204
    assert [row["body"] for row in bench.rows(FrameKind.LOGS)] == ["caf\ufffd", "café"]


@pytest.mark.parametrize("body", [b"\x0a\xff", b""])
def test_what_is_no_push_request_is_refused(bench: Bench, body: bytes) -> None:
    packed_body = bytes(cramjam.snappy.compress_raw(body))
    assert bench.client.post(PATH, content=packed_body, headers=PROTOBUF).status_code == (400 if body else 204)
    assert bench.client.post(PATH, json=[]).status_code == 400
    assert bench.client.post(PATH, json={"streams": 1}).status_code == 400


def test_a_full_disk_asks_the_sender_to_come_back(bench: Bench) -> None:
    bench.journal.error = StorageFull("full")
    answer = bench.client.post(PATH, json={"streams": [{"stream": {}, "values": [[str(NOW_NS), "x"]]}]})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_a_captured_push_is_moved_in_time() -> None:
    delta_ns = 3_600 * 10**9 + 5
    request = push('{app="a"}', (NOW_NS, "x"))
    captured = Captured(path=PATH, media=PROTOBUF["content-type"], body=request.SerializeToString(), time_ns=NOW_NS)
    moved = PushRequest.FromString(shift(captured, delta_ns).body).streams[0].entries[0].timestamp[0]
    assert moved.seconds * 10**9 + moved.nanos == NOW_NS + delta_ns
    assert captured.encoded()[1]["content-encoding"] == "snappy"
    body = json.dumps({"streams": [{"stream": {}, "values": [[str(NOW_NS), "x"], ["?", "x"]]}]}).encode()
    shifted = shift(Captured(path=PATH, media="application/json", body=body, time_ns=1, lane=Lane.LIVE), delta_ns)
    assert orjson.loads(shifted.body)["streams"][0]["values"] == [[str(NOW_NS + delta_ns), "x"], ["?", "x"]]
