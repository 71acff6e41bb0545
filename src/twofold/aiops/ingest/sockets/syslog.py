"""Syslog messages of both standards to log lines.

RFC 5424 and RFC 3164 are told apart by message, RFC 3164 with the liberties that senders take: an ISO
time (rsyslog), a year, no host (`logger` on the same machine), no tag. What is neither is kept whole as
the body, under the host it came from, and counted as malformed.

Times. RFC 3164 carries neither year nor zone: the zone is the listener's, the year the one that puts the
time nearest to its arrival. A message without a time, or with one that lies in the future, happened when
it arrived (nobody could be told that it was refused); the attribute `syslog.time` keeps what it said.

Entities. The program names the service, but `kernel` and `systemd`, which speak for their host.

Source: RFC 5424, RFC 3164; OpenTelemetry logs data model, appendix "Syslog".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from twofold.aiops.ingest.entities import UNKNOWN
from twofold.aiops.ingest.logs.lines import Lines
from twofold.records.entity import EntityKind, entity_id
from twofold.records.time import SECOND_NS

SEVERITIES: Final = (21, 19, 18, 17, 13, 10, 9, 5)
FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock"),
    *(f"local{number}" for number in range(8)),
)
_HOST_PROGRAMS: Final = frozenset({"kernel", "systemd"})
_NIL: Final = b"-"
_CACHED: Final = 10_000
_DAY_NS: Final = 86_400 * SECOND_NS
_MAX_PRIORITY: Final = 191
_BOM: Final = b"\xef\xbb\xbf"

_ISO: Final = rb"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\d*([Zz]|[+-]\d\d:?\d\d)?"
_ELEMENT: Final = rb'\[[^\s=\]"]+(?: +[^\s=\]"]+="(?:[^"\\]|\\.)*")* *\]'
_5424: Final = re.compile(
    rb"<(\d{1,3})>[1-9]\d{0,2} (?:-|" + _ISO + rb") (\S+) (\S+) (\S+) (\S+) (-|(?:" + _ELEMENT + rb")+)(?: |$)",
    re.DOTALL,
)
_3164: Final = re.compile(
    rb"<(\d{1,3})>(?!1 (?:-|\d{4}-))(?:(?:\d{1,10}: )?"
    rb"(?:" + _ISO + rb"|\*?([A-Z][a-z]{2})  ?(\d{1,2}) (?:(\d{4}) )?(\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\d*)"
    rb":?(?= ))? *",
    re.DOTALL,
)
_TAGGED: Final = re.compile(
    rb"(?:([^\s\[\]:]\S*[^\s:]|[^\s\[\]:]) )?([^\s\[\]:<>\"=%{][^\s\[\]:<>\"=]{0,63})(?:\[([^\]\s]{0,64})\])?: ?"
)
_HOST_ONLY: Final = re.compile(rb"([A-Za-z0-9][A-Za-z0-9.:_-]*) (?=\S)")
_PARAMETER: Final = re.compile(rb'([^\s=\]"\[]+)="((?:[^"\\]|\\.)*)"')
_ELEMENT_ID: Final = re.compile(rb'\[([^\s=\]"]+)((?: +[^\s=\]"]+="(?:[^"\\]|\\.)*")*) *\]')
_ESCAPED: Final = re.compile(rb'\\(["\\\]])')
_MONTHS: Final = {
    name: number + 1 for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
}


class _Head(NamedTuple):
    """What a message says of its source; lines of one head share entity, attributes and severity."""

    priority: bytes = b""
    host: bytes = _NIL
    app: bytes = _NIL
    process: bytes = _NIL
    kind: bytes = _NIL
    data: bytes = _NIL
    peer: str = ""
    said: bytes = b""


class SyslogParser:
    """Parses the messages of one listener. Keeps a cache of times; use it from one thread.

    Args:
        zone: Of RFC 3164 times.
    """

    def __init__(self, zone: str = "UTC") -> None:
        self._zone = ZoneInfo(zone)
        self._seconds: dict[tuple[bytes, bytes], int] = {}
        self._today = 0
        self.malformed = 0
        """Messages so far that were of neither standard."""

    def parse(self, messages: Iterable[bytes], lines: Lines, *, peer: str, now_ns: int, latest_ns: int) -> None:
        """Add every message to `lines`: a line for each, whatever it looks like."""
        if now_ns // _DAY_NS != self._today:  # a time without a year means another one some day
            self._today = now_ns // _DAY_NS
            self._seconds.clear()
        sources: dict[_Head, int] = {}
        levels: dict[bytes, int] = {}
        for message in messages:
            head, time_ns, body = self._read(message.rstrip(b"\r\n\x00"), peer, now_ns, latest_ns)
            source = sources.get(head)
            if source is None:
                source = sources[head] = lines.source(*_described(head))
            level = levels.get(head.priority)
            if level is None:
                level = levels[head.priority] = SEVERITIES[int(head.priority) & 7] if head.priority else 0
            lines.add(source, time_ns, body, level=level)

    def _read(self, message: bytes, peer: str, now_ns: int, latest_ns: int) -> tuple[_Head, int, bytes]:
        """Head, time and body of one message."""
        if match := _5424.match(message):
            priority, day, fraction, zone, host, app, process, kind, data = match.groups()
            if int(priority) <= _MAX_PRIORITY:
                time_ns = self._iso_ns(day, fraction, zone) if day else 0
                body = message[match.end() :].removeprefix(_BOM)
                said = b"" if 0 < time_ns <= latest_ns or not day else message[match.start(2) : match.end(4)]
                head = _Head(priority, host, app, process, kind, data, peer, said)
                return head, now_ns if said or not time_ns else time_ns, body
        if (match := _3164.match(message)) and int(match[1]) <= _MAX_PRIORITY:
            return self._bsd(message, match, peer, now_ns, latest_ns)
        self.malformed += 1
        return _Head(peer=peer), now_ns, message

    def _bsd(
        self, message: bytes, match: re.Match[bytes], peer: str, now_ns: int, latest_ns: int
    ) -> tuple[_Head, int, bytes]:
        time_ns = self._bsd_ns(match, now_ns)
        stamped = match[2] is not None or match[5] is not None
        said = message[match.end(1) + 1 : match.end()].strip() if stamped and not 0 < time_ns <= latest_ns else b""
        rest = message[match.end() :]
        host, app, process = _NIL, _NIL, _NIL
        if tagged := _TAGGED.match(rest):
            host, app, process = tagged[1] or _NIL, tagged[2], tagged[3] or _NIL
            rest = rest[tagged.end() :]
        elif stamped and (named := _HOST_ONLY.match(rest)):
            host, rest = named[1], rest[named.end() :]
        head = _Head(match[1], host, app, process, peer=peer, said=said)
        return head, now_ns if said or not time_ns else time_ns, rest

    def _bsd_ns(self, match: re.Match[bytes], now_ns: int) -> int:
        _, day, fraction, zone, month, number, year, clock, part = match.groups()
        if day is not None:
            return self._iso_ns(day, fraction, zone)
        if month is None:
            return 0
        key = (b"%b %b %b %b" % (month, number, year or b"", clock), b"")
        seconds = self._seconds.get(key)
        if seconds is None:
            seconds = self._remember(key, self._nearest(month, number, year, clock, now_ns))
        return seconds * SECOND_NS + int((part or b"0").ljust(9, b"0")) if seconds else 0

    def _nearest(self, month: bytes, day: bytes, year: bytes | None, clock: bytes, now_ns: int) -> int:
        """Seconds of a time whose year, when it has none, is the one nearest to now; 0 when it cannot be."""
        now_s = now_ns // SECOND_NS
        this = datetime.fromtimestamp(now_s, UTC).year
        found = []
        for each in (int(year),) if year else (this - 1, this, this + 1):
            try:
                hour, minute, second = (int(part) for part in clock.split(b":"))
                moment = datetime(
                    each, _MONTHS.get(month, 0), int(day), hour, minute, min(second, 59), tzinfo=self._zone
                )
                found.append(int(moment.timestamp()))
            except (ValueError, OverflowError):
                continue
        return max(0, min(found, key=lambda seconds: abs(seconds - now_s), default=0))

    def _iso_ns(self, day: bytes, fraction: bytes | None, zone: bytes | None) -> int:
        key = (day, zone or b"")
        seconds = self._seconds.get(key)
        if seconds is None:
            try:
                moment = datetime.fromisoformat((day.upper() + (zone or b"").upper()).decode())
                aware = moment if moment.tzinfo else moment.replace(tzinfo=self._zone)
                seconds = self._remember(key, max(0, int(aware.timestamp())))
            except (ValueError, OverflowError):
                seconds = self._remember(key, 0)
        return seconds * SECOND_NS + int((fraction or b"0").ljust(9, b"0")) if seconds else 0

    def _remember(self, key: tuple[bytes, bytes], seconds: int) -> int:
        if len(self._seconds) >= _CACHED:
            self._seconds.clear()
        self._seconds[key] = seconds
        return seconds


def _described(head: _Head) -> tuple[str, dict[str, object]]:
    """Entity and attributes of a head."""
    host = _text(head.host) or head.peer
    app = _text(head.app)
    attributes: dict[str, object] = {}
    if host:
        attributes["host.name"] = host
    if head.priority:
        attributes["syslog.facility"] = FACILITIES[int(head.priority) >> 3]
    for name, value in (("process.pid", head.process), ("syslog.msgid", head.kind), ("syslog.time", head.said)):
        if text := _text(value):
            attributes[name] = text
    if head.data != _NIL:
        attributes |= _parameters(head.data)
    if app and app not in _HOST_PROGRAMS:
        return entity_id(EntityKind.SERVICE, app), attributes
    return (entity_id(EntityKind.HOST, host) if host else UNKNOWN), attributes


def _parameters(data: bytes) -> dict[str, str]:
    """Structured data as `id.name` to value."""
    return {
        f"{_text(element[1])}.{_text(name)}": _text(_ESCAPED.sub(rb"\1", value))
        for element in _ELEMENT_ID.finditer(data)
        for name, value in _PARAMETER.findall(element[2])
    }


def _text(value: bytes) -> str:
    return "" if value == _NIL else value.decode(errors="replace")
