"""Whether a line of a template never seen before is told at once, and nothing else is.

Of each system 20,000 lines are drawn, and about a tenth of its templates are left out of the first half. An alarm in
the second half is right only at the first line of a template left out; every other one is false.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.logs.data import System
from benchmarks.logs.expand import Expander

LINES: Final = 20_000
LEFT_OUT: Final = 0.1

Alarms = Callable[[Sequence[str]], Iterable[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Lines with their templates; those before `warm` lack the templates left out."""

    lines: tuple[str, ...]
    truth: tuple[str, ...]
    warm: int
    left_out: frozenset[str]


def stream(system: System, *, lines: int = LINES, seed: int = 0) -> Stream:
    """The stream of one system."""
    pick = random.Random(f"novelty/{system.name}/{seed}")  # noqa: S311 - no secret
    names = sorted(set(system.truth))
    left_out = frozenset(pick.sample(names, max(1, round(LEFT_OUT * len(names)))))
    expander = Expander(system, seed + 7)
    drawn = [expander.draw() for _ in range(lines)]
    kept = [each for i, each in enumerate(drawn) if i >= lines // 2 or each[1] not in left_out]
    return Stream(
        lines=tuple(text for text, _ in kept),
        truth=tuple(label for _, label in kept),
        warm=len(kept) - (lines - lines // 2),
        left_out=left_out,
    )


@dataclass(frozen=True, slots=True)
class Novelty:
    """What was found of what was there, and false alarms among the lines judged."""

    found: int
    there: int
    false: int
    judged: int

    def __add__(self, other: Novelty) -> Novelty:
        return Novelty(
            self.found + other.found, self.there + other.there, self.false + other.false, self.judged + other.judged
        )

    def figures(self) -> dict[str, float]:
        """The keys of the report."""
        return {
            "novelty_recall": self.found / self.there if self.there else 1.0,
            "false_per_100k": 1e5 * self.false / self.judged if self.judged else 0.0,
        }


def judge(given: Stream, alarms: Iterable[int]) -> Novelty:
    """Count alarms, by line, against the truth."""
    first: dict[str, int] = {}
    for i in range(given.warm, len(given.lines)):
        if given.truth[i] in given.left_out:
            first.setdefault(given.truth[i], i)
    raised = {alarm for alarm in alarms if alarm >= given.warm}
    right = raised & set(first.values())
    return Novelty(len(right), len(first), len(raised - right), len(given.lines) - given.warm)
