"""How bad a log line is, as an OpenTelemetry SeverityNumber: from a number, a level's name, or the line itself."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

MAX_SEVERITY: Final = 24
LEVELS: Final = {
    "trace": 1,
    "verbose": 1,
    "debug": 5,
    "info": 9,
    "information": 9,
    "informational": 9,
    "notice": 10,
    "warn": 13,
    "warning": 13,
    "error": 17,
    "err": 17,
    "severe": 17,
    "critical": 18,
    "crit": 18,
    "alert": 19,
    "fatal": 21,
    "emergency": 21,
    "emerg": 21,
    "panic": 21,
}
# Numbers that pino and bunyan write as "level".
_NUMBERS: Final = {"10": 1, "20": 5, "30": 9, "40": 13, "50": 17, "60": 21}
_WORDS: Final = pa.array([*LEVELS, *_NUMBERS])
_VALUES: Final = np.array([*LEVELS.values(), *_NUMBERS.values(), 0], np.int8)  # the last one is for unknown words

# A pair of JSON or logfmt: "level":"warn", level=warn, severity: WARN, log.level=warn, "level":50
_PAIR: Final = (
    r"""(?i)(?:^|[^a-z0-9])(?:level|lvl|levelname|loglevel|severity)["']?\s?[:=]\s?["']?(?P<word>[a-z]+|[1-6]0)\b"""
)
# A word of its own near the start: in capitals, or in brackets
_BARE: Final = (
    r"^.{0,60}?(?:\b(?P<high>TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL|PANIC)\b"
    r"|\[(?P<low>trace|debug|info|notice|warn|warning|error|crit|critical|alert|fatal|emerg)\])"
)


def severity(number: int, level: str) -> int:
    """OpenTelemetry SeverityNumber, from the number or, where that is unset, the level's name; 0 unknown.

    >>> severity(17, ""), severity(0, "WARNING"), severity(0, "loud"), severity(99, "")
    (17, 13, 0, 0)
    """
    if 0 < number <= MAX_SEVERITY:
        return number
    return LEVELS.get(level.strip().lower(), 0)


def found_in(bodies: pa.Array) -> npt.NDArray[np.int8]:
    """What lines say of themselves; 0 where they say nothing that is known.

    Looks for a pair such as `level=warn` or `"level":"warn"` anywhere, else for a level in capitals or in
    brackets among the first 60 characters. Suits lines whose protocol carries no severity; a line that talks
    of an error in its text alone stays unknown.

    >>> found_in(pa.array(["level=warn slow", '{"level":50}', "12:00 ERROR [main] no", "an error occurred"])).tolist()
    [13, 17, 17, 0]
    """
    values = _of_words(pc.struct_field(pc.extract_regex(bodies, _PAIR), "word"))
    rest = np.flatnonzero(values == 0)
    if len(rest):
        found = pc.extract_regex(bodies.take(pa.array(rest)), _BARE)
        high, low = pc.struct_field(found, "high"), pc.struct_field(found, "low")
        values[rest] = np.maximum(_of_words(high), _of_words(low))
    return values


def completed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of schema `LOGS` with the severities that its lines tell where their protocol told none."""
    place = batch.schema.get_field_index("severity")
    values = batch.column(place).to_numpy()
    unknown = np.flatnonzero(values == 0)
    if not len(unknown):
        return batch
    body = batch.column("body")
    found = found_in(body if len(unknown) == len(values) else body.take(pa.array(unknown)))
    if not found.any():
        return batch
    values = values.copy()
    values[unknown] = found
    return batch.set_column(place, batch.schema.field(place), pa.array(values))


def _of_words(words: pa.Array) -> npt.NDArray[np.int8]:
    places = pc.index_in(pc.utf8_lower(words), _WORDS).fill_null(len(_WORDS))
    values: npt.NDArray[np.int8] = _VALUES[places.to_numpy(zero_copy_only=False)]
    return values
