"""From quantile paths of a forecast to the chance that a limit is reached, and how good such chances were.

What any forecaster of values gives (a path for each quantile) is brought to what the closed form of `stats.fill` says,
so that both can be held against the same past.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.stats.fill import LEAST, fill

Floats = npt.NDArray[np.float64]
Foresee = Callable[[Floats, int], Floats]
"""Past values and steps ahead to paths of shape (LEVELS, ahead)."""

LEVELS: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
ORIGINS: Final = 3
_MOVES: Final = (0.5, 1.0, 2.0)


def reached(paths: Floats, limit: float, levels: Sequence[float] = LEVELS) -> Floats:
    """The chance that a limit is reached from below within 1, 2, … steps, shape (ahead,).

    Between quantiles it is taken as straight, past the outermost as half of what they leave. What counts as reached
    is the value at each step, so a path that only touches the limit between two steps is missed.

    >>> reached(np.array([[0.0, 1.0], [2.0, 3.0]]), 2.0, (0.1, 0.9)).round(2).tolist()
    [0.1, 0.5]

    Args:
        paths: Shape (levels, ahead).
        limit: Reached from below.
        levels: What the rows of `paths` are quantiles of.
    """
    ordered = np.sort(paths, axis=0)
    low, high = levels[0] / 2.0, 1.0 - (1.0 - levels[-1]) / 2.0
    below = [np.interp(limit, column, levels, left=low, right=high) for column in ordered.T]
    chance: Floats = np.maximum.accumulate(1.0 - np.array(below))
    return chance


def brier(values: Floats, ahead: int, foresee: Foresee | None = None) -> float:
    """How far chances were off on the past of one series, 0 to 1; smaller is better.

    At some moments of the past it is asked whether the series will rise by half, once and twice the size of its usual
    moves within `ahead` steps, and what came of it. Without a forecaster the closed form is asked.

    Args:
        values: Shape (steps,), no gaps, oldest first.
        ahead: Steps ahead; the past must hold `LEAST` steps before the first moment.
        foresee: Gives paths; without it the closed form is judged.

    Returns:
        The mean squared error of the chances; NaN when the past is too short.
    """
    cuts = [len(values) - ahead * (number + 1) for number in range(ORIGINS)]
    cuts = [cut for cut in cuts if cut >= max(LEAST, ahead)]
    moves = np.abs(values[ahead:] - values[:-ahead]) if len(values) > ahead else np.zeros(0)
    size = float(np.median(moves)) if len(moves) else 0.0
    if not cuts or size <= 0.0:
        return float("nan")
    off: list[float] = []
    for cut in cuts:
        past, future = values[:cut], values[cut : cut + ahead]
        paths = foresee(past, ahead) if foresee else None
        for move in _MOVES:
            limit = float(past[-1]) + move * size
            if paths is None:
                said = float(fill(past[None, :], np.array([limit]), [float(ahead)]).within[0, 0])
            else:
                said = float(reached(paths, limit)[-1])
            off.append((said - float(future.max() >= limit)) ** 2)
    return float(np.mean(off))
