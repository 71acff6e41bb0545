"""Rows in the order of their files; samples once per (sid, time_ns)."""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.store.history.layout import Layout

Ints = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]

_FEW: Final = 4096  # rows below which one comparison sort is quicker than counting
_RUN: Final = 8  # rows of a run on average, from which on runs are sorted
_DIGIT: Final = 16  # bits that numpy sorts by counting, not by comparing
_LOW: Final = (1 << _DIGIT) - 1


def arrange(table: pa.Table, layout: Layout) -> pa.Table:
    """Sort by the layout's order, in the schema of its files; of samples with one sid and time the last stays."""
    schema = layout.stored()
    if layout.order[0] != "sid":
        return _by_time(table.cast(schema), layout)
    sid, time_ns = table["sid"].to_numpy(), table["time_ns"].to_numpy()
    if not _in_runs(sid) and (placed := _placed(sid, time_ns, table)):
        return pa.Table.from_arrays([pa.array(each) for each in placed], schema=schema)
    sid, time_ns, index = last_of_each(sid, time_ns)
    if index is None:
        return table.cast(schema)
    rest = [_taken(table[name].to_numpy(), index) for name in schema.names[2:]]
    return pa.Table.from_arrays([pa.array(each) for each in (sid, time_ns, *rest)], schema=schema)


def _by_time(table: pa.Table, layout: Layout) -> pa.Table:
    """Sort by the layout's columns, rows of one time in the order of arrival.

    Column by column from one chunk each: taking from a chunked column costs ten times as much, and a whole second copy
    need not stand in memory at once.
    """
    keys = [table[name].to_numpy() for name in reversed(layout.order)]
    index = np.lexsort(keys) if len(keys) > 1 else np.argsort(keys[0], kind="stable")
    if np.array_equal(index, np.arange(len(index))):
        return table
    rows = pa.array(index)
    return pa.Table.from_arrays([_arranged(table[name], rows) for name in table.column_names], schema=table.schema)


def _arranged(column: pa.ChunkedArray, rows: pa.Array) -> pa.Array | pa.ChunkedArray:
    """A column's values at these rows."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # texts of more than 2 GiB do not fit one chunk
        return column.take(rows)
    return whole.take(rows)


def _placed(sid: Ints, time_ns: Ints, table: pa.Table) -> tuple[npt.NDArray[Any], ...] | None:
    """All columns by the compiled way, where kernels are loaded anyway and rows come as senders send them."""
    lane = table["lane"].to_numpy()
    if len(sid) < _FEW or "numba" not in sys.modules or lane.min() != lane.max():
        return None
    from twofold.store.history.scatter import scattered  # noqa: PLC0415 - the worker does without the compiler

    found = scattered(sid, time_ns, table["value"].to_numpy())
    return None if found is None else (*found, lane)


def last_of_each(sid: Ints, time_ns: Ints, place: Ints | None = None) -> tuple[Ints, Ints, Index | None]:
    """Sort by (sid, time_ns) and keep the last row of each pair: both columns so, and the indices of their rows.

    Without indices when the rows stand so already. The last row is the one of the highest place, and of
    one place the one that comes last here. Rows of a series mostly arrive in the order of time, so a
    stable sort by sid alone is tried first.
    """
    if _ordered(sid, time_ns):
        return sid, time_ns, None
    by_sid, index = _by_sid(sid)
    by_time = time_ns.take(index)
    same = by_sid[1:] == by_sid[:-1]
    if np.any(same & (by_time[1:] < by_time[:-1])):
        index = np.lexsort((time_ns, sid))
        by_sid, by_time = sid.take(index), time_ns.take(index)
        same = by_sid[1:] == by_sid[:-1]
    repeated = same & (by_time[1:] == by_time[:-1])
    if np.any(repeated):
        if place is not None:
            index = np.lexsort((place, time_ns, sid))
        last = np.append(~repeated, True)
        return by_sid[last], by_time[last], index[last]
    return by_sid, by_time, index


def _by_sid(sid: Ints) -> tuple[Ints, Index]:
    """Sorted sids and the stable order that sorts them.

    Of files that were sorted before, whole runs are put in order. Of what comes from senders, a series has many rows,
    so its rank among the distinct sids is sorted in place of the sid: two digits that numpy counts, a fifth of the time
    of a comparison sort.
    """
    if len(sid) < _FEW:
        index = np.argsort(sid, kind="stable")
        return sid.take(index), index
    if _in_runs(sid):
        return _by_run(sid)
    coded = pa.array(sid).dictionary_encode()
    distinct = coded.dictionary.to_numpy()
    order = np.argsort(distinct)
    rank = np.empty(len(order), np.uint32)
    rank[order] = np.arange(len(order), dtype=np.uint32)
    place = rank.take(coded.indices.to_numpy())
    index = np.argsort((place & _LOW).astype(np.uint16), kind="stable")
    if len(order) > _LOW:
        index = index.take(np.argsort((place >> _DIGIT).astype(np.uint16).take(index), kind="stable"))
    counts = np.bincount(place, minlength=len(order))
    return np.repeat(distinct.take(order), counts), index


def _in_runs(sid: Ints) -> bool:
    """Whether rows of a series mostly stand together."""
    return int(np.count_nonzero(sid[1:] != sid[:-1])) * _RUN <= len(sid)


def _by_run(sid: Ints) -> tuple[Ints, Index]:
    """`_by_sid` by runs of equal sids: a file has few, and within one rows are read in their order."""
    begin = np.concatenate([np.zeros(1, np.int64), np.flatnonzero(sid[1:] != sid[:-1]) + 1])
    count = np.diff(begin, append=len(sid))
    order = np.argsort(sid.take(begin), kind="stable")
    begin, count = begin.take(order), count.take(order)
    to = np.cumsum(count) - count
    index = np.repeat(begin - to, count)
    index += np.arange(len(sid))
    return np.repeat(sid.take(begin), count), index


def _taken(values: npt.NDArray[Any], index: Index) -> npt.NDArray[Any]:
    """Values at the indices; a column of one value, as lanes mostly are, is not gathered."""
    low, high = values.min(), values.max()
    return np.full(len(index), low) if low == high else values.take(index)


def _ordered(sid: Ints, time_ns: Ints) -> bool:
    if np.any(sid[1:] < sid[:-1]):
        return False
    return bool(np.all((sid[1:] > sid[:-1]) | (time_ns[1:] > time_ns[:-1])))
