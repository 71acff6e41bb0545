"""Habits that are not of the day: of the days of the week, and of a period that a series shows by itself.

Both are departures from slow level and daily season, tried before they are used: a habit is expected from the day
on which it has left clearly less unexplained than the series without it, and no longer when it does not.

    week    each day its share of the daily season and an offset: a quiet Sunday, a batch on the first workday
    cycle   a profile over a period found from when the smoothed residual rises through its middle, again and again
            after the same time: a backup every five hours, a compaction every ninety minutes

A series has one of them or none; its row holds it where the tails of its first samples were.
"""

from __future__ import annotations

import math
from typing import Any, Final

from twofold.stats.jit import part
from twofold.stats.series.layout import BY_CYCLE, BY_DAY, BY_LEVEL, BY_WEEK, CHANNELS, DAY_S, NS, TINY
from twofold.stats.series.peaks import CALIBRATED

SEARCH, TRIAL_WEEK, WEEK, TRIAL_CYCLE, CYCLE = 0, 1, 2, 3, 4

WEEK_S: Final = 7 * DAY_S
EPOCH_DAY: Final = 3.0  # 1970-01-01 was a Thursday; days count from Monday
WEEK_BINS: Final = 42  # of four hours
BIN_S: Final = WEEK_S / WEEK_BINS
MOST_STEPS: Final = 127  # what a bin holds
STEPS: Final = 12.0  # in a usual distance from slow level and season
LEAST_STEP: Final = 1e-20
HOPELESS: Final = 1e60  # steps; no value that is taken comes near
GAP: Final = 5.0  # periods of the series
WEEK_RATE: Final = 0.15
TRY_WEEK_S: Final = 7 * DAY_S
WEEK_TRIAL_S: Final = 28 * DAY_S
AGAIN_S: Final = 56 * DAY_S

BINS: Final = 12  # of a cycle's profile
PROFILE: Final = 4  # place of the first of them
CYCLE_RATE: Final = 0.3
SHORTEST: Final = 20.0  # samples
LONGEST_S: Final = 6 * DAY_S
ALIKE: Final = 0.12  # share by which two intervals of one period may differ
ENOUGH: Final = 6  # intervals in a row
SKIPPED: Final = 3  # rises that noise may have hidden
CYCLE_TRIAL: Final = 12.0  # cycles
SETTLED: Final = 4.0
NEAR_DAY: Final = 0.04  # a period so near a day is a daily season that is still learnt

SCALE, PERIOD, AWAY, BEGAN, WITHOUT, WITH, BIN = 0, 0, 1, 1, 2, 3, 4
"""Places of a habit's numbers: a week's step of a bin or the length of a cycle; how far a week's own level is from the
slow one or when the first cycle began; what is left unexplained without and with it; a week's mean of this bin."""
FAR: Final = 6.0  # times what is left without the habit: one fault must not decide
USE: Final = 0.75
DROP: Final = 0.95
IN_USE: Final = 1 / 3  # of the rate at which both are weighed while a habit is tried
WIDE: Final = 30.0  # usual distances that a habit may depart while it is tried

ANEW: Final = 400  # samples, and blocks of peaks, that what was learnt before a habit counts for
ANEW_BLOCKS: Final = CALIBRATED

LAST_RISE, INTERVAL, INTERVALS, FALLEN, NO_WEEK = 0, 1, 2, 3, 4  # places while nothing is tried


@part
def begin(s: Any) -> None:  # pragma: no cover - compiled
    """Look for a habit, from nothing."""
    s.habit_kind = SEARCH
    for j in range(len(s.habit)):
        s.habit[j] = 0.0


@part
def basis_of(s: Any) -> int:  # pragma: no cover - compiled
    """What the expected value of a finding stands on."""
    if not s.seasonal:
        return BY_LEVEL
    if s.blocks < CALIBRATED or s.habit_kind not in (WEEK, CYCLE):
        return BY_DAY
    return BY_WEEK if s.habit_kind == WEEK else BY_CYCLE


@part
def _week_place(time_ns: int) -> float:  # pragma: no cover - compiled
    """Bins since Monday, midnight."""
    return float((time_ns * NS / DAY_S + EPOCH_DAY) * DAY_S % WEEK_S / BIN_S)


@part
def _week(s: Any, time_ns: int) -> float:  # pragma: no cover - compiled
    """Between the middles of bins."""
    place = _week_place(time_ns) + WEEK_BINS - 0.5
    j = int(place)
    share = place - j
    return float(s.habit[SCALE] * ((1.0 - share) * s.week[j % WEEK_BINS] + share * s.week[(j + 1) % WEEK_BINS]))


@part
def _phase(s: Any, time_ns: int) -> float:  # pragma: no cover - compiled
    """Cycles since the first of them."""
    return float(((time_ns - s.first_ns) * NS - s.habit[BEGAN]) / s.habit[PERIOD])


@part
def _cycle(s: Any, time_ns: int) -> float:  # pragma: no cover - compiled
    place = _phase(s, time_ns) % 1.0 * BINS
    j = int(place)
    share = place - j
    return float((1.0 - share) * s.habit[PROFILE + j % BINS] + share * s.habit[PROFILE + (j + 1) % BINS])


@part
def _departure(s: Any, time_ns: int) -> float:  # pragma: no cover - compiled
    """What the habit, tried or used, adds to the daily season; 0 without one."""
    if s.habit_kind in (TRIAL_WEEK, WEEK):
        return _week(s, time_ns)
    return _cycle(s, time_ns) if s.habit_kind in (TRIAL_CYCLE, CYCLE) else 0.0


@part
def habit_at(s: Any, time_ns: int) -> float:  # pragma: no cover - compiled
    """What a habit in use adds to the daily season at this time; 0 without one."""
    return _departure(s, time_ns) if s.habit_kind in (WEEK, CYCLE) else 0.0


@part
def learn_habit(
    s: Any, residual: float, limit: float, dt_s: float, time_ns: int
) -> None:  # pragma: no cover - compiled
    """Take what slow level and daily season leave of a sample, held within `limit`; try, use or drop a habit."""
    if s.habit_kind == SEARCH:
        _search(s, time_ns)
        return
    weekly = s.habit_kind in (TRIAL_WEEK, WEEK)
    tried = s.habit_kind in (TRIAL_WEEK, TRIAL_CYCLE)
    if weekly:
        residual -= s.habit[AWAY]
    departure = _departure(s, time_ns)
    left = residual - departure
    began_s = s.week_began * DAY_S if weekly else float(s.habit[BEGAN])
    age_s = (time_ns - s.first_ns) * NS - began_s
    period_s = WEEK_S if weekly else float(s.habit[PERIOD])
    if age_s > period_s:  # it has seen all of its period once
        _weigh(s, residual, left, max(limit, FAR * s.habit[WITHOUT]), dt_s / period_s * (1.0 if tried else IN_USE))
    held = max(limit, WIDE * s.spread) if tried else limit
    bounded = min(max(left, -held), held)
    if weekly:
        _learn_week(s, departure + bounded, age_s, dt_s, time_ns)
    else:
        _learn_cycle(s, bounded, dt_s, time_ns)
    _decide(s, weekly, age_s, period_s)


@part
def _weigh(s: Any, residual: float, left: float, most: float, rate: float) -> None:  # pragma: no cover - compiled
    """Take a sample into what is left unexplained without and with the habit, each held within `most`."""
    rate = min(rate, 0.5)
    first = s.habit[WITHOUT] == 0.0
    s.habit[WITHOUT] += (1.0 if first else rate) * (min(abs(residual), most) - s.habit[WITHOUT])
    s.habit[WITH] += (1.0 if first else rate) * (min(abs(left), most) - s.habit[WITH])


@part
def _decide(s: Any, weekly: bool, age_s: float, period_s: float) -> None:  # pragma: no cover - compiled # noqa: FBT001
    left = s.habit[WITH] / s.habit[WITHOUT] if s.habit[WITHOUT] > 0.0 else 1.0
    if s.habit_kind in (WEEK, CYCLE):
        if left > DROP:
            _begin_anew(s, s.spread / USE)
            _give_up(s, weekly)
        return
    if age_s > (3.0 if weekly else SETTLED) * period_s and left < USE:
        s.habit_kind = WEEK if weekly else CYCLE
        _begin_anew(s, min(float(s.habit[WITH]), float(s.spread)))
        if weekly:
            s.slow += s.habit[AWAY]
            s.habit[AWAY] = 0.0
    elif age_s > (WEEK_TRIAL_S if weekly else CYCLE_TRIAL * period_s):
        _give_up(s, weekly)


@part
def _begin_anew(s: Any, spread: float) -> None:  # pragma: no cover - compiled
    """Usual sizes were learnt without the habit, or with it: begin near what they will be, and learn them quickly."""
    ratio = spread / max(s.spread, TINY)
    s.spread *= ratio
    s.shift *= ratio
    s.count = min(s.count, ANEW)
    s.blocks = min(s.blocks, ANEW_BLOCKS)
    for channel in range(CHANNELS):
        s.peaks[channel] = min(s.peaks[channel], ANEW_BLOCKS)


@part
def _give_up(s: Any, weekly: bool) -> None:  # pragma: no cover - compiled # noqa: FBT001
    begin(s)
    s.habit[NO_WEEK] = (s.last_ns - s.first_ns) * NS + (AGAIN_S if weekly else 0.0)


@part
def _learn_week(
    s: Any, residual: float, age_s: float, dt_s: float, time_ns: int
) -> None:  # pragma: no cover - compiled
    """Into the mean of the present bin; when it is left, the bin takes over its share of that.

    What was gathered before a gap is dropped: too little of its bin was seen.
    """
    place = _week_place(time_ns)
    inside_s = (place - int(place)) * BIN_S
    if inside_s >= dt_s:
        s.habit[BIN] += dt_s / inside_s * (residual - s.habit[BIN])
        return
    if dt_s < GAP * s.period_s:
        _take_bin(s, int(_week_place(time_ns - int(dt_s / NS))), age_s)
    s.habit[BIN] = residual


@part
def _take_bin(s: Any, j: int, age_s: float) -> None:  # pragma: no cover - compiled
    """The bin that was left takes over its share of the mean; steps widen until it fits."""
    rate = WEEK_RATE if s.habit_kind == WEEK else max(WEEK_RATE, 1.0 / (age_s / WEEK_S + 1.0))
    held = float(s.week[j])
    steps = held + rate * (float(s.habit[BIN]) / float(s.habit[SCALE]) - held)
    if not abs(steps) < HOPELESS:
        return
    while abs(steps) > MOST_STEPS:
        _widen(s)
        steps *= 0.5
    s.week[j] = math.floor(steps + 0.5)
    _level_week(s)


@part
def _widen(s: Any) -> None:  # pragma: no cover - compiled
    """Steps twice as large."""
    s.habit[SCALE] *= 2.0
    for j in range(WEEK_BINS):
        s.week[j] = int(s.week[j] / 2)


@part
def move_level(s: Any, by: float) -> None:  # pragma: no cover - compiled
    """The slow level follows the series. A week that is being tried is measured from a level that does not.

    Who is busy on workdays leaves the slow level on Saturday and comes back on Monday, each time as a new one: it
    learns what is left of a week after it has followed, and would hide the habit for ever.
    """
    s.slow += by
    if s.habit_kind == TRIAL_WEEK and s.blocks >= CALIBRATED:
        s.habit[AWAY] -= by


@part
def _level_week(s: Any) -> None:  # pragma: no cover - compiled
    """What all of a week has in common is slow level: left here, a habit would prove itself by what it took away."""
    sum_of = 0
    for j in range(WEEK_BINS):
        sum_of += int(s.week[j])
    steps = int(sum_of / WEEK_BINS)
    if steps == 0:
        return
    for j in range(WEEK_BINS):
        s.week[j] = max(int(s.week[j]) - steps, -MOST_STEPS)
    if s.habit_kind == WEEK:
        s.slow += steps * s.habit[SCALE]
    else:
        s.habit[AWAY] += steps * s.habit[SCALE]


@part
def _level_cycle(s: Any) -> None:  # pragma: no cover - compiled
    """Likewise."""
    mean = 0.0
    for j in range(BINS):
        mean += s.habit[PROFILE + j] / BINS
    for j in range(BINS):
        s.habit[PROFILE + j] -= mean
    if s.habit_kind == CYCLE:
        s.slow += mean


@part
def _learn_cycle(s: Any, left: float, dt_s: float, time_ns: int) -> None:  # pragma: no cover - compiled
    cycles = _phase(s, time_ns)
    rate = min(max(CYCLE_RATE, 1.0 / (cycles + 1.0)), 0.9)
    pull = min(-math.log(1.0 - rate) * dt_s * BINS / s.habit[PERIOD], 0.9) * left
    place = cycles % 1.0 * BINS
    j = int(place)
    share = place - j
    s.habit[PROFILE + j % BINS] += (1.0 - share) * pull
    s.habit[PROFILE + (j + 1) % BINS] += share * pull
    if share * s.habit[PERIOD] / BINS < dt_s:
        _level_cycle(s)


@part
def _search(s: Any, time_ns: int) -> None:  # pragma: no cover - compiled
    """Time the rises of the smoothed residual; begin a trial when they keep one period, or when a week is over."""
    since_s = (time_ns - s.first_ns) * NS
    middle = 0.5 * s.shift
    if s.drift < -middle:
        s.habit[FALLEN] = 1.0
    elif s.drift > middle and s.habit[FALLEN] > 0.0:
        s.habit[FALLEN] = 0.0
        _rise(s, since_s)
        if s.habit[INTERVALS] >= ENOUGH:
            _try_cycle(s, since_s)
            return
    if since_s > max(TRY_WEEK_S, s.habit[NO_WEEK]) and s.habit[INTERVALS] < ENOUGH / 2 and s.spread > 0.0:
        begin(s)
        s.habit_kind = TRIAL_WEEK
        s.week_began = min(int(since_s / DAY_S), 65_000)
        s.habit[SCALE] = s.spread / STEPS + LEAST_STEP


@part
def _rise(s: Any, since_s: float) -> None:  # pragma: no cover - compiled
    interval = since_s - s.habit[LAST_RISE]
    first = s.habit[LAST_RISE] == 0.0
    s.habit[LAST_RISE] = since_s
    if first:
        return
    usual = s.habit[INTERVAL]
    skipped = min(max(math.floor(interval / usual + 0.5), 1.0), SKIPPED) if usual > 0.0 else 1.0
    if usual > 0.0 and abs(interval / skipped - usual) < ALIKE * usual:
        s.habit[INTERVALS] += skipped
        s.habit[INTERVAL] += (interval / skipped - usual) * skipped / s.habit[INTERVALS]
    else:
        s.habit[INTERVAL] = interval
        s.habit[INTERVALS] = 1.0


@part
def _try_cycle(s: Any, since_s: float) -> None:  # pragma: no cover - compiled
    period_s = float(s.habit[INTERVAL])
    no_week = s.habit[NO_WEEK]
    begin(s)
    if period_s < SHORTEST * s.period_s or period_s > LONGEST_S or abs(period_s / DAY_S - 1.0) < NEAR_DAY:
        s.habit[NO_WEEK] = no_week
        return
    s.habit_kind = TRIAL_CYCLE
    s.habit[PERIOD] = period_s
    s.habit[BEGAN] = since_s
