"""Words of log lines, byte by byte: where one ends, and whether it is a value by its form.

What counts as a value is told, with its reasons, in `aiops/detect/mining/masks.py`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import lean_part

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

SPACE, SEPARATOR, DIGIT, HEX, LETTER, SLASH, OTHER, HIGH, CONTROL, UPPER, AT, NEWLINE, POINT = (
    1 << n for n in range(13)
)
WORD: Final = DIGIT | HEX | LETTER | SLASH | OTHER | HIGH | CONTROL | UPPER | AT
PLAIN: Final = DIGIT | HEX | LETTER | UPPER
NAME: Final = WORD & ~OTHER
SEPARATORS: Final = b",:;=()[]{}\"'|"

QUOTE, OPEN, CLOSE, COMMA, DOT, COLON, SEMICOLON, EQUALS = (ord(c) for c in '"(),.:;=')
SQUARE, BACKSLASH, UNSQUARE, BRACE, UNBRACE, BLANK, ESCAPE = (ord(c) for c in "[\\]{} \x1b")
REPLACED: Final = (0xEF, 0xBF, 0xBD)  # what a decoder puts in the place of bytes that are no text

PRIME: Final = 1099511628211
BASIS: Final = 1469598103934665603
FIRST_WORD: Final = 16  # smaller symbols are no words
ELLIPSIS: Final = 3
_MIX: Final = 7046029254386353131
_STEP: Final = 2685821657736338717
_GROUP_DIGITS: Final = 4
_PAIR: Final = 2
_NAME_DIGITS: Final = 3
_NAME_TAIL: Final = 2
_HEX_LETTERS: Final = 8


def byte_kinds() -> Int32s:
    """What each byte may be part of, as flags."""
    kinds = np.full(256, OTHER, np.int32)
    kinds[:32] = CONTROL
    kinds[127] = CONTROL
    kinds[128:] = HIGH
    for text, flag in (
        (b" \t\x0b\x0c\r", SPACE),
        (b"\n", SPACE | NEWLINE),
        (SEPARATORS, SEPARATOR),
        (b"0123456789", DIGIT),
        (b"abcdef", HEX),
        (b"ghijklmnopqrstuvwxyz_", LETTER),
        (b"ABCDEF", HEX | UPPER),
        (b"GHIJKLMNOPQRSTUVWXYZ", LETTER | UPPER),
        (b"/\\", SLASH),
        (b"@", AT),
        (b".", OTHER | POINT),
    ):
        kinds[list(text)] = flag
    return kinds


@lean_part
def mixed(value: int) -> int:  # pragma: no cover - compiled
    """A well spread 64-bit number of another."""
    value = (value ^ (value >> 31)) * _MIX
    value = (value ^ (value >> 29)) * _STEP
    return value ^ (value >> 32)


@lean_part
def placed(symbol: int, place: int) -> int:  # pragma: no cover - compiled
    """What a word adds to the hash of its shape."""
    return mixed(symbol + (place + 1) * _STEP)


@lean_part
def symbol_of(chain: int) -> int:  # pragma: no cover - compiled
    """Symbol of a word from the chain over its bytes."""
    found = mixed(chain)
    return found + FIRST_WORD if 0 <= found < FIRST_WORD else found


@lean_part
def text_symbol(data: Bytes, low: int, high: int) -> int:  # pragma: no cover - compiled
    """Symbol of the bytes [low, high)."""
    found = BASIS
    for at in range(low, high):
        found = (found ^ data[at]) * PRIME
    return symbol_of(found)


@lean_part
def dots(data: Bytes, at: int, stop: int) -> int:  # pragma: no cover - compiled
    """How many dots stand here in a row."""
    past = at
    while past < stop and data[past] == DOT:
        past += 1
    return past - at


@lean_part
def spaces(data: Bytes, at: int, stop: int, kinds: Int32s) -> int:  # pragma: no cover - compiled
    """Where the white space that begins here ends."""
    while at < stop and kinds[data[at]] & SPACE:
        at += 1
    return at


@lean_part
def escape(data: Bytes, at: int, stop: int) -> int:  # pragma: no cover - compiled
    """Where the ANSI code that begins here ends."""
    at += 1
    if at < stop and data[at] == SQUARE:
        at += 1
        while at < stop and not ord("@") <= data[at] <= ord("~"):
            at += 1
        at += 1
    return at


@lean_part
def closing(data: Bytes, at: int, stop: int) -> int:  # pragma: no cover - compiled
    """The quote that ends the quoted text that begins here, or `stop`."""
    at += 1
    while at < stop and data[at] != QUOTE:
        at += 2 if data[at] == BACKSLASH else 1
    return min(at, stop)


@lean_part
def last_line(data: Bytes, at: int, stop: int, kinds: Int32s) -> int:  # pragma: no cover - compiled
    """Where the last line of a message of many begins; -1 when it is indented, as a frame of a stack is."""
    left = stop
    while left > at and not kinds[data[left - 1]] & NEWLINE:
        left -= 1
    return left if at < left < stop and not kinds[data[left]] & SPACE else -1


@lean_part
def grouped(data: Bytes, at: int, stop: int, kinds: Int32s) -> int:  # pragma: no cover - compiled
    """End of hexadecimal groups joined by colons (times, MAC and IPv6 addresses) that begin here, or `at`."""
    groups, size, past = 0, 0, at
    digits, pairs = False, True
    while past < stop:
        kind = kinds[data[past]]
        if kind & (DIGIT | HEX):
            size += 1
            digits = digits or kind & DIGIT != 0
            if size > _GROUP_DIGITS:
                return at
        elif data[past] == COLON and past + 1 < stop and _in_group(data[past + 1], kinds):
            pairs = pairs and size == _PAIR
            groups += 1
            size = 0
        else:
            break
        past += 1
    whole = past == stop or not kinds[data[past]] & NAME
    return past if groups > 1 and whole and (digits or (pairs and size == _PAIR)) else at


@lean_part
def _in_group(byte: int, kinds: Int32s) -> bool:  # pragma: no cover - compiled
    """Whether a group of hexadecimal digits goes on after its colon."""
    return bool(kinds[byte] & (DIGIT | HEX)) or byte == COLON


@lean_part
def _in_address(data: Bytes, at: int, stop: int, kinds: Int32s) -> bool:  # pragma: no cover - compiled
    """Whether a separator here is part of a path or an address: one of = : ; , with a word behind it."""
    byte = data[at]
    if byte != EQUALS and byte != COLON and byte != SEMICOLON and byte != COMMA:  # noqa: PLR1714 - no sets in a kernel
        return False
    return at + 1 < stop and bool(kinds[data[at + 1]] & WORD)


@lean_part
def ends_word(
    data: Bytes, at: int, first: int, stop: int, kinds: Int32s, head: int
) -> bool:  # pragma: no cover - compiled
    """Whether the word that began at `first` with a byte of kind `head` ends before `at`."""
    byte = data[at]
    if not kinds[byte] & WORD:
        return not (head & SLASH) or not _in_address(data, at, stop, kinds)
    return byte == ESCAPE or (byte == DOT and at > first and dots(data, at, stop) >= ELLIPSIS)


@lean_part
def holds_value(
    flags: int, head: int, size: int, digits: int, tail: int, slashes: int
) -> bool:  # pragma: no cover - compiled
    """Whether a word is a value by its form alone.

    Args:
        flags: Kinds of all its bytes, or-ed.
        head: Kind of its first byte.
        size: Bytes.
        digits: Bytes that are digits.
        tail: Bytes behind the last digit.
        slashes: Bytes that are slashes of either kind.
    """
    if flags & DIGIT:
        plain = not flags & (SLASH | OTHER | HIGH | AT)
        name = plain and bool(flags & LETTER) and digits <= _NAME_DIGITS and tail >= _NAME_TAIL
        return not (name and head & (LETTER | HEX))
    if not flags & (LETTER | HEX):
        return False
    if flags & AT and size > 1:
        return True
    if flags & SLASH:
        return bool(head & SLASH) or slashes > 1 or bool(flags & POINT)
    return size >= _HEX_LETTERS and not flags & ~(HEX | UPPER)


@lean_part
def has_number(data: Bytes, at: int, stop: int, kinds: Int32s) -> bool:  # pragma: no cover - compiled
    """Whether a colon and a number follow a word that ends here, as in `shop.Cart:31` and `db.local:5432`."""
    return at + 1 < stop and data[at] == COLON and bool(kinds[data[at + 1]] & DIGIT)


@lean_part
def empty_value(data: Bytes, at: int, stop: int, kinds: Int32s, previous: int) -> bool:  # pragma: no cover - compiled
    """Whether an empty value follows the separator here: ` ()`, `=[]`, or `=` before the next `key=`."""
    byte = data[at]
    if at + 1 < stop and _empty_pair(byte, data[at + 1]):
        return previous == EQUALS or (at > 0 and bool(kinds[data[at - 1]] & SPACE))
    if byte != EQUALS or at == 0 or not kinds[data[at - 1]] & WORD:
        return False
    look = at + 1
    if look == stop or data[look] == COMMA or data[look] == CLOSE:
        return True
    if data[look] != BLANK:
        return False
    look += 1
    first = look
    while look < stop and kinds[data[look]] & NAME:
        look += 1
    return first < look < stop and data[look] == EQUALS


@lean_part
def _empty_pair(left: int, right: int) -> bool:  # pragma: no cover - compiled
    """Brackets around nothing."""
    return (
        (left == OPEN and right == CLOSE)
        or (left == SQUARE and right == UNSQUARE)
        or (left == BRACE and right == UNBRACE)
    )
