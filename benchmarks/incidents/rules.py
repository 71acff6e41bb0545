"""Peers that are one rule each, in their authors' definition, on the same columns and with the same detection time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.incidents.shift import Column, Floats

Ranking = list[tuple[str, float]]


def max_z(columns: Sequence[Column]) -> Ranking:
    """NSigma: an entity is as suspect as its most deviating metric, in standard deviations of the normal phase."""
    return _by_entity(columns, lambda x: (float(np.mean(x)), float(np.std(x))))


def baro(columns: Sequence[Column]) -> Ranking:
    """BARO's RobustScorer (Pham et al., FSE 2024): the same with median and interquartile range."""
    return _by_entity(columns, lambda x: (float(np.median(x)), float(np.percentile(x, 75) - np.percentile(x, 25))))


def _by_entity(columns: Sequence[Column], normal: Callable[[Floats], tuple[float, float]]) -> Ranking:
    scores: dict[str, float] = {}
    for column in columns:
        before, after = _fill(column.before), _fill(column.after)
        if not len(before) or not len(after):
            continue
        level, spread = normal(before)
        size = float(np.max(np.abs(after - level))) / (spread or 1.0)
        scores[column.entity] = max(scores.get(column.entity, 0.0), size)
    return sorted(scores.items(), key=lambda item: -item[1])


def _fill(values: Floats) -> Floats:
    return values[np.isfinite(values)]
