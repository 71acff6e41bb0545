"""Bytes of a frame: what comes back, and that damage is never taken for a frame."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import records
from tests.telemetry import NOON, blank_frame, logs_frame, samples, samples_frame
from twofold.errors import Corrupt, InputError, TooLarge
from twofold.records.columns import LOGS, SAMPLES
from twofold.records.event import Event, EventKind
from twofold.records.frame import Frame, FrameKind
from twofold.records.series import Series
from twofold.store.journal import codec

FRAME = samples_frame([(1, 2, 3.0)], tenant="é")


def stored(frame: Frame) -> bytes:
    return b"".join(codec.encode_frame(frame))


@given(st.binary(max_size=200), st.integers(0, 99))
def test_a_frame_is_found_where_it_stands_and_nowhere_else(noise: bytes, cut: int) -> None:
    data = stored(FRAME)
    whole = noise + data
    assert codec.decode_frame(whole, len(noise)) == FRAME
    assert codec.frame_size(whole, len(noise)) == len(data)
    assert codec.decode_frame(whole[: -1 - cut], len(noise)) is None
    assert all(codec.decode_frame(whole, at) is None for at in range(len(noise)))


@given(st.data())
def test_no_flipped_bit_goes_unnoticed(data: st.DataObject) -> None:
    good = stored(FRAME)
    at = data.draw(st.integers(0, len(good) * 8 - 1))
    bad = bytearray(good)
    bad[at // 8] ^= 1 << at % 8
    assert codec.decode_frame(bytes(bad), 0) is None


def test_zeros_are_no_frame() -> None:
    assert codec.decode_frame(bytes(200), 0) is None
    assert codec.frame_size(bytes(200), 0) == 0
    assert codec.frame_size(b"", 0) == 0


def test_numbers_of_a_later_version_are_no_frame_of_ours() -> None:
    data = bytearray(stored(FRAME))
    for at, what in ((12, "version"), (13, "kind"), (14, "lane"), (15, "source")):
        changed = bytearray(data)
        changed[at] = 99
        changed[8:12] = zlib.crc32(changed[12:]).to_bytes(4, "little")
        assert codec.decode_frame(bytes(changed), 0) is None, what


def test_what_the_head_cannot_hold_is_refused() -> None:
    with pytest.raises(TooLarge, match="tenant of 300 bytes, limit 255"):
        codec.encode_frame(replace(FRAME, tenant="x" * 300))
    with pytest.raises(TooLarge, match="rows"):
        codec.encode_frame(replace(FRAME, rows=2**32))


def test_a_batch_comes_back_in_the_schema_of_its_kind() -> None:
    batch = samples([(1, 2, 3.0), (4, 5, 6.0)])
    assert codec.decode_payload(samples_frame([(1, 2, 3.0), (4, 5, 6.0)])).equals(batch)


def test_a_stream_of_several_batches_becomes_one() -> None:
    sink = pa.BufferOutputStream()
    parts = [codec.decode_payload(logs_frame([body])) for body in "abc"]
    with pa.ipc.new_stream(sink, LOGS) as writer:
        for part in parts:
            writer.write_batch(part)
    frame = replace(logs_frame(["x"]), payload=bytes(sink.getvalue()))
    assert codec.decode_payload(frame)["body"].to_pylist() == ["a", "b", "c"]


def test_a_stream_of_no_batch_is_an_empty_one() -> None:
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, SAMPLES).close()
    assert codec.decode_payload(replace(FRAME, payload=bytes(sink.getvalue()))).num_rows == 0


@pytest.mark.parametrize(
    "frame",
    [
        replace(FRAME, payload=b""),
        replace(FRAME, payload=b"no arrow"),
        replace(FRAME, payload=FRAME.payload[:-20]),
        replace(FRAME, kind=FrameKind.LOGS),
        replace(FRAME, kind=FrameKind.TICK),
    ],
)
def test_a_payload_that_is_not_what_its_kind_says_is_corrupt(frame: Frame) -> None:
    with pytest.raises(Corrupt):
        codec.decode_payload(frame)


def test_a_row_without_a_value_is_corrupt() -> None:
    batch = pa.record_batch([pa.array([1, None]), pa.array([1, 2]), pa.array([1.0, 2.0])], schema=SAMPLES)
    with pytest.raises(Corrupt, match="without a value"):
        codec.decode_payload(replace(FRAME, payload=codec.encode_batch(batch)))


@given(st.binary(max_size=300))
def test_no_bytes_as_a_payload_do_more_than_raise_corrupt(payload: bytes) -> None:
    for kind in FrameKind:
        frame = replace(FRAME, kind=kind, payload=payload)
        for decode in (codec.decode_payload, codec.decode_series, codec.decode_events):
            try:
                decode(frame)
            except Corrupt:
                continue


@given(st.lists(records(Series), max_size=3))
def test_definitions_come_back_as_they_were(series: list[Series]) -> None:
    frame = blank_frame(codec.encode_series(series))
    assert codec.decode_series(frame) == series


def test_events_come_back_as_they_were() -> None:
    event = Event(
        id="e1", kind=EventKind.CHANGE, time=datetime(2026, 1, 1, 12, tzinfo=UTC), entity="service:cart", title="1.2"
    )
    assert codec.decode_events(blank_frame(codec.encode_events([event]))) == [event]


@pytest.mark.parametrize("payload", [b"{}", b"1", b"[1]", b'[{"id": 3}]', b"[{}]", b"\xff"])
def test_json_that_is_no_list_of_records_is_corrupt(payload: bytes) -> None:
    with pytest.raises(Corrupt):
        codec.decode_events(replace(blank_frame(payload), time_ns=NOON))


def test_rows_in_memory_spare_decoding_and_are_judged_like_decoded_ones() -> None:
    batch = samples([(1, NOON, 2.0)])
    frame = replace(samples_frame([(9, NOON, 9.0)]), data=batch)
    assert codec.decode_payload(frame) is batch
    assert frame == replace(frame, data=None)
    with pytest.raises(Corrupt, match="columns"):
        codec.decode_payload(replace(frame, data=batch.select([0, 1])))


@pytest.mark.parametrize("labels", [{1: "a"}, {"a": "\ud800"}, {"a": object()}])
def test_a_series_that_cannot_be_written_is_told(labels: dict[str, str]) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        codec.encode_series([Series(sid=1, metric="up", labels=labels)])
