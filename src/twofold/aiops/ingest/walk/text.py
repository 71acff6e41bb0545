"""Texts on the wire: checked as UTF-8, copied, written as JSON, hexadecimal and decimal numbers.

Everything is written in one direction, eight bytes at a time, so up to seven bytes behind what was
written are overwritten too; every buffer that is written to carries `PADDING` bytes past its end.

JSON is written as orjson writes it: the shortest escape, no spaces, nothing but ASCII control
characters, quotation marks and backslashes escaped (RFC 8259, section 7).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.aiops.ingest.walk.pointer import FAIL, U, load8, load64, store8, store_uint
from twofold.stats.jit import part

_LOW7: Final = 0x7F
_SEVEN: Final = U(7)
_ONES: Final = U(0x0101010101010101)
_HIGH: Final = U(0x8080808080808080)
_SPACES: Final = U(0x2020202020202020)
_QUOTES: Final = U(0x2222222222222222)
_BACKSLASHES: Final = U(0x5C5C5C5C5C5C5C5C)
_ALL: Final = U(0xFFFFFFFFFFFFFFFF)
_QUOTE, _BACKSLASH, _SPACE, _MINUS, _ZERO = 0x22, 0x5C, 0x20, 0x2D, 0x30
_SHORT: Final = 0x7266016E7462  # b, t, n, a long one, f, r
_SHORT_FIRST, _SHORT_LAST = 8, 13
_MULTIPLIER: Final = U(0x9E3779B97F4A7C15)


@part
def varint(p: int) -> tuple[np.uint64, int]:  # pragma: no cover - compiled
    """A number and the place after it; the place is `FAIL` past ten bytes, and for bits past the 64th."""
    value = U(0)
    shift = U(0)
    while True:
        byte = load8(p)
        p += 1
        value |= U(byte & _LOW7) << shift
        if byte <= _LOW7:
            return value, p
        shift += _SEVEN
        if shift == U(63):
            if load8(p) != 1:
                return value, FAIL
            return value | (U(1) << U(63)), p + 1


@part
def low(count: int) -> np.uint64:  # pragma: no cover - compiled
    """Mask of the first `count` bytes, 1 to 8."""
    return _ALL >> (U(64) - (U(count) << U(3)))


@part
def head(p: int, end: int) -> np.uint64:  # pragma: no cover - compiled
    """The first eight bytes, zeros where there are fewer."""
    if end <= p:
        return U(0)
    word: np.uint64 = load64(p)
    return word if end - p >= 8 else word & low(end - p)  # noqa: PLR2004 - bytes of a word


@part
def equal(p: int, q: int, size: int) -> bool:  # pragma: no cover - compiled
    """Whether so many bytes are the same."""
    while size >= 8:  # noqa: PLR2004 - bytes of a word
        if load64(p) != load64(q):
            return False
        p += 8
        q += 8
        size -= 8
    return size == 0 or bool((load64(p) ^ load64(q)) & low(size) == U(0))


@part
def spread(word: np.uint64, size: int) -> np.uint64:  # pragma: no cover - compiled
    """A bit that differs for most texts, from their first eight bytes and their length."""
    bit: np.uint64 = U(1) << (((word + U(size)) * _MULTIPLIER) >> U(58))
    return bit


@part
def _plain(w: np.uint64) -> bool:  # pragma: no cover - compiled
    """Whether eight bytes are ASCII and need no escape.

    Source: Sean Anderson, "Bit Twiddling Hacks": a byte less than n, a zero byte.
    """
    quote = w ^ _QUOTES
    slash = w ^ _BACKSLASHES
    found = (w - _SPACES) & ~w | (quote - _ONES) & ~quote | (slash - _ONES) & ~slash | w
    return bool(found & _HIGH == U(0))


@part
def _sequence(p: int, end: int) -> int:  # pragma: no cover - compiled
    """Bytes of the character past ASCII at `p`; 0 when it is none (RFC 3629, section 4)."""
    first = load8(p)
    second = load8(p + 1)
    if first < 0xC2 or first > 0xF4:  # noqa: PLR2004 - the RFC's table
        return 0
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4  # noqa: PLR2004
    least = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80  # noqa: PLR2004
    most = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF  # noqa: PLR2004
    if size > end - p or second < least or second > most:
        return 0
    for more in range(2, size):
        if load8(p + more) & 0xC0 != 0x80:  # noqa: PLR2004
            return 0
    return size


@part
def _escape(value: int) -> int:  # pragma: no cover - compiled
    """What follows the backslash of an ASCII character's short escape; 0 without one; 1 for a long one."""
    if value in (_QUOTE, _BACKSLASH):
        return value
    if value >= _SPACE:
        return 0
    if _SHORT_FIRST <= value <= _SHORT_LAST:
        return (_SHORT >> ((value - _SHORT_FIRST) << 3)) & 0xFF
    return 1


@part
def scan(p: int, end: int) -> int:  # pragma: no cover - compiled
    """How many bytes longer the text is as JSON, quotation marks aside; `FAIL` when it is not UTF-8."""
    longer = 0
    while p < end:
        left = end - p
        w = load64(p)
        if left < 8:  # noqa: PLR2004 - bytes of a word
            w = w & low(left) | _SPACES & ~low(left)
            stop = end
        else:
            stop = p + 8
        if _plain(w):
            p = stop
        while p < stop:
            one = load8(p)
            if one > _LOW7:
                size = _sequence(p, end)
                if size == 0:
                    return FAIL
                p += size
            else:
                what = _escape(one)
                longer += 0 if what == 0 else 5 if what == 1 else 1
                p += 1
    return longer


@part
def copy(p: int, end: int, out: int) -> int:  # pragma: no cover - compiled
    """Write bytes as they are; gives the place after them."""
    after = out + (end - p)
    while p < end:
        store_uint(out, load64(p))
        p += 8
        out += 8
    return after


@part
def byte(value: int, out: int) -> int:  # pragma: no cover - compiled
    """Write one byte."""
    store8(out, value)
    return out + 1


@part
def escaped(p: int, end: int, out: int) -> int:  # pragma: no cover - compiled
    """Write a text that `scan` has passed, as JSON without quotation marks; gives the place after it."""
    while p < end:
        left = end - p
        w = load64(p)
        store_uint(out, w)
        if left < 8:  # noqa: PLR2004 - bytes of a word
            w = w & low(left) | _SPACES & ~low(left)
            stop = end
        else:
            stop = p + 8
        if _plain(w):
            out += stop - p
            p = stop
        while p < stop:
            one = load8(p)
            what = _escape(one) if one <= _LOW7 else 0
            if what == 0:
                out = byte(one, out)
            elif what == 1:
                out = _long_escape(one, out)
            else:
                out = byte(what, byte(_BACKSLASH, out))
            p += 1
    return out


@part
def _long_escape(value: int, out: int) -> int:  # pragma: no cover - compiled
    """A backslash, u, 0, 0 and two hexadecimal digits."""
    store_uint(out, U(0x3030755C))
    return byte(_digit(value & 15), byte(_digit(value >> 4), out + 4))


@part
def _digit(value: int) -> int:  # pragma: no cover - compiled
    return value + (0x30 if value < 10 else 0x57)  # noqa: PLR2004 - digits, then letters


@part
def quoted(p: int, end: int, out: int) -> int:  # pragma: no cover - compiled
    """The same with quotation marks."""
    return byte(_QUOTE, escaped(p, end, byte(_QUOTE, out)))


@part
def hexadecimal(p: int, size: int, out: int) -> int:  # pragma: no cover - compiled
    """Write bytes, a multiple of four, as two lower-case digits each; gives the place after them."""
    for at in range(0, size, 4):
        x = load64(p + at) & U(0xFFFFFFFF)
        x = (x | x << U(16)) & U(0x0000FFFF0000FFFF)
        x = (x | x << U(8)) & U(0x00FF00FF00FF00FF)
        digits = x >> U(4) & U(0x000F000F000F000F) | (x & U(0x000F000F000F000F)) << U(8)
        letters = (digits + U(0x0606060606060606)) >> U(4) & _ONES
        store_uint(out, digits + U(0x3030303030303030) + letters * U(0x27))
        out += 8
    return out


@part
def digits(value: np.uint64) -> int:  # pragma: no cover - compiled
    """Characters of a number, two's complement, with its sign."""
    size = 1
    if value >> U(63):
        size = 2
        value = ~value + U(1)
    while value >= U(10):
        value //= U(10)
        size += 1
    return size


@part
def decimal(value: np.uint64, out: int) -> int:  # pragma: no cover - compiled
    """Write a number, two's complement; gives the place after it."""
    after = out + digits(value)
    if value >> U(63):
        byte(_MINUS, out)
        value = ~value + U(1)
    at = after
    while True:
        at -= 1
        store8(at, _ZERO + np.int64(value % U(10)))
        value //= U(10)
        if value == U(0):
            return after
