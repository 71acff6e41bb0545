"""StatsD lines to metrics, with DogStatsD's tags, several values, events and service checks.

    name:1|c            counter        name:5|g  name:+2|g  name:-2|g   gauge, or a step of one
    name:320|ms  |h |d  timer, histogram, distribution                  name:anna|s    set
    |@0.1  sample rate          |#env:prod,canary  tags         name:1:2:3|ms   several values
    _e{5,4}:title|text|t:error|#env:prod      event             _sc|name|2|m:text   service check

Tags may also stand in the name, as Graphite (`name;a=b`) and InfluxDB (`name,a=b`) have them. Fields that
are not known (`|c:`, `|T`) are passed over: aggregation is by arrival.

Source: etsy/statsd docs/metric_types.md; DogStatsD datagram format, versions 1.0 to 1.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from twofold.errors import DecodeError

KINDS: Final = {b"c": "c", b"g": "g", b"ms": "ms", b"h": "h", b"d": "d", b"s": "s"}
MAX_NAME: Final = 512
_LINE: Final = re.compile(rb"([^:|]+):([^|]*)\|(c|g|ms|h|d|s)(?:\|(.*))?", re.DOTALL)
_EVENT: Final = re.compile(rb"_e\{(\d{1,5}),(\d{1,5})\}:")
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9_.:/-]+")
_CACHED: Final = 50_000


class Metric(NamedTuple):
    """One line of values.

    Attributes:
        key: Name, tags and kind as they came: the same bytes are the same series.
        signed: For gauges, whether each value is a step.
    """

    key: tuple[bytes, bytes, str]
    values: Sequence[float] | Sequence[bytes]
    rate: float
    signed: bool = False


class Note(NamedTuple):
    """An event, or a service check's message."""

    title: str
    text: str
    kind: str
    tags: dict[str, str]
    time_s: int


def parse(line: bytes) -> Metric | Note:
    """What one line says.

    >>> parse(b"page.load:320|ms|@0.1|#env:prod").values
    [320.0]

    Raises:
        DecodeError: `bad_line`, `bad_value` or `bad_rate`.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        return _other(line)
    name, value, kind, more = match.groups()
    if len(name) > MAX_NAME:
        raise DecodeError(f"a name of {len(name)} bytes, the limit is {MAX_NAME}", reason="bad_line")
    rate, tags = _fields(more) if more else (1.0, b"")
    key = (name, tags, KINDS[kind])
    if kind == b"s":
        return Metric(key, value.split(b":"), rate)
    try:
        values = [float(each) for each in value.split(b":")]
    except ValueError:
        raise DecodeError(f"value {value[:40]!r} is not a number", reason="bad_value") from None
    if not all(map(math.isfinite, values)) or b"_" in value:
        raise DecodeError(f"value {value[:40]!r} is not a finite number", reason="bad_value")
    return Metric(key, values, rate, kind == b"g" and value[:1] in b"+-" and value[:1] != b"")


def _fields(more: bytes) -> tuple[float, bytes]:
    rate, tags = 1.0, b""
    for field in more.split(b"|"):
        if field[:1] == b"@":
            try:
                rate = float(field[1:])
            except ValueError:
                rate = 0.0
            if not 0.0 < rate <= 1.0:
                raise DecodeError(f"sample rate {field[:40]!r} is not above 0 and at most 1", reason="bad_rate")
        elif field[:1] == b"#":
            tags = field[1:]
    return rate, tags


def _other(line: bytes) -> Metric | Note:
    if line.startswith(b"_sc|"):
        return _check(line)
    match = _EVENT.match(line)
    if match is None:
        raise DecodeError(f"{line[:60]!r} is not name:value|type", reason="bad_line")
    title_end = match.end() + int(match[1])
    text_end = title_end + 1 + int(match[2])
    if len(line) < text_end or line[title_end : title_end + 1] != b"|":
        raise DecodeError(f"the lengths of event {line[:60]!r} do not fit", reason="bad_line")
    fields = {each[:2]: each[2:] for each in line[text_end:].split(b"|") if each}
    tags = tags_of(next((key[1:] + value for key, value in fields.items() if key[:1] == b"#"), b""))
    if host := fields.get(b"h:"):
        tags.setdefault("host", _text(host))
    time = fields.get(b"d:", b"")
    return Note(
        _text(line[match.end() : title_end]),
        _text(line[title_end + 1 : text_end]).replace("\\n", "\n"),
        _text(fields.get(b"t:", b"info")),
        tags,
        int(time) if time.isdigit() and len(time) <= 11 else 0,  # noqa: PLR2004 - seconds until the year 5138
    )


def _check(line: bytes) -> Metric:
    """A service check as a gauge of its status: 0 OK, 1 warning, 2 critical, 3 unknown."""
    parts = line.split(b"|")
    if len(parts) < 3 or parts[2] not in {b"0", b"1", b"2", b"3"} or not parts[1]:  # noqa: PLR2004 - _sc, name, status
        raise DecodeError(f"{line[:60]!r} is not a service check", reason="bad_line")
    tags = next((part[1:] for part in parts[3:] if part[:1] == b"#"), b"")
    host = next((part[2:] for part in parts[3:] if part[:2] == b"h:"), b"")
    return Metric((parts[1], tags + (b",host:" + host if host else b""), "g"), [float(parts[2])], 1.0)


@lru_cache(_CACHED)
def named(name: bytes, tags: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Metric name and sorted labels of a line's name and tags.

    >>> named(b"a b;env=prod", b"canary,zone:1")
    ('a_b', (('canary', 'true'), ('env', 'prod'), ('zone', '1')))
    """
    text = _text(name)
    first, *pairs = text.split(";") if ";" in text else text.split(",")
    labels = {key: value or "true" for key, _, value in (pair.partition("=") for pair in pairs) if key}
    labels |= tags_of(tags)
    return _UNSAFE.sub("_", first) or "_", tuple(sorted(labels.items()))


def tags_of(tags: bytes) -> dict[str, str]:
    """DogStatsD tags; one without a value is `true`."""
    pairs = (each.partition(":") for each in _text(tags).split(",") if each)
    return {key: value or "true" for key, _, value in pairs if key}


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
