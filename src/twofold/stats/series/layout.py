"""What the panel keeps of a series, what it is told, and what it tells: the record types of its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

TAIL_BINS: Final = 16  # what four bits tell apart; steps of 1.65 from 0.25: 0.25 … 450 usual sizes
LAST: Final = 8
CHANNELS: Final = 2  # shock and shift
HEAD: Final = 8  # samples gathered before anything is judged; their median starts every level
DAY_S: Final = 86400.0
NS: Final = 1e-9
TINY: Final = 1e-12

GAUGE, COUNTER, DELTA, IGNORED = 0, 1, 2, 3
UP, DOWN, FIRST_CHANGE = 1, 2, 4
OPENED, RECOVERED, NEW_LEVEL, STUCK, MOVES_AGAIN, SWINGS, SWINGS_BACK, SWINGS_ON = 1, 2, 3, 4, 5, 6, 7, 8
BY_LEVEL, BY_DAY, BY_WEEK, BY_CYCLE = 0, 1, 2, 3
"""What an expected value stands on: the level before, or a habit of the day, of the week, or of a learnt period."""
LATE, DUPLICATE, NOT_FINITE, RESET, TOO_LARGE, OUTCOMES = 0, 1, 2, 3, 4, 5
LARGEST: Final = 1e18  # states are 32 bit, and must hold squares of such values


SHARED: Final = {
    "habit": ("tails", 0, "f4", (16,)),
    "week": ("tails", 20, "i1", (42,)),
    "week_began": ("tails", 62, "u2", ()),
    "swing": ("last", 0, "f4", (2,)),
    "swing_spread": ("judged", 0, "f4", ()),
}
"""What an old series keeps where a young one has the tails of its samples, see `stats.series.peaks.CALIBRATED`: the
field that it shares, from which byte of it, and what."""


def row_type(bins: int) -> np.dtype[Any]:
    """State of one series.

    The tails of its samples are asked only while a series is young. Then their place belongs to what takes long to
    learn: habits other than of the day (`stats.series.habits`), and how much it usually swings (`stats.series.swings`).

    Args:
        bins: Bins of the daily season, at least `HEAD`.
    """
    own = _own(bins)
    names = list(own.names or ())
    fields: Mapping[str, Any] = own.fields or {}
    formats, offsets = [fields[name][0] for name in names], [fields[name][1] for name in names]
    for name, (place, first, kind, shape) in SHARED.items():
        names.append(name)
        formats.append(np.dtype((kind, shape)))
        offsets.append(offsets[names.index(place)] + first)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": own.itemsize, "aligned": True})


def _own(bins: int) -> np.dtype[Any]:
    return np.dtype(
        [
            ("first_ns", "i8"),
            ("last_ns", "i8"),
            ("leave_ns", "i8"),  # first sample of the present stay out of band: the onset
            ("raw", "f8"),  # last value as received, for counters
            ("zero", "f8"),  # subtracted from values, so that 32-bit state keeps small changes of large values
            ("count", "i4"),
            ("donor", "i4"),  # row, plus one, that it inherits from when it begins; 0 for nobody
            ("opened", "f4"),  # when a finding opened, in seconds after its onset plus 1; 0 when none is open
            ("calm", "f4"),  # since when it is back in its band, likewise; 0 when it is not
            ("back", "u2"),  # samples in band since the last one out of it
            ("kind", "u1"),
            ("sides", "u1"),
            ("seasonal", "u1"),  # expected value is slow level + season rather than the reference level
            ("side", "i1"),  # of the open finding
            ("habit_kind", "u1"),  # see `stats.series.habits`
            ("swing_count", "u1"),  # samples in the present watch
            ("least", "f4"),  # floor of practical size, absolute
            ("share", "f4"),  # and relative to the expected value
            ("period_s", "f4"),
            ("quantum", "f4"),  # smallest step seen; 0 while the series never moved
            ("quantum_next", "f4"),  # the same of the present stay out of band
            ("evidence", "f4"),
            ("previous", "f4"),
            ("fast", "f4"),
            ("fast_rest", "f4"),  # fast level of the deseasoned value
            ("fast_error", "f4"),
            ("rest_error", "f4"),
            ("shock", "f4"),  # usual size of it
            ("slow", "f4"),
            ("drift", "f4"),  # smoothed residual to the slow level and season
            ("shift", "f4"),  # usual size of it
            ("step", "f4"),  # usual step
            ("spread", "f4"),  # usual distance from the slow level and season
            ("run_shock", "u1"),
            ("run_level", "u1"),
            ("run_shift", "u2"),
            ("level", "f4"),  # reference level of findings
            ("level_spread", "f4"),
            ("recent", "f4"),  # deviation from the expected value, over a few samples
            ("worst_score", "f4"),
            ("worst_value", "f4"),  # less `zero`, as the levels
            ("worst_expected", "f4"),
            ("worst_margin", "f4"),
            ("worst_effect", "f4"),
            ("block_s", "f4"),  # begin of the present block of peaks, after the first sample
            ("blocks", "u2"),
            ("peaks", "u2", (CHANNELS,)),  # blocks in which something moved
            ("swing_seen", "u1"),  # watches
            ("swing_proof", "i1"),  # what the last ones say for a change, signed
            ("peak", "f4", (CHANNELS,)),  # largest size of the present block
            ("usual_peak", "f4", (CHANNELS,)),  # median of the logarithms
            ("peak_spread", "f4", (CHANNELS,)),
            ("moving", "f4", (CHANNELS,)),  # share of blocks in which something moved
            ("most", "f4", (CHANNELS,)),  # largest logarithm of all
            ("stay_best", "f4"),  # of the present run of samples that stand out, for their rank
            ("stay_before", "f4"),  # and of what was before it
            ("recent_best", "f4"),
            ("held", "i2"),  # samples since the onset
            ("still", "u2"),  # samples since it moved
            ("still_most", "u2"),  # longest such stretch before
            ("stuck", "u1"),  # has been told to stand still
            ("stay_gap", "u1"),  # samples since one stood out
            ("lasting", "f4"),  # fades slowly from the best sample
            ("tails", "u2", (CHANNELS, TAIL_BINS)),
            (
                "last",
                "u1",
                (LAST,),
            ),  # bins of the last samples, four bits each, to take them back when they open a finding
            ("judged", "f4"),  # samples in the histograms
            ("season", "f4", (bins,)),
        ],
        align=True,
    )


EVENT: Final = np.dtype(
    [
        ("row", "i4"),
        ("what", "i4"),
        ("time_ns", "i8"),
        ("onset_ns", "i8"),
        ("score", "f8"),
        ("value", "f8"),
        ("expected", "f8"),
        ("margin", "f8"),
        ("effect", "f8"),
        ("now", "f8"),
        ("side", "i8"),
        ("basis", "i8"),  # of `expected`: `BY_LEVEL` …
    ],
    align=True,
)

PARAMS: Final = np.dtype(
    [
        (name, "f8")
        for name in (
            "fast_s",
            "fast_points",
            "smooth_s",
            "smooth_points",
            "slow_s",
            "scale_points",
            "level_s",
            "level_points",
            "clip",
            "season_rate",
            "season_after_s",
            "tail_cap",
            "tail_prior",
            "block_s",
            "block_points",
            "shift_points",
            "warm_points",
            "warm_s",
            "least_score",
            "alerts_per_day",
            "persist_s",
            "recover_s",
            "readmit_s",
            "readmit_points",
        )
    ],
    align=True,
)
