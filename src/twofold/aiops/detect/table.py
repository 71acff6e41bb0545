"""The panel's state: one row a series, grown as series come, learnt by the kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import Floor
from twofold.errors import Corrupt
from twofold.flow.stage import State
from twofold.stats.series import layout, panel
from twofold.stats.series.rows import RowIndex

Int64s = npt.NDArray[np.int64]
GROWTH: Final = 3  # halves
OUTCOMES: Final = {
    layout.LATE: "late",
    layout.DUPLICATE: "duplicate",
    layout.NOT_FINITE: "not_finite",
    layout.RESET: "counter_reset",
    layout.TOO_LARGE: "too_large",
}


class Table:
    """Scores and learns samples of any series.

    Rows are made for sids never seen before; whoever calls says what they are with `describe`
    before their first sample is learnt.
    """

    def __init__(self, config: PanelConfig) -> None:
        self._params = config.params()
        self._type = layout.row_type(config.season_bins)
        self._index = RowIndex()
        self._outcomes = np.zeros(layout.OUTCOMES, np.int64)
        self.rows: npt.NDArray[Any] = np.zeros(256, self._type)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def sids(self) -> Int64s:
        """Sid of each row."""
        return self._index.sids

    @property
    def used(self) -> npt.NDArray[Any]:
        """Rows in use."""
        return self.rows[: len(self)]

    @property
    def unused(self) -> Counter[str]:
        """Samples that were not judged, by reason."""
        return Counter({OUTCOMES[n]: int(count) for n, count in enumerate(self._outcomes) if count})

    @property
    def _layout(self) -> bytes:
        """Names, types and places of a row's fields; the same whichever NumPy says it."""
        fields = (self._type.fields or {}).items()
        return ";".join(f"{name} {each[0].base.str}{each[0].shape} {each[1]}" for name, each in fields).encode()

    @property
    def bytes_per_series(self) -> int:
        """State of one series, without the spare rows of growth."""
        return int(self._type.itemsize) + 8 + 2 * 4

    def locate(self, sids: Int64s) -> npt.NDArray[np.int32]:
        """Row of each sid; new ones get the next rows."""
        at = self._index.rows(sids)
        if len(self) > len(self.rows):
            grown = np.zeros(max(len(self), GROWTH * len(self.rows) // 2), self._type)  # spare rows take no memory yet
            grown.view(np.uint8)[: self.rows.nbytes] = self.rows.view(np.uint8)
            self.rows = grown
        return at

    def find(self, sid: int) -> int:
        """Row of one sid, -1 when unknown."""
        return int(self._index.find(np.array([sid], np.int64))[0])

    def describe(self, row: int, *, kind: int, sides: int, floor: Floor) -> None:
        """Say how a row's values are read and when a change matters."""
        self.rows["kind"][row] = kind
        self.rows["sides"][row] = sides
        self.rows["least"][row] = floor.least
        self.rows["share"][row] = floor.share

    def learn(
        self, at: npt.NDArray[np.int32], time_ns: Int64s, value: npt.NDArray[np.float64], *, ranked: bool = True
    ) -> tuple[npt.NDArray[np.float32], Sequence[npt.NDArray[Any]]]:
        """Score every sample against its own past, then learn it.

        Samples of a batch are taken in the order of time; one that is older than its series' newest is late.

        Returns:
            Ranks (see `stats.series.score`) in the order given, 0 where nothing was judged, none unless `ranked`
            (they cost a third); and openings and closings in the order of time.
        """
        order = None
        if len(time_ns) > 1 and not (time_ns[1:] >= time_ns[:-1]).all():
            order = np.argsort(time_ns, kind="stable")
            at, time_ns, value = at[order], time_ns[order], value[order]
        scores = np.zeros(len(at) if ranked else 0, np.float32)
        events: list[npt.NDArray[Any]] = []
        done = 0
        while done < len(at):
            buffer = np.zeros(64, layout.EVENT)
            done, written = panel.learn(
                self.rows, at, time_ns, value, self._params, done, scores, buffer, self._outcomes
            )
            events.extend(buffer[:written])
        if order is not None and ranked:
            back = np.empty_like(scores)
            back[order] = scores
            scores = back
        return scores, events

    def settle(self, row: int | Int64s) -> None:
        """End what rows hold of open findings."""
        for name in (
            "opened",
            "calm",
            "leave_ns",
            "evidence",
            "held",
            "back",
            "side",
            "worst_score",
            "worst_effect",
            "stuck",
        ):
            self.rows[name][row] = 0

    def adopt(self, state: State, busy: Collection[int] = ()) -> Int64s:
        """Take rows from a state of another table, where they are new here or span more time; gives their rows here.

        Rows of which something is told (`busy`), those given up here, and those of a state with another layout are left
        as they are.
        """
        if bytes(state["layout"]) != self._layout:
            return np.empty(0, np.int64)
        theirs = np.ascontiguousarray(state["rows"], np.uint8).reshape(-1).view(self._type)
        before = len(self)
        at = self.locate(np.asarray(state["sids"], np.int64))
        ours = self.rows[at]
        spans = [rows["last_ns"] - rows["first_ns"] for rows in (theirs, ours)]
        more = (at >= before) | ((spans[0] > spans[1]) & (ours["count"] > 0) & (ours["opened"] == 0))
        more &= ~np.isin(at, list(busy))
        taken: Int64s = at[more].astype(np.int64)
        self.rows[taken] = theirs[more]
        self.rows["donor"][taken] = 0
        self.settle(taken)
        return taken

    def snapshot(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """Rows as bytes, with the layout they have."""
        return {name: each if isinstance(each, bytes) else each.copy() for name, each in self.lend().items()}

    def lend(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """`snapshot` without a copy: good until the next sample."""
        return {
            "rows": self.used.view(np.uint8).reshape(len(self), self._type.itemsize),  # not field by field
            "sids": self.sids,
            "outcomes": self._outcomes,
            "layout": self._layout,
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt` when rows have another layout."""
        try:
            if bytes(state["layout"]) != self._layout:
                raise Corrupt("panel state has rows of another layout; start this version from an empty state")
            sids = np.asarray(state["sids"], np.int64)
            data = np.ascontiguousarray(state["rows"], np.uint8).reshape(len(sids), self._type.itemsize)
            outcomes = np.array(state["outcomes"], np.int64).reshape(layout.OUTCOMES)
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"panel state does not fit this version: {error!r}; replay the journal") from error
        self._index = RowIndex(sids)
        self.rows = np.zeros(max(256, len(sids)), self._type)
        self.rows.view(np.uint8)[: data.nbytes] = data.reshape(-1)
        self._outcomes = outcomes
