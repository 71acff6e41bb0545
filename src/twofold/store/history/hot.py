"""The hot window: what the journal holds and the tables do not, in memory, in the order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twofold.store.history.layout import LANE, Layout


@dataclass(frozen=True, slots=True)
class Piece:
    """One frame's rows, as the frame held them."""

    tenant: str
    lane: int
    data: pa.RecordBatch
    first_ns: int
    last_ns: int


class Hot:
    """Rows of one table. Its owner locks.

    `begin` hands everything over to a flush; it stays visible until `done`, or comes back by `failed`.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._pieces: list[Piece] = []
        self._flushing: list[Piece] = []
        self.rows = 0

    def add(self, batch: pa.RecordBatch, *, tenant: str, lane: int) -> None:
        """Take one frame's rows."""
        if not batch.num_rows:
            return
        times = batch.column(self._layout.time).to_numpy()
        self._pieces.append(Piece(tenant, lane, batch, int(times.min()), int(times.max())))
        self.rows += batch.num_rows

    def begin(self) -> Sequence[Piece]:
        """All pieces, for a flush."""
        self._flushing, self._pieces = [*self._flushing, *self._pieces], []
        return self._flushing

    def done(self) -> None:
        """The pieces that `begin` gave stand in the table."""
        self.rows -= sum(piece.data.num_rows for piece in self._flushing)
        self._flushing = []

    def pieces(self, tenant: str, start_ns: int, end_ns: int) -> list[Piece]:
        """A tenant's pieces that may hold rows of [start_ns, end_ns)."""
        return [
            piece
            for piece in (*self._flushing, *self._pieces)
            if piece.tenant == tenant and piece.last_ns >= start_ns and piece.first_ns < end_ns
        ]


def rows_of(pieces: Sequence[Piece], layout: Layout) -> pa.Table:
    """Rows of pieces as one table with their lanes, else without a copy; texts of few values stay dictionaries."""
    rows = pa.Table.from_batches([piece.data for piece in pieces], layout.incoming)
    lanes = np.repeat(np.array([piece.lane for piece in pieces], np.int8), [piece.data.num_rows for piece in pieces])
    return rows.append_column(LANE, pa.array(lanes))


def samples_of(pieces: Iterable[Piece], sids: pa.Array, start_ns: int, end_ns: int) -> list[pa.RecordBatch]:
    """Rows of the series in [start_ns, end_ns), in the order of arrival."""
    one = sids[0].as_py() if len(sids) == 1 else None
    found = []
    for piece in pieces:
        sid, time_ns = piece.data.column(0), piece.data.column(1).to_numpy()
        wanted = sid.to_numpy() == one if one is not None else pc.is_in(sid, sids).to_numpy(zero_copy_only=False)
        if piece.first_ns < start_ns or piece.last_ns >= end_ns:
            wanted &= (time_ns >= start_ns) & (time_ns < end_ns)
        if wanted.any():
            found.append(piece.data.take(pa.array(np.flatnonzero(wanted))))
    return found
