"""Samples of one request as columns, before anything is judged.

A data point may make several rows (a histogram: count, sum and buckets). It is stored whole or
not at all, so rows name their point.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.records.time import SECOND_NS

Ints = npt.NDArray[np.int64]

REFUSED: Final = -1  # a `sid` below zero: the catalog gave none, the tenant's limit is reached
OVERSIZE: Final = -2  # the catalog gave none, the labels are too long
CROWDED: Final = -3  # the catalog gave none, the metric's limit is reached
DROPPED: Final = (1 << 63) - 256  # a `sid` from here on: a rule drops the series; rule number = sid - DROPPED

# What may be wrong with a row. Rejected is told to the sender, dropped is legal and holds nothing to keep.
_REASONS: Final = (
    "",
    "cardinality",
    "labels_size",
    "no_time",
    "future",
    "not_finite",
    "stale",
    "metric_cardinality",
    "too_old",
)
_CARDINALITY, _LABELS_SIZE, _NO_TIME, _FUTURE, _NOT_FINITE, _STALE, _CROWDED, _TOO_OLD = range(1, 9)
_NO_SID: Final = np.array([0, _CARDINALITY, _LABELS_SIZE, _CROWDED], np.int16)  # by -sid
CARDINALITY: Final = frozenset({"cardinality", "metric_cardinality"})
_LOST: Final = frozenset({"not_finite", "stale"})  # dropped; a rule's number past the reasons is, too

_LAST: Final = (1 << 63) - 1
STALE_BITS: Final = np.uint64(0x7FF0000000000002)  # Prometheus's stale marker, one particular NaN


@dataclass(slots=True)
class Rows:
    """Columns of equal length, in the order of the request.

    Attributes:
        sid: Series id, or `REFUSED`, `OVERSIZE`, `CROWDED`, or `DROPPED` and above.
        point: Which data point the row belongs to, 0 … points - 1, ascending.
        points: Data points that made rows.
        rejected, dropped: Data points that made none, by reason.
    """

    sid: Ints
    time_ns: Ints
    value: npt.NDArray[np.float64]
    point: npt.NDArray[np.int32]
    points: int
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def screen(
        self, now_ns: int, future_s: float, past_s: float = 0.0, drops: Sequence[str] = ()
    ) -> tuple[Rows, Outcome]:
        """Rows that may be stored, and what became of every data point.

        Rejected: no series (`cardinality`, `metric_cardinality`, `labels_size`), no time, more than `future_s` past
        the receiver's clock, more than `past_s` before it (0 takes any age).
        Dropped: NaN and infinities, which no store or detector can use; what a rule of `drops` drops, row by row,
        a point when nothing of it is left.
        """
        outcome = Outcome(Item.POINTS, rejected=self.rejected.copy(), dropped=self.dropped.copy())
        outcome.received = self.points + outcome.rejected.total() + outcome.dropped.total()
        fault = self._faults(now_ns, future_s, past_s)
        gone = self.sid >= DROPPED if drops else np.zeros(0, bool)
        kept = self
        if fault.any() or gone.any():
            of_point = np.zeros(self.points, np.int16)
            if gone.any():
                fault[gone] = 0
                of_point[self.point[gone]] = len(_REASONS) + (self.sid[gone] - DROPPED)
                of_point[self.point[~gone]] = 0
            bad = np.flatnonzero(fault)
            of_point[self.point[bad]] = fault[bad]
            for code, count in enumerate(np.bincount(of_point)):
                if code and count:
                    reason = _REASONS[code] if code < len(_REASONS) else drops[code - len(_REASONS)]
                    lost = reason in _LOST or code >= len(_REASONS)
                    (outcome.dropped if lost else outcome.rejected)[reason] += int(count)
            good = of_point[self.point] == 0
            if gone.any():
                good &= ~gone
            kept = Rows(
                self.sid[good], self.time_ns[good], self.value[good], self.point[good], int((of_point == 0).sum())
            )
        outcome.stored = kept.points
        outcome.rows = len(kept.sid)
        return kept, outcome

    def _faults(self, now_ns: int, future_s: float, past_s: float) -> npt.NDArray[np.int16]:
        """What is wrong with each row, 0 nothing; the worse of two faults wins."""
        fault = np.zeros(len(self.sid), np.int16)
        odd = ~np.isfinite(self.value)
        if odd.any():
            fault[odd] = _NOT_FINITE
            fault[self.value.view(np.uint64) == STALE_BITS] = _STALE
        fault[self.time_ns > now_ns + int(future_s * SECOND_NS)] = _FUTURE
        oldest_ns = max(1, now_ns - int(past_s * SECOND_NS)) if past_s else 1
        old = self.time_ns < oldest_ns
        if old.any():
            fault[old] = np.where(self.time_ns[old] <= 0, _NO_TIME, _TOO_OLD)
        refused = self.sid < 0
        if refused.any():
            fault[refused] = _NO_SID[-self.sid[refused]]
        return fault


class RowList:
    """Rows being collected one by one, by decoders that walk Python objects."""

    def __init__(self) -> None:
        self.sid = array("q")
        self.time_ns = array("q")
        self.value = array("d")
        self.point = array("i")
        self.points = 0
        self.rejected: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def add(self, sid: int, time_ns: int, value: float) -> None:
        """One row of the point that `next_point` ends. Times are cut to 0 (none) and the end of int64 (the future)."""
        self.sid.append(sid)
        self.time_ns.append(max(0, min(time_ns, _LAST)))
        self.value.append(value)
        self.point.append(self.points)

    def refuse(self, reason: str, points: int = 1) -> None:
        """Count points that make no rows."""
        self.rejected[reason] += points

    def next_point(self) -> None:
        """The point is complete."""
        self.points += 1

    def rows(self) -> Rows:
        """As columns, without a copy."""
        return Rows(
            np.frombuffer(self.sid, np.int64),
            np.frombuffer(self.time_ns, np.int64),
            np.frombuffer(self.value, np.float64),
            np.frombuffer(self.point, np.int32),
            self.points,
            self.rejected,
            self.dropped,
        )
