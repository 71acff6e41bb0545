"""Series that stand still although they never do: a sensor, an exporter or a cache that hangs sends one value.

A gauge is stuck when it shows the same value for `TIMES` as long as ever before. Known must be a day of it, in
which it moved ten times as long as it now stands still. That 0 stays 0 is no news, nothing happens, unless less of it
hurts: then what never rests has stopped, and that holds of rates as well.
"""

from __future__ import annotations

from typing import Any, Final

from twofold.stats.jit import part
from twofold.stats.series.layout import DOWN, GAUGE, MOVES_AGAIN, NS, STUCK
from twofold.stats.series.peaks import CALIBRATED

LEAST: Final = 20  # samples
TIMES: Final = 5
LIVELY: Final = 10  # times as many samples before as stood still
STILL: Final = 1e-5  # share of the value below which a step is rounding, not movement
MOST: Final = 60_000


@part
def stands_still(step: float, x: float) -> bool:  # pragma: no cover - compiled
    """Whether a step is none."""
    return step <= STILL * abs(x)


@part
def watch(s: Any, step: float, x: float) -> int:  # pragma: no cover - compiled
    """Count samples without movement; says when the series is stuck and when it moves again, 0 for neither."""
    if not stands_still(step, x):
        s.still_most = max(s.still_most, s.still)
        s.still = 0
        was = s.stuck
        s.stuck = 0
        return MOVES_AGAIN if was else 0
    s.still = min(s.still + 1, MOST)
    if s.stuck or s.still < max(LEAST, TIMES * s.still_most):
        return 0
    if (s.last_ns - s.first_ns) * NS < (LIVELY + 1) * s.still * s.period_s:
        return 0
    told = s.sides & DOWN if x == 0.0 else s.kind == GAUGE
    if not told or s.blocks < CALIBRATED or s.opened > 0.0:
        return 0
    s.stuck = 1
    return STUCK
