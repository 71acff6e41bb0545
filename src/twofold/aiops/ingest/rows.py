"""Samples of one request as columns, before anything is judged.

A data point may make several rows (a histogram: count, sum and buckets). It is stored whole or
not at all, so rows name their point.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.records.time import SECOND_NS

Ints = npt.NDArray[np.int64]

REFUSED: Final = -1  # a `sid` below zero: the catalog gave none, the tenant's limit is reached
OVERSIZE: Final = -2  # the catalog gave none, the labels are too long

# What may be wrong with a row. Rejected is told to the sender, dropped is legal and holds nothing to keep.
_REASONS: Final = ("", "cardinality", "labels_size", "no_time", "future", "not_finite", "stale")
_CARDINALITY, _LABELS_SIZE, _NO_TIME, _FUTURE, _NOT_FINITE, _STALE = range(1, 7)
_DROPPED: Final = frozenset({"not_finite", "stale"})

_LAST: Final = (1 << 63) - 1
STALE_BITS: Final = np.uint64(0x7FF0000000000002)  # Prometheus's stale marker, one particular NaN


@dataclass(slots=True)
class Rows:
    """Columns of equal length, in the order of the request.

    Attributes:
        sid: Series id, or `REFUSED` or `OVERSIZE`.
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

    def screen(self, now_ns: int, future_s: float) -> tuple[Rows, Outcome]:
        """Rows that may be stored, and what became of every data point.

        Rejected: no series (`cardinality`), no time, more than `future_s` past the receiver's clock.
        Dropped: NaN and infinities, which no store or detector can use.
        """
        outcome = Outcome(Item.POINTS, rejected=self.rejected.copy(), dropped=self.dropped.copy())
        outcome.received = self.points + outcome.rejected.total() + outcome.dropped.total()
        fault = np.zeros(len(self.sid), np.int8)
        fault[~np.isfinite(self.value)] = _NOT_FINITE
        fault[self.value.view(np.uint64) == STALE_BITS] = _STALE
        fault[self.time_ns > now_ns + int(future_s * SECOND_NS)] = _FUTURE
        fault[self.time_ns <= 0] = _NO_TIME
        fault[self.sid == REFUSED] = _CARDINALITY
        fault[self.sid == OVERSIZE] = _LABELS_SIZE
        kept = self
        if fault.any():
            of_point = np.zeros(self.points, np.int8)
            bad = np.flatnonzero(fault)
            of_point[self.point[bad]] = fault[bad]
            for code, count in enumerate(np.bincount(of_point, minlength=len(_REASONS))):
                reason = _REASONS[code]
                if reason and count:
                    (outcome.dropped if reason in _DROPPED else outcome.rejected)[reason] += int(count)
            good = of_point[self.point] == 0
            kept = Rows(
                self.sid[good], self.time_ns[good], self.value[good], self.point[good], int((of_point == 0).sum())
            )
        outcome.stored = kept.points
        outcome.rows = len(kept.sid)
        return kept, outcome


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
