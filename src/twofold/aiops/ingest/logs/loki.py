"""Loki's push protocol: streams of labels and lines, as snappy protobuf or as JSON.

Promtail, Alloy, Fluent Bit, Vector and Docker's driver speak it. A request with some bad lines stores
the others and answers 400 with the reasons, as Loki does; such a request is not sent again, while 429
and 503 are.

Source: Loki HTTP API, "Ingest logs"; grafana/loki pkg/push/push.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import pyarrow as pa
from orjson import dumps, loads
from starlette.responses import PlainTextResponse, Response

from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.logs.labels import parse_labels, stream_entity
from twofold.aiops.ingest.logs.lines import LAST_NS, Lines, clamped_ns, level_of, trace_of
from twofold.aiops.ingest.logs.message import parse
from twofold.aiops.ingest.otlp.message import JSON, PROTOBUF
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.status import retry_headers, status_of
from twofold.aiops.ingest.wire import load
from twofold.errors import DecodeError, InputError, TwofoldError
from twofold.records.frame import FrameKind
from twofold.records.time import SECOND_NS

_PAIR_ITEMS: Final = 2
_TIME_DIGITS: Final = 24
_STREAM_LABELS: Final = {"service": "service_name", "pod": "pod", "host": "host"}


class Loki:
    """`POST /loki/api/v1/push`.

    A line's severity is its stream's or its own `level` (structured metadata included), else what its text says;
    trace and span ids come from structured metadata, whose other pairs join the stream's labels as attributes.
    """

    name: ClassVar[str] = "loki"
    path: ClassVar[str] = "/loki/api/v1/push"
    media: ClassVar[tuple[str, ...]] = (PROTOBUF, JSON)
    encoding: ClassVar[str] = "snappy"

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def receive(self, payload: Payload) -> Response:
        """Store the lines."""
        origin = payload.origin
        lines = json_lines(payload.body) if payload.media == JSON else protobuf_lines(payload.body)
        batch, outcome = lines.batch(origin.time_ns, self._intake.latest_ns(origin))
        self._intake.batch(FrameKind.LOGS, batch, outcome, origin)
        if text := outcome.text():
            return PlainTextResponse(text, 400)
        return Response(status_code=204)

    def refuse(self, error: TwofoldError, media: str) -> Response:  # noqa: ARG002 - every dialect is told the media type
        """Plain text, as senders write it into their log."""
        return PlainTextResponse(error.message, status_of(error), retry_headers(error))


def protobuf_lines(body: bytes) -> Lines:
    """Lines of a protobuf body. A stream whose labels do not parse is rejected alone.

    Raises:
        DecodeError: Not such a message.
    """
    found = Lines()
    for stream in parse(body).streams:
        entries = stream.entries
        try:
            labels = parse_labels(stream.labels)
        except InputError as error:
            found.rejected[error.reason] += len(entries)
            continue
        source = (stream_entity(labels), labels, level_of(labels))
        times = _times_ns(entries)
        if not any(entry.metadata for entry in entries):
            found.extend(found.source(*source[:2]), times, [each.line for each in entries], source[2])
            continue
        for time_ns, entry in zip(times, entries, strict=True):
            _add(found, source, time_ns, entry.line, {pair.name: pair.value for pair in entry.metadata})
    return found


def _times_ns(entries: Any) -> list[int]:
    """Nanoseconds of each entry, 0 without a time; a timestamp is one message, so of several the last counts."""
    try:
        found = [(stamp := entry.timestamp[-1]).seconds * SECOND_NS + stamp.nanos for entry in entries]
    except IndexError:
        stamps = [entry.timestamp[-1] if entry.timestamp else None for entry in entries]
        found = [stamp.seconds * SECOND_NS + stamp.nanos if stamp else 0 for stamp in stamps]
    possible = not found or (min(found) >= 0 and max(found) <= LAST_NS)
    return found if possible else [clamped_ns(each) for each in found]


def json_lines(body: bytes) -> Lines:
    """Lines of a JSON body. Streams and lines that are not of the form are rejected alone.

    Raises:
        DecodeError: Not JSON, or without a list of streams.
    """
    value = load(body)
    streams = value.get("streams") if isinstance(value, dict) else None
    if not isinstance(streams, list):
        raise DecodeError("body is not a Loki push request: it has no list of streams", reason="decode")
    found = Lines()
    for stream in streams:
        values = stream.get("values") if isinstance(stream, dict) else None
        if not isinstance(values, list):
            found.rejected["bad_stream"] += 1
            continue
        labels = stream.get("stream") or {}
        if not isinstance(labels, dict) or not all(isinstance(each, str) for each in labels.values()):
            found.rejected["bad_labels"] += len(values)
            continue
        _json_stream(found, labels, values)
    return found


def _json_stream(found: Lines, labels: dict[str, str], values: list[Any]) -> None:
    source = (stream_entity(labels), labels, level_of(labels))
    good: list[tuple[int, str, dict[str, Any]]] = []
    for value in values:
        try:
            good.append(_json_line(value))
        except (TypeError, ValueError, LookupError):
            found.rejected["bad_line"] += 1
    if not any(own for _, _, own in good):
        number = found.source(*source[:2])
        found.extend(number, [each[0] for each in good], [each[1] for each in good], source[2])
        return
    for time_ns, body, own in good:
        _add(found, source, time_ns, body, own)


def _json_line(value: Any) -> tuple[int, str, dict[str, Any]]:
    """Time, text and structured metadata. Raises `TypeError`, `ValueError` or `LookupError`."""
    own = value[2] if len(value) > _PAIR_ITEMS else {}
    if not isinstance(value[1], str) or not isinstance(own, dict):
        raise TypeError("a line is a text, its metadata an object")
    return _json_time(value[0]), value[1], own


def _json_time(value: str | int) -> int:
    """Nanoseconds as text, as the protocol has it, or as a number. Raises `ValueError`, `TypeError`."""
    if isinstance(value, str) and len(value) > _TIME_DIGITS:
        raise ValueError("too many digits for a time")
    if isinstance(value, float | bool):
        raise TypeError("a time is a whole number of nanoseconds")
    return clamped_ns(int(value))


def _add(
    found: Lines, source: tuple[str, Mapping[str, str], int], time_ns: int, body: str | bytes, own: Mapping[str, Any]
) -> None:
    """A line with structured metadata of its own."""
    entity, labels, level = source
    attributes = {**labels, **own}
    trace, span = trace_of(attributes)
    found.add(found.source(entity, attributes), time_ns, body, level=level_of(own) or level, trace=trace, span=span)


def push_of(batch: pa.RecordBatch) -> bytes:
    """A batch of schema `LOGS` as the JSON body that this receiver takes, with the same times, severities and bodies.

    An entity that is no service, pod or host becomes a service of its whole name.
    """
    streams: dict[str, list[list[object]]] = {}
    for row in batch.to_pylist():
        own = {key: value if isinstance(value, str) else str(value) for key, value in loads(row["attributes"]).items()}
        for key in ("trace_id", "span_id"):
            if row[key]:
                own[key] = row[key]
        if row["severity"]:
            own["severity_number"] = str(row["severity"])
        streams.setdefault(row["entity"], []).append([str(row["time_ns"]), row["body"], own])
    return dumps({"streams": [{"stream": _labels(entity), "values": values} for entity, values in streams.items()]})


def _labels(entity: str) -> dict[str, str]:
    kind, _, name = entity.partition(":")
    return {_STREAM_LABELS[kind]: name} if kind in _STREAM_LABELS else {"service_name": entity}
