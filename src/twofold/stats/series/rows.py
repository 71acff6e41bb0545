"""From sids to rows of a table: an open-addressing hash table in two arrays."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import kernel, part

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]

EMPTY: Final = -1
REMEMBERED: Final = 4_000_000  # rows of batches kept: a sender names the same series in the same order again
_WORTH: Final = 64
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


class RowIndex:
    """Gives every sid a row, counted from 0 in order of first sight.

    Suits any number of series; a lookup is one or two memory reads, and a batch that names the same
    series in the same order as one before is compared with it instead. Nothing is removed: rows are
    dropped by building a new index of what is left.

    >>> index = RowIndex()
    >>> index.rows(np.array([7, 9, 7])).tolist(), index.sids.tolist()
    ([0, 1, 0], [7, 9])
    """

    def __init__(self, sids: Int64s | None = None) -> None:
        self._table = np.full(1024, EMPTY, np.int32)
        self._sids = np.empty(512, np.int64)
        self._count = 0
        self._batches: dict[tuple[int, int, int], Int32s] = {}
        self._remembered = 0
        if sids is not None and len(sids):
            self.rows(sids)

    def __len__(self) -> int:
        return self._count

    @property
    def sids(self) -> Int64s:
        """Sid of each row."""
        return self._sids[: self._count]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        batches = sum(rows.nbytes for rows in self._batches.values())
        return self._table.nbytes + self._sids.nbytes + batches

    def rows(self, sids: Int64s) -> Int32s:
        """Row of each sid; unknown ones get the next rows. Not to be written to."""
        sids = np.ascontiguousarray(sids, np.int64)
        if len(sids) < _WORTH:
            return self._resolved(sids)
        key = (len(sids), int(sids[0]), int(sids[-1]))
        known = self._batches.get(key)
        if known is not None and _are(self._sids, known, sids):
            return known
        rows = self._resolved(sids)
        if known is None:
            self._remembered += len(sids)
        if self._remembered > REMEMBERED:
            self._batches.clear()
            self._remembered = len(sids)
        self._batches[key] = rows
        return rows

    def _resolved(self, sids: Int64s) -> Int32s:
        out = np.empty(len(sids), np.int32)
        done = 0
        while True:
            done, self._count = _resolve(self._table, self._sids, self._count, sids, out, done)
            if done == len(sids):
                return out
            self._grow()

    def find(self, sids: Int64s) -> Int32s:
        """Row of each sid, `EMPTY` for unknown ones."""
        sids = np.ascontiguousarray(sids, np.int64)
        out = np.empty(len(sids), np.int32)
        _find(self._table, self._sids, sids, out)
        return out

    def _grow(self) -> None:
        self._sids = np.concatenate([self._sids, np.empty(len(self._sids), np.int64)])
        self._table = np.full(len(self._table) * 2, EMPTY, np.int32)
        _rebuild(self._table, self._sids, self._count)


@part
def _slot(table: Int32s, sids: Int64s, sid: int) -> int:  # pragma: no cover - compiled
    """Where the sid stands, or would."""
    mask = len(table) - 1
    slot = np.int64((np.uint64(sid) * _MIX) >> np.uint64(32)) & mask
    while table[slot] != -1 and sids[table[slot]] != sid:
        slot = (slot + 1) & mask
    return int(slot)


@kernel
def _resolve(
    table: Int32s, sids: Int64s, count: int, wanted: Int64s, out: Int32s, start: int
) -> tuple[int, int]:  # pragma: no cover - compiled
    """Fill `out` from `start` until done or the table is half full; gives how far it came, and the rows.

    Senders name series in one order again and again, so the row after the last one is looked at first: of millions of
    series no cache holds the table.
    """
    row = -1
    for i in range(start, len(wanted)):
        row += 1
        if row < count and sids[row] == wanted[i]:
            out[i] = row
            continue
        slot = _slot(table, sids, wanted[i])
        row = table[slot]
        if row == -1:
            if count >= len(sids):
                return i, count
            row = count
            table[slot] = row
            sids[row] = wanted[i]
            count += 1
        out[i] = row
    return len(wanted), count


@kernel
def _are(sids: Int64s, rows: Int32s, wanted: Int64s) -> bool:  # pragma: no cover - compiled
    """Whether these rows, as many, are those of the wanted sids."""
    for i in range(len(wanted)):  # noqa: SIM110 - `all` does not compile
        if sids[rows[i]] != wanted[i]:
            return False
    return True


@kernel
def _find(table: Int32s, sids: Int64s, wanted: Int64s, out: Int32s) -> None:  # pragma: no cover - compiled
    for i in range(len(wanted)):
        out[i] = table[_slot(table, sids, wanted[i])]


@kernel
def _rebuild(table: Int32s, sids: Int64s, count: int) -> None:  # pragma: no cover - compiled
    for row in range(count):
        table[_slot(table, sids, sids[row])] = row
