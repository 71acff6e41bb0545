"""A row that begins takes over what a sibling's row has learnt: usual sizes, season, rarity. Levels stay its own."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import kernel, part
from twofold.stats.series.layout import DAY_S, HEAD, NS

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
    s.judged = d.judged
    s.tails[:] = d.tails
    bins = len(s.season)
    for j in range(bins):
        s.season[j] = ratio * d.season[j]
    place = (s.last_ns * NS % DAY_S) / DAY_S * bins
    j = int(place)
    now = (1.0 - (place - j)) * s.season[j % bins] + (place - j) * s.season[(j + 1) % bins]
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
