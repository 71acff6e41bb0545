"""What is compared: the panel detector, and the plain peer that it must never fall below."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numba import njit

from benchmarks.series.data import Floats, Labelled
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import Floor
from twofold.aiops.detect.table import Table
from twofold.records.time import SECOND_NS
from twofold.stats.series.layout import DOWN, GAUGE, UP

WINDOW = 30
SLOW_POINTS = 3000
Score = Callable[[Labelled], Floats]


def panel(config: PanelConfig | None = None) -> tuple[Score, Table]:
    """The panel, one row a series, and its table."""
    table = Table(config or PanelConfig())

    def score(series: Labelled) -> Floats:
        at = table.locate(np.full(len(series.value), len(table) + 1, np.int64))
        table.describe(int(at[0]), kind=GAUGE, sides=UP | DOWN, floor=Floor(0.0, 0.2))
        scores, _ = table.learn(at, series.time_s * SECOND_NS, series.value)
        return scores.astype(np.float64)

    return score, table


def rolling_median(series: Labelled) -> Floats:
    """Distance from the median of the last points, over its own slow mean and a tenth of the slow spread."""
    found: Floats = _rolling_median(series.value, WINDOW, SLOW_POINTS)
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def _rolling_median(value: Floats, window: int, slow_points: int) -> Floats:
    out = np.zeros(len(value))
    usual, level, spread = 0.0, value[0], 0.0
    for i in range(1, len(value)):
        past = np.sort(value[max(i - window, 0) : i])
        away = abs(value[i] - past[len(past) // 2])
        if i >= window:
            out[i] = away / (usual + 0.1 * spread + 1e-9 * abs(value[i]) + 1e-12)
        weight = max(1.0 / (i + 1), 1.0 / slow_points)
        usual += weight * (away - usual)
        level += weight * (value[i] - level)
        spread += weight * (abs(value[i] - level) - spread)
    return out


def timed(score: Score, series: Sequence[Labelled]) -> tuple[list[Floats], float]:
    """Scores of all series and CPU seconds, compilation apart."""
    score(series[0])
    begin = time.process_time()
    scores = [score(each) for each in series]
    return scores, time.process_time() - begin
