"""Odd sessions: lines that belong together (one request, one block of data) and are not the lines such ones write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

CAP: Final = 4
_SMOOTH: Final = 0.5


class Sessions:
    """Scores a session by its rarest count: how seldom has a template been written so often, or not at all?

    Suits sessions of one kind, whose lines are known when they end: it needs no labels, learns from every session
    after scoring it, and so follows what changes. Fails where sessions of many kinds are mixed, and does not look at
    the order of lines.

    Args:
        cap: Counts from here on are one.

    >>> sessions = Sessions()
    >>> _ = [sessions.score({"begin": 1, "end": 1}) for _ in range(50)]
    >>> sessions.score({"begin": 1}) < 0.02 < sessions.score({"begin": 1, "end": 1})
    True
    """

    def __init__(self, cap: int = CAP) -> None:
        self._cap = cap
        self._seen = 0
        self._counts: dict[str, Counter[int]] = {}

    def score(self, lines: Mapping[str, int]) -> float:
        """Share of earlier sessions in which the oddest template was written as often; then learns the session.

        Args:
            lines: Lines per template.
        """
        for template in lines.keys() - self._counts.keys():
            self._counts[template] = Counter({0: self._seen})
        rarest = 1.0
        for template, counts in self._counts.items():
            count = min(lines.get(template, 0), self._cap)
            rarest = min(rarest, (counts[count] + _SMOOTH) / (self._seen + 1))
            counts[count] += 1
        self._seen += 1
        return rarest
