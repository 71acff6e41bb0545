"""Metric columns of a recorded case to symptoms: how far each moved after the detection time, and how rare that is.

Stands in for the live detector, which judges endless series; here a case has one normal phase and a short abnormal one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twofold.aiops.diagnose import RankConfig
from twofold.aiops.diagnose.symptom import Symptom, strength
from twofold.records.finding import Direction
from twofold.records.signal import harmful, signal_of

Floats = npt.NDArray[np.float64]

SPREAD_FLOOR = 0.05
"""Least spread as a share of the level: a flat series must not make a crumb look large."""


@dataclass(frozen=True, slots=True)
class Column:
    """One series of a case. `times_s` belong to `after`, on the case's clock."""

    entity: str
    metric: str
    before: Floats
    after: Floats
    times_s: Floats
    callee: str = ""


@dataclass(frozen=True, slots=True)
class Shift:
    """How a column moved in the abnormal phase, in robust deviations of the normal one."""

    column: Column
    expected: float
    value: float
    effect: float
    onset_s: float


def shift_of(column: Column) -> Shift | None:
    """The shift; None when either phase has too little to tell."""
    before = column.before[np.isfinite(column.before)]
    keep = np.isfinite(column.after)
    after, times_s = column.after[keep], column.times_s[keep]
    if len(before) < 5 or not len(after):  # noqa: PLR2004 - a median of fewer says nothing
        return None
    level, spread = _normal(before)
    value = _typical_worst(after, level)
    away = np.abs(after - level) / spread > 3  # noqa: PLR2004 - three deviations, the usual fence
    onset_s = float(times_s[np.argmax(away)]) if away.any() else float(times_s[-1])
    return Shift(column, level, value, (value - level) / spread, onset_s)


def symptoms(columns: Sequence[Column], config: RankConfig) -> list[Symptom]:
    """Symptoms of all columns. The tail is pooled over all entities' normal windows of the same metric."""
    null: dict[str, list[Floats]] = defaultdict(list)
    shifts = []
    for column in columns:
        shift = shift_of(column)
        if shift is not None:
            shifts.append(shift)
            null[column.metric].append(_windows(column))
    typical = {
        metric: float(np.median([abs(s.effect) for s in shifts if s.column.metric == metric])) for metric in null
    }
    shifts = [replace(shift, effect=shift.effect / (1.0 + typical[shift.column.metric])) for shift in shifts]
    pools = {metric: np.sort(np.concatenate(parts)) for metric, parts in null.items()}
    return [found for shift in shifts if (found := _symptom(shift, pools[shift.column.metric], config))]


def _symptom(shift: Shift, pool: Floats, config: RankConfig) -> Symptom | None:
    column = shift.column
    direction = Direction.UP if shift.effect > 0 else Direction.DOWN
    if shift.effect == 0 or not harmful(column.metric, direction):
        return None
    weight = strength(
        tail_score(abs(shift.effect), pool), shift.effect, config, value=shift.value, expected=shift.expected
    )
    return Symptom(
        entity=column.entity,
        signal=signal_of(column.metric),
        up=direction is Direction.UP,
        onset_s=shift.onset_s,
        strength=weight,
        callee=column.callee,
        ref=column.metric,
    )


def tail_score(size: float, pool: Floats) -> float:
    """-log10 of the share of normal windows that moved as far; beyond the pool, on along its own tail.

    >>> round(tail_score(0.0, np.arange(1.0, 101.0)), 2), round(tail_score(99.5, np.arange(1.0, 101.0)), 1)
    (0.0, 1.7)
    """
    above = len(pool) - int(np.searchsorted(pool, size))
    if above:
        return float(np.log10((len(pool) + 1) / (above + 1)))
    tail = pool[-max(len(pool) // 20, 2) :]
    steep = float(np.mean(np.log(np.maximum(tail, 1e-9) / max(float(tail[0]), 1e-9)))) or 1.0
    beyond = np.log(max(size, 1e-9) / max(float(pool[-1]), 1e-9)) / max(steep, 0.2)
    return float(np.log10(len(pool) + 1) + beyond / np.log(10))


def _normal(before: Floats) -> tuple[float, float]:
    level = float(np.median(before))
    spread = 1.4826 * float(np.median(np.abs(before - level)))
    wide = float(np.percentile(before, 90) - np.percentile(before, 10)) / 2.56
    return level, max(spread, wide, SPREAD_FLOOR * abs(level), 1e-9)


def _windows(column: Column) -> Floats:
    before = column.before[np.isfinite(column.before)]
    level, spread = _normal(before)
    width = max(1, min(int(np.isfinite(column.after).sum()), len(before) // 3))
    views = np.lib.stride_tricks.sliding_window_view(before, width)
    return np.array([abs(_typical_worst(view, level) - level) / spread for view in views])


def _typical_worst(values: Floats, level: float) -> float:
    """The second farthest value from the level: one outlier is no shift, a fault need not last for the whole window."""
    order = np.argsort(-np.abs(values - level), kind="stable")
    return float(values[order[min(1, len(values) - 1)]])
