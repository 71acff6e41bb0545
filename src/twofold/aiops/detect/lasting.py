"""What goes on until it ends: series that stand still although they never do, and series that swing otherwise.

Beside the panel, which makes findings of it: here stands what was told, so that it can be told again and ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect import words
from twofold.records.finding import Direction
from twofold.records.series import Series
from twofold.records.time import SECOND_NS, to_datetime
from twofold.stats.series.layout import MOVES_AGAIN, STUCK, SWINGS, SWINGS_BACK, SWINGS_ON

Event = Mapping[str, Any]
Ends = Callable[[Series, float], str]
BEGINS: Final = frozenset({STUCK, SWINGS})
ENDS: Final[Mapping[int, tuple[int, Ends]]] = {
    MOVES_AGAIN: (STUCK, words.moves_again),
    SWINGS_BACK: (SWINGS, words.swings_as_before),
    SWINGS_ON: (SWINGS, words.swings_on),
}
"""What the kernel says of an end: of which beginning, and in which words."""
_FLOATS: Final = ("score", "value", "expected", "margin", "effect", "now")
_INTS: Final = ("row", "what", "time_ns", "onset_ns", "side", "basis")


@dataclass(frozen=True, slots=True)
class Lasting:
    """The newest thing told of each, by row and beginning (`STUCK`, `SWINGS`)."""

    told: dict[tuple[int, int], Event] = field(default_factory=dict)

    def begin(self, event: Event | npt.NDArray[Any]) -> Event:
        """Keep what began."""
        kept: dict[str, float] = {name: float(event[name]) for name in _FLOATS}
        kept |= {name: int(event[name]) for name in _INTS}
        self.told[int(event["row"]), int(event["what"])] = kept
        return kept

    def end(self, event: Event | npt.NDArray[Any]) -> tuple[Event, Ends] | None:
        """What ends, as of now, and the words for it; None when it was never told."""
        begun, tell = ENDS[int(event["what"])]
        kept = self.told.pop((int(event["row"]), begun), None)
        return None if kept is None else ({**kept, "time_ns": int(event["time_ns"])}, tell)

    def again(self, last_ns: npt.NDArray[np.int64], after_s: float) -> Iterator[Event]:
        """What was told `after_s` ago or longer, as of its row's newest sample."""
        for key, event in list(self.told.items()):
            newest_ns = int(last_ns[key[0]])
            if (newest_ns - event["time_ns"]) / SECOND_NS >= after_s:
                self.told[key] = {**event, "time_ns": newest_ns}
                yield self.told[key]

    def lost(self, quiet: Callable[[int], bool]) -> Iterator[Event]:
        """What ends because its row sends nothing more."""
        for key in [key for key in self.told if quiet(key[0])]:
            yield self.told.pop(key)

    def snapshot(self) -> Sequence[Event]:
        """As plain numbers."""
        return list(self.told.values())

    @classmethod
    def restored(cls, events: Sequence[Event]) -> Lasting:
        """Inverse of `snapshot`. Raises `KeyError`, `TypeError`, `ValueError`."""
        found = cls()
        for event in events:
            found.begin(event)
        return found


def direction_of(event: Event) -> Direction:
    """Which way."""
    if event["what"] == STUCK:
        return Direction.FLAT if event["value"] else Direction.DOWN
    return Direction.VOLATILE if event["side"] > 0 else Direction.STEADY


def reason_of(series: Series, event: Event) -> str:
    """Why it is told."""
    onset = to_datetime(int(event["onset_ns"]))
    if event["what"] == STUCK and not event["value"]:
        return words.stopped(series, event["expected"], onset, event["effect"])
    if event["what"] == STUCK:
        return words.stuck(series, event["value"], onset, event["effect"])
    return words.swings(series, event["value"], event["expected"], onset)
