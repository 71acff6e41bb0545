"""One metric's series as columns: every distinct value of a label has a number, every series a row of numbers."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.store.promql.matchers import Matcher, Op, full_match
from twofold.store.promql.values import NAME, Bools, Ints, Labels

Definition = tuple[int, Mapping[str, str]]
"""A sid and the labels as they are shown, without the metric's name."""
Named = tuple[int, Labels]
"""A sid and the labels, the metric's name among them."""

_PATTERNS: Final = 16  # regular expressions whose answers a label keeps
_SORTED_ONCE: Final = 256  # rows from which on the order of all is made and kept
_PLAIN: Final = re.compile(r"(?:[^\\.+*?()\[\]{}^$|]|\\[^0-9A-Za-z])*")


class Columns:
    """The series of one metric, as they are shown.

    Args:
        name: The metric's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._sids = np.empty(0, np.int64)
        self._labels: dict[str, _Label] = {}
        self._rank: Ints | None = None

    def __len__(self) -> int:
        return len(self._sids)

    def extend(self, found: Sequence[Definition]) -> None:
        """Take more series."""
        if not found:
            return
        before = len(self)
        self._sids = np.append(self._sids, np.array([sid for sid, _ in found], np.int64))
        new: dict[str, list[int]] = {name: [0] * len(found) for name in self._labels}
        for at, (_, labels) in enumerate(found):
            for name, value in labels.items():
                if name not in new:
                    new[name] = [0] * len(found)
                    self._labels[name] = _Label(name, before)
                new[name][at] = self._labels[name].number(value)
        for name, numbers in new.items():
            self._labels[name].extend(numbers)
        self._rank = None

    def matching(self, matchers: Iterable[Matcher]) -> Bools:
        """Which series meet all of the matchers; those on the metric's name are taken as met."""
        kept = np.ones(len(self), bool)
        for matcher in matchers:
            if matcher.name == NAME:
                continue
            if label := self._labels.get(matcher.name):
                kept &= label.matching(matcher)
            elif not matcher.takes_empty():
                kept[:] = False
        return kept

    def named(self, rows: Ints) -> list[Named]:
        """The series of these rows, sorted by labels."""
        if len(rows) < _SORTED_ONCE:
            return sorted(zip(self._sids[rows].tolist(), self._of(rows), strict=True), key=lambda each: each[1])
        if self._rank is None:
            every = self._of(np.arange(len(self)))
            self._rank = np.empty(len(self), np.int64)
            self._rank[sorted(range(len(self)), key=every.__getitem__)] = np.arange(len(self))
        rows = rows[np.argsort(self._rank[rows])]
        return list(zip(self._sids[rows].tolist(), self._of(rows), strict=True))

    def names(self, rows: Ints) -> set[str]:
        """Names of the labels that any of these rows has."""
        return {NAME, *(name for name, label in self._labels.items() if label.numbers[rows].any())}

    def values(self, name: str, rows: Ints) -> set[str]:
        """Values of a label in these rows."""
        if name == NAME:
            return {self.name} if len(rows) else set()
        label = self._labels.get(name)
        return set() if label is None else label.values(rows)

    def _of(self, rows: Ints) -> list[Labels]:
        """Labels of these rows."""
        if not len(rows):
            return []
        columns: dict[str, list[tuple[str, str]]] = {NAME: [(NAME, self.name)] * len(rows)}
        full = True
        for name, label in self._labels.items():
            numbers = label.numbers[rows]
            full = full and bool(numbers.all())
            columns[name] = [label.pairs[number] for number in numbers.tolist()]
        every = zip(*(columns[name] for name in sorted(columns)), strict=True)
        return list(every) if full else [tuple(pair for pair in pairs if pair[1]) for pairs in every]


class _Label:
    """One label's column: 0 where a series lacks it."""

    def __init__(self, name: str, rows: int) -> None:
        self.numbers: npt.NDArray[np.int32] = np.zeros(rows, np.int32)
        self.pairs: list[tuple[str, str]] = [(name, "")]
        self._name = name
        self._number = {"": 0}
        self._good: OrderedDict[str, Bools] = OrderedDict()

    def number(self, value: str) -> int:
        """Of a value; a new one gets the next."""
        found = self._number.setdefault(value, len(self.pairs))
        if found == len(self.pairs):
            self.pairs.append((self._name, value))
        return found

    def extend(self, numbers: list[int]) -> None:
        """More rows."""
        self.numbers = np.append(self.numbers, np.array(numbers, np.int32))

    def values(self, rows: Ints) -> set[str]:
        """Distinct values in these rows."""
        return {self.pairs[number][1] for number in np.unique(self.numbers[rows]).tolist() if number}

    def matching(self, matcher: Matcher) -> Bools:
        """Which rows meet the matcher."""
        if matcher.op in {Op.EQUAL, Op.UNEQUAL}:
            found = self.numbers == self._number.get(matcher.value, -1)
        elif (texts := literals(matcher.value)) is not None:
            wanted = [self._number[text] for text in texts if text in self._number]
            found = np.isin(self.numbers, wanted)
        else:
            found = self._like(matcher.value)[self.numbers]
        return np.asarray(found if matcher.op in {Op.EQUAL, Op.LIKE} else ~found)

    def _like(self, pattern: str) -> Bools:
        """Which values a pattern matches; remembered, so that only values which came since are looked at."""
        good = self._good.pop(pattern, np.empty(0, bool))
        if len(good) < len(self.pairs):
            good = np.append(good, full_match(pattern, [value for _, value in self.pairs[len(good) :]]))
        self._good[pattern] = good
        if len(self._good) > _PATTERNS:
            self._good.popitem(last=False)
        return good


@lru_cache(256)
def literals(pattern: str) -> Sequence[str] | None:
    r"""The texts that a pattern lists, when it does nothing else: what a chooser of values writes.

    >>> literals(r"a|b\.c"), literals("a.*")
    (['a', 'b.c'], None)
    """
    texts = pattern.split("|")
    if not all(_PLAIN.fullmatch(text) for text in texts):
        return None
    return [re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) for text in texts]
