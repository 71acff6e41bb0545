"""How far a sample is past what its series usually reaches within a few hours.

Effect size ranks well where noise is tame, and floods a threshold that all series share with the few that burst
by habit. A tail probability of the series' own past does the reverse: what was seen often enough is never
improbable again, and past the largest one seen it cannot tell ten usual sizes from a hundred. Peaks keep both.
The largest size of each block of a few hours says what the series does when nothing is wrong; the median
and the spread of their logarithms are not moved by blocks that hold an anomaly, as long as most hold none. So

    past = log size - median - SPREADS x spread - RARE x log(share of blocks that move at all)
           + RECORD x log(size / largest peak so far), held within bounds

is comparable across series: of 170 labelled ones, those without anything wrong pass 0 about every fourth day,
1 every 30 days. Source of the idea: block maxima, as in Coles (2001), "An Introduction to Statistical Modeling of
Extreme Values", with medians in the place of a fit.
"""

from __future__ import annotations

import math
from typing import Any, Final

from twofold.stats.jit import part
from twofold.stats.series.layout import CHANNELS, NS

SHOCK, SHIFT = 0, 1
RATE: Final = 0.03  # weight of a block, once there are as many
SPREADS: Final = 1.3
RARE: Final = 0.4
RECORD: Final = 0.5
RECORD_LEAST, RECORD_MOST = -1.0, 4.0
MOVES: Final = (1.0, 0.0)  # log size from which a block counts as one in which something moved
LEAST: Final = (1.5, 1.0)  # a usual peak is taken for no smaller: noise reaches it
BEHIND: Final = (0.0, 1.0)  # a lasting shift has to be further out: levels wander
LEAST_SPREAD: Final = 0.1
FAR: Final = 3.0  # spreads past which a block moves the spread no further
BLOCKS_A_DAY: Final = 4.0  # that pass the usual peak, half of eight
FALL: Final = 1.2  # of the logarithm of how many blocks pass it by so many spreads, for each spread
RARITY: Final = 0.6  # -log10 of how often a day a sample is past 0; each further unit is a decade
LN10: Final = math.log(10.0)
CALIBRATED: Final = 8  # blocks after which peaks say more than tails
NOTHING: Final = -9.0


@part
def log_size(u: float) -> float:  # pragma: no cover - compiled
    """Logarithm of a size, calm near 0."""
    return math.log(u + 0.1)


@part
def past(s: Any, u_shock: float, u_shift: float) -> float:  # pragma: no cover - compiled
    """How far the larger of both channels is past its usual peaks, see above; before it is noted."""
    return max(_past(s, SHOCK, log_size(u_shock)), _past(s, SHIFT, log_size(u_shift)))


@part
def rarity(s: Any, u_shock: float, u_shift: float) -> float:  # pragma: no cover - compiled
    """How often a day samples of one of the channels come this far when nothing is wrong, as -log10."""
    return max(_rarity(s, SHOCK, log_size(u_shock)), _rarity(s, SHIFT, log_size(u_shift)))


@part
def _rarity(s: Any, channel: int, size: float) -> float:  # pragma: no cover - compiled
    """By what series do together, and no more than the spread of this one's own peaks allows."""
    spreads = (size - max(_usual(s, channel), LEAST[channel])) / s.peak_spread[channel]
    return float(min(RARITY + _past(s, channel, size), FALL * spreads / LN10 - math.log10(BLOCKS_A_DAY)))


@part
def _usual(s: Any, channel: int) -> float:  # pragma: no cover - compiled
    """Median of the logarithms; the first block's own peak until there is one."""
    return float(s.usual_peak[channel] if s.peaks[channel] else max(log_size(s.peak[channel]), MOVES[channel]))


@part
def _past(s: Any, channel: int, size: float) -> float:  # pragma: no cover - compiled
    record = min(max(size - s.most[channel], RECORD_LEAST), RECORD_MOST)
    return float(
        size
        - max(_usual(s, channel), LEAST[channel])
        - SPREADS * s.peak_spread[channel]
        - RARE * math.log(s.moving[channel] + 0.02)
        + RECORD * record
        - BEHIND[channel]
    )


@part
def begin(s: Any, time_ns: int) -> None:  # pragma: no cover - compiled
    """Nothing is known of peaks yet; the first block begins."""
    s.block_s = (time_ns - s.first_ns) * NS
    for channel in range(CHANNELS):
        s.peak_spread[channel] = 0.5
        s.moving[channel] = 1.0
        s.most[channel] = NOTHING


@part
def note(s: Any, u_shock: float, u_shift: float, time_ns: int, p: Any) -> None:  # pragma: no cover - compiled
    """Take a sample into the present block, and with its last one the block into what is usual."""
    s.peak[SHOCK] = max(s.peak[SHOCK], u_shock)
    s.peak[SHIFT] = max(s.peak[SHIFT], u_shift)
    age_s = (time_ns - s.first_ns) * NS
    if age_s - s.block_s < max(p.block_s, p.block_points * s.period_s):
        return
    for channel in range(CHANNELS):
        _learn(s, channel)
    s.blocks = min(s.blocks + 1, 10000)
    s.block_s = age_s


@part
def _learn(s: Any, channel: int) -> None:  # pragma: no cover - compiled
    size = log_size(s.peak[channel])
    s.peak[channel] = 0.0
    s.most[channel] = max(s.most[channel], size)
    moves = size > MOVES[channel]
    s.moving[channel] += max(RATE, 1.0 / (s.blocks + 1.0)) * ((1.0 if moves else 0.0) - s.moving[channel])
    if not moves:
        return
    if s.peaks[channel] == 0:
        s.usual_peak[channel] = size
    else:
        rate = max(RATE, 1.0 / (s.peaks[channel] + 1.0))
        away = size - s.usual_peak[channel]
        spread = s.peak_spread[channel]
        step = rate * spread * min(abs(away) / spread, 1.0)  # towards the median: as far for a little as for a lot
        s.usual_peak[channel] += step if away > 0 else -step
        s.peak_spread[channel] = max(spread + rate * (min(abs(away), FAR * spread) - spread), LEAST_SPREAD)
    s.peaks[channel] = min(s.peaks[channel] + 1, 10000)
