"""Which series an entity has, and whose series may go with them: what the kernel walks over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.flow.stage import State
from twofold.stats.joint.layout import ENTITY, NONE, PAIR, SERIES
from twofold.stats.series.rows import RowIndex

Int64s = npt.NDArray[np.int64]
FIRST: Final = 256
MOST_NEIGHBOURS: Final = 32


class Members:
    """Rows of series and entities, grown as they come.

    Args:
        max_ring: Rows among which partners are looked for, an entity's own first.
        apart: Whether pairs are kept at all.
    """

    def __init__(self, max_ring: int, *, apart: bool) -> None:
        self._max_ring, self._apart = max_ring, apart
        self._index = RowIndex()
        self._series: npt.NDArray[Any] = np.zeros(FIRST, SERIES)
        self._pairs: npt.NDArray[Any] = np.zeros(FIRST if apart else 0, PAIR)
        self._entities: npt.NDArray[Any] = np.zeros(FIRST, ENTITY)
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._links: dict[int, list[int]] = {}
        self._walk: tuple[npt.NDArray[np.int32], Int64s, Int64s] | None = None

    def __len__(self) -> int:
        return len(self._index)

    @property
    def sids(self) -> Int64s:
        """Sid of each row."""
        return self._index.sids

    @property
    def series(self) -> npt.NDArray[Any]:
        """State of the series in use."""
        return self._series[: len(self)]

    @property
    def pairs(self) -> npt.NDArray[Any]:
        """How the same series go with others; none when nobody asks."""
        return self._pairs[: len(self)] if self._apart else self._pairs

    @property
    def entities(self) -> npt.NDArray[Any]:
        """State of the entities in use."""
        return self._entities[: len(self.names)]

    def locate(self, sids: Int64s) -> npt.NDArray[np.int32]:
        """Row of each sid; new ones get the next rows, which `describe` must fill."""
        before = len(self)
        at = self._index.rows(sids)
        if len(self) > len(self._series):
            self._series = _grown(self._series, len(self))
            if self._apart:
                self._pairs = _grown(self._pairs, len(self))
        self._series["entity"][before : len(self)] = NONE
        if self._apart:
            self._pairs["partner"][before : len(self)] = NONE
        return at

    def describe(self, row: int, *, entity: str, kind: int) -> None:
        """Say whose series a row is and how its values are read."""
        self._series["kind"][row] = kind
        self._series["entity"][row] = self._number(entity)
        self._walk = None

    def link(self, a: str, b: str) -> None:
        """Series of these two may go together."""
        one, other = self._number(a), self._number(b)
        for x, y in ((one, other), (other, one)):
            known = self._links.setdefault(x, [])
            if y not in known and len(known) < MOST_NEIGHBOURS:
                known.append(y)
                self._walk = None

    def links(self) -> dict[int, list[int]]:
        """Numbers of the entities whose series may go with those of each."""
        return self._links

    def _number(self, entity: str) -> int:
        number = self._numbers.setdefault(entity, len(self.names))
        if number == len(self.names):
            self.names.append(entity)
            if len(self.names) > len(self._entities):
                self._entities = _grown(self._entities, len(self.names))
            self._walk = None
        return number

    def rings(self) -> tuple[npt.NDArray[np.int32], Int64s, Int64s]:
        """Rows of each entity and then of its neighbours, where each begins (and the end), and how many are its own."""
        if self._walk is None:
            owner = self.series["entity"]
            order = np.argsort(owner, kind="stable").astype(np.int32)
            first = np.searchsorted(owner[order], np.arange(len(self.names) + 1))
            rings = [self._ring(number, order, first) for number in range(len(self.names))]
            begins = np.cumsum([0, *(len(ring) for ring in rings)])
            self._walk = np.concatenate([np.empty(0, np.int32), *rings]), begins, np.diff(first)
        return self._walk

    def _ring(self, number: int, order: npt.NDArray[np.int32], first: Int64s) -> npt.NDArray[np.int32]:
        own = order[first[number] : first[number + 1]]
        room = max(self._max_ring - len(own), 0) if self._apart else 0
        others = [order[first[each] : first[each + 1]] for each in self._links.get(number, ())]
        return np.concatenate([own, np.concatenate(others)[:room]]) if room and others else own

    def lend(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """All rows, as bytes with the layout they have; not copied."""
        arrays = {"series": self.series, "pairs": self.pairs, "entities": self.entities}
        return {
            **{name: each.view(np.uint8).reshape(len(each), each.dtype.itemsize) for name, each in arrays.items()},
            "sids": self.sids,
        }

    def restore(self, state: State, names: Sequence[str], links: dict[int, list[int]], *, pairs: bool) -> None:
        """Take back what `lend` gave. Raises `KeyError` or `ValueError` when it does not fit."""
        sids = np.array(state["sids"], np.int64)
        series = _back(state["series"], SERIES, len(sids))
        entities = _back(state["entities"], ENTITY, len(names))
        kept = _back(state["pairs"], PAIR, len(sids)) if pairs else None
        self._index = RowIndex(sids)
        self._series, self._entities = _grown(series, FIRST), _grown(entities, FIRST)
        if self._apart:
            fresh = np.zeros(len(sids), PAIR)
            fresh["partner"] = NONE
            self._pairs = _grown(fresh if kept is None else kept, FIRST)
        self.names = list(names)
        self._numbers = {name: n for n, name in enumerate(self.names)}
        self._links, self._walk = links, None


def _grown(rows: npt.NDArray[Any], least: int) -> npt.NDArray[Any]:
    found = np.zeros(max(least, 3 * len(rows) // 2), rows.dtype)
    found[: len(rows)] = rows
    return found


def _back(data: Any, kind: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    return np.ascontiguousarray(data, np.uint8).reshape(count, kind.itemsize).view(kind).reshape(count)
