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
Codes = npt.NDArray[np.int16]

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
    "metric_cardinality",
    "too_old",
)
_CARDINALITY, _LABELS_SIZE, _NO_TIME, _FUTURE, _NOT_FINITE, _CROWDED, _TOO_OLD = range(1, 8)
_NO_SID: Final = np.array([0, _CARDINALITY, _LABELS_SIZE, _CROWDED], np.int16)  # by -sid
CARDINALITY: Final = frozenset({"cardinality", "metric_cardinality"})
_LOST: Final = frozenset({"not_finite"})  # dropped; a rule's number past the reasons is, too

_LAST: Final = (1 << 63) - 1
STALE_BITS: Final = np.uint64(0x7FF0000000000002)  # the one NaN by which Prometheus marks the end of a series
STALE: Final = float(STALE_BITS.view(np.float64))  # arithmetic makes another NaN of it


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
        Dropped: infinities and NaN, which no detector can use, but for marks of a series' end, which are stored;
        what a rule of `drops` drops, row by row, a point when nothing of it is left.
        """
        outcome = Outcome(Item.POINTS, rejected=self.rejected.copy(), dropped=self.dropped.copy())
        outcome.received = self.points + outcome.rejected.total() + outcome.dropped.total()
        kept = self
        if len(self.sid):
            gone = self.sid >= DROPPED if drops and self.sid.max() >= DROPPED else None
            fault = self._faults(now_ns + int(future_s * SECOND_NS), now_ns - int(past_s * SECOND_NS) if past_s else 0)
            if fault is not None or gone is not None:
                kept = self._without(fault, gone, outcome, drops)
        outcome.stored = kept.points
        outcome.rows = len(kept.sid)
        return kept, outcome

    def _faults(self, latest_ns: int, oldest_ns: int) -> Codes | None:
        """What is wrong with each row, 0 nothing; the worse of two faults wins. None when nothing is."""
        refused, early, late = (
            self.sid.min() < 0,
            self.time_ns.min() < max(1, oldest_ns),
            self.time_ns.max() > latest_ns,
        )
        odd = ~np.isfinite(self.value)
        if odd.any():
            odd &= ~is_mark(self.value)
        if not (refused or early or late or odd.any()):
            return None
        fault = np.zeros(len(self.sid), np.int16)
        fault[odd] = _NOT_FINITE
        fault[self.time_ns > latest_ns] = _FUTURE
        fault[self.time_ns < oldest_ns] = _TOO_OLD
        fault[self.time_ns <= 0] = _NO_TIME
        nowhere = self.sid < 0
        fault[nowhere] = _NO_SID[-self.sid[nowhere]]
        return fault

    def _without(
        self, fault: Codes | None, gone: npt.NDArray[np.bool_] | None, outcome: Outcome, drops: Sequence[str]
    ) -> Rows:
        """The rows that are left; counts points by what became of them."""
        of_point = np.zeros(self.points, np.int16)
        stays = np.ones(len(self.sid), bool)
        if gone is not None:
            stays = ~gone
            of_point[self.point[gone]] = len(_REASONS) + (self.sid[gone] - DROPPED)
            of_point[self.point[stays]] = 0
        if fault is not None:
            bad = np.flatnonzero(stays & (fault > 0))
            of_point[self.point[bad]] = fault[bad]
        for code, count in enumerate(np.bincount(of_point)):
            if code and count:
                by_rule = code >= len(_REASONS)
                reason = drops[code - len(_REASONS)] if by_rule else _REASONS[code]
                (outcome.dropped if by_rule or reason in _LOST else outcome.rejected)[reason] += int(count)
        good = stays & (of_point[self.point] == 0)
        return Rows(self.sid[good], self.time_ns[good], self.value[good], self.point[good], int((of_point == 0).sum()))


def is_mark(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which values mark the end of a series."""
    return np.asarray(values.view(np.uint64) == STALE_BITS)


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
