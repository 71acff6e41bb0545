"""Log documents of any tool (JSON objects) to lines: where each keeps its time, text, severity, source and trace.

Elastic's schema comes first, then the names that Fluent Bit, Vector, Docker, Kubernetes and the usual logging
libraries use. Nested objects and dotted names mean the same. What is not understood stays as an attribute.

Source: Elastic Common Schema 8; OpenTelemetry semantic conventions; Fluent Bit and Vector documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from twofold.aiops.ingest.entities import UNKNOWN
from twofold.aiops.ingest.logs.lines import Lines, clamped_ns, level_of, trace_of
from twofold.errors import DecodeError
from twofold.records.entity import EntityKind, entity_id
from twofold.records.time import SECOND_NS

TIME_KEYS: Final = ("@timestamp", "timestamp", "time", "ts", "datetime", "date", "asctime", "_time")
BODY_KEYS: Final = ("message", "msg", "log", "body", "event.original", "_msg", "MESSAGE", "text")
_SERVICES: Final = (
    "service.name",
    "service",
    "service_name",
    "kubernetes.labels.app_kubernetes_io/name",
    "kubernetes.labels.app.kubernetes.io/name",
    "kubernetes.labels.app",
    "app",
    "application",
    "kubernetes.container.name",
    "kubernetes.container_name",
    "container.name",
    "container_name",
    "docker.container.name",
    "process.name",
    "appname",
    "syslog.identifier",
    "SYSLOG_IDENTIFIER",
)
_PODS: Final = ("kubernetes.pod.name", "kubernetes.pod_name", "pod")
_HOSTS: Final = ("host.name", "host.hostname", "hostname", "host", "agent.hostname", "_HOSTNAME")
_NOISE: Final = ("ecs.", "agent.ephemeral_id", "agent.id", "@metadata.", "input.", "@version")
_DEPTH: Final = 20
_FAR_NS: Final = 10**20  # past what a column can hold
# A number is seconds, milli-, micro- or nanoseconds since 1970, by its size: each limit lies in the year 5138.
_SCALES: Final = ((10**11, SECOND_NS), (10**14, 10**6), (10**17, 10**3))
_NUMBER: Final = re.compile(r"-?\d{1,19}(\.\d{1,9})?")
_PARTS: Final = re.compile(r"(.*[T ]\d\d:\d\d:\d\d)[.,](\d+)(.*)")
_OFFSET: Final = re.compile(r"[+-]\d\d:?\d\d$|[Zz]$| ?UTC$| ?GMT$")


class Document(NamedTuple):
    """What a document says, in the terms of a line."""

    entity: str
    attributes: dict[str, object]
    time_ns: int
    body: str
    level: int
    trace: str
    span: str

    def into(self, lines: Lines) -> None:
        """Add it as a line."""
        source = lines.source(self.entity, self.attributes)
        lines.add(source, self.time_ns, self.body, level=self.level, trace=self.trace, span=self.span)


def document(item: Mapping[str, Any], *, time_key: str = "", body_key: str = "", service: str = "") -> Document:
    """The line that a JSON object tells of; without a time its `time_ns` is 0, without a text its body is the object.

    `time_key` and `body_key` (dotted) are looked at first; `service` is whose line it is when the object names nobody.

    Raises:
        DecodeError: Its time is none (`bad_time`), or it nests too deep (`bad_document`).
    """
    flat = flattened(item)
    time_ns = time_of_document(flat, time_key)
    body = _take(flat, (body_key, *BODY_KEYS) if body_key else BODY_KEYS)
    if body is None:
        body = orjson.dumps(item, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    level = level_of(flat)
    trace, span = trace_of(flat)
    return Document(
        document_entity(flat, service),
        {key: value for key, value in flat.items() if not key.startswith(_NOISE)},
        time_ns,
        body if isinstance(body, str) else orjson.dumps(body, default=str).decode(),
        level,
        trace,
        span,
    )


def document_entity(flat: Mapping[str, Any], service: str = "") -> str:
    """Entity of a flattened document: its service, else what the caller names, else its pod, else its host."""
    if name := _name(flat, _SERVICES) or service:
        return entity_id(EntityKind.SERVICE, name)
    if name := _name(flat, _PODS):
        return entity_id(EntityKind.POD, name)
    if name := _name(flat, _HOSTS):
        return entity_id(EntityKind.HOST, name)
    return UNKNOWN


def time_of_document(flat: dict[str, Any], time_key: str = "") -> int:
    """Nanoseconds of the first time key that is set, taken out of the document; 0 without one. Raises `DecodeError`."""
    value = _take(flat, (time_key, *TIME_KEYS) if time_key else TIME_KEYS)
    return 0 if value is None else parse_time_ns(value)


def parse_time_ns(value: object) -> int:
    """Nanoseconds of an RFC 3339 time, or of a number since 1970, whose unit is told by its size.

    A text without a zone is UTC. Nanoseconds are kept.

    >>> parse_time_ns("2026-01-01T00:00:00.123456789Z") == parse_time_ns("1767225600123456789")
    True
    >>> parse_time_ns(1767225600.5) == parse_time_ns(1767225600500)
    True

    Raises:
        DecodeError: `bad_time`.
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            return _number_ns(text) if _NUMBER.fullmatch(text) else _text_ns(text)
        if isinstance(value, datetime):
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            return clamped_ns(int(moment.timestamp() * 1_000_000) * 1000)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _number_ns(repr(value)) if isinstance(value, float) else _scaled(value)
    except (ValueError, OverflowError):
        pass
    raise DecodeError(f"{str(value)[:40]!r} is neither an RFC 3339 time nor a number since 1970", reason="bad_time")


def _number_ns(text: str) -> int:
    whole, _, fraction = text.partition(".")
    number = int(whole)
    if not fraction:
        return _scaled(number)
    scale = next((scale for limit, scale in _SCALES if abs(number) < limit), 1)
    return clamped_ns(number * scale + int(fraction.ljust(9, "0")[:9]) * scale // SECOND_NS)


def _scaled(number: int) -> int:
    scale = next((scale for limit, scale in _SCALES if abs(number) < limit), 1)
    return clamped_ns(min(number, _FAR_NS) * scale)


def _text_ns(text: str) -> int:
    part = ""
    if match := _PARTS.fullmatch(text):
        text, part = match[1] + match[3], match[2]
    zoned = _OFFSET.search(text)
    moment = datetime.fromisoformat(
        text.removesuffix(zoned[0]) if zoned and zoned[0].strip() in {"UTC", "GMT"} else text
    )
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return clamped_ns(int(aware.timestamp()) * SECOND_NS + int(part.ljust(9, "0")[:9] or 0))


def flattened(item: Mapping[str, Any]) -> dict[str, Any]:
    """Nested objects as dotted names; lists stay as they are.

    >>> flattened({"a": {"b": 1}, "c.d": [2]})
    {'a.b': 1, 'c.d': [2]}

    Raises:
        DecodeError: It nests deeper than 20 objects (`bad_document`).
    """
    found: dict[str, Any] = {}
    _flatten(item, "", found, 0)
    return found


def _flatten(item: Mapping[str, Any], prefix: str, found: dict[str, Any], depth: int) -> None:
    if depth > _DEPTH:
        raise DecodeError(f"the document nests deeper than {_DEPTH} objects", reason="bad_document")
    for key, value in item.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{key}.", found, depth + 1)
        elif value is not None:
            found[prefix + key] = value


def _take(flat: dict[str, Any], keys: tuple[str, ...]) -> Any:
    for key in keys:
        if flat.get(key) not in (None, ""):
            return flat.pop(key)
    return None


def _name(flat: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = flat.get(key)
        if isinstance(value, str) and value:
            return value
    return ""
