"""Tail probabilities from an aged histogram of logarithmic bins: what share of the past was at least this large."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import part
from twofold.stats.layout import TAIL_BINS

SMALLEST: Final = 0.25  # of a usual size: below it all is one bin
WIDTH: Final = math.log(1.3)


@part
def bin_of(u: float) -> int:  # pragma: no cover - compiled
    """Bin of a size `u` >= 0."""
    if u <= SMALLEST:
        return 0
    return min(int(math.log(u / SMALLEST) / WIDTH) + 1, TAIL_BINS - 1)


@part
def above(counts: npt.NDArray[np.uint16], u: float) -> float:  # pragma: no cover - compiled
    """Past sizes of at least `u`; inside its bin by linear share."""
    k = bin_of(u)
    found = 0.0
    for j in range(k + 1, TAIL_BINS):
        found += counts[j]
    low = 0.0 if k == 0 else SMALLEST * math.exp((k - 1) * WIDTH)
    high = SMALLEST * math.exp(k * WIDTH)
    share = (high - u) / (high - low) if k < TAIL_BINS - 1 else high / max(u, high)
    return float(found + counts[k] * min(max(share, 0.0), 1.0))


@part
def tail(larger: float, total: float, u: float, prior: float) -> float:  # pragma: no cover - compiled
    """Probability of a size of at least `u` when `larger` of `total` past ones were, never 0.

    What was not seen yet follows a power law of exponent 4, which counts as `prior` samples: a young
    series can be surprised, but not by much.
    """
    return float((larger + prior * (1.0 + u / 2.0) ** -4) / (total + prior))
