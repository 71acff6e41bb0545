"""The hash tables that every line is looked up in: known shapes, and the words that are constants somewhere."""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.stats.text.shapes import Known, find, put, refill
from twofold.stats.text.words import Bools

MOST_TAKEN: Final = 4096
_SMALLEST: Final = 4096


class Shapes:
    """Which row of a template a shape belongs to, and how many templates use a word.

    Past `most` shapes those that were not used for longest are forgotten, half of them at a time: such a
    line is matched against the templates once more.

    Attributes:
        known: The tables, open addressing, at most half full.
        shapes, words: Entries of the two tables.
        taken: Words that became values of a hole, the newest `MOST_TAKEN`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.shapes = 0
        self.words = 0
        self.taken: dict[str, None] = {}
        self.known = Known(np.zeros(_SMALLEST, np.int64), np.zeros(_SMALLEST, np.int32), *_shape_tables(_SMALLEST))

    def enter(self, key: int, row: int, clock: int, alive: Bools) -> None:
        """Enter a shape, or give it another row. Rows that are not `alive` lose theirs when room is made."""
        if find(self.known.keys, key) < 0:
            if self.shapes >= self._most:
                self.forget(alive, int(np.median(self.known.used[self.known.keys != 0])) + 1)
            elif 2 * (self.shapes + 1) >= len(self.known.keys):
                self._refill(len(self.known.keys) * 2, alive, -1)
            self.shapes += 1
        slot = put(self.known.keys, key)
        self.known.rows[slot], self.known.used[slot] = row, clock

    def forget(self, alive: Bools, oldest: int = -1) -> None:
        """Drop shapes of rows that are not alive, and those not used since line `oldest`."""
        self._refill(len(self.known.keys), alive, oldest)

    def _refill(self, size: int, alive: Bools, oldest: int) -> None:
        into = Known(self.known.vocabulary, self.known.uses, *_shape_tables(size))
        self.shapes = int(refill(self.known, oldest, alive, into))
        self.known = into

    def take(self, word: str) -> None:
        """The word became the value of a hole."""
        self.taken[word] = None
        if len(self.taken) > MOST_TAKEN:
            del self.taken[next(iter(self.taken))]

    def move(self, old: int, new: int) -> None:
        """Shapes of one row become another's."""
        self.known.rows[self.known.rows == old] = new

    def count_word(self, word: int, times: int) -> None:
        """So many more templates (fewer when negative) hold the word as a constant."""
        if find(self.known.vocabulary, word) < 0:
            if 4 * (self.words + 1) >= len(self.known.vocabulary):
                self._grow_vocabulary()
            self.words += 1
        self.known.uses[put(self.known.vocabulary, word)] += times

    def uses(self, word: int) -> int:
        """Templates that hold the word as a constant."""
        slot = find(self.known.vocabulary, word)
        return int(self.known.uses[slot]) if slot >= 0 else 0

    def _grow_vocabulary(self) -> None:
        alive = self.known.uses > 0
        words, uses = self.known.vocabulary[alive], self.known.uses[alive]
        size = len(self.known.vocabulary) * (2 if 8 * len(words) >= len(self.known.vocabulary) else 1)
        self.known = self.known._replace(vocabulary=np.zeros(size, np.int64), uses=np.zeros(size, np.int32))
        for word, count in zip(words.tolist(), uses.tolist(), strict=True):
            self.known.uses[put(self.known.vocabulary, word)] = count
        self.words = len(words)


def _shape_tables(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros(size, np.int64), np.zeros(size, np.int32), np.zeros(size, np.int64)
