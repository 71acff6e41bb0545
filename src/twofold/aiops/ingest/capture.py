"""A tap on the receivers: what was accepted, in one compressed file, to be sent again as if it happened now.

The file is a magic line and then blocks of a few MiB (length, CRC-32, zstd), so that a crash costs
at most the last one. Inside a block each request is a line of JSON (path, media type, receive
time, lane, size, the headers that carry meaning) and its body. No header that carries a secret is kept.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, Self
from urllib.parse import parse_qs, urlencode

import cramjam
import orjson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from twofold.aiops.ingest.logs.documents import TIME_KEYS, parse_time_ns
from twofold.aiops.ingest.logs.message import PushRequest
from twofold.aiops.ingest.otlp.message import PROTOBUF
from twofold.aiops.ingest.otlp.message import parse as parse_otlp
from twofold.aiops.ingest.prometheus.message import Request2, WriteRequest
from twofold.aiops.ingest.wire import items_of, parse_time
from twofold.errors import ConfigError, Corrupt, DecodeError, Unsupported
from twofold.records.frame import Lane
from twofold.records.time import SECOND_NS, to_datetime

BLOCK_BYTES: Final = 8 << 20
LEVEL: Final = 12
_MAGIC: Final = b"twofold-capture 1\n"
_PREFIX: Final = struct.Struct("<II")
_LAST: Final = (1 << 63) - 1  # nanoseconds or milliseconds: in the year 2262, or much later
_ZERO_TIME: Final = "0001-01-01"  # Alertmanager's way to say: not yet
_KEPT_HEADERS: Final = ("ce-", "x-github-event", "x-github-delivery", "x-gitlab-event", "idempotency-key")
_BULK_ACTIONS: Final = frozenset({"create", "index", "update", "delete"})
_CE_TIME: Final = "ce-time"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One request as it was accepted, its body decompressed."""

    path: str
    media: str
    body: bytes
    time_ns: int
    lane: Lane = Lane.LIVE
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, dict[str, str]]:
        """Body and headers to send it with: remote write and Loki's protobuf as snappy, anything else gzipped.

        The header of the lane is there only for the backfill lane, so that a client's own default stands.
        """
        headers = {"content-type": self.media, **self.headers}
        if self.lane is Lane.BACKFILL:
            headers["x-twofold-lane"] = "backfill"
        if self.path.endswith(("/write", "/push")) and self.media.startswith(PROTOBUF):
            number = "0.1.0" if self.media == PROTOBUF else "2.0.0"
            version = {"x-prometheus-remote-write-version": number} if self.path.endswith("/write") else {}
            return bytes(cramjam.snappy.compress_raw(self.body)), headers | version | {"content-encoding": "snappy"}
        return bytes(cramjam.gzip.compress(self.body, 6)), headers | {"content-encoding": "gzip"}


class Capture:
    """Appends requests to a new file. Thread-safe; use it in a `with` block or close it.

    A tap never fails a request: when the file cannot be written, that is logged and the capture ends there.

    Raises:
        ConfigError: The file exists already (a capture is never overwritten), or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("xb")
        except FileExistsError as error:
            raise ConfigError(f"capture {path} exists; move it away or name another", path=str(path)) from error
        except OSError as error:
            raise ConfigError(f"capture {path} cannot be made: {error}", path=str(path)) from error
        self._file.write(_MAGIC)
        self._block = bytearray()
        self._filling = threading.Lock()
        self._writing = threading.Lock()  # taken while `_filling` is held, so that blocks keep their order

    def record(
        self,
        path: str,
        media: str,
        body: bytes,
        time_ns: int = 0,
        lane: Lane = Lane.LIVE,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Append one request; `time_ns` 0 means now. Does nothing once the capture is closed."""
        header: dict[str, object] = {
            "path": path,
            "media": media,
            "time_ns": time_ns or time.time_ns(),
            "lane": int(lane),
            "size": len(body),
        }
        if kept := {name: value for name, value in (headers or {}).items() if name.startswith(_KEPT_HEADERS)}:
            header["headers"] = kept
        with self._filling:
            self._block += orjson.dumps(header) + b"\n" + body
            if len(self._block) < BLOCK_BYTES:
                return
            block, self._block = self._block, bytearray()
            self._writing.acquire()
        try:
            self._write(block)
        finally:
            self._writing.release()

    def close(self) -> None:
        """Write what is left."""
        with self._filling, self._writing:
            self._write(self._block)
            self._block = bytearray()
            self._file.close()

    def _write(self, block: bytearray) -> None:
        if self._file.closed or not block:
            return
        packed = bytes(cramjam.zstd.compress(bytes(block), LEVEL))
        try:
            self._file.write(_PREFIX.pack(len(packed), zlib.crc32(packed)) + packed)
            self._file.flush()
        except OSError:
            log.exception("the capture ends here")
            with contextlib.suppress(OSError):  # what could not be written is tried again, and fails again
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_capture(path: Path) -> Iterator[Captured]:
    """The requests of a capture, in the order they were accepted.

    Raises:
        Corrupt: Not a capture, or torn; everything before the tear was given out.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise Corrupt(f"{path} is not a capture of this version", path=str(path))
        while prefix := file.read(_PREFIX.size):
            yield from _requests(_block(prefix, file, path))


def _block(prefix: bytes, file: BinaryIO, path: Path) -> bytes:
    """The next block, decompressed."""
    if len(prefix) == _PREFIX.size:
        length, crc = _PREFIX.unpack(prefix)
        packed = file.read(length)
        if len(packed) == length and zlib.crc32(packed) == crc:
            return bytes(cramjam.zstd.decompress(packed))
    raise Corrupt(f"capture {path} is torn at byte {file.tell()}; what stands before is good", path=str(path))


def _requests(block: bytes) -> Iterator[Captured]:
    position = 0
    while position < len(block):
        end = block.index(b"\n", position)
        header = orjson.loads(block[position:end])
        position = end + 1 + header["size"]
        yield Captured(
            path=header["path"],
            media=header["media"],
            body=block[end + 1 : position],
            time_ns=header["time_ns"],
            lane=Lane(header["lane"]),
            headers=header.get("headers", {}),
        )


def shift(request: Captured, delta_ns: int) -> Captured:
    """The same request with every time in it moved by `delta_ns`; whole milliseconds for remote write.

    OTLP sent as JSON comes out as protobuf.

    Raises:
        Unsupported: A path that no receiver has.
        DecodeError: The body does not parse.
    """
    change = _SHIFTS.get(request.path) or (_shift_any if request.path.startswith(_WEBHOOKS) else None)
    if change is None:
        raise Unsupported(f"{request.path} is not a path that a capture can be shifted for", path=request.path)
    media = PROTOBUF if request.media == PROTOBUF or request.path in _OTLP else request.media
    body = change(request, delta_ns)
    headers = dict(request.headers)
    if _CE_TIME in headers:
        headers[_CE_TIME] = _moved(headers[_CE_TIME], delta_ns)
    return replace(request, body=body, media=media, time_ns=request.time_ns + delta_ns, headers=headers)


def merged(requests: Sequence[Captured]) -> list[Captured]:
    """The same content in fewer requests: those of one path and lane become one, where the protocol allows.

    Protobuf messages of repeated fields are merged by standing one after the other (protobuf encoding, "last one
    wins" and repeated fields); lists of JSON items by joining. Suits requests of about the same time; the order
    between paths is lost.
    """
    groups: dict[tuple[str, str, Lane], list[Captured]] = {}
    single: list[Captured] = []
    for request in requests:
        if request.media == PROTOBUF or (request.path in _LISTS and request.body.lstrip().startswith(b"[")):
            groups.setdefault((request.path, request.media, request.lane), []).append(request)
        else:
            single.append(request)
    made = []
    for members in groups.values():
        bodies = [member.body for member in members]
        listed = members[0].path in _LISTS
        body = b"[" + b",".join(each.strip()[1:-1] for each in bodies) + b"]" if listed else b"".join(bodies)
        made.append(replace(members[0], body=body))
    return [*made, *single]


def _shift_metrics(request: Captured, delta_ns: int) -> bytes:
    message = parse_otlp(ExportMetricsServiceRequest, request.body, request.media)
    metrics = (
        metric
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.WhichOneof("data")
    )
    for metric in metrics:
        for point in getattr(metric, str(metric.WhichOneof("data"))).data_points:
            _move(point, delta_ns, "start_time_unix_nano", "time_unix_nano")
            for exemplar in getattr(point, "exemplars", ()):
                _move(exemplar, delta_ns, "time_unix_nano")
    return message.SerializeToString()


def _shift_logs(request: Captured, delta_ns: int) -> bytes:
    message = parse_otlp(ExportLogsServiceRequest, request.body, request.media)
    for resource in message.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                _move(record, delta_ns, "time_unix_nano", "observed_time_unix_nano")
    return message.SerializeToString()


def _shift_traces(request: Captured, delta_ns: int) -> bytes:
    message = parse_otlp(ExportTraceServiceRequest, request.body, request.media)
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                _move(span, delta_ns, "start_time_unix_nano", "end_time_unix_nano")
                for event in span.events:
                    _move(event, delta_ns, "time_unix_nano")
    return message.SerializeToString()


def _move(message: Message, delta_ns: int, *fields: str) -> None:
    """Times that are there and set, moved; never below zero, nor past what any field of a time holds."""
    for name in fields:
        if value := getattr(message, name, 0):
            setattr(message, name, max(0, min(value + delta_ns, _LAST)))


def _shift_write(request: Captured, delta_ns: int) -> bytes:
    message = WriteRequest() if request.media == PROTOBUF else Request2()
    message.ParseFromString(request.body)
    delta_ms = delta_ns // 1_000_000
    for series in message.timeseries:
        for each in (*series.samples, *series.histograms, *series.exemplars):
            _move(each, delta_ms, "timestamp", "start_timestamp")
        _move(series, delta_ms, "created_timestamp")
    shifted: bytes = message.SerializeToString()
    return shifted


def _shift_loki(request: Captured, delta_ns: int) -> bytes:
    if request.media != PROTOBUF:
        return _shift_loki_json(request, delta_ns)
    message = PushRequest()
    message.ParseFromString(request.body)
    for stream in message.streams:
        for entry in stream.entries:
            for stamp in entry.timestamp:
                moved = max(0, stamp.seconds * SECOND_NS + stamp.nanos + delta_ns)
                stamp.seconds, stamp.nanos = divmod(moved, SECOND_NS)
    shifted: bytes = message.SerializeToString()
    return shifted


def _shift_loki_json(request: Captured, delta_ns: int) -> bytes:
    body = orjson.loads(request.body)
    for stream in body["streams"]:
        for value in stream.get("values", ()) if isinstance(stream, dict) else ():
            if isinstance(value, list) and value and str(value[0]).isdecimal():
                value[0] = str(max(0, int(value[0]) + delta_ns))
    return orjson.dumps(body)


def _shift_bulk(request: Captured, delta_ns: int) -> bytes:
    """Documents with their times moved; one without any happened when it was received. What is no bulk stays."""
    lines = []
    for line in request.body.split(b"\n"):
        try:
            item = orjson.loads(line)
        except orjson.JSONDecodeError:
            lines.append(line)
            continue
        if isinstance(item, dict) and not _BULK_ACTIONS.issuperset(item):
            _move_document(item, delta_ns, request.time_ns)
        lines.append(orjson.dumps(item))
    return b"\n".join(lines)


def _move_document(item: dict[str, Any], delta_ns: int, received_ns: int) -> None:
    key = next((key for key in TIME_KEYS if item.get(key) not in (None, "")), "@timestamp")
    try:
        moved_ns = (parse_time_ns(item[key]) if key in item else received_ns) + delta_ns
    except DecodeError:
        return  # it was refused, and is again
    item[key] = to_datetime(max(0, moved_ns)).isoformat()


def _shift_items(request: Captured, delta_ns: int) -> bytes:
    """Changes and predictions; one that has no time happened when it was received."""
    items = items_of(request.body)
    for item in items:
        if isinstance(item, dict):  # anything else was rejected, and is again
            now = to_datetime(request.time_ns + delta_ns).isoformat()
            item["time"] = now if item.get("time") is None else _moved(item["time"], delta_ns)
    return orjson.dumps(items)


def _shift_any(request: Captured, delta_ns: int) -> bytes:
    """Every text of a JSON body that is a time with a zone; a body that is not JSON stays as it was."""
    form = request.media == _FORM
    text = parse_qs(request.body.decode("utf-8", "replace")).get("payload", [""])[0] if form else request.body
    try:
        body = orjson.dumps(_all_moved(orjson.loads(text), delta_ns))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return request.body
    return urlencode({"payload": body.decode()}).encode() if form else body


def _all_moved(value: Any, delta_ns: int) -> Any:
    if isinstance(value, dict):
        return {key: _all_moved(each, delta_ns) for key, each in value.items()}
    if isinstance(value, list):
        return [_all_moved(each, delta_ns) for each in value]
    return _moved(value, delta_ns)


def _moved(value: Any, delta_ns: int) -> Any:
    """A time as text, moved; what is no time, or Alertmanager's zero, stays as it was and is judged by the receiver."""
    if not isinstance(value, str) or value.startswith(_ZERO_TIME):
        return value
    moment = parse_time(value)
    try:
        return value if moment is None else (moment + timedelta(microseconds=delta_ns // 1000)).isoformat()
    except OverflowError:
        return value


_WEBHOOKS: Final = "/webhooks/"
_FORM: Final = "application/x-www-form-urlencoded"
_LISTS: Final = frozenset({"/v1/changes", "/v1/predictions"})
_OTLP: Final = frozenset({"/v1/metrics", "/v1/logs", "/v1/traces"})
_SHIFTS: Final[dict[str, Callable[[Captured, int], bytes]]] = {
    "/v1/metrics": _shift_metrics,
    "/v1/logs": _shift_logs,
    "/v1/traces": _shift_traces,
    "/api/v1/write": _shift_write,
    "/loki/api/v1/push": _shift_loki,
    "/elasticsearch/_bulk": _shift_bulk,
    "/v1/changes": _shift_items,
    "/v1/predictions": _shift_items,
}
