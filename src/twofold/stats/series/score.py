"""Score one sample against its series' past in two channels, then learn it.

Each channel's residual is measured in its usual size (mean absolute) and counted in an aged histogram of
its own past, so that heavy tails score low where they are usual:

    shock   sample against the better mix of a fast level and a fast level of the deseasoned value: spikes, drops,
            and a series that swings more than it used to
    shift   smoothed residual against a slow level plus the daily season: leaks, lasting changes
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from twofold.stats.jit import part
from twofold.stats.series.habits import TRIAL_WEEK, learn_habit, move_level
from twofold.stats.series.layout import CHANNELS, DAY_S, HEAD, LAST, NS, TAIL_BINS, TINY
from twofold.stats.series.peaks import CALIBRATED, log_size
from twofold.stats.series.tails import above, bin_of, tail

RUN: Final = 8  # samples past the clip in a row after which a level follows faster
STEP_SHARE: Final = 0.05  # of the mean step: lets a level move that began on a constant stretch
FAR: Final = 6.0  # usual sizes of the smoothed residual that may be a new level
QUANTUM: Final = 0.25  # of the smallest step: what counts is no larger for being rare
STANDS_OUT: Final = 2.0  # 3 + how far past usual peaks: a run of samples that stand out
STAY_GAP: Final = 10  # samples between two runs
BEFORE: Final = 0.15  # share of earlier runs' best that is taken off a new one's
RECENT: Final = math.exp(-1 / 200)  # fading of that, a sample
LASTING: Final = math.exp(-1 / 40)
TELL: Final = 2.4
REST: Final = 0.08
LEAST_LOG: Final = math.log(0.1)  # of a size of 0

Sizes = tuple[float, float, int, int, float]
"""A sample's shock and shift in usual sizes, their bins, and its distance from slow level and season in usual ones."""
Weights = tuple[float, float, float, float]
"""Of a sample in the usual sizes, the smoothed residual and the slow level, and its time since the one before."""


@part
def weight(dt_s: float, tau_s: float, count: int) -> float:  # pragma: no cover - compiled
    """Weight of a sample in a mean over `tau_s`; the plain mean until that is filled."""
    return max(dt_s / (tau_s + dt_s), 1.0 / (count + 1.0))


@part
def clip(x: float, limit: float) -> float:  # pragma: no cover - compiled
    """`x` held within `limit` of 0."""
    return min(max(x, -limit), limit)


@part
def _calm(s: Any) -> float:  # pragma: no cover - compiled
    """0 while a finding is open: what is usual is not learnt from what is not."""
    return 0.0 if s.opened > 0.0 else 1.0


@part
def start(s: Any, bins: int) -> None:  # pragma: no cover - compiled
    """Begin every level at the median of the first samples, every size at their usual distance from it."""
    head = np.sort(s.season[:HEAD])
    middle = 0.5 * (head[HEAD // 2 - 1] + head[HEAD // 2])
    size = np.mean(np.sort(np.abs(head - middle))[: HEAD - 2])
    for j in range(bins):
        s.season[j] = 0.0
    s.fast = middle
    s.fast_rest = middle
    s.slow = middle
    s.level = middle
    s.fast_error = size
    s.rest_error = size
    s.shock = size
    s.spread = size
    s.level_spread = size
    s.step = size
    s.shift = 0.3 * size


@part
def season_at(s: Any, place: float, bins: int) -> float:  # pragma: no cover - compiled
    """Usual departure from the slow level at this time of day, linear between bins. `place` is in bins."""
    j = int(place)
    share = place - j
    return float((1.0 - share) * s.season[j] + share * s.season[(j + 1) % bins])


@part
def _learn_season(
    s: Any, place: float, bins: int, residual: float, dt_s: float, p: Any
) -> None:  # pragma: no cover - compiled
    """Move the two nearest bins; quick in the first days, then `season_rate` a day."""
    age_s = (s.last_ns - s.first_ns) * NS
    if age_s < p.season_after_s:
        return
    rate = min(max(p.season_rate, 1.0 / (age_s / DAY_S + 1.0)), 0.9)
    pull = min(-math.log(1.0 - rate) * dt_s * bins / DAY_S, 0.9) * residual
    j = int(place)
    share = place - j
    s.season[j] += (1.0 - share) * pull
    s.season[(j + 1) % bins] += share * pull


@part
def _shock(
    s: Any, y: float, season: float, base: float, tiny: float, weights: Weights, p: Any
) -> float:  # pragma: no cover - compiled
    from_fast = y - s.fast
    from_rest = y - season - s.fast_rest
    trust_fast = 1.0 / (s.fast_error * s.fast_error + tiny * tiny)
    trust_rest = 1.0 / (s.rest_error * s.rest_error + tiny * tiny)
    shock = (trust_fast * from_fast + trust_rest * from_rest) / (trust_fast + trust_rest)
    u = abs(shock) / (s.shock + base)

    scale_w, _, _, dt_s = weights
    fast_w = weight(dt_s, max(p.fast_s, p.fast_points * s.period_s), s.count)
    limit = p.clip * (s.shock + STEP_SHARE * s.step + tiny)
    s.run_shock = min(s.run_shock + 1, 200) if abs(shock) > limit else max(s.run_shock - 4, 0)
    loose = limit * (1.0 + 0.5 * max(s.run_shock - RUN, 0))
    s.fast += fast_w * clip(from_fast, loose)
    s.fast_rest += fast_w * clip(from_rest, loose)
    s.fast_error += scale_w * (min(abs(from_fast), limit) - s.fast_error)
    s.rest_error += scale_w * (min(abs(from_rest), limit) - s.rest_error)
    s.shock += scale_w * (min(abs(shock), 2.0 * limit) - s.shock)
    return float(u)


@part
def _shift(
    s: Any,
    y: float,
    season: float,
    habit: float,
    place: float,
    bins: int,
    base: float,
    tiny: float,
    weights: Weights,
    p: Any,
) -> tuple[float, float]:  # pragma: no cover - compiled
    scale_w, smooth_w, slow_w, dt_s = weights
    from_slow = y - season - s.slow
    s.drift += smooth_w * (from_slow - s.drift)
    u = abs(s.drift) / (s.shift + base)
    away = abs(from_slow) / (s.spread + base)

    limit = p.clip * (s.shift + STEP_SHARE * s.step + tiny)
    bounded = clip(from_slow, limit)
    move_level(s, slow_w * bounded)
    if s.blocks >= CALIBRATED and (s.opened == 0.0 or s.habit_kind == TRIAL_WEEK):
        learn_habit(s, from_slow + habit, limit, dt_s, s.last_ns)
    _learn_season(s, place, bins, _calm(s) * bounded, dt_s, p)
    s.shift += scale_w * (min(abs(s.drift), 2.0 * limit) - s.shift)
    s.spread += scale_w * (min(abs(from_slow), 4.0 * limit) - s.spread)
    s.run_shift = min(s.run_shift + 1, 60000) if u > FAR else 0
    if s.run_shift > p.shift_points:
        move_level(s, s.drift)
        s.drift = 0.0
        s.run_shift = 0
    return float(u), float(away)


@part
def count(s: Any, sizes: Sizes, held: int, cap: float) -> None:  # pragma: no cover - compiled
    """Take a sample's sizes into the histograms; `held` is from before the sample was judged."""
    s.tails[0, sizes[2]] += 1
    s.tails[1, sizes[3]] += 1
    s.last[held % LAST] = sizes[2] | sizes[3] << 4
    s.judged += 1.0
    _age(s, cap)


@part
def forget(s: Any) -> None:  # pragma: no cover - compiled
    """Take the samples of a stay that opened a finding out of the histograms: the next fault is no less a fault."""
    for j in range(max(s.held - LAST, 0), s.held):
        for channel in range(CHANNELS):
            k = s.last[j % LAST] >> 4 * channel & 15
            if s.tails[channel, k] > 0:
                s.tails[channel, k] -= 1
        s.judged = max(s.judged - 1.0, 0.0)


@part
def resume(s: Any, y: float, season: float) -> None:  # pragma: no cover - compiled
    """Back from a finding: the quick levels start here, so that the way back is no shock to learn."""
    s.fast = y
    s.fast_rest = y - season
    s.drift = clip(y - season - s.slow, s.shift)
    s.run_shock = 0
    s.run_shift = 0


@part
def _age(s: Any, cap: float) -> None:  # pragma: no cover - compiled
    """Halve the histograms when they hold more than `cap` samples."""
    if s.judged > cap:
        for j in range(TAIL_BINS):
            for channel in range(CHANNELS):
                s.tails[channel, j] >>= 1
        s.judged *= 0.5


@part
def score(
    s: Any, y: float, season: float, habit: float, place: float, bins: int, dt_s: float, p: Any
) -> Sizes:  # pragma: no cover - compiled
    """Learn the sample but for histograms and peaks; how large it is in each channel.

    `y` is the value less the row's `zero`, `season` what season and habit add to the slow level at this time and
    `habit` the habit's part of it, `place` the time of day in bins, `dt_s` the time since the sample before.
    """
    tiny = 1e-9 * abs(y + s.zero) + 1e-7 * abs(y) + TINY
    base = 0.02 * s.spread + QUANTUM * s.quantum + tiny
    weights = (
        _calm(s) * weight(dt_s, p.scale_points * s.period_s, s.count),
        weight(dt_s, max(p.smooth_s, p.smooth_points * s.period_s), s.count),
        _calm(s) * weight(dt_s, p.slow_s, s.count),
        dt_s,
    )
    u_shock = _shock(s, y, season, base, tiny, weights, p)
    u_shift, u_slow = _shift(s, y, season, habit, place, bins, base, tiny, weights, p)
    s.step += weights[2] * (abs(y - s.previous) - s.step)
    s.previous = y
    return u_shock, u_shift, bin_of(u_shock), bin_of(u_shift), u_slow


@part
def improbable(s: Any, sizes: Sizes, held: int, p: Any) -> float:  # pragma: no cover - compiled
    """How improbable the sample is, in powers of ten.

    Probability of the least probable of shock and shift, doubled for having two chances. They
    are far from independent, so their product would claim too much. The samples of the present stay out of
    band, `held` before this one, are no part of the past that it is judged by.
    """
    u_shock, u_shift = sizes[0], sizes[1]
    shocks, shifts = above(s.tails[0], u_shock, sizes[2]), above(s.tails[1], u_shift, sizes[3])
    apart = 0.0 if s.opened > 0.0 else float(held)  # an open finding's samples are not in the histograms
    others = max(s.judged - apart, 0.0)
    p_shock = tail(max(shocks - apart, 0.0), others, u_shock, p.tail_prior)
    p_shift = tail(max(shifts - apart, 0.0), others, u_shift, p.tail_prior)
    return float(-math.log10(min(2.0 * min(p_shock, p_shift), 1.0)))


@part
def rank(s: Any, sizes: Sizes, out: float) -> float:  # pragma: no cover - compiled
    """How the sample ranks among samples of all series; above 1 where it should be told.

    `out` is how far it is past usual peaks, see `stats.series.peaks`. Only a sample that stands out more than the ones
    before it in the same run of them is told, and less so where others stood out not long ago: who is told of a
    fault need not be told again of each sample of it. Below that, samples rank by what stood out just before and
    by how far level and value are from where they usually are: an anomaly is a stretch, not its first sample.
    """
    best = max(out + 3.0, 0.0)
    news = 0.0
    if best > STANDS_OUT:
        if s.stay_gap > STAY_GAP:
            s.stay_before = s.recent_best
            s.stay_best = 0.0
        s.stay_gap = 0
        if best > s.stay_best:
            news = best - BEFORE * s.stay_before
            s.stay_best = best
    else:
        s.stay_gap = min(s.stay_gap + 1, 100)
    s.recent_best = max(s.recent_best * RECENT, best)
    s.lasting = max(s.lasting * LASTING, best)
    rest = s.lasting + 0.6 * (log_size(sizes[1]) - LEAST_LOG) + 0.3 * (log_size(sizes[4]) - LEAST_LOG)
    return float(min(REST * rest, 1.0) + 2.0 * max(news - TELL, 0.0))
