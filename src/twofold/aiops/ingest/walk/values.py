"""Lists of `KeyValue`, checked and then written as the members of a JSON object.

`attribute` checks one and says how long it will be, `member` writes it. Arrays, maps and bytes are left
to protobuf, and so is a key that comes twice or that the caller reserves: these rows are *slow*.

What is counted while a row is checked stands in one block of memory, `state`, see `STATE`.
"""

from __future__ import annotations

from typing import Final

from twofold.aiops.ingest.walk.pointer import (
    FAIL,
    U,
    load8,
    load64,
    load_double,
    load_int,
    span,
    store_double,
    store_int,
    store_uint,
)
from twofold.aiops.ingest.walk.text import byte, copy, decimal, digits, equal, head, quoted, scan, spread, varint
from twofold.stats.jit import kernel, part

_KEY, _VALUE = 10, 18
_NAME, _VERSION, _ATTRIBUTE, _DROPPED = 10, 18, 26, 32
_STRING, _BOOL, _INT, _DOUBLE, _ARRAY, _MAP, _BYTES = 10, 16, 24, 33, 42, 50, 58
_COMMA, _COLON, _QUOTE = 0x2C, 0x3A, 0x22
_NULL: Final = U(0x6C6C756E)
_TRUE: Final = U(0x65757274)
_FALSE: Final = U(0x65736C6166)
_NULL_SIZE, _TRUE_SIZE, _FALSE_SIZE = 4, 4, 5

STATE: Final = 2048
"""Bytes of the block: doubles met so far, address of the doubles, bytes of JSON, slow rows met so far, number of
reserved keys, their bits, keys of this row so far, their bits, whether this row is slow, then (address, size) of each
key. The caller fills the reserved ones."""
DOUBLES, DOUBLES_AT, JSON_BYTES, SLOW_ROWS, RESERVED, RESERVED_BITS, KEYS, KEY_BITS, SLOW, FIRST_KEY = range(0, 80, 8)
MAX_KEYS: Final = (STATE - FIRST_KEY) // 16


@part
def begin_row(state: int) -> None:  # pragma: no cover - compiled
    """Forget the keys of the row before."""
    store_int(state + KEYS, load_int(state + RESERVED))
    store_uint(state + KEY_BITS, load64(state + RESERVED_BITS))
    store_int(state + SLOW, 0)


@kernel
def reserve(state: int, key: int, size: int) -> None:  # pragma: no cover - compiled
    """Make rows that have this key slow. The key's bytes must stay where they are."""
    begin_row(state)
    _note_key(key, key + size, state)
    store_int(state + RESERVED, load_int(state + KEYS))
    store_uint(state + RESERVED_BITS, load64(state + KEY_BITS))


@part
def slow(state: int) -> None:  # pragma: no cover - compiled
    """Leave this row's texts to protobuf."""
    store_int(state + SLOW, 1)


@part
def add(state: int, place: int, more: int) -> None:  # pragma: no cover - compiled
    """Count."""
    store_int(state + place, load_int(state + place) + more)


@part
def pair(p: int, end: int) -> tuple[int, int, int, int]:  # pragma: no cover - compiled
    """Key and value, each from and to; what is absent is empty. The first is `FAIL` when this is no plain pair."""
    key = key_end = value = value_end = p
    seen = 0
    while p < end:
        tag = load8(p)
        p, stop = span(p + 1, end)
        if stop < 0 or seen & tag:
            return FAIL, 0, 0, 0
        if tag == _KEY:
            key, key_end = p, stop
            seen |= 8
        elif tag == _VALUE:
            value, value_end = p, stop
            seen |= 16
        else:
            return FAIL, 0, 0, 0
        p = stop
    return key, key_end, value, value_end


@part
def attribute(p: int, end: int, state: int) -> int:  # pragma: no cover - compiled
    """Check one attribute of a row and count its JSON, with the comma; `FAIL` when protobuf must judge it."""
    key, key_end, value, value_end = pair(p, end)
    if key < 0:
        return FAIL
    longer = scan(key, key_end)
    size = value_size(value, value_end, state)
    if longer < 0 or size < 0:
        return FAIL
    _note_key(key, key_end, state)
    add(state, JSON_BYTES, key_end - key + longer + size + 4)
    return 0


@part
def skipped(p: int, end: int, state: int) -> int:  # pragma: no cover - compiled
    """Check an attribute that is not kept; `FAIL` when protobuf must judge it."""
    key, key_end, value, value_end = pair(p, end)
    if key < 0 or scan(key, key_end) < 0:
        return FAIL
    doubles = load_int(state + DOUBLES)
    size = value_size(value, value_end, state)
    store_int(state + DOUBLES, doubles)
    return FAIL if size < 0 else 0


@part
def _note_key(key: int, end: int, state: int) -> None:  # pragma: no cover - compiled
    """Slow when the key came before."""
    size = end - key
    bits = load64(state + KEY_BITS)
    mine = spread(head(key, end), size)
    count = load_int(state + KEYS)
    if bits & mine != U(0):
        for other in range(count):
            at = state + FIRST_KEY + (other << 4)
            if load_int(at + 8) == size and equal(load_int(at), key, size):
                slow(state)
                return
    if count == MAX_KEYS:
        slow(state)
        return
    at = state + FIRST_KEY + (count << 4)
    store_int(at, key)
    store_int(at + 8, size)
    store_int(state + KEYS, count + 1)
    store_uint(state + KEY_BITS, bits | mine)


@part
def value_size(p: int, end: int, state: int) -> int:  # noqa: PLR0911 - one answer a kind # pragma: no cover - compiled
    """Bytes of an `AnyValue` as JSON, 0 for a double, whose text is made later; `FAIL` as `attribute`.

    A value that is not written here makes the row slow.
    """
    if p == end:
        return _NULL_SIZE
    tag = load8(p)
    p += 1
    if tag == _STRING:
        p, stop = span(p, end)
        longer = scan(p, stop) if stop == end else FAIL
        return FAIL if longer < 0 else stop - p + longer + 2
    if tag == _INT:
        number, p = varint(p)
        return digits(number) if p == end else FAIL
    if tag == _BOOL:
        number, p = varint(p)
        if p != end or number > U(1):
            return FAIL
        return _TRUE_SIZE if number else _FALSE_SIZE
    if tag == _DOUBLE:
        if p + 8 != end:
            return FAIL
        count = load_int(state + DOUBLES)
        store_double(load_int(state + DOUBLES_AT) + (count << 3), load_double(p))
        store_int(state + DOUBLES, count + 1)
        return 0
    if tag in (_ARRAY, _MAP, _BYTES):
        _, stop = span(p, end)
        slow(state)
        return 0 if stop == end else FAIL
    return FAIL


@part
def member(p: int, end: int, tokens: int, out: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """Write a comma and a checked attribute; gives the place of the next double's text, and the place after.

    `tokens` are the texts of all doubles, in the order in which they were met, a comma behind each.
    """
    key, key_end, value, value_end = pair(p, end)
    out = byte(_COLON, quoted(key, key_end, byte(_COMMA, out)))
    if value == value_end:
        store_uint(out, _NULL)
        return tokens, out + _NULL_SIZE
    tag = load8(value)
    value += 1
    if tag == _STRING:
        value, _ = span(value, value_end)
        return tokens, quoted(value, value_end, out)
    if tag == _INT:
        number, _ = varint(value)
        return tokens, decimal(number, out)
    if tag == _BOOL:
        number, _ = varint(value)
        if number == U(0):
            store_uint(out, _FALSE)
            return tokens, out + _FALSE_SIZE
        store_uint(out, _TRUE)
        return tokens, out + _TRUE_SIZE
    stop = tokens
    while load8(stop) != _COMMA:
        stop += 1
    return stop + 1, copy(tokens, stop, out)


@part
def scope(p: int, end: int, state: int) -> int:  # pragma: no cover - compiled
    """Check an `InstrumentationScope`, which is not kept; `FAIL` when protobuf must judge it."""
    begin_row(state)
    while p < end:
        tag = load8(p)
        p += 1
        if tag == _DROPPED:
            _, p = varint(p)
            if p < 0:
                return FAIL
        elif tag in (_NAME, _VERSION, _ATTRIBUTE):
            p, stop = span(p, end)
            if stop < 0 or (skipped(p, stop, state) if tag == _ATTRIBUTE else scan(p, stop)) < 0:
                return FAIL
            p = stop
        else:
            return FAIL
    return FAIL if p != end or load_int(state + SLOW) else 0
