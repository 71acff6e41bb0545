"""Frames to bytes and back.

    magic  4   finds the next frame behind damage
    length 4   of all after the checksum
    crc    4   CRC-32 of all after it
    version 1 · kind 1 · lane 1 · source 1 · tenant length 2 · rows 4 · time_ns 8 · tenant · payload

Little endian. The partition is the folder, so it is not in the frame. Telemetry payloads are Arrow IPC
streams compressed with lz4, definitions and events are JSON.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from twofold.errors import Corrupt, DecodeError, InputError, TooLarge
from twofold.records import columns
from twofold.records.codec import from_json, to_json
from twofold.records.event import Event
from twofold.records.example import Exemplar
from twofold.records.frame import Frame, FrameKind, Lane, Position, Source
from twofold.records.handed import CARRIED, Handed
from twofold.records.series import Series

MAGIC: Final = b"\xf2TWF"
VERSION: Final = 1
MAX_TENANT_BYTES: Final = 255
MAX_ROWS: Final = 2**32 - 1
SCHEMAS: Final = {
    FrameKind.SAMPLES: columns.SAMPLES,
    FrameKind.LOGS: columns.LOGS,
    FrameKind.SPANS: columns.SPANS,
    FrameKind.LINKS: columns.LINKS,
    FrameKind.PREDICTIONS: columns.PREDICTIONS,
}
"""Schema of the payload, by kind."""

_CARRIED: Final[dict[str, type[Any]]] = {kind.__name__: kind for kind in CARRIED}
_PREFIX: Final = struct.Struct("<4sII")
_BODY: Final = struct.Struct("<BBBBHIq")
# Without threads: handing a buffer to a pool costs more than (de)compressing it, and far more on a busy machine.
_LZ4: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READ: Final = pa.ipc.IpcReadOptions(use_threads=False)
SMALLEST: Final = _PREFIX.size + _BODY.size
"""Bytes of a frame without tenant and payload."""


def encode_frame(frame: Frame) -> tuple[bytes, bytes]:
    """Head and payload of a frame, to be written one after the other.

    Raises:
        TooLarge: The tenant's name or the number of rows does not fit.
    """
    tenant = frame.tenant.encode()
    if len(tenant) > MAX_TENANT_BYTES:
        raise TooLarge(f"tenant of {len(tenant)} bytes, limit {MAX_TENANT_BYTES}", reason="tenant_length")
    if not 0 <= frame.rows <= MAX_ROWS:
        raise TooLarge(f"{frame.rows} rows in a frame, limit {MAX_ROWS}", reason="frame_rows")
    body = _BODY.pack(VERSION, frame.kind, frame.lane, frame.source, len(tenant), frame.rows, frame.time_ns) + tenant
    crc = zlib.crc32(frame.payload, zlib.crc32(body))
    return _PREFIX.pack(MAGIC, len(body) + len(frame.payload), crc) + body, frame.payload


def frame_size(data: bytes | memoryview, offset: int) -> int:
    """Bytes of the frame whose prefix stands at `offset`, by its own claim; 0 when no prefix stands there."""
    if len(data) - offset < _PREFIX.size:
        return 0
    magic, length, _ = _PREFIX.unpack_from(data, offset)
    return _PREFIX.size + length if magic == MAGIC and length >= _BODY.size else 0


def decode_frame(data: bytes | memoryview, offset: int, partition: int = 0) -> Frame | None:
    """The whole, intact frame at `offset`; None when there is none."""
    size = frame_size(data, offset)
    if not size or offset + size > len(data):
        return None
    view = memoryview(data)[offset : offset + size]
    if zlib.crc32(view[_PREFIX.size :]) != _PREFIX.unpack_from(view)[2]:
        return None
    version, kind, lane, source, tenant_bytes, rows, time_ns = _BODY.unpack_from(view, _PREFIX.size)
    start = SMALLEST + tenant_bytes
    if version != VERSION:
        return None
    try:
        return Frame(
            kind=FrameKind(kind),
            payload=bytes(view[start:]),
            time_ns=time_ns,
            rows=rows,
            tenant=bytes(view[SMALLEST:start]).decode(),
            lane=Lane(lane),
            source=Source(source),
            partition=partition,
        )
    except ValueError:  # a number that this version does not know, or a tenant that is not UTF-8
        return None


def encode_batch(batch: pa.RecordBatch) -> bytes:
    """Payload of a telemetry frame: an Arrow IPC stream, lz4."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_LZ4) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def decode_payload(frame: Frame) -> pa.RecordBatch:
    """The batch of a telemetry frame, in the schema of its kind.

    Raises:
        Corrupt: The payload is not an Arrow stream of that schema, or the frame's kind has no columns.
    """
    schema = SCHEMAS.get(frame.kind)
    if schema is None:
        raise Corrupt(f"a frame of kind {frame.kind.name} holds no columns", kind=frame.kind.name)
    batch = frame.data if frame.data is not None else _read_batch(frame.payload, frame.kind)
    if batch.schema != schema:
        raise Corrupt(
            f"a {frame.kind.name} frame has the columns {batch.schema.names}, must have {schema.names}",
            kind=frame.kind.name,
        )
    if any(column.null_count for column in batch.columns):
        raise Corrupt(f"a {frame.kind.name} frame has rows without a value; every column needs one")
    return batch


def _read_batch(payload: bytes, kind: FrameKind) -> pa.RecordBatch:
    try:
        with pa.ipc.open_stream(payload, options=_READ) as reader:
            batches = list(reader)
            return batches[0] if len(batches) == 1 else _joined(batches, reader.schema)
    except (pa.ArrowException, OSError) as error:
        raise Corrupt(f"the payload of a {kind.name} frame is unreadable: {error}") from error


def _joined(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches, schema).unify_dictionaries().combine_chunks()
    found = table.to_batches()
    return found[0] if found else pa.RecordBatch.from_pylist([], schema=schema)


def encode_series(series: Sequence[Series]) -> bytes:
    """Payload of a SERIES frame, as `to_json` would write each; written in one call, for thousands may come at once.

    Raises:
        InputError: A value does not fit its field.
    """
    try:
        return orjson.dumps(list(series), default=dict)
    except TypeError as error:
        raise InputError(f"series cannot be written: {error}", reason="unfit_record") from error


def decode_series(frame: Frame) -> list[Series]:
    """Definitions in a SERIES frame. Raises `Corrupt`."""
    return [_record(Series, each, frame) for each in _array(frame)]


def encode_events(events: Sequence[Event]) -> bytes:
    """Payload of an EVENTS frame."""
    return orjson.dumps([to_json(each) for each in events])


def decode_events(frame: Frame) -> list[Event]:
    """Events in an EVENTS frame. Raises `Corrupt`."""
    return [_record(Event, each, frame) for each in _array(frame)]


def encode_exemplars(exemplars: Sequence[Exemplar]) -> bytes:
    """Payload of an EXEMPLARS frame."""
    return orjson.dumps([to_json(each) for each in exemplars])


def decode_exemplars(frame: Frame) -> list[Exemplar]:
    """Exemplars in an EXEMPLARS frame. Raises `Corrupt`."""
    return [_record(Exemplar, each, frame) for each in _array(frame)]


def encode_handed(handed: Handed) -> bytes:
    """Payload of a HANDED frame."""
    parts = [[*position, [[type(each).__name__, to_json(each)] for each in made]] for position, made in handed.parts]
    return orjson.dumps({"origin": handed.origin, "clock_ns": handed.clock_ns, "parts": parts})


def decode_handed(frame: Frame) -> Handed:
    """What a HANDED frame holds. Raises `Corrupt`."""
    try:
        told = orjson.loads(frame.payload)
        parts = [
            (Position(int(segment), int(offset)), [_record(_CARRIED[name], each, frame) for name, each in made])
            for segment, offset, made in told["parts"]
        ]
        return Handed(origin=int(told["origin"]), clock_ns=int(told["clock_ns"]), parts=parts)
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"the payload of a {frame.kind.name} frame is not what was handed over: {error!r}") from error


def _array(frame: Frame) -> list[Any]:
    try:
        found = orjson.loads(frame.payload)
    except orjson.JSONDecodeError as error:
        raise Corrupt(f"the payload of a {frame.kind.name} frame is no JSON: {error}") from error
    if not isinstance(found, list):
        raise Corrupt(f"the payload of a {frame.kind.name} frame is a {type(found).__name__}, must be an array")
    return found


def _record(kind: type[Any], data: object, frame: Frame) -> Any:
    try:
        return from_json(kind, data)
    except DecodeError as error:
        raise Corrupt(f"a {frame.kind.name} frame holds what is no {kind.__name__}: {error}") from error
