"""Lines and smoothing through the samples of a window: deriv, predict_linear, double exponential smoothing."""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.errors import InputError
from twofold.store.promql.counters import Found
from twofold.store.promql.values import Floats, Windows
from twofold.store.promql.windows import Runs, runs

_LINE: Final = 2


def deriv(found: Windows) -> Found:
    """Slope a second of the least squares line; needs two samples."""
    slope, _ = _lines(found)
    return slope, found.count >= _LINE


def predict(found: Windows, ahead_s: Floats) -> Found:
    """Where the least squares line stands `ahead_s` after the step; needs two samples."""
    slope, now = _lines(found)
    with np.errstate(all="ignore"):
        return now + slope * ahead_s, found.count >= _LINE


def smooth(found: Windows, level: Floats, trend: Floats) -> Found:
    """Double exponential smoothing (Holt's linear method); needs two samples.

    Raises:
        InputError: A factor that is not within 0 and 1.

    Source: Prometheus `double_exponential_smoothing`, formerly `holt_winters`.
    """
    for name, factor in (("smoothing", level), ("trend", trend)):
        if not ((factor > 0) & (factor < 1)).all():
            raise InputError(f"invalid {name} factor {factor[0]:g}, expected between 0 and 1", reason="execution")
    result = np.zeros(found.low.size)
    levels, trends = (np.broadcast_to(each, found.low.shape).ravel() for each in (level, trend))
    for run in runs(found, _LINE):
        result[run.cells] = _smooth(run, found.samples.values, levels[run.cells], trends[run.cells])
    return result.reshape(found.low.shape), found.count >= _LINE


def _smooth(run: Runs, values: Floats, level: Floats, trend: Floats) -> Floats:
    low = run.index[run.starts]
    before = now = values[low]
    slope = values[low + 1] - now
    with np.errstate(all="ignore"):
        for at in range(1, int(run.count.max())):
            inside = at < run.count
            if at > 1:
                slope = np.where(inside, trend * (now - before) + (1 - trend) * slope, slope)
            value = values[np.minimum(low + at, len(values) - 1)]
            new = level * value + (1 - level) * (now + slope)
            before, now = np.where(inside, now, before), np.where(inside, new, now)
    return now


def _lines(found: Windows) -> tuple[Floats, Floats]:
    """Slope a second, and the value at the step, of each window's least squares line."""
    slope, now = np.zeros(found.low.size), np.zeros(found.low.size)
    steps = np.broadcast_to(found.steps, found.low.shape).ravel()
    with np.errstate(all="ignore"):
        for run in runs(found, _LINE):
            values = found.samples.values[run.index]
            times = found.samples.times[run.index]
            first = times[run.starts]
            x = (times - first[run.cell]) / 1000
            x_mean = np.add.reduceat(x, run.starts) / run.count
            y_mean = np.add.reduceat(values, run.starts) / run.count
            x, y = x - x_mean[run.cell], values - y_mean[run.cell]
            tilt = np.add.reduceat(x * y, run.starts) / np.add.reduceat(x * x, run.starts)
            level = y_mean + tilt * ((steps[run.cells] - first) / 1000 - x_mean)
            flat = np.maximum.reduceat(values, run.starts) == np.minimum.reduceat(values, run.starts)
            start = values[run.starts]
            constant = np.where(np.isinf(start), np.nan, start)
            slope[run.cells] = np.where(flat, np.where(np.isinf(start), np.nan, 0.0), tilt)
            now[run.cells] = np.where(flat, constant, level)
    return slope.reshape(found.low.shape), now.reshape(found.low.shape)
