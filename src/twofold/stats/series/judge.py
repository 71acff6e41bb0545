"""From scores to findings: persistence, practical size, sides that hurt, and the life of a finding.

Samples that leave the expected value by more than the floor of practical size, on a side that matters, add
their score beyond a base to the evidence; others take from it. A finding opens when the evidence of the
stay passes what `needed` samples at the threshold would bring, and no sooner than after as many. The expected
value is held while that lasts: it is the level before the onset.

A score is the -log10 of the probability that a sample of a series without anything wrong is as far out. A young
series has only the tails of its sizes to tell that by; from the eighth block on, its peaks tell how often
a day that happens (`stats.series.peaks`), and the budget of false findings a day holds as it stands.
"""

from __future__ import annotations

import math
from typing import Any, Final

from twofold.stats.jit import part
from twofold.stats.series.habits import move_level
from twofold.stats.series.layout import (
    DAY_S,
    DOWN,
    FIRST_CHANGE,
    NEW_LEVEL,
    NS,
    OPENED,
    RECOVERED,
    TINY,
    UP,
)
from twofold.stats.series.peaks import CALIBRATED, rarity
from twofold.stats.series.score import RUN, Sizes, clip, improbable, resume, weight
from twofold.stats.series.still import stands_still

MOST_NEEDED: Final = 8
BASE: Final = 2.5  # score from which a sample is evidence
NEAR: Final = 1.0  # the same for peaks, below the threshold
SPREADS: Final = 3.0  # least distance from the expected value, in usual distances
QUANTA: Final = 2.5  # least change of a series that moves in steps, in steps
SEASON_AFTER_DAYS: Final = 1.5


@part
def _needed(s: Any, p: Any) -> int:  # pragma: no cover - compiled
    """Exceedances that open a finding: more where samples come fast. Peaks are counted by the sample already."""
    spanned = int(min(math.ceil(p.persist_s / max(s.period_s, 1e-3)), MOST_NEEDED - 1))
    return spanned if s.blocks >= CALIBRATED else max(spanned + 1, 2)


@part
def _per_day(s: Any) -> float:  # pragma: no cover - compiled
    """Samples of a day."""
    return float(DAY_S / max(s.period_s, 1e-3))


@part
def _threshold(s: Any, needed: int, p: Any) -> float:  # pragma: no cover - compiled
    """Score past which a sample counts, from the budget of false findings a day.

    Exceedances in a row are far from independent: each further one is worth 0.75 of a decade to tails. Peaks
    were counted as runs.
    """
    rarity = math.log10(_per_day(s) / p.alerts_per_day)
    return float(rarity if s.blocks >= CALIBRATED else max(p.least_score, rarity - 0.75 * (needed - 1)))


@part
def _base(s: Any, threshold: float) -> float:  # pragma: no cover - compiled
    """Score from which a sample is evidence."""
    return float(threshold - NEAR if s.blocks >= CALIBRATED else BASE)


@part
def _score(s: Any, sizes: Sizes, held: int, p: Any) -> float:  # pragma: no cover - compiled
    """How improbable the sample is, in powers of ten."""
    if s.blocks < CALIBRATED:
        return float(improbable(s, sizes, held, p))
    return float(max(rarity(s, sizes[0], sizes[1]) + math.log10(_per_day(s)), 0.0))


@part
def _size(s: Any) -> float:  # pragma: no cover - compiled
    """Usual distance from the expected value."""
    return float(s.spread if s.seasonal else s.level_spread)


@part
def _matters(
    s: Any, y: float, away: float, margin: float, quantum: float, p: Any
) -> int:  # pragma: no cover - compiled
    """1 when the sample is large, on a side that hurts, and the series old enough to say so."""
    if abs(away) < max(margin, SPREADS * _size(s)) or (abs(away) < QUANTA * quantum and y + s.zero != 0.0):
        return 0
    if not s.sides & (UP if away > 0 else DOWN):
        return 0
    return 1 if s.count >= p.warm_points and (s.last_ns - s.first_ns) * NS >= p.warm_s else 0


@part
def _follow(s: Any, y: float, dt_s: float, p: Any) -> None:  # pragma: no cover - compiled
    """Learn the reference level of findings."""
    w = weight(dt_s, max(p.level_s, p.level_points * s.period_s), s.count)
    away = y - s.level
    limit = 1.5 * p.clip * (s.level_spread + 0.5 * s.step + TINY)
    s.run_level = min(s.run_level + 1, 200) if abs(away) > limit else max(s.run_level - 2, 0)
    s.level += w * clip(away, limit * (1.0 + 0.25 * max(s.run_level - RUN, 0)))
    s.level_spread += w * (min(abs(away), 2.0 * limit) - s.level_spread)
    old = (s.last_ns - s.first_ns) * NS > SEASON_AFTER_DAYS * DAY_S
    s.seasonal = 1 if old and s.spread < s.level_spread else 0


@part
def _note(s: Any, y: float, expected: float, margin: float, score: float) -> None:  # pragma: no cover - compiled
    """Keep the worst sample of a stay out of band."""
    effect = (y - expected) / (_size(s) + 0.25 * margin + TINY)
    if abs(effect) > abs(s.worst_effect):
        s.worst_effect = effect
        s.worst_value = y
        s.worst_expected = expected
        s.worst_margin = max(margin, 4.0 * _size(s))
    s.worst_score = max(s.worst_score, score)


@part
def settle(s: Any) -> None:  # pragma: no cover - compiled
    """Nothing is wrong any more. Steps of a stay that opened no finding are the series' own."""
    if s.quantum_next > 0.0 and s.opened == 0.0 and (s.quantum == 0.0 or s.quantum_next < s.quantum):
        s.quantum = s.quantum_next
    s.quantum_next = 0.0
    s.opened = 0.0
    s.calm = 0.0
    s.leave_ns = 0
    s.evidence = 0.0
    s.back = 0
    s.side = 0
    s.held = 0
    s.worst_score = 0.0
    s.worst_effect = 0.0


@part
def _after(s: Any, time_ns: int) -> float:  # pragma: no cover - compiled
    """Seconds from the onset of the stay, plus 1: never 0, which stands for never."""
    return float((time_ns - s.leave_ns) * NS + 1.0)


@part
def _gain(over: float, matters: int, enough: float, needed: int) -> float:  # pragma: no cover - compiled
    """What a sample that is `over` the base adds to the evidence: so much that `needed` samples open a finding."""
    if not matters:
        return -0.25 * enough
    return min(max(over, -0.25 * enough), enough / (needed - 0.5))


@part
def _candidate(
    s: Any, y: float, expected: float, margin: float, score: float, matters: int, time_ns: int, p: Any
) -> int:  # pragma: no cover - compiled
    """Take one sample of a series without an open finding; `OPENED` when it opens one."""
    away = y - expected
    side = 1 if away > 0 else -1
    if not matters and s.evidence == 0.0 and p.least_score > BASE:
        gain = enough = 0.0  # whatever would be enough, this takes from nothing
    else:
        needed = _needed(s, p)
        threshold = _threshold(s, needed, p)
        base = _base(s, threshold)
        enough = needed * (threshold - base)
        gain = _gain(score - base, matters, enough, needed)
    if gain > 0.0 or (abs(away) > 0.5 * margin and abs(away) > 2.0 * _size(s)):
        if s.leave_ns == 0 or side != s.side:
            settle(s)
            s.leave_ns = time_ns
            s.side = side
            s.held = 1
        s.back = 0
    else:
        s.back = min(s.back + 1, 1000)
    s.evidence = max(s.evidence + gain, 0.0)
    if s.evidence == 0.0 and s.back > 1:
        settle(s)
        return 0
    if gain > 0.0:
        _note(s, y, expected, margin, score)
    if s.evidence < enough or enough == 0.0:
        return 0
    s.opened = _after(s, time_ns)
    s.back = 0
    return OPENED


@part
def _ongoing(
    s: Any, y: float, expected: float, margin: float, score: float, time_ns: int, p: Any
) -> int:  # pragma: no cover - compiled
    """Take one sample of a series with an open finding; says when and how it closes."""
    if s.side * (y - expected) > 0:
        _note(s, y, expected, margin, score)
    if s.side * s.recent < max(0.8 * margin, _size(s)):
        s.back = min(s.back + 1, 1000)
        if s.calm == 0.0:
            s.calm = _after(s, time_ns)
        return RECOVERED if s.back > 1 and _after(s, time_ns) - s.calm >= p.recover_s else 0
    s.back = 0
    s.calm = 0.0
    return NEW_LEVEL if _after(s, time_ns) - s.opened >= max(p.readmit_s, p.readmit_points * s.period_s) else 0


@part
def judge(
    s: Any, y: float, expected: float, sizes: Sizes, quantum: float, dt_s: float, time_ns: int, p: Any
) -> int:  # pragma: no cover - compiled
    """Take one scored sample; says whether a finding opens or closes, 0 for neither.

    `y` and `expected` are less the row's `zero`; `expected` and `quantum` (the smallest step of the series, 0
    when it never moved) are from before the sample was learnt, and it is not in the histograms yet. Most samples
    stay in band, and how improbable they are is not asked.
    """
    away = y - expected
    margin = max(s.least, s.share * abs(expected + s.zero))
    wide = 2.0 * max(margin, 4.0 * _size(s))  # one huge sample must not keep the finding open
    s.recent += max(dt_s / (10.0 + dt_s), 0.35) * (clip(away, wide) - s.recent)
    held = s.held
    s.held = min(held + 1, 30000)
    if s.opened > 0.0:
        return int(_ongoing(s, y, expected, margin, _score(s, sizes, held, p), time_ns, p))
    matters = _matters(s, y, away, margin, quantum, p)
    score = 0.0
    if matters or p.least_score <= BASE:
        score = _score(s, sizes, held, p)
        if quantum == 0.0 and not s.sides & FIRST_CHANGE:  # a constant's first change: known is only how long it stood
            score = min(score, math.log10(s.count + 2.0))
    what = _candidate(s, y, expected, margin, score, matters, time_ns, p)
    if s.evidence == 0.0:
        _follow(s, y, dt_s, p)
    return int(what)


@part
def moved(s: Any, step: float, x: float) -> None:  # pragma: no cover - compiled
    """Note the size of a step to `x`; one out of band counts only when nothing comes of it."""
    if stands_still(step, x):
        return
    if s.leave_ns == 0:
        if s.quantum == 0.0 or step < s.quantum:
            s.quantum = step
    elif s.quantum_next == 0.0 or step < s.quantum_next:
        s.quantum_next = step


@part
def close(s: Any, what: int, y: float, season: float) -> None:  # pragma: no cover - compiled
    """Go on as normal after a finding; for a new level, with the level of now as the one to expect."""
    if what == NEW_LEVEL:
        s.level = s.fast
        move_level(s, s.drift)
        s.recent = 0.0
    resume(s, y, season)
    settle(s)
