"""Series that swing more, or less, than they do: the size of their steps changes while their level need not.

Samples are taken in watches of `WATCH`. The logarithm of a watch's mean size of shocks is compared with what is
usual for the series, in its own spread: bursts by habit make it wide. A change is told when watches in a row prove it
and it is at least `LEAST` times as large or as small. Suits noise that grows or dies; a single spike is
a shock, and says nothing here.
"""

from __future__ import annotations

import math
from typing import Any, Final

from twofold.stats.jit import part
from twofold.stats.series.layout import DAY_S, NS, SWINGS, SWINGS_BACK, SWINGS_ON

WATCH: Final = 20  # samples
MOST: Final = 6.0  # usual sizes that one sample counts for
CALM: Final = 0.05  # of a usual size: a logarithm needs more than 0
SEEN: Final = 40  # watches before any is judged
SEEN_S: Final = 1.5 * DAY_S  # nights are calmer than days
MOST_SEEN: Final = 200
MEMORY_S: Final = 3.0 * DAY_S
LEAST_MEMORY: Final = 0.005
LEAST_SPREAD: Final = 0.08
LEAST: Final = math.log(2.0)
BASE: Final = 3.0  # spreads that prove nothing
MOST_PROOF: Final = 6.0  # of one watch
DOUBT: Final = 2  # what a watch that proves nothing takes away
PROVEN: Final = 10.0  # is told, at a budget of `BUDGET` false findings a day
BUDGET: Final = 0.05
A_DECADE: Final = 6.0  # more for a tenth of it
EXCURSION: Final = 3.0  # mean sizes: how far from its level a series comes again and again
MOST_PROVEN: Final = 90  # whatever the budget
TOLD: Final = 100
SURE, CALMS = 3, 2  # after `TOLD`: how much proof there is, and how much of it a calm watch takes
USUAL_NOW: Final = 124  # proof after as many watches
LESSON: Final = 1.5  # times as wide is the spread after a change that was told: who changes often is told less of
USUAL, SUM = 0, 1


@part
def begin(s: Any) -> None:  # pragma: no cover - compiled
    """Nothing is known of how much it swings."""
    s.swing[USUAL] = 0.0
    s.swing[SUM] = 0.0
    s.swing_spread = 0.0
    s.swing_count = 0
    s.swing_seen = 0
    s.swing_proof = 0


@part
def usual_swing(s: Any) -> float:  # pragma: no cover - compiled
    """Mean size of its shocks, in its unit."""
    return float(math.exp(s.swing[USUAL]) * s.shock)


@part
def watch_swings(s: Any, u_shock: float, p: Any) -> tuple[int, float]:  # pragma: no cover - compiled
    """Take the size of a sample's shock; with the last one of a watch `SWINGS` …, or 0, and the ratio to the usual."""
    s.swing[SUM] += min(u_shock, MOST)
    s.swing_count += 1
    if s.swing_count < WATCH:
        return 0, 1.0
    away = math.log(s.swing[SUM] / WATCH + CALM) - s.swing[USUAL]
    s.swing[SUM] = 0.0
    s.swing_count = 0
    if s.opened > 0.0:
        return 0, 1.0
    return _judge(s, away, p), math.exp(away)


@part
def _judge(s: Any, away: float, p: Any) -> int:  # pragma: no cover - compiled
    spread = max(float(s.swing_spread), LEAST_SPREAD)
    if s.swing_seen < SEEN or (s.last_ns - s.first_ns) * NS < SEEN_S:
        _learn(s, away)
        return 0
    far = abs(away) / spread
    side = 1 if away > 0.0 else -1
    gain = min(far - BASE, MOST_PROOF)
    if abs(s.swing_proof) >= TOLD:
        return _told(s, away, side, far)
    if abs(away) < LEAST or gain <= 0.0 or not _matters(s, away):
        s.swing_proof -= min(max(s.swing_proof, -DOUBT), DOUBT)
        if s.swing_proof == 0:
            _learn(s, away)
        return 0
    before = s.swing_proof if s.swing_proof * side > 0 else 0
    s.swing_proof = side * min(abs(before) + int(gain + 0.5), MOST_PROVEN)
    if abs(s.swing_proof) < min(PROVEN - A_DECADE * math.log10(p.alerts_per_day / BUDGET), MOST_PROVEN):
        return 0
    s.swing_proof = side * (TOLD + SURE)
    return SWINGS


@part
def _matters(s: Any, away: float) -> bool:  # pragma: no cover - compiled
    """Whether the larger of both swings takes the series past what is of practical size."""
    larger = usual_swing(s) * math.exp(max(away, 0.0))
    return bool(EXCURSION * larger >= max(s.least, s.share * abs(s.level + s.zero)))


@part
def _told(s: Any, away: float, side: int, far: float) -> int:  # pragma: no cover - compiled
    """Since it was told: whether it swings as before again, or has done otherwise for so long that it is usual now."""
    if side * s.swing_proof < 0 or far < BASE or abs(away) < 0.5 * LEAST:
        sure = min(abs(s.swing_proof), TOLD + SURE) - CALMS  # one calm watch may be chance, two are not
        s.swing_proof = sure if s.swing_proof > 0 else -sure
        if sure >= TOLD:
            return 0
        s.swing_proof = 0
        s.swing_spread *= LESSON
        return SWINGS_BACK
    s.swing_proof += side
    if abs(s.swing_proof) < USUAL_NOW:
        return 0
    s.swing_proof = 0
    s.swing_spread *= LESSON
    s.swing[USUAL] += away
    return SWINGS_ON


@part
def _learn(s: Any, away: float) -> None:  # pragma: no cover - compiled
    """Take a watch into what is usual: plain means first, then fading ones."""
    memory = min(WATCH * s.period_s / MEMORY_S, LEAST_MEMORY)
    rate = 1.0 / (s.swing_seen + 1.0) if s.swing_seen < MOST_SEEN else memory
    s.swing_seen = min(s.swing_seen + 1, MOST_SEEN)
    s.swing[USUAL] += rate * away
    s.swing_spread += rate * (1.25 * abs(away) - s.swing_spread)
