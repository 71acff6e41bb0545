"""What the panel's kernel writes of a row when something opens or closes: records of `EVENT`."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from twofold.stats.jit import part
from twofold.stats.series.habits import basis_of
from twofold.stats.series.judge import close
from twofold.stats.series.layout import BY_LEVEL, DAY_S, MOVES_AGAIN, NS, OPENED, STUCK
from twofold.stats.series.swings import WATCH, usual_swing, watch_swings

WATCHES: Final = 3  # that a change of swing takes until it is told, about


@part
def _write(s: Any, row: int, what: int, time_ns: int, now: float, event: Any) -> None:  # pragma: no cover - compiled
    event.row = row
    event.what = what
    event.time_ns = time_ns
    event.onset_ns = s.leave_ns
    event.score = s.worst_score
    event.value = s.worst_value + s.zero
    event.expected = s.worst_expected + s.zero
    event.margin = s.worst_margin
    event.effect = s.worst_effect
    event.now = now
    event.side = s.side
    event.basis = basis_of(s)


@part
def _write_swing(
    s: Any, row: int, what: int, ratio: float, time_ns: int, now: float, p: Any, event: Any
) -> None:  # pragma: no cover - compiled
    """How much the series swings, in place of a value, and how much it usually does; as rare as the budget allows."""
    event.row = row
    event.what = what
    event.time_ns = time_ns
    event.onset_ns = time_ns - np.int64(WATCHES * WATCH * s.period_s / NS)
    event.score = math.log10(DAY_S / max(s.period_s, 1e-3) / p.alerts_per_day)
    event.expected = usual_swing(s)
    event.value = ratio * event.expected
    event.margin = event.expected
    event.effect = ratio
    event.now = now
    event.side = 1 if ratio > 1.0 else -1
    event.basis = BY_LEVEL


@part
def _write_still(
    s: Any, row: int, what: int, time_ns: int, now: float, event: Any
) -> None:  # pragma: no cover - compiled
    """What stands still: where, how many times as long as ever; what stopped, in the place of which level."""
    event.row = row
    event.what = what
    event.time_ns = time_ns
    event.onset_ns = time_ns - np.int64(s.still * s.period_s / NS)
    event.score = 0.0
    event.value = now
    event.expected = s.slow + s.zero if now == 0.0 else now
    event.margin = 0.5 * abs(event.expected - now)
    event.effect = s.still / max(s.still_most, 1)
    event.now = now
    event.side = 0
    event.basis = BY_LEVEL


@part
def tell(
    s: Any, row: int, what: int, time_ns: int, now: float, season: float, event: Any
) -> None:  # pragma: no cover - compiled
    """Write what opens or closes; after what closes a finding, go on as normal."""
    if what in (STUCK, MOVES_AGAIN):
        _write_still(s, row, what, time_ns, now, event)
        return
    _write(s, row, what, time_ns, now, event)
    if what != OPENED:
        close(s, what, now - s.zero, season)


@part
def tell_swings(
    s: Any, row: int, shock: float, time_ns: int, now: float, p: Any, event: Any
) -> int:  # pragma: no cover - compiled
    """Take the size of a sample's shock; how many events were written of what it proves."""
    what, ratio = watch_swings(s, shock, p)
    if what == 0:
        return 0
    _write_swing(s, row, what, ratio, time_ns, now, p, event)
    return 1
