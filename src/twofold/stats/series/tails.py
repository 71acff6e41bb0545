"""Tail probabilities from an aged histogram of logarithmic bins: what share of the past was at least this large."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import part
from twofold.stats.series.layout import TAIL_BINS

SMALLEST: Final = 0.25  # of a usual size: below it all is one bin
WIDTH: Final = math.log(1.65)


def _bin_by_logarithm(u: float) -> int:
    return min(int(math.log(u / SMALLEST) / WIDTH) + 1, TAIL_BINS - 1) if u > SMALLEST else 0


def _first_of(k: int) -> float:
    """The smallest float in bin `k`, found by halving the bits between two floats."""
    low, high = 0, int(np.array(2.0**12).view(np.int64))
    while low < high:
        middle = (low + high) // 2
        if _bin_by_logarithm(float(np.array(middle).view(np.float64))) < k:
            low = middle + 1
        else:
            high = middle
    return float(np.array(low).view(np.float64))


FIRST: Final = np.array([0.0, *(_first_of(k) for k in range(1, TAIL_BINS)), math.inf])
"""Smallest size in each bin, to the last bit what the logarithm gives; a comparison costs less than a logarithm."""
EDGES: Final = np.array([SMALLEST * math.exp(k * WIDTH) for k in range(TAIL_BINS)])
"""Upper edge of each bin."""
_CUT: Final = 48  # bits left off a float: the exponent and four bits of the mantissa stay, cells narrower than a bin
_CELL: Final = int(np.array(SMALLEST).view(np.int64)) >> _CUT
_BINS: Final = np.array(
    [
        max(1, np.searchsorted(FIRST[:TAIL_BINS], np.array(cell << _CUT).view(np.float64), "right") - 1)
        for cell in range(_CELL, (int(FIRST[TAIL_BINS - 1 :].view(np.int64)[0]) >> _CUT) + 1)
    ],
    np.int8,
)
"""Bin of the first size of each cell."""


@part
def bin_of(u: float) -> int:  # pragma: no cover - compiled
    """Bin of a size `u` >= 0. A cell of floats spans one edge at most, so one comparison decides."""
    if not u >= FIRST[1]:  # also what is no number
        return 0
    if u >= FIRST[TAIL_BINS - 1]:
        return TAIL_BINS - 1
    k = np.int64(_BINS[(np.float64(u).view(np.int64) >> _CUT) - _CELL])
    return int(k + 1 if u >= FIRST[k + 1] else k)


@part
def above(counts: npt.NDArray[np.uint16], u: float, k: int) -> float:  # pragma: no cover - compiled
    """Past sizes of at least `u`, which is in bin `k`; inside the bin by linear share."""
    found = 0
    for j in range(k + 1, TAIL_BINS):
        found += int(counts[j])
    low = 0.0 if k == 0 else EDGES[k - 1]
    high = EDGES[k]
    share = (high - u) / (high - low) if k < TAIL_BINS - 1 else high / max(u, high)
    return float(found + counts[k] * min(max(share, 0.0), 1.0))


@part
def tail(larger: float, total: float, u: float, prior: float) -> float:  # pragma: no cover - compiled
    """Probability of a size of at least `u` when `larger` of `total` past ones were, never 0.

    What was not seen yet follows a power law of exponent 4, which counts as `prior` samples: a young
    series can be surprised, but not by much.
    """
    return float((larger + prior * (1.0 + u / 2.0) ** -4) / (total + prior))
