"""Quantiles of many groups of whole numbers at once, by one sort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]

_BITS: Final = 44  # of nanoseconds almost five hours; greater values are sorted another way


def by_group(group: Int64s, value: Int64s, groups: int) -> Int64s:
    """Values by group and then by size.

    Args:
        group: Of each value, from 0 to `groups` - 1.
        value: Not below 0.
        groups: How many there are.

    >>> by_group(np.array([1, 0, 1]), np.array([9, 5, 3]), 2).tolist()
    [5, 3, 9]
    """
    if groups >> (63 - _BITS) or (len(value) and int(value.max()) >> _BITS):
        slow: Int64s = value[np.lexsort((value, group))]
        return slow
    both: Int64s = group << _BITS | value
    both.sort()
    both &= (1 << _BITS) - 1
    return both


def quantiles(group: Int64s, value: Int64s, groups: int, wanted: Sequence[float]) -> npt.NDArray[np.float64]:
    """Quantiles of each group's values, shape (groups, wanted); NaN for a group without any. Interpolates linearly.

    >>> quantiles(np.array([0, 0, 0]), np.array([10, 30, 20]), 2, (0.5, 0.75)).tolist()
    [[20.0, 25.0], [nan, nan]]
    """
    found = np.full((groups, len(wanted)), np.nan)
    count = np.bincount(group, minlength=groups)
    some = np.flatnonzero(count)
    ordered = by_group(group, value, groups)
    begin = (np.cumsum(count) - count)[some]
    for column, quantile in enumerate(wanted):
        place = quantile * (count[some] - 1)
        low = np.floor(place).astype(np.int64)
        below, above = ordered[begin + low], ordered[begin + np.minimum(low + 1, count[some] - 1)]
        found[some, column] = below + (place - low) * (above - below)
    return found
