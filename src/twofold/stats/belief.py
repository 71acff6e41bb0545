"""What a few judgements prove: a share that is known from counts, and a rate that is known from a count.

No I/O and no sampling: densities on a grid, so the same counts give the same answer everywhere.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_GRID: Final = 4000
_SHARES: Final[Floats] = (np.arange(_GRID) + 0.5) / _GRID
_PRIOR: Final = 0.5
_STEPS: Final = 80


def belief(yes: int, no: int) -> Floats:
    """How likely each share is after so many yes and no: a Beta distribution on the grid, sums to 1.

    Begins at Jeffreys' prior, Beta(1/2, 1/2), whose intervals hold their level with few counts.

    Source: Brown, Cai & DasGupta (2001), "Interval Estimation for a Binomial Proportion".
    """
    log = (yes + _PRIOR - 1.0) * np.log(_SHARES) + (no + _PRIOR - 1.0) * np.log1p(-_SHARES)
    weight: Floats = np.exp(log - log.max())
    share: Floats = weight / weight.sum()
    return share


def interval(yes: int, no: int, level: float = 0.8) -> tuple[float, float, float]:
    """Low end, median and high end of what the share may be.

    >>> [round(share, 2) for share in interval(3, 1)]
    [0.43, 0.73, 0.92]
    """
    mass = np.cumsum(belief(yes, no))
    tail = (1.0 - level) / 2.0
    low, middle, high = (float(_SHARES[np.searchsorted(mass, at)]) for at in (tail, 0.5, 1.0 - tail))
    return low, middle, high


def worse(yes: int, no: int, other: tuple[int, int], margin: float = 0.0) -> float:
    """The probability that a share is lower than another by more than a margin, each known from its counts.

    >>> worse(0, 3, (20, 0), 0.1) > 0.95, worse(2, 1, (2, 1)) < 0.6
    (True, True)
    """
    mine, theirs = belief(yes, no), belief(*other)
    below = np.cumsum(mine) - mine / 2.0  # a cell of the grid that both are in is as likely lower as higher
    return float((theirs * np.interp(_SHARES - margin, _SHARES, below, left=0.0)).sum())


def below(yes: int, no: int, limit: float) -> float:
    """The probability that the share is below a limit.

    >>> round(below(0, 3, 0.5), 2), round(below(5, 1, 0.5), 2)
    (0.97, 0.05)
    """
    return float(belief(yes, no)[limit > _SHARES].sum())


def least_rate(count: int, span: float, certainty: float = 0.95) -> float:
    """The lowest rate that so many events in a span still allow: exact, after Garwood.

    >>> round(least_rate(3, 1.0), 2), least_rate(0, 1.0)
    (0.82, 0.0)

    Source: Garwood (1936), "Fiducial Limits for the Poisson Distribution".
    """
    if count <= 0:
        return 0.0
    low, high = 0.0, float(count)
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        terms = (math.exp(-middle + k * math.log(middle) - math.lgamma(k + 1)) for k in range(count))
        if 1.0 - sum(terms) < 1.0 - certainty:
            low = middle
        else:
            high = middle
    return low / span
