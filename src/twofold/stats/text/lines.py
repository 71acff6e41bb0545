"""Log lines to masked shapes: the part of the miner that every line goes through.

A line is read as words and the separators between them. A word that holds a value by its form (a number, an
address, a path, an identifier with digits, what follows `=`) is a wildcard; the others keep the hash of their text.
Values in a row are one. White space of any length is one separator.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from twofold.stats.jit import lean_part
from twofold.stats.text.words import (
    BACKSLASH,
    BASIS,
    BRACE,
    COLON,
    COMMA,
    CONTROL,
    DIGIT,
    DOT,
    ELLIPSIS,
    EQUALS,
    ESCAPE,
    HEX,
    HIGH,
    NEWLINE,
    PLAIN,
    POINT,
    PRIME,
    QUOTE,
    REPLACED,
    SEPARATOR,
    SLASH,
    SPACE,
    UNBRACE,
    Bytes,
    Int32s,
    Int64s,
    closing,
    dots,
    empty_value,
    ends_word,
    escape,
    grouped,
    has_number,
    holds_value,
    last_line,
    mixed,
    spaces,
    symbol_of,
    text_symbol,
)

MOST_WORDS: Final = 128
MOST_BYTES: Final = 16384
HOLE, WILD, UNSEEN = 0, 1, 2  # symbols that are no word

# What is known of a line while it is read, by place in `Scratch.state`.
CHAIN, AFTER, GAP, SPACED, PREVIOUS, KEY, LAST, JSON, INSIDE, WORDS, CONTROLS, LITERAL, STATE = range(13)
NOTHING, MARK, BREAK, BOTH, FAR = 0, 1, 2, 3, 9  # gap: nothing, a comma or colon, a space, both, anything else
_BINARY, _OBJECT, _MORE, _PLACE = 77, 78, 79, 256
_BINARY_SHARE: Final = 10
_UTF8_NEXT, _UTF8_FIRST, _UTF8_MASK = 0x80, 0xC0, 0xC0
_LONGEST_ALWAYS: Final = 9
_LONGEST_UNIT: Final = 4


class Scratch(NamedTuple):
    """What reading a line fills.

    Attributes:
        symbol: Per word its symbol: `WILD`, or the hash of its text.
        begin, end: Per word where it stands in the data.
        state: What is known of the line; afterwards its chain, literal hash and number of words.
    """

    symbol: Int64s
    begin: Int32s
    end: Int32s
    state: Int64s


class Lexicon(NamedTuple):
    """What bytes and words mean.

    Attributes:
        kinds: Kind of each byte.
        always: Hash table of words that are values wherever they stand, such as `true`.
        units: Hash table of units, values right behind a number.
        spoken: Hash table of keys whose value is a message, such as `msg`.
    """

    kinds: Int32s
    always: Int64s
    units: Int64s
    spoken: Int64s


def scratch() -> Scratch:
    """Room for the longest line."""
    return Scratch(
        np.zeros(MOST_WORDS, np.int64),
        np.zeros(MOST_WORDS, np.int32),
        np.zeros(MOST_WORDS, np.int32),
        np.zeros(STATE, np.int64),
    )


@lean_part
def slot_of(keys: Int64s, key: int) -> int:  # pragma: no cover - compiled
    """Where a key stands in an open-addressing table, or would; 0 is an empty place."""
    mask = len(keys) - 1
    slot = (key ^ (key >> 32)) & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@lean_part
def parse(data: Bytes, low: int, high: int, lexicon: Lexicon, room: Scratch) -> int:  # pragma: no cover - compiled
    """Read the line data[low:high] into words; gives their number. Looks at the first `MOST_BYTES` bytes only.

    Of a message of many lines the first counts, and the last one unless it is indented.
    """
    kinds, state = lexicon.kinds, room.state
    state[:] = 0
    stop = min(high, low + MOST_BYTES)
    while stop > low and kinds[data[stop - 1]] & SPACE:
        stop -= 1
    at = spaces(data, low, stop, kinds)
    state[JSON] = _is_object(data, at, stop, kinds)
    state[CHAIN] = _OBJECT if state[JSON] else BASIS
    state[LITERAL] = BASIS
    while 0 <= at < stop and state[WORDS] < MOST_WORDS:
        byte = data[at]
        kind = kinds[byte]
        if kind & SPACE:
            at = _space(data, at, stop, kinds, state)
        elif kind & SEPARATOR:
            at = _separator(data, at, stop, lexicon, room)
        elif byte == ESCAPE:
            at = escape(data, at, stop)
        elif byte == DOT and dots(data, at, stop) >= ELLIPSIS:
            _link(state, byte)
            at += dots(data, at, stop)
        else:
            at = _word(data, at, stop, lexicon, room)
    if state[CONTROLS] * _BINARY_SHARE > stop - low:
        state[CHAIN], state[WORDS] = _BINARY, 0
    state[CHAIN] = mixed(state[CHAIN])
    return int(state[WORDS])


@lean_part
def _is_object(data: Bytes, at: int, stop: int, kinds: Int32s) -> bool:  # pragma: no cover - compiled
    """Whether a JSON object begins here."""
    if at >= stop or data[at] != BRACE:
        return False
    look = spaces(data, at + 1, stop, kinds)
    return look < stop and (data[look] == QUOTE or data[look] == UNBRACE)


@lean_part
def _space(data: Bytes, at: int, stop: int, kinds: Int32s, state: Int64s) -> int:  # pragma: no cover - compiled
    """White space; at the end of the first line, where to read on, or -1."""
    if kinds[data[at]] & NEWLINE and state[WORDS] > 0 and not state[JSON]:
        state[CHAIN] = (state[CHAIN] ^ _MORE) * PRIME
        state[GAP], state[SPACED], state[PREVIOUS] = FAR, 0, 0
        return last_line(data, at, stop, kinds)
    if not state[SPACED] and state[WORDS] > 0:
        state[SPACED] = 1
        state[GAP] = BREAK if state[GAP] == NOTHING else (BOTH if state[GAP] == MARK else FAR)
    state[PREVIOUS] = 0
    return at + 1


@lean_part
def _link(state: Int64s, byte: int) -> None:  # pragma: no cover - compiled
    """A separator joins the chain."""
    if state[SPACED]:
        state[CHAIN] = (state[CHAIN] ^ 32) * PRIME
        state[SPACED] = 0
    state[CHAIN] = (state[CHAIN] ^ byte) * PRIME
    mark = state[GAP] == NOTHING and byte in (COMMA, COLON)
    state[GAP] = MARK if mark else FAR
    state[PREVIOUS] = byte


@lean_part
def _separator(data: Bytes, at: int, stop: int, lexicon: Lexicon, room: Scratch) -> int:  # pragma: no cover - compiled
    """A separator, a quoted value or an empty one; gives where to read on."""
    state, byte = room.state, data[at]
    if byte == QUOTE and state[INSIDE]:
        state[INSIDE] = data[at - 1] == BACKSLASH
    elif byte == QUOTE and (state[JSON] or state[PREVIOUS] == EQUALS):
        close = closing(data, at, stop)
        look = spaces(data, close + 1, stop, lexicon.kinds)
        is_key = state[JSON] and look < stop and data[look] == COLON
        if is_key or lexicon.spoken[slot_of(lexicon.spoken, state[KEY])] == 0:
            found = text_symbol(data, at + 1, close)
            state[LITERAL] = (state[LITERAL] ^ found) * PRIME
            if is_key:
                state[KEY] = found
            _take(room, found if is_key else WILD, at + 1, close)
            return close + 1
        state[KEY], state[INSIDE] = 0, 1
    elif byte == EQUALS:
        state[KEY] = state[LAST]
    empty = empty_value(data, at, stop, lexicon.kinds, state[PREVIOUS])
    _link(state, byte)
    if empty:
        _take(room, WILD, at + 1, at + 1)
    return at + 1


@lean_part
def _word(data: Bytes, at: int, stop: int, lexicon: Lexicon, room: Scratch) -> int:  # pragma: no cover - compiled
    """One word; gives where it ends."""
    kinds, state = lexicon.kinds, room.state
    first, head = at, kinds[data[at]]
    together = grouped(data, at, stop, kinds) if head & (DIGIT | HEX) else at
    flags, digits, last_digit, slashes, found = 0, 0, at, 0, BASIS
    while at < stop:
        byte = data[at]
        kind = kinds[byte]
        if not kind & PLAIN:
            if at >= together and ends_word(data, at, first, stop, kinds, head):
                break
            if kind & (CONTROL | HIGH):
                state[CONTROLS] += _no_text(data, at, stop, kind)
            slashes += kind & SLASH != 0
        elif kind & DIGIT:
            digits += 1
            last_digit = at
        flags |= kind
        found = (found ^ byte) * PRIME
        at += 1
    found = symbol_of(found)
    state[LITERAL] = (state[LITERAL] ^ found) * PRIME
    state[LAST] = found
    value = together > first or holds_value(flags, head, at - first, digits, at - last_digit - 1, slashes)
    value = value or (state[WORDS] > 0 and flags & POINT != 0 and has_number(data, at, stop, kinds))
    if not value and state[PREVIOUS] == EQUALS:
        value = lexicon.spoken[slot_of(lexicon.spoken, state[KEY])] == 0
    if not value and at - first <= _LONGEST_ALWAYS:
        value = lexicon.always[slot_of(lexicon.always, found)] != 0
    is_key = at < stop and data[at] == EQUALS
    if not value and not is_key and _is_unit(found, at - first, lexicon, room):
        value = True
        state[GAP] = FAR  # a unit keeps a place of its own behind its number
    _take(room, WILD if value else found, first, at)
    return at


@lean_part
def _is_unit(found: int, size: int, lexicon: Lexicon, room: Scratch) -> bool:  # pragma: no cover - compiled
    """Whether a word is the unit of the number before it: `5 KB` one day is `4 MB` another."""
    words = room.state[WORDS]
    return (
        size <= _LONGEST_UNIT
        and words > 0
        and room.symbol[words - 1] == WILD
        and room.state[GAP] == BREAK
        and lexicon.units[slot_of(lexicon.units, found)] != 0
    )


@lean_part
def _no_text(data: Bytes, at: int, stop: int, kind: int) -> int:  # pragma: no cover - compiled
    """Bytes here that are no text."""
    if kind & CONTROL:
        return 1
    if at + 2 < stop and data[at] == REPLACED[0] and data[at + 1] == REPLACED[1] and data[at + 2] == REPLACED[2]:
        return len(REPLACED)
    begins, goes_on = data[at] >= _UTF8_FIRST, at + 1 < stop and data[at + 1] & _UTF8_MASK == _UTF8_NEXT
    alone = not begins and data[at] >= _UTF8_NEXT and (at == 0 or data[at - 1] < _UTF8_NEXT)
    return 1 if alone or (begins and not goes_on) else 0


@lean_part
def _take(room: Scratch, value: int, first: int, past: int) -> None:  # pragma: no cover - compiled
    """One more word, unless it is a value right behind another."""
    state = room.state
    words = state[WORDS]
    if value == WILD and words > 0 and room.symbol[words - 1] == WILD and state[GAP] <= BOTH:
        state[CHAIN] = state[AFTER]
        room.end[words - 1] = past
    else:
        if state[SPACED]:
            state[CHAIN] = (state[CHAIN] ^ 32) * PRIME
        state[CHAIN] = (state[CHAIN] ^ _PLACE) * PRIME
        state[AFTER] = state[CHAIN]
        room.symbol[words], room.begin[words], room.end[words] = value, first, past
        state[WORDS] = words + 1
    state[SPACED], state[GAP], state[PREVIOUS] = 0, NOTHING, 0
