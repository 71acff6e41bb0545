"""The compiled way to sort samples by series: each row is written straight to its place.

Rows of a series arrive in the order of time but for a few, so counting the rows of each series says where every row
goes, and no index is sorted or followed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

Ints = npt.NDArray[np.int64]


def scattered(
    sid: Ints, time_ns: Ints, value: npt.NDArray[np.float64]
) -> tuple[Ints, Ints, npt.NDArray[np.float64]] | None:
    """The columns sorted by (sid, time_ns); None unless each series' rows come in the order of time, each time once."""
    coded = pa.array(sid).dictionary_encode()
    codes, distinct = coded.indices.to_numpy(), coded.dictionary.to_numpy()
    order = np.argsort(distinct)
    counts = np.bincount(codes, minlength=len(distinct))
    begin = np.empty(len(order), np.int64)
    begin[order] = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[order])[:-1]])
    by_sid, by_time, by_value = np.empty_like(sid), np.empty_like(time_ns), np.empty_like(value)
    if not _scatter(codes, distinct, begin, begin.copy(), time_ns, value, by_sid, by_time, by_value):
        return None
    return by_sid, by_time, by_value


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
