"""Values in log lines: what each variable of a template usually holds, learnt from bytes.

A variable is a place of a template. While it has held few different texts it is a set; when it has held many and
all were numbers it is a range on a logarithmic scale. Units are taken along: `900 ms` and `1.2 s` are one range.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import lean_kernel, lean_part
from twofold.stats.text.lines import CHAIN, WILD, Lexicon, Scratch, parse, slot_of
from twofold.stats.text.shapes import find, word_symbol
from twofold.stats.text.shapes import table as table_of
from twofold.stats.text.words import Bytes, Int64s, mixed, text_symbol

SET: Final = 8
"""Different texts that a variable may have held to count as a set."""
NO_ODD, ODD_HIGH, ODD_LOW, ODD_TEXT, ODD_SIGN = range(5)
PLAIN, SECONDS, BYTES = range(3)
_MOST_PLACES: Final = 8  # looked at in a line
_MOST_TEXT: Final = 48  # bytes of a value; longer ones are no codes
_DEBUG: Final = 8  # OpenTelemetry SeverityNumber up to which nobody asks
_MINUS, _DOT, _ZERO, _NINE = 45, 46, 48, 57
_BEFORE_UNIT: Final = 2  # bytes between a number and its unit are fewer
_LEAST_BITS: Final = 1.0  # twice as much as ever

Ints = npt.NDArray[Any]
_UNITS: Final = {
    **dict.fromkeys(("s", "sec", "secs"), (1.0, SECONDS)),
    **dict.fromkeys(("min", "mins"), (60.0, SECONDS)),
    **dict.fromkeys(("h", "hr", "hrs"), (3600.0, SECONDS)),
    "ms": (1e-3, SECONDS),
    "us": (1e-6, SECONDS),
    "ns": (1e-9, SECONDS),
    "d": (86_400.0, SECONDS),
    "B": (1.0, BYTES),
    "KB": (2.0**10, BYTES),
    "kB": (2.0**10, BYTES),
    "KiB": (2.0**10, BYTES),
    "MB": (2.0**20, BYTES),
    "MiB": (2.0**20, BYTES),
    "GB": (2.0**30, BYTES),
    "GiB": (2.0**30, BYTES),
    "TB": (2.0**40, BYTES),
    "TiB": (2.0**40, BYTES),
    "PB": (2.0**50, BYTES),
}


class Known(NamedTuple):
    """Per variable, in an open-addressing table.

    Attributes:
        keys: Hash of template, structure and place; 0 is free.
        lines, used: How often it was seen, and in which line last.
        numbers, negative: Of them, how often it was a number, and below 0.
        unit: `SECONDS`, `BYTES` or `PLAIN`.
        low, high, mean: Of log2 of the size of its numbers; 0 is left out.
        texts, counts: Hashes of the texts it held while they are few.
        many: How many different ones; `SET` + 1 for more.
        newest: Its `lines` when the last new text came.
        told: How often it was odd.
    """

    keys: Int64s
    lines: Int64s
    used: Int64s
    numbers: Int64s
    negative: Int64s
    unit: Ints
    low: Ints
    high: Ints
    mean: Ints
    texts: Int64s
    many: Ints
    newest: Int64s
    told: Ints


class Found(NamedTuple):
    """Odd values: line, where the text stands in the data, variable, in which way it is odd, the range until then."""

    line: Int64s
    begin: Int64s
    end: Int64s
    slot: Int64s
    what: Int64s
    low: Ints
    high: Ints


class Units(NamedTuple):
    """Hash table of units: what each stands for in seconds or bytes, and which of the two."""

    keys: Int64s
    scale: Ints
    kind: Ints


class Lines(NamedTuple):
    """Lines of templates: bytes, where each begins and the last ends, template ids, severities."""

    data: Bytes
    offsets: Int64s
    ids: Int64s
    severity: Ints


class Rules(NamedTuple):
    """When a value is odd.

    Attributes:
        least: Lines that a variable must have been seen in.
        margin: A number is odd when it lies further beyond the range than this share of the way from mean to end.
        settled: A set is settled when nothing new came in this share of its lines.
    """

    least: int
    margin: float
    settled: float


def known(slots: int) -> Known:
    """An empty table; `slots` is a power of two."""
    small, real = {"unit", "many", "told"}, {"low", "high", "mean"}
    kinds = {name: np.int16 if name in small else np.float64 if name in real else np.int64 for name in Known._fields}
    shapes = {"texts": (slots, SET)}
    return Known(*(np.zeros(shapes.get(name, (slots,)), kind) for name, kind in kinds.items()))


def found(rows: int) -> Found:
    """Room for odd values."""
    real = {"low", "high"}
    columns: list[Ints] = [np.zeros(rows, np.float64 if name in real else np.int64) for name in Found._fields]
    return Found(*columns)


def units() -> Units:
    """The units of `_UNITS`."""
    keys = table_of(list(_UNITS))
    made = Units(keys, np.zeros(len(keys)), np.zeros(len(keys), np.int16))
    for name, (scale, kind) in _UNITS.items():
        slot = find(keys, word_symbol(np.frombuffer(name.encode(), np.uint8)))
        made.scale[slot], made.kind[slot] = scale, kind
    return made


@lean_part
def _number(data: Bytes, low: int, high: int) -> tuple[bool, float, int]:  # pragma: no cover - compiled
    """Whether it is a number, which, and where its digits end."""
    at, sign, value, digits = low, 1.0, 0.0, 0
    if at < high and data[at] == _MINUS:
        sign = -1.0
        at += 1
    while at < high and _ZERO <= data[at] <= _NINE:
        value = value * 10.0 + (data[at] - _ZERO)
        digits += 1
        at += 1
    if digits and at + 1 < high and data[at] == _DOT and _ZERO <= data[at + 1] <= _NINE:
        at += 1
        part = 0.1
        while at < high and _ZERO <= data[at] <= _NINE:
            value += part * (data[at] - _ZERO)
            part *= 0.1
            at += 1
    return 0 < digits <= 18, sign * value, at  # noqa: PLR2004 - more digits are an id


@lean_part
def _text_is_new(table: Known, slot: int, text: int) -> int:  # pragma: no cover - compiled
    """Learn a text of a set; whether it was not there."""
    many = table.many[slot]
    if many > SET:
        return 0
    for place in range(many):
        if table.texts[slot, place] == text:
            return 0
    if many < SET:
        table.texts[slot, many] = text
    table.many[slot] = many + 1
    return 1


@lean_part
def _bits_odd(table: Known, slot: int, bits: float, rules: Rules) -> int:  # pragma: no cover - compiled
    penalty = 2.0 ** min(table.told[slot], 8)
    above, below = table.high[slot] - table.mean[slot], table.mean[slot] - table.low[slot]
    if bits > table.high[slot] + max(_LEAST_BITS, rules.margin * above) * penalty:
        return ODD_HIGH
    if bits < table.low[slot] - max(_LEAST_BITS, rules.margin * below) * 2.0 * penalty:
        return ODD_LOW
    return NO_ODD


@lean_part
def _learn_number(table: Known, slot: int, value: float, unit: int) -> None:  # pragma: no cover - compiled
    table.numbers[slot] += 1
    table.negative[slot] += value < 0
    table.unit[slot] = unit
    if value == 0.0:
        return
    bits = np.log2(abs(value))
    if table.numbers[slot] == 1 or table.low[slot] > table.high[slot]:
        table.low[slot], table.high[slot], table.mean[slot] = bits, bits, bits
    table.low[slot] = min(table.low[slot], bits)
    table.high[slot] = max(table.high[slot], bits)
    table.mean[slot] += (bits - table.mean[slot]) / min(table.numbers[slot], 1000)


@lean_part
def _judge(table: Known, slot: int, value: float, is_new: int, rules: Rules) -> int:  # pragma: no cover - compiled
    """In which way a value is odd; NaN for one that is no number."""
    lines = table.lines[slot]
    if lines < rules.least:
        return NO_ODD
    if table.many[slot] <= SET:
        settled = is_new and table.newest[slot] < (1.0 - rules.settled) * lines and lines >= 2 * rules.least
        return ODD_TEXT if settled and table.told[slot] == 0 else NO_ODD
    if np.isnan(value) or value == 0.0 or table.numbers[slot] < lines or table.low[slot] > table.high[slot]:
        return NO_ODD
    if value < 0.0 and table.negative[slot] == 0:
        return ODD_SIGN
    return _bits_odd(table, slot, np.log2(abs(value)), rules)


@lean_part
def _read(
    line: Lines, room: Scratch, units: Units, place: int, words: int
) -> tuple[float, int, int]:  # pragma: no cover - compiled
    """The number at a place, NaN for none, its unit, and how many places it takes."""
    begin, end = room.begin[place], room.end[place]
    is_number, value, past = _number(line.data, begin, end)
    if not is_number:
        return np.nan, PLAIN, 1
    if past < end:
        slot = slot_of(units.keys, text_symbol(line.data, past, end))
        return (value * units.scale[slot], units.kind[slot], 1) if units.keys[slot] != 0 else (np.nan, PLAIN, 1)
    if place + 1 < words and room.begin[place + 1] - end < _BEFORE_UNIT:
        slot = slot_of(units.keys, text_symbol(line.data, room.begin[place + 1], room.end[place + 1]))
        if units.keys[slot] != 0:  # a unit is no variable of its own
            return value * units.scale[slot], units.kind[slot], 2
    return value, PLAIN, 1


@lean_part
def _slot(table: Known, key: int, used: Int64s) -> int:  # pragma: no cover - compiled
    """Where a variable stands, new or known."""
    slot = slot_of(table.keys, key)
    if table.keys[slot] == 0:
        table.keys[slot] = key
        table.low[slot], table.high[slot] = 1.0, 0.0
        used[0] += 1
    return slot


@lean_part
def _value(
    lines: Lines, place: int, value: float, unit: int, slot: int, room: Scratch, table: Known, rules: Rules
) -> int:  # pragma: no cover - compiled
    """Judge a value, then learn it."""
    is_new = _text_is_new(table, slot, text_symbol(lines.data, room.begin[place], room.end[place]))
    what = _judge(table, slot, value, is_new, rules)
    table.told[slot] += what != NO_ODD
    table.lines[slot] += 1
    if is_new:
        table.newest[slot] = table.lines[slot]
    if not np.isnan(value):
        _learn_number(table, slot, value, unit)
    return what


@lean_kernel
def weigh(
    lines: Lines,
    start: int,
    lexicon: Lexicon,
    units: Units,
    room: Scratch,
    table: Known,
    used: Int64s,
    out: Found,
    rules: Rules,
) -> int:  # pragma: no cover - compiled
    """Judge and learn the values of lines, from `start` until `out` or `table` is full; gives the odd ones' number.

    Args:
        lines: What is for debugging only is left out.
        start: The first line to look at.
        lexicon: What bytes and words mean.
        units: What units stand for.
        room: Scratch.
        table: Filled.
        used: Variables known, the number of the line `start` in the stream, and the first line not looked at.
        out: Filled.
        rules: When a value is odd.
    """
    found, row = 0, start
    most = len(table.keys) // 4 * 3 - _MOST_PLACES
    while row < len(lines.ids) and found + _MOST_PLACES <= len(out.line) and used[0] <= most:
        words = 0
        if lines.severity[row] == 0 or lines.severity[row] > _DEBUG:
            words = parse(lines.data, lines.offsets[row], lines.offsets[row + 1], lexicon, room)
        base = mixed(lines.ids[row] ^ room.state[CHAIN])
        places, place = 0, 0
        while place < words and places < _MOST_PLACES:
            here, size = place, room.end[place] - room.begin[place]
            place += 1
            if room.symbol[here] != WILD or size > _MOST_TEXT or size <= 0:
                continue
            places += 1
            value, unit, taken = _read(lines, room, units, here, words)
            place = here + taken
            slot = _slot(table, mixed(base + here + 1) | 1, used)
            out.low[found], out.high[found] = table.low[slot], table.high[slot]
            table.used[slot] = used[1]
            what = _value(lines, here, value, unit, slot, room, table, rules)
            if what != NO_ODD:
                out.line[found], out.slot[found], out.what[found] = row, slot, what
                out.begin[found], out.end[found] = room.begin[here], room.end[here + taken - 1]
                found += 1
        used[1] += 1
        row += 1
    used[2] = row
    return found


@lean_kernel
def _refill(old: Known, keep: Int64s, new: Known) -> None:  # pragma: no cover - compiled
    for each in range(len(keep)):
        row = keep[each]
        slot = slot_of(new.keys, old.keys[row])
        new.keys[slot] = old.keys[row]
        new.lines[slot], new.used[slot] = old.lines[row], old.used[row]
        new.numbers[slot], new.negative[slot], new.unit[slot] = old.numbers[row], old.negative[row], old.unit[row]
        new.low[slot], new.high[slot], new.mean[slot] = old.low[row], old.high[row], old.mean[row]
        new.many[slot], new.newest[slot], new.told[slot] = old.many[row], old.newest[row], old.told[row]
        for place in range(SET):
            new.texts[slot, place] = old.texts[row, place]


def refill(old: Known, keep: Int64s, new: Known) -> None:
    """Enter the rows `keep` of a table into an empty one."""
    _refill(old, keep, new)
