"""The compiled way to sort samples by series: each row is written straight to its place.

Rows of a series arrive in the order of time but for a few, so counting the rows of each series says where every row
goes, and no index is sorted or followed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
_FIRST: Final = 1 << 16
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


def scattered(
    sid: Ints, time_ns: Ints, value: npt.NDArray[np.float64]
) -> tuple[Ints, Ints, npt.NDArray[np.float64]] | None:
    """The columns sorted by (sid, time_ns); None unless each series' rows come in the order of time, each time once."""
    codes, distinct = _coded(np.ascontiguousarray(sid))
    order = np.argsort(distinct)
    counts = np.bincount(codes, minlength=len(distinct))
    begin = np.empty(len(order), np.int64)
    begin[order] = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[order])[:-1]])
    by_sid, by_time, by_value = np.empty_like(sid), np.empty_like(time_ns), np.empty_like(value)
    if not _scatter(codes, distinct, begin, begin.copy(), time_ns, value, by_sid, by_time, by_value):
        return None
    return by_sid, by_time, by_value


@njit(inline="always")  # type: ignore[untyped-decorator]  # numba has no types
def _slot(table: Codes, distinct: Ints, sid: int) -> int:  # pragma: no cover - compiled
    """Where the sid's code stands, or would."""
    mask = len(table) - 1
    slot = np.int64((np.uint64(sid) * _MIX) >> np.uint64(32)) & mask
    while table[slot] >= 0 and distinct[table[slot]] != sid:
        slot = (slot + 1) & mask
    return int(slot)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba has no types
def _coded(sid: Ints) -> tuple[Codes, Ints]:  # pragma: no cover - compiled
    """Which of the distinct sids each row has, and these, in the order of their first rows.

    Senders name series in one order again and again, so the sid after the last one is looked at first: of a million of
    them no cache holds the table.
    """
    codes, distinct = np.empty(len(sid), np.int32), np.empty(len(sid), np.int64)
    table = np.full(_FIRST, -1, np.int32)
    count, code = 0, -1
    for row in range(len(sid)):
        code += 1
        if code >= count or distinct[code] != sid[row]:
            if 2 * count >= len(table):
                table = np.full(2 * len(table), -1, np.int32)
                for each in range(count):
                    table[_slot(table, distinct, distinct[each])] = each
            slot = _slot(table, distinct, sid[row])
            code = table[slot]
            if code < 0:
                code = count
                table[slot] = code
                distinct[code] = sid[row]
                count += 1
        codes[row] = code
    return codes, distinct[:count].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba has no types
def _scatter(
    codes: npt.NDArray[np.int32],
    distinct: Ints,
    begin: Ints,
    place: Ints,
    time_ns: Ints,
    value: npt.NDArray[np.float64],
    by_sid: Ints,
    by_time: Ints,
    by_value: npt.NDArray[np.float64],
) -> bool:  # pragma: no cover - compiled
    """Write every row to its place; False as soon as one is not after the row of its series before."""
    for row in range(len(codes)):
        code = codes[row]
        at = place[code]
        if at > begin[code] and time_ns[row] <= by_time[at - 1]:
            return False
        place[code] = at + 1
        by_time[at] = time_ns[row]
        by_value[at] = value[row]
    for code in range(len(distinct)):
        for at in range(begin[code], place[code]):
            by_sid[at] = distinct[code]
    return True
