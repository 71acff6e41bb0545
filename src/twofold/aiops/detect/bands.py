"""Where a series is expected: what the detector knows of it now, and what it would have known at any past time.

Beside the flow: pages ask, no stage does. The past is learnt anew from the history, by the detector's own kernel.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import floor_of, kind_of, sides_of
from twofold.aiops.detect.table import Table
from twofold.records.series import Series
from twofold.records.time import SECOND_NS
from twofold.stats.series.habits import (
    BEGAN,
    BIN_S,
    BINS,
    CYCLE,
    EPOCH_DAY,
    PERIOD,
    PROFILE,
    SCALE,
    SEARCH,
    WEEK,
    WEEK_BINS,
    WEEK_S,
)
from twofold.stats.series.layout import BY_CYCLE, BY_DAY, BY_LEVEL, BY_WEEK, DAY_S, IGNORED, NS
from twofold.stats.series.peaks import CALIBRATED
from twofold.store.history import History

SPREADS: Final = 4.0  # usual distances that a band spans to each side
WARM_UP_S: Final = (1_800.0, 86_400.0)  # learnt before the first time; the longer where samples come slowly
LONGEST_S: Final = 7 * DAY_S  # a longer window is not learnt anew for a picture
KEPT: Final = 64
KEPT_S: Final = 5.0

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
LowHigh = tuple[Float64s, Float64s]


@dataclass(frozen=True, slots=True)
class Band:
    """Where a series is expected, in its unit (per second for counters)."""

    low: float
    expected: float
    high: float


def band_of(row: Any, time_ns: int, *, warm_points: int) -> Band | None:
    """The band of a row of the panel at a time, between the least changes that would matter.

    None while the series is too young for a finding.
    """
    if row["count"] < warm_points:
        return None
    seasonal = row["seasonal"]
    level = float(row["slow"]) + _season(row["season"], time_ns) + _habit(row, time_ns) if seasonal else row["level"]
    expected = float(level) + float(row["zero"])
    spread = float(row["spread"] if row["seasonal"] else row["level_spread"])
    margin = max(float(row["least"]), float(row["share"]) * abs(expected), SPREADS * spread)
    return Band(expected - margin, expected, expected + margin)


def basis_of(row: Any) -> int:
    """What the expected value of a row stands on, one of `BY_LEVEL` and its like."""
    if not row["seasonal"]:
        return BY_LEVEL
    known = int(row["habit_kind"]) if row["blocks"] >= CALIBRATED else SEARCH
    return {WEEK: BY_WEEK, CYCLE: BY_CYCLE}.get(known, BY_DAY)


def _habit(row: Any, time_ns: int) -> float:
    """As `stats.series.habits.habit_at`."""
    if row["blocks"] < CALIBRATED or row["habit_kind"] not in (WEEK, CYCLE):
        return 0.0
    numbers = row["habit"]
    if row["habit_kind"] == CYCLE:
        cycles = ((time_ns - int(row["first_ns"])) * NS - float(numbers[BEGAN])) / float(numbers[PERIOD])
        return _between(numbers[PROFILE:], cycles % 1.0 * BINS)
    place = (time_ns * NS / DAY_S + EPOCH_DAY) * DAY_S % WEEK_S / BIN_S
    return float(numbers[SCALE]) * _between(row["week"][:WEEK_BINS], place + WEEK_BINS - 0.5)


def _season(bins: npt.NDArray[np.float32], time_ns: int) -> float:
    """As `stats.score.season_at`."""
    return _between(bins, (time_ns * NS % DAY_S) / DAY_S * len(bins))


def _between(bins: npt.NDArray[Any], place: float) -> float:
    """Linear between two of the bins of what comes round again."""
    at, share = int(place), place % 1.0
    return float((1.0 - share) * bins[at % len(bins)] + share * bins[(at + 1) % len(bins)])


class Bands:
    """Bands over past times, as the live detector sees them.

    At each time stands what was expected before the samples from then on were seen; while a finding was open
    that is the level before its onset. Learnt from a warm-up before the first time, so it may be wider or
    narrower than what a detector knew that has watched for days, and knows no habits.

    Args:
        history: Samples are read from here.
        live: Settings of the detector that is live.
        clock: Monotonic seconds; answers are kept for `KEPT_S` of it.
    """

    def __init__(
        self, history: History, live: Callable[[], PanelConfig], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._history, self._live, self._clock = history, live, clock
        self._kept: OrderedDict[tuple[str, int, bytes], tuple[float, LowHigh | None]] = OrderedDict()
        self._lock = threading.Lock()

    def band(self, series: Series, time_ns: Int64s) -> LowHigh | None:
        """Low and high at these ascending times, NaN where not known yet.

        None when the detector does not watch the series, or the window is longer than a week.
        """
        if not len(time_ns) or kind_of(series) == IGNORED or (time_ns[-1] - time_ns[0]) * NS > LONGEST_S:
            return None
        key, now = (series.tenant, series.sid, time_ns.tobytes()), self._clock()
        with self._lock:
            told_at, found = self._kept.get(key, (-KEPT_S, None))
        if now - told_at < KEPT_S:
            return found
        found = self._learnt(series, time_ns)
        with self._lock:
            self._kept[key] = (now, found)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    def _learnt(self, series: Series, at_ns: Int64s) -> LowHigh:
        config = self._live()
        time_ns, value = self._samples(series, at_ns, config.warm_points)
        table = Table(config)
        row = table.locate(np.array([series.sid]))
        table.describe(
            0,
            kind=kind_of(series),
            sides=sides_of(series),
            floor=floor_of(series).times(config.floor_factor(series.metric)),
        )
        low, high = np.full(len(at_ns), np.nan), np.full(len(at_ns), np.nan)
        rows, done = np.repeat(row, len(time_ns)), 0
        for n, until in enumerate(np.searchsorted(time_ns, at_ns).tolist()):
            if until > done:
                table.learn(rows[done:until], time_ns[done:until], value[done:until], ranked=False)
                done = until
            if band := band_of(table.rows[0], int(at_ns[n]), warm_points=config.warm_points):
                low[n], high[n] = band.low, band.high
        if not (value < 0).any():  # what never was negative is not expected to be
            low = np.maximum(low, 0.0)
        return low, high

    def _samples(self, series: Series, at_ns: Int64s, needed: int) -> tuple[Int64s, Float64s]:
        first, last = int(at_ns[0]), int(at_ns[-1])
        time_ns, value = np.empty(0, np.int64), np.empty(0)
        for warm_s in WARM_UP_S:
            start_ns = first - int(warm_s * SECOND_NS)
            found = self._history.samples([series.sid], start_ns, last, tenant=series.tenant)
            time_ns, value = found["time_ns"].to_numpy(), found["value"].to_numpy()
            if not (real := np.isfinite(value)).all():  # marks of a series' end
                time_ns, value = time_ns[real], value[real]
            if np.searchsorted(time_ns, first) > 2 * needed:
                break
        return time_ns, value
