"""Known shapes of log lines in hash tables, and the scan that resolves lines in bulk.

The shape of a line is one 64-bit hash of its separators and its words; a word that is no constant of any known
template counts as the symbol `UNSEEN`. So a line with a new user name in a known place has a known shape.
The hash is a sum over words, so that a row of symbols can be hashed without the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twofold.stats.jit import lean_kernel, lean_part
from twofold.stats.text.lines import CHAIN, HOLE, LITERAL, MOST_WORDS, UNSEEN, WILD, Lexicon, Scratch, parse, slot_of
from twofold.stats.text.words import Bools, Bytes, Int32s, Int64s, placed, text_symbol


class Known(NamedTuple):
    """What is known of words and shapes.

    Attributes:
        vocabulary, uses: Hash table of words, and how many templates hold each as a constant.
        keys, rows, used: Hash table of shapes: the hash, the row of its template, the line that used it last.
    """

    vocabulary: Int64s
    uses: Int32s
    keys: Int64s
    rows: Int32s
    used: Int64s


class Tally(NamedTuple):
    """What is counted per row of a template.

    Attributes:
        counts, seen: Lines, and the number of the last one.
        budget, literal: Lines that may still be noted as samples, and the literal hash of the last one noted.
    """

    counts: Int64s
    seen: Int64s
    budget: Int32s
    literal: Int64s


@lean_part
def shape_hash(words: int, chain: int, symbol: Int64s, known: Known) -> int:  # pragma: no cover - compiled
    """The hash under which a line is known, given the words that are constants of some template."""
    total = chain
    for place in range(words):
        value = symbol[place]
        if value != WILD and value != UNSEEN:  # noqa: PLR1714 - no sets in a kernel
            slot = slot_of(known.vocabulary, value)
            if known.vocabulary[slot] == 0 or known.uses[slot] <= 0:
                value = UNSEEN
        total += placed(value, place)
    return total if total != 0 else 1


@lean_kernel
def scan(
    data: Bytes,
    offsets: Int64s,
    start: int,
    lexicon: Lexicon,
    known: Known,
    tally: Tally,
    room: Scratch,
    out: Int32s,
    samples: Int64s,
    progress: Int64s,
) -> int:  # pragma: no cover - compiled
    """Give each line the row of its template until one has a shape that is not known.

    While a row's budget lasts, lines whose text differs from the row's last sample are noted in `samples`.

    Args:
        offsets: Line i is data[offsets[i]:offsets[i + 1]].
        data: Bytes of all lines.
        start: The first line to look at.
        lexicon: What bytes and words mean.
        known: Words and shapes; when a shape was used is noted.
        tally: Counted on.
        room: Scratch.
        out: Filled with rows.
        samples: Filled with numbers of lines.
        progress: Number of the line `start` in the stream, and samples noted so far; both are moved on.

    Returns:
        The first line whose shape is not known, or before which `samples` are full, or the number of lines.
    """
    lines = len(offsets) - 1
    for line in range(start, lines):
        words = parse(data, offsets[line], offsets[line + 1], lexicon, room)
        key = shape_hash(words, room.state[CHAIN], room.symbol, known)
        slot = slot_of(known.keys, key)
        if known.keys[slot] == 0:
            return line
        row = known.rows[slot]
        if tally.budget[row] > 0 and room.state[LITERAL] != tally.literal[row]:
            if progress[1] == len(samples):
                return line
            samples[progress[1]] = line
            progress[1] += 1
            tally.budget[row] -= 1
            tally.literal[row] = room.state[LITERAL]
        known.used[slot] = progress[0]
        tally.counts[row] += 1
        tally.seen[row] = progress[0]
        out[line] = row
        progress[0] += 1
    return lines


@lean_kernel
def dissect(data: Bytes, low: int, high: int, lexicon: Lexicon, room: Scratch) -> int:  # pragma: no cover - compiled
    """Read one line into `room`; gives the number of its words."""
    return parse(data, low, high, lexicon, room)


@lean_kernel
def hash_of(words: int, chain: int, symbol: Int64s, known: Known) -> int:  # pragma: no cover - compiled
    """Shape hash of a row of symbols."""
    return shape_hash(words, chain, symbol, known)


@lean_kernel
def word_symbol(data: Bytes) -> int:  # pragma: no cover - compiled
    """Symbol of a word's text."""
    return text_symbol(data, 0, len(data))


@lean_kernel
def put(keys: Int64s, key: int) -> int:  # pragma: no cover - compiled
    """Slot of a key, which is entered when it is not there. The table must have room."""
    slot = slot_of(keys, key)
    keys[slot] = key
    return slot


@lean_kernel
def find(keys: Int64s, key: int) -> int:  # pragma: no cover - compiled
    """Slot of a key, or -1."""
    slot = slot_of(keys, key)
    return slot if keys[slot] == key else -1


@lean_kernel
def near(matrix: Int64s, rows: int, symbol: Int64s, place: Int32s) -> int:  # pragma: no cover - compiled
    """Compare a line with the templates of its structure.

    Args:
        matrix: (rows, words) symbols of the templates, `HOLE` for what is variable.
        rows: Templates to look at.
        symbol: (words,) of the line; a `HOLE` in it fits only a hole.
        place: Filled per row: the only place where the line differs; -1 none; -2 more than two;
            of two places a < b, -3 - (a * MOST_WORDS + b).

    Returns:
        The matching row with the fewest holes (the oldest of equals), or -1.
    """
    words = len(symbol)
    best, fewest = -1, words + 1
    for row in range(rows):
        where, second, holes = -1, -1, 0
        for at in range(words):
            value = matrix[row, at]
            if value == HOLE:
                holes += 1
            elif value != symbol[at]:
                if second >= 0:
                    where = -2
                    break
                if where >= 0:
                    second = at
                else:
                    where = at
        place[row] = where if second < 0 or where == -2 else -3 - (where * MOST_WORDS + second)  # noqa: PLR2004
        if where == -1 and holes < fewest:
            best, fewest = row, holes
    return best


@lean_kernel
def refill(known: Known, oldest: int, keep: Bools, into: Known) -> int:  # pragma: no cover - compiled
    """Enter shapes used at `oldest` or later, of rows that are kept, into empty tables; gives how many."""
    count = 0
    for i in range(len(known.keys)):
        if known.keys[i] != 0 and known.used[i] >= oldest and keep[known.rows[i]]:
            slot = slot_of(into.keys, known.keys[i])
            into.keys[slot], into.rows[slot], into.used[slot] = known.keys[i], known.rows[i], known.used[i]
            count += 1
    return count


def table(words: Sequence[str]) -> Int64s:
    """An open-addressing table of words, at most a quarter full."""
    size = 16
    while size < 4 * len(words):
        size *= 2
    keys = np.zeros(size, np.int64)
    for word in words:
        put(keys, word_symbol(np.frombuffer(word.encode(), np.uint8)))
    return keys
