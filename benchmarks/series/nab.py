"""The Numenta Anomaly Benchmark's score: early detection inside wide windows, with the best threshold in sample.

Source: Lavin and Ahmad (2015), "Evaluating Real-time Anomaly Detection Algorithms", and the scorer of numenta/NAB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.series.data import Floats, Int64s, Labelled

PROFILES = {"standard": (0.11, 1.0), "low_fp": (0.22, 1.0), "low_fn": (0.11, 2.0)}  # weights of false hits and misses
PROBATION = 0.15
PROBATION_POINTS = 5000
FAR = 3.0


def _sigmoid(place: Floats) -> Floats:
    """Worth of a detection at a place relative to a window's end, in window lengths: 1 early … -1 far behind."""
    return np.where(place > FAR, -1.0, 2 / (1 + np.exp(5 * np.minimum(place, FAR))) - 1)


def _worth(series: Labelled, first_window: int) -> tuple[Floats, Int64s]:
    """Worth of a detection at each row, and the window it lies in (-1: none)."""
    n = len(series.value)
    worth, owner = np.full(n, -1.0), np.full(n, -1)
    ends = [*(a for a, _ in series.windows[1:]), n][: len(series.windows)]
    for j, ((a, b), until) in enumerate(zip(series.windows, ends, strict=True)):
        length = float(b - a)
        rows = np.arange(a, b + 1)
        worth[a : b + 1] = _sigmoid(-(b - rows + 1) / (length + 1)) / _sigmoid(np.array(-1.0))
        owner[a : b + 1] = first_window + j
        worth[b + 1 : until] = _sigmoid((np.arange(b + 1, until) - b) / length)
    return worth, owner


def nab(series: Sequence[Labelled], scores: Sequence[Floats]) -> dict[str, float]:
    """Score by profile, 0 for a detector that says nothing, 100 for a perfect one."""
    windows = 0
    parts = []
    for each, score in zip(series, scores, strict=True):
        worth, owner = _worth(each, windows)
        windows += len(each.windows)
        skip = math.ceil(min(math.floor(PROBATION * len(score)), PROBATION * PROBATION_POINTS))
        parts.append((np.where(np.isfinite(score), score, -1e30)[skip:], worth[skip:], owner[skip:]))
    score, worth, owner = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-score, kind="stable")
    score, worth, owner = score[order], worth[order], owner[order]
    final = np.append(score[1:] != score[:-1], True)
    present = len(np.unique(owner[owner >= 0]))
    return {name: _best(worth, owner, final, windows, present, *weights) for name, weights in PROFILES.items()}


def _best(
    worth: Floats, owner: Int64s, final: np.ndarray, windows: int, present: int, false: float, missed: float
) -> float:
    gain = np.where(owner < 0, worth * false, 0.0)
    best = np.full(windows, -missed)
    for i in np.flatnonzero(owner >= 0):
        if worth[i] > best[owner[i]]:
            gain[i] = worth[i] - best[owner[i]]
            best[owner[i]] = worth[i]
    silent = -missed * present
    top = max(float(np.where(final, silent + np.cumsum(gain), -np.inf).max()), silent)
    return 100 * (top - silent) / (windows - silent)
