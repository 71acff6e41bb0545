"""The kernels of the panel: tails are probabilities, levels follow, what was a fault is not learnt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.aiops.detect.config import PanelConfig
from twofold.stats.series import panel, tails
from twofold.stats.series.layout import (
    COUNTER,
    DELTA,
    DOWN,
    EVENT,
    GAUGE,
    HEAD,
    IGNORED,
    LATE,
    OPENED,
    OUTCOMES,
    RECOVERED,
    RESET,
    TAIL_BINS,
    UP,
    row_type,
)
from twofold.stats.series.tails import above, bin_of, tail

Floats = npt.NDArray[np.float64]
START_NS = 1_767_225_600_000_000_000


class Run:
    """One row, fed evenly."""

    def __init__(self, kind: int = GAUGE, period_s: float = 5.0, bins: int = 48) -> None:
        self.rows = np.zeros(1, row_type(bins))
        self.rows["kind"], self.rows["sides"], self.rows["share"] = kind, UP | DOWN, 0.2
        self.params = PanelConfig(season_bins=bins).params()
        self.outcomes = np.zeros(OUTCOMES, np.int64)
        self.period_s, self.ticks = period_s, 0

    def feed(self, value: npt.ArrayLike) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        values = np.asarray(value, np.float64)
        times = START_NS + ((self.ticks + np.arange(len(values))) * self.period_s * 1e9).astype(np.int64)
        self.ticks += len(values)
        scores, events = np.zeros(len(values), np.float32), np.zeros(64, EVENT)
        at = np.zeros(len(values), np.int32)
        done, written = panel.learn(self.rows, at, times, values, self.params, 0, scores, events, self.outcomes)
        assert done == len(values)
        return scores, events[:written]

    def __getitem__(self, name: str) -> float:
        return float(self.rows[name][0])


def noise(level: float, spread: float, points: int, seed: int = 0) -> Floats:
    return level + spread * np.random.default_rng(seed).standard_normal(points)


@settings(deadline=None)
@given(st.floats(0, 1e6))
def test_a_size_lies_in_the_bin_that_holds_it(u: float) -> None:
    k = bin_of(u)
    assert 0 <= k < TAIL_BINS
    assert k == 0 or u > 0.25 * 1.65 ** (k - 1) * (1 - 1e-9)
    assert k == TAIL_BINS - 1 or u <= 0.25 * 1.65**k * (1 + 1e-9)


@given(
    st.floats(0.0, 1e12) | st.sampled_from([math.inf, *tails.FIRST.tolist(), *np.nextafter(tails.FIRST, 0).tolist()])
)
def test_a_bin_found_by_comparing_is_the_one_of_the_logarithm(u: float) -> None:
    by_logarithm = int(min(math.log(u / 0.25) / math.log(1.65), 40.0)) + 1 if u > 0.25 else 0
    assert bin_of(u) == min(by_logarithm, TAIL_BINS - 1)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=TAIL_BINS, max_size=TAIL_BINS), st.floats(0, 1e4), st.floats(0, 1e4))
def test_a_tail_is_a_probability_that_falls_with_size(counts: list[int], a: float, b: float) -> None:
    array = np.array(counts, np.uint16)
    low, high = sorted((a, b))
    p_low, p_high = (tail(above(array, u, bin_of(u)), float(array.sum()), u, 10.0) for u in (low, high))
    assert 0 < p_high <= p_low + 1e-9
    assert p_low <= 1 + 1e-9


def test_scores_of_noise_are_as_rare_as_they_say() -> None:
    run = Run(period_s=60)
    scores, _ = run.feed(noise(100, 5, 50_000))
    for level in (1.0, 2.0, 3.0):
        share = (scores[2000:] > level + 0.5).mean()  # the size of the shock adds up to half a power of ten
        assert share < 10**-level * 1.5


def test_heavy_tails_score_low_where_they_are_usual() -> None:
    rng = np.random.default_rng(1)
    spiky = noise(100, 1, 20_000)
    spiky[rng.random(20_000) < 0.02] += 300
    usual, _ = Run().feed(spiky)
    calm, _ = Run().feed(np.append(noise(100, 1, 19_999), 400.0))
    assert np.median(usual[10_000:][spiky[10_000:] > 300]) < calm[-1] - 2


def test_the_first_samples_begin_every_level_at_their_median() -> None:
    run = Run()
    run.feed([900.0, 10, 11, 10, 9, 10, 11, 10][:HEAD])
    assert run["level"] + run["zero"] == pytest.approx(10.0)
    assert run["level_spread"] < 1.0


def test_the_reference_level_follows_a_slow_change_and_holds_still_in_a_fault() -> None:
    run = Run()
    run.feed(noise(100, 1, 400) + np.linspace(0, 15, 400))
    assert run["level"] + run["zero"] == pytest.approx(110, abs=4)
    before = run["level"]
    run.feed(noise(300, 1, 60))
    assert run["opened"] > 0
    assert abs(run["level"] - before) < 0.5


def test_a_daily_season_is_learnt_and_expected() -> None:
    run = Run(period_s=300)
    day = 288
    t = np.arange(6 * day)
    values = 100 + 40 * np.sin(2 * np.pi * t / day) + noise(0, 1, len(t))
    scores, _ = run.feed(values)
    assert run["seasonal"] == 1
    assert run["spread"] < 12 < run["level_spread"]
    night = run.feed(values[:day])[0]
    assert np.median(night) < 1.0
    odd = values[:day].copy()
    odd[72:78] = 60.0  # an ordinary value at the wrong time of day
    assert run.feed(odd)[0][72:78].max() > scores[day * 4 :].max() - 1


def test_a_finding_opens_once_and_closes_once() -> None:
    run = Run()
    _, events = run.feed(np.concatenate([noise(100, 2, 150), noise(300, 2, 30), noise(100, 2, 60)]))
    assert events["what"].tolist() == [OPENED, RECOVERED]
    assert events["onset_ns"][0] == START_NS + 150 * 5_000_000_000
    assert events["expected"][0] == pytest.approx(100, abs=2)
    assert events["side"][0] == 1


def test_the_same_fault_again_is_as_improbable_as_the_first_time() -> None:
    run = Run()
    fault = np.concatenate([noise(100, 2, 120), noise(200, 2, 20)])
    found = []
    for _ in range(6):
        found += run.feed(fault)[1].tolist()
    opened = [event for event in found if event[1] == OPENED]
    assert len(opened) == 6
    assert opened[-1][4] > opened[0][4] - 1.0


def test_a_recurring_spike_that_is_never_a_finding_becomes_usual() -> None:
    values = noise(100, 2, 6000)
    once = values.copy()
    once[-60] += 150
    values[::60] += 150
    scores, events = Run().feed(values)
    assert len(events) == 0
    assert scores[-60] < Run().feed(once)[0][-60] - 3


def test_counters_are_rates_and_deltas_are_spread_over_their_time() -> None:
    counter, delta = Run(COUNTER), Run(DELTA)
    counter.feed(np.arange(40) * 50.0)
    delta.feed(np.full(40, 50.0))
    assert counter["level"] + counter["zero"] == pytest.approx(10.0)
    assert delta["level"] + delta["zero"] == pytest.approx(10.0)
    counter.feed([0.0, 50.0, 100.0])
    assert counter.outcomes[RESET] == 1
    assert counter["level"] + counter["zero"] == pytest.approx(10.0)


def test_a_row_that_is_ignored_keeps_nothing() -> None:
    run = Run(IGNORED)
    scores, events = run.feed(noise(100, 50, 100))
    assert not scores.any()
    assert not len(events)
    assert run["count"] == 0


def test_small_changes_of_huge_values_are_not_lost() -> None:
    run = Run()
    values = noise(8e9, 1e3, 200)
    values[150:] += 2e5
    scores, _ = run.feed(values)
    assert run["shock"] < 5e3
    assert scores[150] > 5


def test_late_samples_are_counted_and_change_nothing() -> None:
    run = Run()
    run.feed(noise(100, 2, 50))
    before = run.rows.tobytes()
    run.ticks = 10
    run.feed([9e9])
    assert run.outcomes[LATE] == 1
    assert run.rows.tobytes() == before


def test_a_full_buffer_of_events_is_emptied_and_the_batch_goes_on() -> None:
    run = Run()
    values = np.tile(np.concatenate([noise(100, 2, 120), noise(300, 2, 20)]), 4)
    whole = run.feed(values)[1]
    again = Run()
    times = START_NS + np.arange(len(values)) * 5_000_000_000
    scores, at, done, found = np.zeros(len(values), np.float32), np.zeros(len(values), np.int32), 0, []
    while done < len(values):
        events = np.zeros(1, EVENT)
        done, written = panel.learn(again.rows, at, times, values, again.params, done, scores, events, again.outcomes)
        found += events[:written].tolist()
    assert found == whole.tolist()


@pytest.mark.parametrize("gap_s", [60, 3600, 10 * 86400])
def test_a_gap_is_no_shock(gap_s: int) -> None:
    run = Run()
    run.feed(noise(100, 2, 300))
    run.ticks += int(gap_s / run.period_s)
    scores, events = run.feed(noise(100, 2, 50, seed=1))
    assert scores.max() < 4
    assert not len(events)
    assert math.isfinite(run["period_s"])
