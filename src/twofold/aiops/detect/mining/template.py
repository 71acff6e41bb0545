"""A template: the constants and holes of lines that one statement wrote, and those of the same structure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from twofold.aiops.detect.mining.masks import ALWAYS
from twofold.stats.text.lines import HOLE, UNSEEN, WILD
from twofold.stats.text.words import Int32s, Int64s

STAR: Final = "<*>"
MOST_VALUES: Final = 8
ENOUGH: Final = 4
"""So many constant words in the same order are one template, whatever stands between them."""
_PLAIN: Final = re.compile(rf"(?!({'|'.join(ALWAYS)})$)[A-Za-z_]*")
_RUN: Final = re.compile(r"<\*>[,:]?\s?<\*>")

Structure = tuple[int, int]
"""Hash of separators and places of words, and the number of words."""


@dataclass(slots=True, eq=False)
class Template:
    """One template.

    Attributes:
        id: 63 bit, of the text of its first line's shape. Forms of one template (`kin`) share the oldest one's.
        row: Where its counts stand.
        gaps: Text before the first word, between words, and behind the last: one more than words.
        words: Text of each word in the first line; what a hole held there too.
        symbols: Hash of each constant word, `WILD` or `HOLE`. Replaced, never changed in place.
        values: Texts seen in holes, and other texts than the first seen in `same` places; the first `MOST_VALUES`.
        merged: How many templates became part of this one.
    """

    id: int
    row: int
    structure: Structure
    gaps: tuple[str, ...]
    words: tuple[str, ...]
    symbols: Int64s
    values: dict[int, dict[str, int]] = field(default_factory=dict)
    merged: int = 0

    def text(self) -> str:
        """The template as people read it, `<*>` for what varies.

        A value without digits that was always the same is shown: nothing says yet that it varies.
        """
        symbols = self.symbols.copy()
        symbols[self.same()] = UNSEEN
        return render(self.gaps, self.words, symbols)

    def pattern(self) -> str:
        """The same with `<*>` for all that may vary, also what never did so far."""
        return render(self.gaps, self.words, self.symbols)

    def line(self) -> str:
        """The line that it was first seen in, as far as it was read."""
        return render(self.gaps, self.words, np.full(len(self.words), UNSEEN, np.int64))

    def same(self) -> list[int]:
        """Places of values without digits that were always the same so far."""
        return [
            place
            for place in np.flatnonzero(self.symbols == WILD).tolist()
            if _PLAIN.fullmatch(self.words[place]) and not self.values.get(place)
        ]

    def kin(self) -> tuple[int, ...] | str:
        """Equal for forms of one template: its constant words in order, or the whole text when they are few."""
        constants = self.constants()
        return tuple(constants) if len(constants) >= ENOUGH else render(self.gaps, self.words, self.symbols)

    def constants(self) -> list[int]:
        """Symbols of its constant words."""
        return [symbol for symbol in self.symbols.tolist() if symbol not in {HOLE, WILD}]

    def note(self, place: int, value: str, times: int = 1) -> None:
        """A value was seen there."""
        held = self.values.setdefault(place, {})
        if value in held or len(held) < MOST_VALUES:
            held[value] = held.get(value, 0) + times


def render(gaps: tuple[str, ...], words: tuple[str, ...], symbols: Int64s) -> str:
    """Text of a row of words with `<*>` for holes and values; neighbours become one."""
    parts = [gaps[0]]
    for word, symbol, gap in zip(words, symbols.tolist(), gaps[1:], strict=True):
        parts += (STAR if symbol in {HOLE, WILD} else word, gap)
    text = "".join(parts).strip()
    while (shorter := _RUN.sub(STAR, text)) != text:
        text = shorter
    return text


def content_id(text: str) -> int:
    """63-bit id of a template's text, above 0; the same on every machine.

    >>> f"{content_id('session opened for <*>'):016x}"
    '7d7a88acc12ec8cb'
    """
    return (int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1) or 1


class Bucket:
    """Templates of one structure, oldest first, as a matrix of symbols.

    Attributes:
        place: Filled by `near`: where each differs from what was compared.
    """

    def __init__(self, words: int) -> None:
        self.matrix: Int64s = np.zeros((4, words), np.int64)
        self.members: list[Template] = []
        self.place: Int32s = np.zeros(4, np.int32)

    def add(self, template: Template) -> None:
        """The template joins as the newest."""
        if len(self.members) == len(self.matrix):
            self.matrix = np.concatenate([self.matrix, np.zeros_like(self.matrix)])
            self.place = np.zeros(len(self.matrix), np.int32)
        self.members.append(template)
        self.refresh(len(self.members) - 1)

    def refresh(self, index: int) -> None:
        """The symbols of a member have changed."""
        self.matrix[index] = self.members[index].symbols

    def remove(self, gone: set[int]) -> None:
        """Members at these indices leave; the others keep their order."""
        self.members = [member for i, member in enumerate(self.members) if i not in gone]
        for i in range(len(self.members)):
            self.refresh(i)
