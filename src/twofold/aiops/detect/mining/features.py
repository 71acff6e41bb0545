"""What tells a variable from a constant, where templates are equal but for one word."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.mining.shapes import Shapes
from twofold.aiops.detect.mining.template import Template
from twofold.stats.text.lines import HOLE, WILD
from twofold.stats.text.words import Int64s

_LOWER: Final = re.compile(r"[a-z]+")
_TITLE: Final = re.compile(r"[A-Z][a-z]+")
_UPPER: Final = re.compile(r"[A-Z][A-Z_]*")
_CAMEL: Final = re.compile(r"[A-Za-z]*[a-z][A-Z][A-Za-z]*")
_DOTTED: Final = re.compile(r"\w[.\-/\\]\w")
_OTHER: Final = re.compile(r"[^\w.\-]")
_BEFORE_VALUES: Final = frozenset("as at by for from in is of on to via with".split())  # noqa: SIM905 - words
_BEFORE_NAMES: Final = frozenset(
    """
    account app bucket called class client container database device domain file group host hostname id index
    interface job key login module name named node package path pid pod port process queue role server service
    table thread topic uid user username users volume
    """.split()  # noqa: SIM905 - a list of words reads as words
)
_LOG_WORDS: Final = frozenset(
    """
    a abort aborted accept accepted acquire acquired acquiring activate activated active add added adding
    after alive all allocated allocating allow allowed an and any are as assigned assigning at attach attached
    authenticated authentication authorized available bad be been before began begin begun bind bound broken
    by can cancel canceled cancelled cannot caught change changed check checked checking client close closed
    closing commit committed complete completed connect connected connecting connection copy corrected corrupt
    corrupted could count cpu crash crashed create created creating critical data dead debug delete deleted
    deleting denied deny detach detached detected detecting did died directory disable disabled disabling
    disconnect disconnected disk do does done down empty enable enabled enabling end ended enter entered
    entering error errors event exception exit exited exiting expected expire expired external fail failed
    failing failure fatal fetch fetched fetching file finish finished finishing first for found free from full
    get good got grant granted handled handling has have high host if ignore ignored illegal in inactive info
    init initialization initialize initialized initializing input insert inserted internal into invalid is it
    its job key kill killed killing last launched launching leave leaving left length level listen listening
    load loaded loading local lock locked logged login logout lost low memory message missing mode mount
    mounted moved network new next no none not notice now number of off ok old on open opened opening or other
    out output over packet parsed parsing password pause paused permit permitted previous process processed
    processing queue raised ran read reading ready receive received receiving refuse refused register
    registered registering reject rejected released releasing remote remove removed removing reply request
    response resume resumed retried retry retrying right rollback run running save saved saving scheduled
    scheduling send sending sent server service session set size skip skipped sleep so some start started
    starting state status stop stopped stopping store stored submitted subscribe succeed succeeded success
    successful successfully suspend suspended sync synced synchronized synchronizing task terminate terminated
    terminating than that the then there this thread thrown time timed timeout to total under unexpected
    unknown unload unlock unlocked unmount unregister unset until up update updated updating usable used user
    valid value verified verify wait waited waiting warn warning was were when while will with within without
    write writing written wrote yes
    """.split()  # noqa: SIM905 - a list of words reads as words
)

NAMES: Final = (
    "bias", "values", "two", "per_value", "top_share", "others", "number", "known", "lower", "title", "upper", "camel",
    "dotted", "other", "length", "spread", "first", "last", "colon", "bracket", "quote", "name_before", "value_before",
    "value_after", "constants", "share", "inflected", "log_words", "log_new", "repeated", "taken", "word_before",
)  # fmt: skip
_SUFFIXES: Final = ("ed", "ing", "able")
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Group:
    """Templates that are equal but for one word.

    Attributes:
        newest: The one that has just appeared or changed.
        others: The older ones.
        place: The word in which they differ.
        counts: Lines per row.
        shapes: Knows the words that are constants elsewhere.
    """

    newest: Template
    others: Sequence[Template]
    place: int
    counts: Int64s
    shapes: Shapes

    def members(self) -> list[Template]:
        """All of them, the newest first."""
        return [self.newest, *self.others]

    def values(self) -> dict[str, int]:
        """Words at the place, and the lines that held each."""
        found: dict[str, int] = {}
        for member in self.members():
            symbol = int(member.symbols[self.place])
            if symbol not in {HOLE, WILD}:
                word = member.words[self.place]
                found[word] = found.get(word, 0) + max(1, int(self.counts[member.row]))
        return found


def features(group: Group) -> Vector:
    """The group as numbers, named by `NAMES`.

    They tell how many values and lines there are, how the values are written and used elsewhere, and what stands
    around the place.
    """
    values, newest, place = group.values(), group.newest, group.place
    words, lines = list(values), np.array(list(values.values()) or [1], np.float64)
    symbols = newest.symbols.tolist()
    before = newest.gaps[place]
    previous = newest.words[place - 1].lower() if place else ""
    constants = sum(s not in {HOLE, WILD} for s in symbols) - 1
    size = np.array([len(word) for word in words] or [0], np.float64)
    own = newest.words[place].lower().strip(".,!?")
    return np.array(
        [
            1.0,
            log2(max(len(words), 1)),
            len(words) == 2,  # noqa: PLR2004 - two is a case of its own
            min(log2(float(lines.mean())), 8.0),
            float(lines.max() / lines.sum()),
            min(log2(1.0 + float(lines.sum())), 10.0),
            any(int(m.symbols[place]) == WILD for m in group.members()),
            _share(words, lambda word: _used_elsewhere(word, group)),
            _share(words, _LOWER.fullmatch),
            _share(words, _TITLE.fullmatch),
            _share(words, _UPPER.fullmatch),
            _share(words, _CAMEL.fullmatch),
            _share(words, _DOTTED.search),
            _share(words, _OTHER.search),
            min(float(size.mean()), 40.0) / 10,
            min(float(size.std()), 20.0) / 10,
            place == 0,
            place == len(symbols) - 1,
            ":" in before,
            any(c in before for c in "([{<"),
            any(c in before for c in "\"'`"),
            previous in _BEFORE_NAMES,
            place > 0 and symbols[place - 1] in {HOLE, WILD},
            place + 1 < len(symbols) and symbols[place + 1] in {HOLE, WILD},
            log2(1.0 + constants),
            constants / len(symbols),
            _share(words, lambda word: word.lower().rstrip(".,!?").endswith(_SUFFIXES)),
            _share(words, lambda word: word.lower().strip(".,!?") in _LOG_WORDS),
            own in _LOG_WORDS or own.endswith(_SUFFIXES),
            _share(words, lambda word: values[word] > 1),
            _share(words, group.shapes.taken.__contains__),
            previous in _BEFORE_VALUES,
        ],
        np.float64,
    )


def _share(words: Sequence[str], test: Callable[[str], object]) -> float:
    return sum(bool(test(word)) for word in words) / len(words) if words else 0.0


def _used_elsewhere(word: str, group: Group) -> bool:
    for member in group.members():
        if member.words[group.place] == word and (symbol := int(member.symbols[group.place])) not in {HOLE, WILD}:
            return group.shapes.uses(symbol) > sum(int(m.symbols[group.place]) == symbol for m in group.members())
    return False
