"""Rows in the order of their files; samples once per (sid, time_ns)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.store.history.layout import Layout

Ints = npt.NDArray[np.int64]


def arrange(table: pa.Table, layout: Layout) -> pa.Table:
    """Sort by the layout's order, in the schema of its files; of samples with one sid and time the last stays."""
    schema = layout.stored()
    if layout.order[0] != "sid":
        return table.cast(schema).sort_by([(name, "ascending") for name in layout.order])
    keep = last_of_each(table["sid"].to_numpy(), table["time_ns"].to_numpy())
    if keep is None:
        return table.cast(schema)
    arrays = [pa.array(table[each.name].to_numpy()[keep], each.type) for each in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def last_of_each(sid: Ints, time_ns: Ints, place: Ints | None = None) -> npt.NDArray[np.intp] | None:
    """Indices that sort by (sid, time_ns) and keep the last row of each pair; None when rows stand so already.

    Rows of a series mostly arrive in the order of time, so a stable sort by sid alone is tried first.
    The last row is the one of the highest place, and of one place the one that comes last here.
    """
    if _ordered(sid, time_ns):
        return None
    index = np.argsort(sid, kind="stable")
    by_sid, by_time = sid[index], time_ns[index]
    same = by_sid[1:] == by_sid[:-1]
    if np.any(same & (by_time[1:] < by_time[:-1])):
        index = np.lexsort((time_ns, sid))
        by_sid, by_time = sid[index], time_ns[index]
        same = by_sid[1:] == by_sid[:-1]
    repeated = same & (by_time[1:] == by_time[:-1])
    if np.any(repeated):
        if place is not None:
            index = np.lexsort((place, time_ns, sid))
        index = index[np.append(~repeated, True)]
    return index


def _ordered(sid: Ints, time_ns: Ints) -> bool:
    step = sid[1:] > sid[:-1]
    return bool(np.all(step | ((sid[1:] == sid[:-1]) & (time_ns[1:] > time_ns[:-1]))))
