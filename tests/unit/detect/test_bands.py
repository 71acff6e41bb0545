"""Bands over past times: causal, from the live settings, as wide as the panel's own, and cheap to ask again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tests.unit.detect.telemetry import MemoryCatalog, ns, samples
from twofold.aiops.detect.bands import KEPT, KEPT_S, LONGEST_S, Bands, band_of
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.panel import Panel
from twofold.aiops.detect.table import Table
from twofold.records.series import Series, SeriesKind
from twofold.stats.series.layout import DAY_S

PERIOD_S = 5.0
LATENCY = Series(sid=7, metric="span.duration.p95", unit="s", entity="service:a")


class Past:
    """A history of one series in memory that counts its reads."""

    def __init__(self, value: npt.NDArray[np.float64], period_s: float = PERIOD_S) -> None:
        self.time_ns = np.array([ns(each * period_s) for each in range(len(value))])
        self.value = value
        self.reads = 0

    def samples(self, sids: Sequence[int], start_ns: int, end_ns: int, *, tenant: str, step_ns: int = 0) -> pa.Table:
        assert (list(sids), tenant, step_ns) == ([LATENCY.sid], "main", 0)
        self.reads += 1
        wanted = (self.time_ns >= start_ns) & (self.time_ns < end_ns)
        return pa.table({"time_ns": self.time_ns[wanted], "value": self.value[wanted]})


class World:
    """Bands over a past, with a clock that stands still."""

    def __init__(self, value: npt.NDArray[np.float64], period_s: float = PERIOD_S) -> None:
        self.past, self.period_s, self.now = Past(value, period_s), period_s, 0.0
        self.config = PanelConfig()
        self.bands = Bands(self.past, lambda: self.config, lambda: self.now)  # type: ignore[arg-type]  # reads only

    def band(self, first: int, last: int, series: Series = LATENCY) -> tuple[npt.NDArray[np.float64], ...]:
        """Low and high at samples `first` to `last`."""
        at_ns = np.array([ns(each * self.period_s) for each in range(first, last)])
        found = self.bands.band(series, at_ns)
        assert found is not None
        assert len(found[0]) == len(found[1]) == last - first
        return found


def noise(level: float, ticks: int, spread: float = 0.003) -> npt.NDArray[np.float64]:
    return level + spread * np.random.default_rng(0).standard_normal(ticks)


def test_the_band_covers_the_whole_window_when_there_is_a_past_before_it() -> None:
    low, high = World(noise(0.05, 1000)).band(400, 1000)
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()
    assert (low < 0.045).all()
    assert ((high > 0.055) & (high < 0.1)).all()


def test_nothing_is_expected_before_the_series_is_warm() -> None:
    low, _ = World(noise(0.05, 200)).band(0, 200)
    warm = PanelConfig().warm_points
    assert np.isnan(low[:warm]).all()
    assert np.isfinite(low[warm + 1 :]).all()


def test_no_samples_no_band() -> None:
    low, high = World(np.empty(0)).band(0, 3)
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_the_band_is_the_panels_own() -> None:
    value = noise(0.05, 300)
    catalog = MemoryCatalog()
    catalog.restore([LATENCY])
    panel = Panel(catalog)
    panel.process([samples(LATENCY.sid, [n * PERIOD_S for n in range(300)], value.tolist())])
    low, high = World(value).band(0, 301)
    now = panel.band(LATENCY.sid)
    assert now is not None
    assert (low[-1], high[-1]) == pytest.approx((now.low, now.high))


def test_what_comes_later_changes_no_earlier_band() -> None:
    """At each time stands what was known before the sample of that time."""
    calm = noise(0.05, 600)
    broken = calm.copy()
    broken[500:] += 2.0
    before, after = World(calm).band(400, 600), World(broken).band(400, 600)
    for quiet, loud in zip(before, after, strict=True):
        assert (quiet[:101] == loud[:101]).all()


def test_the_band_stays_where_it_was_while_a_fault_lasts() -> None:
    value = noise(0.05, 600)
    value[500:560] += 2.0
    _, high = World(value).band(480, 600)
    assert high.max() < 0.2


def test_counters_are_expected_per_second() -> None:
    counter = replace(LATENCY, metric="http.server.requests", unit="", kind=SeriesKind.COUNTER)
    low, high = World(np.cumsum(noise(50.0, 600, 1.0))).band(400, 600, counter)
    assert (low < 10.0).all()
    assert (high > 10.0).all()
    assert (high < 20.0).all()


def test_what_never_was_negative_is_not_expected_to_be() -> None:
    ratio = replace(LATENCY, metric="span.error_ratio", unit="1")
    low, high = World(np.zeros(600)).band(400, 600, ratio)
    assert (low == 0.0).all()
    assert (high > 0.0).all()
    low, _ = World(noise(0.0, 600, 1.0)).band(400, 600)
    assert (low < 0.0).all()


def test_slow_series_are_learnt_from_a_longer_past() -> None:
    """At a sample every five minutes half an hour would not warm anything."""
    world = World(noise(0.05, 250), period_s=300.0)
    low, _ = world.band(230, 250)
    assert np.isfinite(low).all()
    assert world.past.reads == 2


@pytest.mark.parametrize(
    ("series", "at_ns"),
    [
        (replace(LATENCY, metric="http.server.duration.bucket", kind=SeriesKind.COUNTER), [ns(0), ns(5)]),
        (LATENCY, []),
        (LATENCY, [ns(0), ns(LONGEST_S + 1)]),
    ],
    ids=["not watched", "no times", "too long"],
)
def test_where_there_is_nothing_to_say_nothing_is_read(series: Series, at_ns: list[int]) -> None:
    world = World(noise(0.05, 10))
    assert world.bands.band(series, np.array(at_ns, np.int64)) is None
    assert world.past.reads == 0


def test_an_answer_is_kept_for_a_few_seconds_and_not_longer() -> None:
    world = World(noise(0.05, 600))
    wide = world.band(400, 600)
    world.config = PanelConfig(level_s=60.0)
    assert world.band(400, 600)[1] is wide[1]
    world.now = KEPT_S
    assert (world.band(400, 600)[1] != wide[1]).any()
    assert world.past.reads == 2


def test_only_so_many_answers_are_kept() -> None:
    world = World(noise(0.05, 600))
    for first in range(KEPT + 1):
        world.band(400 + first, 600)
    world.band(400, 600)
    assert world.past.reads == KEPT + 2


def test_the_season_is_read_as_the_kernel_reads_it() -> None:
    """Linear between bins of the day, the last beside the first."""
    row = Table(PanelConfig()).rows[0]
    row["count"], row["seasonal"], row["slow"], row["zero"] = 100, 1, 1.0, 10.0
    row["season"][0], row["season"][-1] = 2.0, 4.0
    bins = len(row["season"])

    def expected(bin_: float) -> float:
        band = band_of(row, int(bin_ / bins * DAY_S * 1e9), warm_points=12)
        assert band is not None
        return band.expected

    assert [expected(at) for at in (0.0, 0.5, bins - 1, bins - 0.5, bins)] == pytest.approx(
        [13.0, 12.0, 15.0, 14.0, 13]
    )
    row["count"] = 11
    assert band_of(row, 0, warm_points=12) is None
