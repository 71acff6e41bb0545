"""A tick of a series: its mean, measured against the fast level in usual sizes, then learnt."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from twofold.stats.jit import part
from twofold.stats.joint.layout import HEAD, SHARE, TINY
from twofold.stats.series.layout import COUNTER, DELTA, LARGEST, NS

CLIP: Final = 3.0  # usual sizes past which a tick moves a level no further
MOST_SAMPLES: Final = 65_535  # of a series in a tick; more change its mean no further


@part
def take(s: Any, time_ns: int, value: float, tick: int) -> None:  # pragma: no cover - compiled
    """Add a sample to its series' tick. A counter's tick is its rate since the sample before."""
    if not np.isfinite(value) or abs(value) > LARGEST:
        return
    x = value
    if s.kind in (COUNTER, DELTA):
        before, before_ns = s.raw, s.raw_ns
        if time_ns <= before_ns:
            return
        s.raw, s.raw_ns = value, time_ns
        if before_ns == 0:
            return
        x = (value - before if s.kind == COUNTER else value) / ((time_ns - before_ns) * NS)
        if x < 0.0 and s.kind == COUNTER:
            return
    if s.tick != tick:
        s.tick = tick
        s.sum = 0.0
        s.samples = 0
    if s.samples < MOST_SAMPLES:
        s.sum += x
        s.samples += 1


@part
def measure(s: Any, p: Any) -> None:  # pragma: no cover - compiled
    """Take the tick's z against what is usual, then learn it."""
    x = s.sum / s.samples
    if s.count == 0:
        s.zero = x
    y = x - s.zero
    away = y - s.fast
    size = s.size + SHARE * s.spread + TINY * (abs(x) + TINY)
    old = s.count >= HEAD
    s.z = min(max(away / size, -p.most_z), p.most_z) if old else 0.0
    if abs(s.z) >= abs(s.peak) or not s.fresh:
        s.peak = s.z
    s.fresh = 1
    young = 1.0 / (s.count + 1.0)
    w = max(1.0 / p.scale_ticks, young)
    limit = CLIP * s.size if old else abs(away)
    s.fast += max(1.0 / p.fast_ticks, young) * min(max(away, -limit), limit)
    s.size += w * (min(abs(away), 2.0 * limit) - s.size)
    from_slow = y - s.slow
    s.slow += max(1.0 / p.slow_ticks, young) * from_slow
    s.spread += w * (abs(from_slow) - s.spread)
    s.count = min(s.count + 1, 1 << 30)


@part
def tell(event: Any, at: int, rows: Any, row: int) -> None:  # pragma: no cover - compiled
    """Write what a series did into an event."""
    s = rows[row]
    value = s.sum / s.samples if s.samples else np.nan
    usual = s.size + SHARE * s.spread + TINY * (abs(value) + TINY)
    event.row[at] = row
    event.z[at] = s.peak
    event.value[at] = value
    event.usual[at] = usual
    event.expected[at] = s.fast + s.zero
