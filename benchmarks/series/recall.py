"""Events found within a budget of false alerts: what an operator would have been paged for.

One threshold for all series of a family. Points at or above it that are at most `MERGE` apart are one
alert. An alert finds an event when it opens inside it, at most `EARLY` points before; one that opens
outside every event (and its `MERGE` points after) is false.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.series.data import Floats, Labelled

MERGE = 10
EARLY = 2
LEVELS = 200
HOPELESS = 3.0  # false alerts a day past which no threshold is tried


def alerts(score: Floats, threshold: float) -> np.ndarray:
    """Rows at which alerts open."""
    above = np.flatnonzero(score >= threshold)
    return above[np.diff(above, prepend=-MERGE - 3) > MERGE + 1]


def judge(series: Labelled, opened: np.ndarray) -> tuple[np.ndarray, int]:
    """Delay in points of each event found (-1: missed), and the number of false alerts."""
    first, last = series.events()
    delay = np.full(len(first), -1)
    for k, (a, b) in enumerate(zip(first, last, strict=True)):
        inside = opened[(opened >= a - EARLY) & (opened <= b)]
        if len(inside):
            delay[k] = max(0, inside[0] - a)
    near = np.zeros(len(opened), np.bool_)
    for a, b in zip(first, last, strict=True):
        near |= (opened >= a - EARLY) & (opened <= b + MERGE)
    ignored = series.ignore[series.warm :][opened]
    return delay, int((~near & ~ignored).sum())


def recall(series: Sequence[Labelled], scores: Sequence[Floats], budgets: Sequence[float]) -> list[tuple[float, float]]:
    """Per budget (false alerts a series-day): best share of events found, and the median delay of those."""
    tested = [score[each.warm :] for each, score in zip(series, scores, strict=True)]
    pool = np.sort(np.concatenate([score[np.isfinite(score)] for score in tested]))[::-1]
    ranks = np.unique(np.geomspace(1, len(pool), LEVELS).astype(int) - 1)
    days = sum(each.days for each in series)
    events = max(sum(len(each.events()[0]) for each in series), 1)
    best = [(0.0, float("nan"))] * len(budgets)
    for threshold in np.unique(pool[ranks])[::-1]:
        judged = [judge(each, alerts(score, threshold)) for each, score in zip(series, tested, strict=True)]
        delay = np.concatenate([found for found, _ in judged])
        rate = sum(false for _, false in judged) / days
        share = float((delay >= 0).sum() / events)
        for j, budget in enumerate(budgets):
            if rate <= budget and share > best[j][0]:
                best[j] = (share, float(np.median(delay[delay >= 0])))
        if rate > HOPELESS:
            break
    return best
