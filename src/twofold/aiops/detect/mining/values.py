"""Odd values: a number far outside of what its place in a template ever held, a code that a settled set lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from twofold.aiops.detect.mining.masks import ALWAYS, SPOKEN, UNITS
from twofold.aiops.detect.words import quantity
from twofold.errors import ConfigError, Corrupt
from twofold.flow.stage import State
from twofold.stats.text import values as kernels
from twofold.stats.text.lines import Lexicon, scratch
from twofold.stats.text.shapes import table
from twofold.stats.text.words import Bytes, Int64s, byte_kinds

_ROOM: Final = 256
_UNITS: Final = {kernels.PLAIN: "", kernels.SECONDS: "s", kernels.BYTES: "By"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesConfig:
    """When a value is odd.

    Attributes:
        least_lines: A variable must have been seen in so many lines; twice as many for a set of codes.
        margin: A number must lie beyond the range by at least this share of the way from the mean to its end, and be
            twice as large (or a quarter as small) as any before.
        settled: Nothing new must have come in this share of the lines of a set.
        per_100k: Odd values told per 100,000 lines; others are counted.
        slots: Variables kept, a power of two.
    """

    least_lines: int = 500
    margin: float = 0.75
    settled: float = 0.8
    per_100k: float = 2.0
    slots: int = 1 << 15

    def __post_init__(self) -> None:
        if min(self.least_lines, self.margin, self.per_100k) <= 0 or not 0 < self.settled < 1:
            raise ConfigError(f"every setting of odd values must be above 0, settled below 1: {self}")
        if self.slots < _ROOM or self.slots & (self.slots - 1):
            raise ConfigError(f"slots is {self.slots}, must be a power of two from {_ROOM} on")


@dataclass(frozen=True, slots=True)
class Odd:
    """One odd value.

    Attributes:
        line: Of the call.
        text: As it stands in the line.
        usual: What was usual, in words.
    """

    line: int
    text: str
    usual: str


class Values:
    """Learns what variables hold, and tells what they never held.

    Suits durations, sizes, counts and codes. Says nothing of free text, ids and addresses, nor of variables whose
    numbers spread over many powers of two. A variable that was odd must be twice as odd the next time.

    Attributes:
        untold: Odd values beyond `per_100k`.
    """

    def __init__(self, config: ValuesConfig | None = None) -> None:
        self._config = config or ValuesConfig()
        self._lexicon = Lexicon(byte_kinds(), table(ALWAYS), table(UNITS), table(SPOKEN))
        self._scratch = scratch()
        self._known = kernels.known(self._config.slots)
        self._used = np.zeros(3, np.int64)
        self._units = kernels.units()
        self._out = kernels.found(_ROOM)
        self._rules = kernels.Rules(self._config.least_lines, self._config.margin, self._config.settled)
        self._told = 0
        self.untold = 0

    def __len__(self) -> int:
        """Variables known."""
        return int(self._used[0])

    def feed(self, data: Bytes, offsets: Int64s, ids: Int64s, severity: np.ndarray) -> list[Odd]:
        """Judge and learn lines; `ids` are those of their templates."""
        lines = kernels.Lines(data, offsets, ids, severity)
        odd: list[Odd] = []
        at = 0
        while at < len(ids):
            found = kernels.weigh(
                lines,
                at,
                self._lexicon,
                self._units,
                self._scratch,
                self._known,
                self._used,
                self._out,
                self._rules,
            )
            at = int(self._used[2])
            if at < len(ids) and not found:
                self._make_room()
            odd += [each for place in range(found) if (each := self._odd(data, place)) is not None]
        return odd

    def _odd(self, data: Bytes, place: int) -> Odd | None:
        allowed = 3.0 + self._config.per_100k * float(self._used[1]) / 100_000
        if self._told >= allowed:
            self.untold += 1
            return None
        self._told += 1
        out = self._out
        text = data[int(out.begin[place]) : int(out.end[place])].tobytes().decode("utf-8", "replace")
        return Odd(int(out.line[place]), text, self._usual(place))

    def _usual(self, place: int) -> str:
        slot, what = int(self._out.slot[place]), int(self._out.what[place])
        lines = int(self._known.lines[slot]) - 1
        if what == kernels.ODD_TEXT:
            many = int(self._known.many[slot]) - 1
            return f"one of {many} other values in {lines} lines" if many > 1 else f"always another in {lines} lines"
        unit = _UNITS[int(self._known.unit[slot])]
        if what == kernels.ODD_SIGN:
            return f"never below 0 in {lines} lines"
        low, high = float(2.0 ** self._out.low[place]), float(2.0 ** self._out.high[place])
        return f"{quantity(low, unit)} to {quantity(high, unit)} in {lines} lines"

    def _make_room(self) -> None:
        """Forget the half of the variables that was not seen for longest."""
        old = self._known
        here = np.flatnonzero(old.keys)
        keep = here[np.argsort(old.used[here], kind="stable")[len(here) // 2 :]]
        new = kernels.known(len(old.keys))
        kernels.refill(old, keep, new)
        self._known = new
        self._used[0] = len(keep)

    def snapshot(self) -> dict[str, Any]:
        """All that is known."""
        here = np.flatnonzero(self._known.keys)
        found = {f"values_{name}": column[here] for name, column in self._known._asdict().items()}
        counts = np.array([len(here), self._used[1], self._told, self.untold], np.int64)
        return {**found, "values": counts}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave; a state from before there were values begins empty. Raises `Corrupt`."""
        if "values" not in state:
            return
        try:
            columns = {name: np.array(state[f"values_{name}"]) for name in kernels.Known._fields}
            count, lines, told, untold = (int(each) for each in np.asarray(state["values"]))
            old = kernels.Known(**columns)
            if any(len(column) != count for column in old) or count > len(self._known.keys) // 4 * 3:
                raise Corrupt(f"{count} variables do not fit into {len(self._known.keys)} slots; replay the journal")
            new = kernels.known(len(self._known.keys))
            kernels.refill(old, np.arange(count), new)
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"values of lines do not fit this version: {error!r}; replay the journal") from error
        self._known = new
        self._used[:] = count, lines, 0
        self._told, self.untold = told, untold
