"""One pass of the series panel over a batch: score every sample, learn it, open and close findings.

Every series is a row of one table; a batch is any mix of samples. The kernel holds the mathematics only: what
a series is and what a finding says stands with the detector.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import kernel, part
from twofold.stats.series.habits import begin as begin_habits
from twofold.stats.series.habits import habit_at
from twofold.stats.series.heirs import take
from twofold.stats.series.judge import judge, moved
from twofold.stats.series.layout import (
    COUNTER,
    DAY_S,
    DUPLICATE,
    GAUGE,
    HEAD,
    IGNORED,
    LARGEST,
    LATE,
    NOT_FINITE,
    NS,
    OPENED,
    RESET,
    TOO_LARGE,
)
from twofold.stats.series.peaks import CALIBRATED, note, past
from twofold.stats.series.peaks import begin as begin_peaks
from twofold.stats.series.score import count, forget, rank, score, season_at, start
from twofold.stats.series.still import watch
from twofold.stats.series.swings import begin as begin_swings
from twofold.stats.series.telling import tell, tell_swings

FIRST_STEP: Final = 10.0  # usual sizes that the first step of what never moved counts for
SETTLED: Final = 20  # samples before sizes are trusted as peaks


@part
def _take(s: Any, time_ns: int, value: float, outcomes: npt.NDArray[np.int64]) -> float:  # pragma: no cover - compiled
    """The value to judge (a rate for counters), or NaN when there is none; moves the clock of the series."""
    if not np.isfinite(value) or abs(value) > LARGEST:
        outcomes[TOO_LARGE if np.isfinite(value) else NOT_FINITE] += 1
        return np.nan
    if s.first_ns == 0:
        s.first_ns = time_ns
        s.last_ns = time_ns
        s.raw = value
        s.zero = value if s.kind == GAUGE else 0.0
        return value if s.kind == GAUGE else np.nan
    if time_ns <= s.last_ns:
        outcomes[LATE if time_ns < s.last_ns else DUPLICATE] += 1
        return np.nan
    dt_s = (time_ns - s.last_ns) * NS
    before = s.raw
    _tick(s, time_ns, dt_s)
    s.raw = value
    if s.kind == GAUGE:
        return value
    x = (value - before) / dt_s if s.kind == COUNTER else value / dt_s
    reset = s.kind == COUNTER and x < 0.0
    if reset or abs(x) > LARGEST:
        outcomes[RESET if reset else TOO_LARGE] += 1
        return np.nan
    return float(x)


@part
def _tick(s: Any, time_ns: int, dt_s: float) -> None:  # pragma: no cover - compiled
    """Move the clock of the series and its usual period."""
    if s.period_s == 0.0:
        s.period_s = dt_s
    else:
        s.period_s += max(0.1, 1.0 / (s.count + 1.0)) * (min(dt_s, 3.0 * s.period_s) - s.period_s)
    s.last_ns = time_ns


@part
def _begin(s: Any, y: float, bins: int, time_ns: int) -> None:  # pragma: no cover - compiled
    """Gather the first samples, in the place of the season; with the last of them, start."""
    s.season[s.count] = y
    s.count += 1
    s.previous = y
    if s.count == HEAD:
        start(s, bins)
        begin_peaks(s, time_ns)


@part
def _learn(
    s: Any,
    y: float,
    season: float,
    habit: float,
    place: float,
    bins: int,
    dt_s: float,
    time_ns: int,
    p: Any,
    ranks: npt.NDArray[np.float32],
) -> tuple[int, float]:  # pragma: no cover - compiled
    """Score, judge and learn one sample; its rank is written where there is room. What opens or closes, its shock."""
    expected = float(s.slow + season) if s.seasonal else float(s.level)
    quantum = float(s.quantum)
    counted, held = s.opened == 0.0, s.held
    sizes = score(s, y, season, habit, place, bins, dt_s, p)
    if len(ranks):
        ranks[0] = rank(s, sizes, past(s, sizes[0], sizes[1]))
    what = judge(s, y, expected, sizes, quantum, dt_s, time_ns, p)
    young = s.blocks < CALIBRATED
    if young and counted:
        count(s, sizes, held, p.tail_cap)
    if young and what == OPENED:
        forget(s)
    if s.count > SETTLED:
        most = FIRST_STEP if quantum == 0.0 else LARGEST  # in which unit to measure what never moved is not known
        note(s, min(sizes[0], most), min(sizes[1], most), time_ns, p)
    if young and s.blocks >= CALIBRATED:
        begin_habits(s)
        begin_swings(s)
    return int(what), sizes[0]


@kernel
def learn(
    rows: Any,
    at: npt.NDArray[np.int32],
    time_ns: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    params: Any,
    begin: int,
    scores: npt.NDArray[np.float32],
    events: Any,
    outcomes: npt.NDArray[np.int64],
) -> tuple[int, int]:  # pragma: no cover - compiled
    """Score and learn samples in order, from `begin` until the end or until `events` is full.

    Args:
        rows: Table of `row_type`.
        at: Row of each sample.
        time_ns: Time of each sample; one not after its row's newest is late.
        value: Value of each sample.
        params: One record of `PARAMS`, as an array.
        begin: First sample to take.
        scores: Out: rank of the sample among those of all series, see `stats.score.rank`; left as it is where not
            judged. Empty when nobody asks.
        events: Out: openings and closings, `EVENT`.
        outcomes: Counts of samples not used, by `LATE`, `DUPLICATE`, `NOT_FINITE`, `RESET`, `TOO_LARGE`; added to.

    Returns:
        How many samples are done, how many events were written.
    """
    p = params[0]
    written = 0
    bins = rows[0].season.shape[0]
    placed_ns = -1
    place = 0.0
    for i in range(begin, len(at)):
        if written == len(events):
            return i, written
        s = rows[at[i]]
        if s.kind == IGNORED:
            continue
        last_ns = s.last_ns
        x = _take(s, time_ns[i], value[i], outcomes)
        if np.isnan(x):
            continue
        y = x - s.zero
        if s.count < HEAD:
            _begin(s, y, bins, time_ns[i])
            if s.count == HEAD and s.donor > 0:
                take(s, rows[s.donor - 1])
            continue
        dt_s = min((time_ns[i] - last_ns) * NS, 10.0 * s.period_s)
        if time_ns[i] != placed_ns:  # samples of one batch mostly share their time
            placed_ns = time_ns[i]
            place = (placed_ns * NS % DAY_S) / DAY_S * bins
        season = season_at(s, place, bins)
        habit = habit_at(s, time_ns[i]) if s.blocks >= CALIBRATED else 0.0
        season += habit
        step = abs(y - s.previous)
        what, shock = _learn(s, y, season, habit, place, bins, dt_s, time_ns[i], p, scores[i : i + 1])
        what = what or watch(s, step, x)
        if what:
            tell(s, at[i], what, time_ns[i], x, season, events[written])
            written += 1
        elif s.blocks >= CALIBRATED:
            written += tell_swings(s, at[i], shock, time_ns[i], x, p, events[written])
        moved(s, step, x)
        s.count += 1
    return len(at), written
