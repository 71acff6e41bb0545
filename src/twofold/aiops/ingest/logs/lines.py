"""Log lines of any protocol, collected as columns and made one Arrow batch: no object a line.

Lines come from sources: one entity and the attributes that all its lines share, held once. What the
protocol does not say of a line is found here for all lines at once: its severity, and whether its
time can be.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.logs.severity import completed, severity
from twofold.records.columns import LOGS

LAST_NS: Final = (1 << 63) - 1
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
TRACE_DIGITS: Final = 32
SPAN_DIGITS: Final = 16
_IDS: Final = {
    **dict.fromkeys(("trace_id", "traceID", "traceId", "traceid", "trace.id", "dd.trace_id"), (0, TRACE_DIGITS)),
    **dict.fromkeys(("span_id", "spanID", "spanId", "spanid", "span.id"), (1, SPAN_DIGITS)),
}
"""Where trace and span ids stand, by key, with the digits they must have."""
_NUMBER: Final = "severity_number"
_LEVELS: Final = (
    _NUMBER,
    "severity_text",
    "log.level",
    "level",
    "detected_level",
    "severity",
    "lvl",
    "loglevel",
    "log_level",
    "levelname",
)
_LEVEL_KEYS: Final = {key: place for place, key in enumerate(_LEVELS)}


class Lines:
    """Columns of log lines being collected. One request, one of these."""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._time_ns: list[int] = []
        self._body: list[str | bytes] = []
        self._severity: list[int] = []
        self._trace: list[str] = []
        self._span: list[str] = []
        self._source: list[int] = []
        self._sources: list[tuple[str, bytes]] = []

    def __len__(self) -> int:
        return len(self._body)

    def source(self, entity: str, attributes: Mapping[str, object]) -> int:
        """A number for lines of this entity with these attributes."""
        self._sources.append((entity, dumped(attributes)))
        return len(self._sources) - 1

    def extend(self, source: int, times_ns: Sequence[int], bodies: Sequence[str | bytes], level: int = 0) -> None:
        """Lines that differ in time and body alone. Severity 0 is looked for in the body."""
        count = len(bodies)
        self._time_ns += times_ns
        self._body += bodies
        self._severity += [level] * count
        self._trace += [""] * count
        self._span += [""] * count
        self._source += [source] * count

    def add(
        self, source: int, time_ns: int, body: str | bytes, *, level: int = 0, trace: str = "", span: str = ""
    ) -> None:
        """One line."""
        self._time_ns.append(time_ns)
        self._body.append(body)
        self._severity.append(level)
        self._trace.append(trace)
        self._span.append(span)
        self._source.append(source)

    def batch(self, now_ns: int, latest_ns: int) -> tuple[pa.RecordBatch, Outcome]:
        """All lines in schema `LOGS`, and what became of them.

        A line without a time (0 or less) takes `now_ns`; one after `latest_ns` is rejected (`future`).
        Characters that are no text are replaced.
        """
        received = len(self) + self.rejected.total() + self.dropped.total()
        time_ns = np.array(self._time_ns, np.int64)
        time_ns[time_ns <= 0] = now_ns
        columns = [
            pa.array(time_ns),
            self._entity_column(),
            pa.array(self._severity, pa.int8()),
            texts_array(self._body),
            _ids(self._trace),
            _ids(self._span),
            texts_array([text for _, text in self._sources]).take(pa.array(self._source, pa.int64())),
        ]
        found = completed(pa.record_batch(columns, schema=LOGS))
        future = time_ns > latest_ns
        if future.any():
            self.rejected["future"] += int(future.sum())
            found = found.filter(pa.array(~future))
        stored = found.num_rows
        return found, Outcome(
            Item.LOGS, received, stored, rows=stored, rejected=self.rejected.copy(), dropped=self.dropped.copy()
        )

    def _entity_column(self) -> pa.DictionaryArray:
        names: dict[str, int] = {}
        of_source = np.array([names.setdefault(entity, len(names)) for entity, _ in self._sources], np.int32)
        numbers = of_source[np.array(self._source, np.int64)]
        return pa.DictionaryArray.from_arrays(pa.array(numbers), texts_array(list(names)))


def _ids(ids: list[str]) -> pa.Array:
    return pa.array(ids, pa.string()) if any(ids) else pa.repeat("", len(ids))


def texts_array(texts: Sequence[str | bytes]) -> pa.Array:
    """Texts as Arrow strings. Bytes that are not UTF-8 become U+FFFD; lone surrogates, which JSON can carry, `?`."""
    try:
        return pa.array(texts, pa.binary()).cast(pa.string())
    except (UnicodeEncodeError, pa.ArrowInvalid):
        return pa.array([_clean(text) for text in texts], pa.string())


def _clean(text: str | bytes) -> str:
    return (text.encode(errors="replace") if isinstance(text, str) else text).decode(errors="replace")


def dumped(attributes: Mapping[str, object]) -> bytes:
    """Attributes as a JSON object; what JSON cannot hold becomes text."""
    try:
        return orjson.dumps(attributes, default=str)
    except orjson.JSONEncodeError:  # a lone surrogate, or an integer past 64 bits
        return orjson.dumps({_clean(key): _clean(str(value)) for key, value in attributes.items()})


def trace_of(attributes: dict[str, Any]) -> tuple[str, str]:
    """Trace and span id among the attributes, taken out of them; empty where absent or malformed."""
    ids = ["", ""]
    said = _IDS.keys() & attributes.keys()
    for key in sorted(said, reverse=True) if len(said) > 1 else said:  # the same one each time, `dd.trace_id` last
        place, digits = _IDS[key]
        value = attributes[key]
        if not ids[place] and isinstance(value, str) and len(value) == digits and _HEX.fullmatch(value):
            del attributes[key]
            ids[place] = value.lower()
    return ids[0], ids[1]


def level_of(attributes: Mapping[str, object]) -> int:
    """Severity that an attribute tells, by its OpenTelemetry number or its name; 0 when none does.

    >>> level_of({"severity_number": "17"}), level_of({"level": "Warn"}), level_of({"levels": "x"})
    (17, 13, 0)
    """
    said = _LEVEL_KEYS.keys() & attributes.keys()
    for key in said if len(said) <= 1 else sorted(said, key=_LEVEL_KEYS.__getitem__):
        value = attributes[key]
        if key == _NUMBER:
            text = str(value)
            found = severity(int(text[:3]), "") if text.isdecimal() else 0
        else:
            found = severity(0, value) if isinstance(value, str) else 0
        if found:
            return found
    return 0


def clamped_ns(time_ns: int) -> int:
    """A time that fits its column: before 1970 counts as none (0), past the end as the end (`future`)."""
    return max(0, min(time_ns, LAST_NS))
