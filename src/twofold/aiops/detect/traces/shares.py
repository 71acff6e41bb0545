"""Where the slowest requests' time goes now, and where it usually goes: what a finding says of a slow service."""

from __future__ import annotations

import json
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.traces.pool import Visits
from twofold.aiops.detect.traces.times import Asked, twice
from twofold.aiops.detect.words import bare, quantity
from twofold.errors import Corrupt
from twofold.flow.stage import State
from twofold.records.time import SECOND_NS
from twofold.stats.quantiles import quantiles
from twofold.stats.traces.columns import Int64s

SLOTS: Final = 60
"""Windows that are looked back on; older ones become part of what is usual."""
_TAIL: Final = 0.9
_SLOWEST_RATE: Final = 1 / 360  # of a window's weight in what is usual: half an hour
_TELLING: Final = 0.1  # share of the duration from which on a part is named
_MOST_PARTS: Final = 2
_MOST_PAIRS: Final = 20_000
_WORST: Final = 0.5  # of the slowest window's duration: windows this slow speak for the time

Floats = npt.NDArray[np.float64]


class Part(NamedTuple):
    """Time that went to one place, seconds a request. The callee is empty for the service itself."""

    callee: str
    now_s: float
    usual_s: float | None


class Shares:
    """Per group the mean duration of its slowest tenth, of it the time of its own and the wait for each callee."""

    def __init__(self) -> None:
        self._window: Int64s = np.full(SLOTS, -1, np.int64)  # end of the window that each slot holds
        self._count: Floats = np.zeros((0, SLOTS))
        self._spent: Floats = np.zeros((0, 2, SLOTS))  # duration, own
        self._usual: Floats = np.zeros((0, 2))
        self._folded: Floats = np.zeros(0)
        self._pairs: dict[tuple[int, int], int] = {}
        self._of: dict[int, list[tuple[int, int]]] = {}  # group to its (callee, pair)
        self._wait: Floats = np.zeros((0, SLOTS))
        self._usual_wait: Floats = np.zeros(0)

    def close(self, visits: Visits, calls: Asked, groups: int, end_ns: int) -> None:
        """Take the visits of a window."""
        place, group = twice(visits)
        self._grow(groups)
        slot = self._turn(end_ns)
        duration_ns = visits.duration_ns[place]
        slow = duration_ns >= np.floor(quantiles(group, duration_ns, groups, (_TAIL,))[group, 0])
        place, group = place[slow], group[slow]
        self._count[:groups, slot] += np.bincount(group, minlength=groups)
        for which, column in enumerate((visits.duration_ns, visits.own_ns)):
            self._spent[:groups, which, slot] += np.bincount(group, weights=column[place], minlength=groups)
        for mine in (visits.group, visits.total):
            told = np.full(len(visits.group), -1, np.int64)
            same = group == mine[place]
            told[place[same]] = group[same]
            self._add_waits(told, calls, slot)

    def _add_waits(self, told: Int64s, calls: Asked, slot: int) -> None:
        """Add what visits waited; `told` is the group of each visit, -1 for those that do not count."""
        group = told[calls.visit]
        counts = group >= 0
        code = group[counts] << 32 | calls.callee[counts]
        found, inverse = np.unique(code, return_inverse=True)
        pairs = [self._pair(each >> 32, each & 0xFFFFFFFF) for each in found.tolist()]
        known = np.array(pairs, np.int64)[inverse]
        fits = known >= 0
        np.add.at(self._wait[:, slot], known[fits], calls.wait_ns[counts][fits])

    def _pair(self, group: int, callee: int) -> int:
        known = self._pairs.get((group, callee))
        if known is None:
            if len(self._pairs) >= _MOST_PAIRS:
                return -1
            known = self._pairs[group, callee] = len(self._pairs)
            self._of.setdefault(group, []).append((callee, known))
            if known >= len(self._wait):
                more = max(64, known)
                self._wait = np.concatenate([self._wait, np.zeros((more, SLOTS))])
                self._usual_wait = np.concatenate([self._usual_wait, np.zeros(more)])
        return known

    def _grow(self, groups: int) -> None:
        more = groups - len(self._count)
        if more > 0:
            more = max(more, len(self._count), 64)
            self._count = np.concatenate([self._count, np.zeros((more, SLOTS))])
            self._spent = np.concatenate([self._spent, np.zeros((more, 2, SLOTS))])
            self._usual = np.concatenate([self._usual, np.zeros((more, 2))])
            self._folded = np.concatenate([self._folded, np.zeros(more)])

    def _turn(self, end_ns: int) -> int:
        """The slot of a window; what it held becomes part of what is usual."""
        if (here := np.flatnonzero(self._window == end_ns)).size:
            return int(here[0])
        slot = int(np.argmin(self._window))
        count = self._count[:, slot]
        some = np.flatnonzero(count)
        rate = np.zeros(len(count))
        rate[some] = np.maximum(1.0 / (self._folded[some] + 1.0), _SLOWEST_RATE)
        self._folded[some] += 1.0
        per = np.maximum(count, 1.0)
        self._usual += rate[:, None] * (self._spent[:, :, slot] / per[:, None] - self._usual)
        if self._pairs:
            group = np.array([whose for whose, _ in self._pairs], np.int64)
            at = slice(0, len(group))
            self._usual_wait[at] += rate[group] * (self._wait[at, slot] / per[group] - self._usual_wait[at])
        self._count[:, slot], self._spent[:, :, slot], self._wait[:, slot] = 0.0, 0.0, 0.0
        self._window[slot] = end_ns
        return slot

    def parts(self, group: int, since_ns: int, names: list[str]) -> tuple[float, list[Part]]:
        """Mean duration of the slowest tenth at its worst since then, seconds, and where it went, what grew most first.

        Empty when nothing is known of that time.
        """
        if not 0 <= group < len(self._count):
            return 0.0, []
        slots = np.flatnonzero((self._window > since_ns) & (self._count[group] > 0))
        if not len(slots):
            return 0.0, []
        mean = self._spent[group, 0, slots] / self._count[group, slots]
        slots = slots[mean >= _WORST * mean.max()]  # not those in which it had recovered
        count = float(self._count[group, slots].sum())
        lasts, own = (float(self._spent[group, which, slots].sum()) / count / SECOND_NS for which in (0, 1))
        known = self._folded[group] > 0
        found = [Part("", own, float(self._usual[group, 1]) / SECOND_NS if known else None)]
        for callee, pair in self._of.get(group, ()):
            now_s = float(self._wait[pair, slots].sum()) / count / SECOND_NS
            usual_s = float(self._usual_wait[pair]) / SECOND_NS if known else None
            found.append(Part(names[callee] or "calls to unnamed peers", now_s, usual_s))
        found.sort(key=lambda part: (-(part.now_s - (part.usual_s or 0.0)), part.callee))
        return lasts, found

    def snapshot(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """All of it."""
        used = len(self._pairs)
        return {
            "shares_window": self._window.copy(),
            "shares_count": self._count.copy(),
            "shares_spent": self._spent.copy(),
            "shares_usual": self._usual.copy(),
            "shares_folded": self._folded.copy(),
            "shares_wait": self._wait[:used].copy(),
            "shares_usual_wait": self._usual_wait[:used].copy(),
            "shares_pairs": json.dumps(list(self._pairs)).encode(),
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            pairs = [(int(group), int(callee)) for group, callee in json.loads(bytes(state["shares_pairs"]))]
            count = np.array(state["shares_count"], float).reshape(-1, SLOTS)
            groups = len(count)
            window = np.array(state["shares_window"], np.int64).reshape(SLOTS)
            spent = np.array(state["shares_spent"], float).reshape(groups, 2, SLOTS)
            usual = np.array(state["shares_usual"], float).reshape(groups, 2)
            folded = np.array(state["shares_folded"], float).reshape(groups)
            wait = np.array(state["shares_wait"], float).reshape(len(pairs), SLOTS)
            usual_wait = np.array(state["shares_usual_wait"], float).reshape(len(pairs))
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"shares of durations do not fit this version: {error!r}; replay the journal") from error
        self._window, self._count, self._spent, self._usual, self._folded = window, count, spent, usual, folded
        self._wait, self._usual_wait = wait, usual_wait
        self._pairs = {pair: number for number, pair in enumerate(pairs)}
        self._of = {}
        for (group, callee), number in self._pairs.items():
            self._of.setdefault(group, []).append((callee, number))


def told(lasts_s: float, parts: list[Part]) -> str:
    """Parts in words; empty when there is nothing to tell.

    >>> told(2.1, [Part("service:payment", 1.8, 0.11), Part("", 0.3, 0.3)])
    'the slowest take 2.1 s: 1.8 s waiting for payment (usually 110 ms), 300 ms of its own (usually 300 ms)'
    """
    named = [part for part in parts if part.now_s >= _TELLING * lasts_s][:_MOST_PARTS]
    if not named or lasts_s <= 0.0:
        return ""
    return f"the slowest take {quantity(lasts_s, 's')}: {', '.join(_say(part) for part in named)}"


def _say(part: Part) -> str:
    where = f"waiting for {bare(part.callee)}" if part.callee else "of its own"
    usually = f" (usually {quantity(part.usual_s, 's')})" if part.usual_s is not None else ""
    return f"{quantity(part.now_s, 's')} {where}{usually}"
