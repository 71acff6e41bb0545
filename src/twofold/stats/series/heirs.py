"""A row that begins takes over what a sibling's row has learnt: usual sizes, habits, rarity. Levels stay its own."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import kernel, part
from twofold.stats.series.habits import BEGAN, BIN, CYCLE, PROFILE, SCALE, WEEK, WITH, WITHOUT, habit_at
from twofold.stats.series.habits import begin as begin_habits
from twofold.stats.series.layout import DAY_S, HEAD, NS
from twofold.stats.series.peaks import CALIBRATED
from twofold.stats.series.swings import USUAL
from twofold.stats.series.swings import begin as begin_swings

WORTH: Final = 60
"""Samples of its own that what was inherited is worth."""
LEARNT: Final = 10 * HEAD
"""Samples from which a series has something to leave."""
MOST_RATIO: Final = 4.0
"""A sibling's sizes are stretched with its level, so far; a level beyond it is another thing's."""
ALIKE: Final = 4.0
"""A new series whose own first sizes are so many times the sibling's is not like it."""


@part
def _stretched(own: float, theirs: float, ratio: float) -> float:  # pragma: no cover - compiled
    return ratio * theirs if theirs > 0.0 else own


@part
def _take_habits(s: Any, d: Any, ratio: float) -> None:  # pragma: no cover - compiled
    """What an old series keeps in the place of tails. One that is still being tried is tried anew."""
    begin_habits(s)
    begin_swings(s)
    s.swing[USUAL] = d.swing[USUAL]
    s.swing_spread = d.swing_spread
    s.swing_seen = d.swing_seen
    if d.habit_kind not in (WEEK, CYCLE):
        return
    s.habit[:] = d.habit
    s.habit_kind = d.habit_kind
    for j in (WITHOUT, WITH):
        s.habit[j] *= ratio
    if d.habit_kind == WEEK:
        s.week_began = 0
        s.habit[SCALE] *= ratio
        s.habit[BIN] *= ratio
        return
    s.habit[BEGAN] = d.habit[BEGAN] + (d.first_ns - s.first_ns) * NS
    for j in range(PROFILE, len(s.habit)):
        s.habit[j] *= ratio


@part
def take(s: Any, d: Any) -> bool:  # pragma: no cover - compiled
    """Let row `s`, which has just begun, inherit from row `d`; says whether it did.

    A row that knows more than its first samples, has an open finding, or is much rougher than its donor stays as it
    is; so does one whose donor has learnt little itself. Sizes are stretched with the level.
    """
    if s.count < HEAD or s.count >= WORTH or d.count < LEARNT or s.opened > 0.0 or s.kind != d.kind:
        return False
    level, other = abs(s.level + s.zero), abs(d.level + d.zero)
    ratio = min(max(level / other, 1.0 / MOST_RATIO), MOST_RATIO) if other > 0.0 else 1.0
    if s.spread > ALIKE * ratio * d.spread:
        return False
    s.fast_error = _stretched(s.fast_error, d.fast_error, ratio)
    s.rest_error = _stretched(s.rest_error, d.rest_error, ratio)
    s.shock = _stretched(s.shock, d.shock, ratio)
    s.shift = _stretched(s.shift, d.shift, ratio)
    s.step = _stretched(s.step, d.step, ratio)
    s.spread = _stretched(s.spread, d.spread, ratio)
    s.level_spread = _stretched(s.level_spread, d.level_spread, ratio)
    s.blocks = d.blocks
    s.peaks[:] = d.peaks
    s.usual_peak[:] = d.usual_peak
    s.peak_spread[:] = d.peak_spread
    s.moving[:] = d.moving
    s.most[:] = d.most
    if d.blocks >= CALIBRATED:
        _take_habits(s, d, ratio)
    else:
        s.judged = d.judged
        s.tails[:] = d.tails
    bins = len(s.season)
    for j in range(bins):
        s.season[j] = ratio * d.season[j]
    place = (s.last_ns * NS % DAY_S) / DAY_S * bins
    j = int(place)
    now = (1.0 - (place - j)) * s.season[j % bins] + (place - j) * s.season[(j + 1) % bins]
    if s.blocks >= CALIBRATED:
        now += habit_at(s, s.last_ns)
    s.slow = s.level - now
    s.fast_rest = s.fast - now
    s.drift = 0.0
    if s.quantum == 0.0:
        s.quantum = d.quantum
    s.count = WORTH
    return True


@kernel
def inherit(
    rows: Any, new: npt.NDArray[np.int32], donor: npt.NDArray[np.int32], done: npt.NDArray[np.bool_]
) -> None:  # pragma: no cover - compiled
    """`take` for many: `done` tells which of the new rows inherited."""
    for i in range(len(new)):
        done[i] = take(rows[new[i]], rows[donor[i]])
