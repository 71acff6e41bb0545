"""Whether templates that differ in one word are one template with a variable there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from twofold.aiops.detect.mining.shapes import Shapes
from twofold.aiops.detect.mining.template import Template
from twofold.stats.lines import HOLE, WILD
from twofold.stats.words import Int64s

ENOUGH: Final = 4


@dataclass(frozen=True, slots=True)
class Group:
    """Templates that are equal but for one word: the newest, and the older ones."""

    newest: Template
    others: list[Template]
    place: int
    counts: Int64s
    shapes: Shapes


Judge = Callable[[Group], bool]


def by_count(group: Group) -> bool:
    """Enough distinct words make a variable, and one value by form is enough; some other word must stay."""
    rest = [s for at, s in enumerate(group.newest.symbols.tolist()) if at != group.place]
    if all(s in {HOLE, WILD} for s in rest):
        return False
    symbols = {int(m.symbols[group.place]) for m in (group.newest, *group.others)}
    return HOLE in symbols or WILD in symbols or len(symbols) >= ENOUGH
