"""The miner: lines in, template ids out; Python sees only lines of a shape that is new."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from twofold.aiops.detect.mining.book import Book
from twofold.aiops.detect.mining.features import Group
from twofold.aiops.detect.mining.masks import ALWAYS, SPOKEN, UNITS, Masks
from twofold.aiops.detect.mining.merge import Judge, fitted
from twofold.aiops.detect.mining.shapes import Shapes
from twofold.aiops.detect.mining.template import Bucket, Template
from twofold.stats.text.lines import CHAIN, HOLE, MOST_BYTES, MOST_WORDS, WILD, Lexicon, scratch
from twofold.stats.text.shapes import dissect, hash_of, near, scan, table
from twofold.stats.text.words import Bytes, Int32s, Int64s, byte_kinds

SAMPLES: Final = 1024
BLOCK: Final = 16_384
TWO: Final = -3  # from here on down, `near` tells two places
MOST_PAIRS: Final = 8
_SKIPPED: Final = re.compile(r"\w")
_SPACES: Final = re.compile(r"(\x1b\[[^@-~]*[@-~]|\s)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class MinerConfig:
    """Settings of the miner.

    Attributes:
        masks: The user's regular expressions of values.
        most_shapes: Known shapes; beyond, those not used for long are forgotten.
        most_templates: Templates; beyond, those of a single line's shape not seen for long are forgotten first.
        merge_at: Probability from which on templates that differ in one word are one.
        novel_below: A template is told as new when the probability that it belongs to a known one is lower.
        samples: Lines per template that are looked at again: does a value that was always the same still stay?
    """

    masks: tuple[str, ...] = ()
    most_shapes: int = 65_536
    most_templates: int = 10_000
    merge_at: float = 0.5
    novel_below: float = 0.1
    samples: int = 8


@dataclass(frozen=True, slots=True)
class Fresh:
    """A template that has appeared.

    Attributes:
        line: The line that brought it, counted from the beginning of the call.
        text: As it was then.
    """

    line: int
    id: int
    text: str


class Miner:
    """Groups lines by the statement that wrote them, as they stream by.

    Suits text written by programs. A template's id is made of its first line's shape and stays; when a template turns
    out to be part of another, its id becomes an alias (`settle`). What is learnt does not depend on how the stream is
    cut into calls.

    Attributes:
        fresh: Templates that appeared in the last call, and are unlike all known ones.

    Args:
        judge: Decides whether templates that differ in one word are one; by default the fitted model.

    >>> miner = Miner()
    >>> ids = miner.feed_texts(["user 7 logged in", "user 9 logged in", "disk full"])
    >>> [miner.template(i).text() for i in ids.tolist()]
    ['user <*> logged in', 'user <*> logged in', 'disk full']
    """

    def __init__(self, config: MinerConfig | None = None, judge: Judge | None = None) -> None:
        self.config = config or MinerConfig()
        self.masks = Masks(self.config.masks)
        self.shapes = Shapes(self.config.most_shapes)
        self.book = Book(self.shapes, most=self.config.most_templates, samples=self.config.samples)
        self.fresh: list[Fresh] = []
        self._judge = judge or fitted()
        self._lexicon = Lexicon(byte_kinds(), table(ALWAYS), table(UNITS), table(SPOKEN))
        self._room = scratch()
        self._samples = np.zeros(SAMPLES, np.int64)
        self._progress = np.zeros(2, np.int64)

    @property
    def lines(self) -> int:
        """Lines seen so far."""
        return int(self._progress[0])

    def resume(self, lines: int) -> None:
        """Go on after so many lines; the book and the shapes are filled already."""
        self._progress[:] = lines, 0

    def template(self, identity: int) -> Template:
        """The template that an id given out earlier stands for now. Raises `KeyError` when it was evicted."""
        return self.book.templates[self.book.settle(identity)]

    def settled(self, ids: Int64s) -> Int64s:
        """What ids given out earlier are called now."""
        unique, inverse = np.unique(ids, return_inverse=True)
        found: Int64s = np.array([self.book.settle(i) for i in unique.tolist()], np.int64)[inverse]
        return found

    def feed_texts(self, texts: Sequence[str]) -> Int64s:
        """Template id of each line of text."""
        encoded = [text.encode("utf-8", "replace") for text in texts]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(each) for each in encoded], out=offsets[1:])
        return self.feed(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    def feed(self, data: Bytes, offsets: Int64s) -> Int64s:
        """Template id of each line data[offsets[i]:offsets[i + 1]], learning as it goes."""
        self.fresh = []
        lines = len(offsets) - 1
        ids = np.empty(lines, np.int64)
        for first in range(0, lines, BLOCK):
            past = min(first + BLOCK, lines)
            ids[first:past] = self._block(data, offsets[first : past + 1], first)
        return ids

    def _block(self, data: Bytes, offsets: Int64s, first: int) -> Int64s:
        out = np.empty(len(offsets) - 1, np.int32)
        at = 0
        while True:
            at = scan(
                data,
                offsets,
                at,
                self._lexicon,
                self.shapes.known,
                self.book.tally,
                self._room,
                out,
                self._samples,
                self._progress,
            )
            if at == len(out):
                break
            if self._progress[1] == SAMPLES:
                self._look_at_samples(data, offsets, out)
                continue
            self._learn(data, offsets, at, out, first + at)
            at += 1
        self._look_at_samples(data, offsets, out)
        ids: Int64s = self.book.ids()[out]
        self.book.reuse_rows()
        return ids

    def _learn(self, data: Bytes, offsets: Int64s, at: int, out: Int32s, line: int) -> None:
        """One line of a shape that is not known."""
        low, high = int(offsets[at]), int(offsets[at + 1])
        words = dissect(data, low, high, self._lexicon, self._room)
        structure = int(self._room.state[CHAIN]), words
        symbols = self._room.symbol[:words].copy()
        clock = self.lines
        bucket = self.book.bucket(structure)
        best = near(bucket.matrix, len(bucket.members), symbols, bucket.place)
        if best < 0 and self.masks and self._mask(data, low, high, symbols):
            best = near(bucket.matrix, len(bucket.members), symbols, bucket.place)
        if best >= 0:
            row = bucket.members[best].row
            key = hash_of(words, structure[0], self._room.symbol, self.shapes.known)
            self.shapes.enter(key, row, clock, self.book.alive)
        else:
            places = bucket.place[: len(bucket.members)]
            close = bool(((places >= 0) | (places <= TWO)).any())
            template, novel = self.book.create(structure, *self._texts(data, low, high, words), symbols, clock)
            told = Fresh(line, template.id, template.text()) if novel else None
            row, unlike = self._join(self.book.bucket(structure), clock) if close else (template.row, True)
            if told and unlike and row == template.row:
                self.fresh.append(told)
        out[at] = row
        self.book.tally.counts[row] += 1
        self.book.tally.seen[row] = clock
        self._progress[0] += 1

    def _mask(self, data: Bytes, low: int, high: int, symbols: Int64s) -> bool:
        """Make holes of the words that the user's masks touch; whether there are any."""
        text = _text(data, low, high)
        begin, end = self._room.begin[: len(symbols)], self._room.end[: len(symbols)]
        for first, past in self.masks.spans(text):
            left, right = (low + len(text[:at].encode()) for at in (first, past))
            symbols[(begin < right) & (end > left) & (symbols != WILD)] = HOLE
        return bool((symbols == HOLE).any())

    def _texts(self, data: Bytes, low: int, high: int, words: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Text between and of the words just dissected."""
        begin, end = self._room.begin[:words].tolist(), self._room.end[:words].tolist()
        gaps = zip([low, *end], [*begin, min(high, low + MOST_BYTES)], strict=True)
        return (
            tuple(sys.intern(_gap(_text(data, left, max(left, right)))) for left, right in gaps),
            tuple(_text(data, left, right) for left, right in zip(begin, end, strict=True)),
        )

    def _join(self, bucket: Bucket, clock: int) -> tuple[int, bool]:
        """Merge the newest template with those that differ in one word, while the judge agrees.

        Gives its row, and whether it is unlike all others.
        """
        index = len(bucket.members) - 1
        close, where, likely = self._partners(bucket, index)
        novel = likely < self.config.novel_below
        while likely >= self.config.merge_at:
            index = self.book.merge(bucket, (*close, index), where, clock)
            close, where, likely = self._partners(bucket, index)
        return bucket.members[index].row, novel

    def _partners(self, bucket: Bucket, index: int) -> tuple[list[int], tuple[int, ...], float]:
        """Members most likely one with this member, the places of holes, and how likely."""
        template = bucket.members[index]
        near(bucket.matrix, len(bucket.members), template.symbols, bucket.place)
        place = bucket.place[: len(bucket.members)]
        best: tuple[list[int], tuple[int, ...], float] = [], (), 0.0
        for where in np.unique(place[place >= 0]).tolist():
            close = np.flatnonzero(place == where).tolist()
            likely = self._likely(template, bucket, close, where)
            if likely > best[2]:
                best = close, (where,), likely
        if best[2] >= self.config.merge_at:
            return best
        for i in np.flatnonzero(place <= TWO).tolist()[-MOST_PAIRS:]:
            both = divmod(TWO - int(place[i]), MOST_WORDS)
            likely = min(self._likely(template, bucket, [i], where) for where in both)
            if likely > max(best[2], self.config.merge_at):
                best = [i], both, likely
        return best

    def _likely(self, template: Template, bucket: Bucket, close: list[int], where: int) -> float:
        members = [bucket.members[i] for i in close]
        return self._judge(Group(template, members, where, self.book.tally.counts, self.shapes))

    def _look_at_samples(self, data: Bytes, offsets: Int64s, out: Int32s) -> None:
        """Note values that are not what they always were, in lines whose text was new to their template."""
        for line in self._samples[: self._progress[1]].tolist():
            template = self.book.at(int(out[line]))
            words = dissect(data, int(offsets[line]), int(offsets[line + 1]), self._lexicon, self._room)
            if template is None or words != len(template.symbols):
                continue
            for place in template.same():
                value = _text(data, int(self._room.begin[place]), int(self._room.end[place]))
                if value != template.words[place]:
                    template.note(place, value)
            if not template.same():
                self.book.tally.budget[template.row] = 0
        self._progress[1] = 0


def _gap(text: str) -> str:
    """Text between words, white space as one blank, `…` for what was not read: frames of a stack, a long tail."""
    shown = _SPACES.sub(" ", text)
    skipped = _SKIPPED.search(shown)
    return f"{shown[: skipped.start()].rstrip()} … " if skipped else shown


def _text(data: Bytes, low: int, high: int) -> str:
    return data[low:high].tobytes().decode("utf-8", "replace")
