"""Lines of log files to lines of ours: JSON documents, containers' lines, text with a time near its start."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import orjson

from twofold.aiops.ingest.logs.documents import document
from twofold.aiops.ingest.logs.lines import Lines, clamped_ns
from twofold.errors import InputError
from twofold.records.entity import EntityKind, entity_id
from twofold.records.time import SECOND_NS

_CACHED: Final = 10_000
_LOOK: Final = 128  # characters in which a time is looked for
_TIME: Final = re.compile(
    rb"(?P<iso>\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](?P<part>\d{1,9}))?\d*(?P<zone>Z| ?[+-]\d\d:?\d\d(?!\d))?"
    rb"|(?P<common>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})"
    rb"|^(?P<bsd>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)"
)
_CONTAINER: Final = re.compile(rb"\d{4}-\d\d-\d\dT\S+ (?P<stream>stdout|stderr) [FP] ")
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


class TextReader:
    """Reads entries of log files.

    An entry that is a JSON object is read as a document. Of any other the time is the first one found in its first
    128 characters: ISO 8601, the web servers' common format, or syslog's (without a year: the one nearest to now).

    An entry without a time, or with one after `latest_ns`, happened now: nobody could be told that it was refused.

    Args:
        zone: Of times that carry none.
    """

    def __init__(self, zone: str, now_ns: int, latest_ns: int) -> None:
        self._zone = ZoneInfo(zone)
        self._now_ns = now_ns
        self._latest_ns = latest_ns
        self._seconds: dict[bytes, int] = {}

    def read(self, entries: Iterable[bytes], lines: Lines, *, service: str, path: str) -> None:
        """Add every entry to `lines`."""
        entity = entity_id(EntityKind.SERVICE, service)
        plain: dict[str, int] = {}
        for entry in entries:
            if entry.startswith(b"{") and self._document(entry, lines, service=service, path=path):
                continue
            stream = ""
            time_ns = self.time_ns(entry)
            if match := _CONTAINER.match(entry):
                stream, entry = match["stream"].decode(), entry[match.end() :]  # noqa: PLW2901 - the line inside the line
            source = plain.get(stream)
            if source is None:
                attributes: dict[str, object] = {"log.file.path": path}
                source = plain[stream] = lines.source(entity, attributes | ({"stream": stream} if stream else {}))
            lines.add(source, self._possible(time_ns), entry)

    def _document(self, entry: bytes, lines: Lines, *, service: str, path: str) -> bool:
        try:
            item = orjson.loads(entry)
            found = document(item, service=service)
        except (orjson.JSONDecodeError, InputError):
            return False  # a line of text that begins like JSON is a line of text
        found.attributes["log.file.path"] = path
        found._replace(time_ns=self._possible(found.time_ns)).into(lines)
        return True

    def _possible(self, time_ns: int) -> int:
        return time_ns if 0 < time_ns <= self._latest_ns else self._now_ns

    def time_ns(self, entry: bytes) -> int:
        """The time that stands near the entry's start; 0 without one."""
        match = _TIME.search(entry, 0, _LOOK)
        if match is None:
            return 0
        said = match["iso"] or match["common"] or match["bsd"]
        key = said + (match["zone"] or b"")
        seconds = self._seconds.get(key)
        if seconds is None:
            if len(self._seconds) >= _CACHED:
                self._seconds.clear()
            try:
                seconds = self._seconds[key] = max(0, self._parsed(match))
            except (ValueError, OverflowError):
                seconds = self._seconds[key] = 0
        return clamped_ns(seconds * SECOND_NS + int((match["part"] or b"0").ljust(9, b"0"))) if seconds else 0

    def _parsed(self, match: re.Match[bytes]) -> int:
        """Seconds of the matched time. Raises `ValueError` or `OverflowError` when it cannot be."""
        if said := match["common"]:
            return int(datetime.strptime(said.decode(), "%d/%b/%Y:%H:%M:%S %z").timestamp())
        if said := match["bsd"]:
            return self._nearest(said, self._now_ns // SECOND_NS)
        text = match["iso"].replace(b"/", b"-").decode() + (match["zone"] or b"").strip().decode()
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).timestamp())

    def _nearest(self, said: bytes, now_s: int) -> int:
        month, day, clock = said.split()
        hour, minute, second = (int(part) for part in clock.split(b":"))
        year = datetime.fromtimestamp(now_s, UTC).year
        found = []
        for each in (year - 1, year, year + 1):
            try:
                moment = datetime(each, _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=self._zone)
            except ValueError:
                continue  # the 29th of February stands only in leap years
            found.append(int(moment.timestamp()))
        return min(found, key=lambda seconds: abs(seconds - now_s), default=0)
