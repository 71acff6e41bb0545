"""What is kept of series, pairs and entities, what is told of them, what decides: the record types of the arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from twofold.stats.series.layout import TAIL_BINS

KEPT: Final = 2  # partners a series keeps
PROBED: Final = 4  # candidates on trial beside them
SLOTS: Final = KEPT + PROBED
DRIVERS: Final = 3
HEAD: Final = 30  # ticks of a series or entity before it is judged
NONE: Final = -1
TINY: Final = 1e-9
SHARE: Final = 0.05  # of the usual distance from the slow level that counts as a usual size
LIVE_TICKS: Final = 40
FINE_BINS: Final = 32  # of an entity's histogram: sums vary less than their parts

TOGETHER, APART = 0, 1
OPENED, CLOSED, WORSE = 1, 2, 3

State = tuple[Any, Any, Any]

SERIES: Final = np.dtype(
    [
        ("zero", "f8"),  # subtracted from values, so that 32-bit state keeps small changes of large ones
        ("raw", "f8"),  # newest value as received, for counters
        ("sum", "f8"),  # of the values of this tick
        ("raw_ns", "i8"),
        ("tick", "u4"),  # the newest with a value
        ("entity", "i4"),
        ("count", "i4"),  # ticks learnt
        ("fast", "f4"),
        ("size", "f4"),  # usual distance from the fast level
        ("slow", "f4"),
        ("spread", "f4"),  # usual distance from the slow level
        ("z", "f4"),
        ("peak", "f4"),  # largest z since the entity was judged
        ("samples", "u2"),  # of this tick
        ("kind", "u1"),
        ("fresh", "u1"),
    ],
    align=True,
)
"""State of one series."""

PAIR: Final = np.dtype(
    [
        ("opened", "i8"),  # ticks; 0 when nothing is open
        ("onset", "i8"),
        ("turn", "i4"),  # next candidate for a partner
        ("learnt", "i4"),  # ticks, which may be fewer than the series': pairs can be asked for later
        ("power", "f4"),  # mean square of the clipped z
        ("size", "f4"),  # usual size of what the first partner does not tell
        ("counted", "f4"),
        ("worst", "f4"),
        ("partner", "i4", (SLOTS,)),
        ("shared", "f4", (SLOTS,)),  # mean product of the clipped z
        ("met", "i4", (SLOTS,)),  # ticks seen together
        ("stay", "u1"),
        ("low", "u1"),
        ("tails", "u2", (TAIL_BINS,)),
    ],
    align=True,
)
"""How one series goes with its partners."""

ENTITY: Final = np.dtype(
    [
        ("opened", "i8"),
        ("onset", "i8"),
        ("judged", "i4"),
        ("usual", "f4"),
        ("size", "f4"),
        ("counted", "f4"),
        ("worst", "f4"),
        ("total", "f4"),  # of the newest judged tick
        ("stay", "u1"),
        ("low", "u1"),
        ("tails", "u2", (FINE_BINS,)),
    ],
    align=True,
)
"""State of one entity."""

EVENT: Final = np.dtype(
    [
        ("what", "i4"),
        ("kind", "i4"),  # TOGETHER or APART
        ("entity", "i4"),
        ("moved", "i4"),  # series that moved, for an entity
        ("series", "i4"),  # that were judged
        ("tick", "i8"),
        ("onset", "i8"),
        ("score", "f8"),
        ("size", "f8"),  # of the sum, or of what parts the pair, in usual sizes
        ("coupling", "f8"),  # correlation, for a pair
        ("row", "i4", (DRIVERS,)),
        ("z", "f8", (DRIVERS,)),
        ("value", "f8", (DRIVERS,)),
        ("expected", "f8", (DRIVERS,)),
        ("usual", "f8", (DRIVERS,)),
    ],
    align=True,
)
"""What opens, gets worse or closes: of an entity what drove it, of a pair the one that left and then the other."""

PARAMS: Final = np.dtype(
    [
        (name, "f8")
        for name in (
            "fast_ticks",
            "scale_ticks",
            "slow_ticks",
            "couple_ticks",
            "probe_ticks",
            "coupled",
            "most_z",
            "moved_z",
            "least_series",
            "needed",
            "needed_apart",
            "threshold",
            "threshold_apart",
            "readmit_ticks",
        )
    ],
    align=True,
)
