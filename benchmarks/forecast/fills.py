"""Generated fills of known end: ten shapes of what disks and memory do, at five minutes each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator

DAY: Final = 288
WEEK: Final = 7 * DAY
_ALMOST: Final = 0.995


def fills(each: int, seed: int, *, seen: int = WEEK, ahead: int = WEEK) -> tuple[list[str], Floats, Floats]:
    """Name of the shape, past of shape (cases, seen), and steps until the limit of 1 (infinite past `ahead`)."""
    rng = np.random.default_rng(seed)
    names, pasts, ends = [], [], []
    for name, shape in SHAPES.items():
        made = 0
        while made < each:
            now = rng.uniform(0.55, 0.93)
            slope = 10.0 ** rng.uniform(-1.5, 0.7) * (1.0 - now) / DAY  # full in five hours to a month
            value = shape(np.arange(seen + ahead, dtype=np.float64) - seen, now, slope, rng)
            if value[seen - 1] >= _ALMOST:
                continue
            reached = np.flatnonzero(value[seen:] >= 1.0)
            names.append(name)
            pasts.append(np.clip(value[:seen], 0.0, 1.0))
            ends.append(float(reached[0] + 1) if len(reached) else np.inf)
            made += 1
    return names, np.stack(pasts), np.array(ends)


def _noise(rng: Rng, size: float, t: Floats) -> Floats:
    return rng.normal(0.0, size, len(t))


def _linear(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    return now + slope * t + _noise(rng, 0.001, t)


def _noisy(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    return now + slope * t + _noise(rng, 0.02, t)


def _wave(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    return now + slope * t + 0.04 * np.sin(np.pi * 2.0 * (t / DAY + rng.uniform()))


def _sawtooth(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    period, size = rng.integers(20, DAY), rng.uniform(0.1, 0.9) * (1.0 - now)
    rise = slope * 0.1 if rng.random() < 0.5 else 0.0  # noqa: PLR2004 - every other one grows on
    return now - size / 2 + size * ((t + rng.integers(period)) % period) / period + rise * t + _noise(rng, 0.002, t)


def _late_leak(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    begun = -rng.uniform(6, 200)
    return now + slope * np.maximum(t - begun, 0.0) + slope * begun + _noise(rng, 0.003, t)


def _accelerating(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    return now + 0.3 * slope * t + 0.5 * slope / WEEK * t * np.abs(t) + _noise(rng, 0.002, t)


def _stable(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    del slope
    return now + 0.01 * np.sin(2.0 * np.pi * t / DAY) + _noise(rng, rng.uniform(0.001, 0.02), t)


def _cleaned(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    del slope
    period, size = rng.integers(200, 900), rng.uniform(0.02, 0.2)
    return now - size / 2 + size * ((t + rng.integers(period)) % period) / period + _noise(rng, 0.002, t)


def _bursty(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    grown: Floats = np.cumsum(np.where(rng.random(len(t)) < 0.02, rng.exponential(slope / 0.02, len(t)), 0.0))  # noqa: PLR2004
    level: Floats = now + grown - grown[np.searchsorted(t, 0.0) - 1]
    return level


def _ended(t: Floats, now: float, slope: float, rng: Rng) -> Floats:
    stopped = -rng.uniform(20, 400)
    return now + 3.0 * slope * np.minimum(t - stopped, 0.0) + _noise(rng, 0.003, t)


SHAPES: Final[dict[str, Callable[[Floats, float, float, Rng], Floats]]] = {
    "linear": _linear,
    "noisy": _noisy,
    "wave": _wave,
    "sawtooth": _sawtooth,
    "late leak": _late_leak,
    "accelerating": _accelerating,
    "stable": _stable,
    "cleaned": _cleaned,
    "bursty": _bursty,
    "ended": _ended,
}
