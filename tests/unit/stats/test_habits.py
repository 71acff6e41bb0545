"""Habits beyond the day: a week and a period of its own are learnt, used, and given up when they are over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from numba import njit

from twofold.aiops.detect.bands import band_of, basis_of
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import Floor
from twofold.aiops.detect.table import Table
from twofold.stats.series.habits import CYCLE, PERIOD, PROFILE, SCALE, SEARCH, WEEK, WEEK_BINS, habit_at
from twofold.stats.series.layout import BY_CYCLE, BY_DAY, BY_LEVEL, BY_WEEK, DAY_S, DOWN, GAUGE, OPENED, UP, row_type

Floats = npt.NDArray[np.float64]
MONDAY_S = 1_767_571_200  # 2026-01-05
HOUR_S = 3600.0


class Story:
    """One series over weeks, sampled evenly."""

    def __init__(self, period_s: float) -> None:
        self.table = Table(PanelConfig())
        self.table.locate(np.array([7]))
        self.table.describe(0, kind=GAUGE, sides=UP | DOWN, floor=Floor(0.0, 0.1))
        self.period_s, self.now_s = period_s, 0.0
        self.random, self.noise = np.random.default_rng(0), 1.0

    def go(self, value: Callable[[Floats], Floats], days: float) -> Sequence[npt.NDArray[np.void]]:
        """Learn so many days of a value of time in seconds after a Monday; what opens or closes."""
        since_s = np.arange(self.now_s, self.now_s + days * DAY_S, self.period_s)
        self.now_s = float(since_s[-1]) + self.period_s
        noisy = value(since_s) + self.noise * self.random.standard_normal(len(since_s))
        at = np.zeros(len(since_s), np.int32)
        _, events = self.table.learn(at, ((MONDAY_S + since_s) * 1e9).astype(np.int64), noisy, ranked=False)
        return events

    @property
    def row(self) -> np.void:
        found: np.void = self.table.rows[0]
        return found


def workdays(since_s: Floats) -> Floats:
    """Busy from Monday morning to Friday night, a little more so at noon."""
    noon = np.sin(2 * np.pi * (since_s % DAY_S / DAY_S - 0.25))
    busy = np.interp(since_s / DAY_S % 7, [0.0, 0.25, 4.8, 5.2, 6.9, 7.0], [0.1, 1.0, 1.0, 0.0, 0.0, 0.1])
    return 100.0 + 40.0 * busy + 5.0 * noon


def every(hours: float) -> Callable[[Floats], Floats]:
    """Half of a wave over a flat level, again and again."""
    return lambda since_s: 100.0 + 30.0 * np.maximum(np.sin(2 * np.pi * since_s / (hours * HOUR_S)), -0.2)


def test_a_week_is_known_after_three_and_a_quiet_tuesday_is_told_against_tuesdays() -> None:
    story = Story(period_s=600.0)
    story.go(workdays, 35)
    assert story.row["habit_kind"] == WEEK
    story.go(workdays, 1.4)
    (opened, *_) = story.go(lambda since_s: np.full(len(since_s), 100.0), 0.2)
    assert opened["what"] == OPENED
    assert opened["side"] < 0
    assert opened["basis"] == BY_WEEK
    assert opened["expected"] == pytest.approx(144, abs=5)


def test_a_sunday_like_all_sundays_is_not_told() -> None:
    story = Story(period_s=600.0)
    story.go(workdays, 28)
    assert not story.go(workdays, 14)


def test_a_day_as_all_days_needs_no_week() -> None:
    story = Story(period_s=600.0)
    story.go(lambda since_s: 100.0 + 20.0 * np.sin(2 * np.pi * since_s / DAY_S), 35)
    assert story.row["habit_kind"] != WEEK
    assert basis_of(story.row) == BY_DAY


@pytest.mark.parametrize("hours", [1.5, 5.0, 7.3])
def test_a_period_of_its_own_is_found_and_a_rise_that_does_not_come_is_told(hours: float) -> None:
    story = Story(period_s=60.0)
    whole = int(7 * 24 / hours) * hours / 24
    story.go(every(hours), whole)
    assert story.row["habit_kind"] == CYCLE
    assert story.row["habit"][PERIOD] == pytest.approx(hours * HOUR_S, rel=0.02)
    assert not story.go(every(hours), hours / 24)
    events = story.go(lambda since_s: np.full(len(since_s), 94.0), hours / 48)
    assert [int(each["basis"]) for each in events[:1]] == [BY_CYCLE]
    assert events[0]["side"] < 0


def test_noise_and_walks_have_no_period() -> None:
    for seed in range(6):
        story = Story(period_s=60.0)
        story.random = np.random.default_rng(seed)
        steps = np.cumsum(story.random.standard_normal(6 * 1440)) if seed % 2 else np.zeros(6 * 1440)
        story.go(lambda since_s, steps=steps: 500.0 + steps[: len(since_s)], 6)  # type: ignore[misc]  # as each is
        assert story.row["habit_kind"] != CYCLE


def test_a_habit_that_ends_is_given_up() -> None:
    story = Story(period_s=60.0)
    story.go(every(5.0), 6)
    assert story.row["habit_kind"] == CYCLE
    story.go(lambda since_s: np.full(len(since_s), 100.0), 9)
    assert story.row["habit_kind"] != CYCLE
    assert abs(float(story.row["slow"] + story.row["zero"]) - 100.0) < 5.0


def test_habits_hold_departures_and_leave_the_level_alone() -> None:
    story = Story(period_s=600.0)
    story.go(workdays, 42)
    row = story.row
    assert abs(float(np.mean(row["week"][:WEEK_BINS])) * float(row["habit"][SCALE])) < 2.0
    cycles = Story(period_s=60.0)
    cycles.go(every(5.0), 8)
    assert abs(float(np.mean(cycles.row["habit"][PROFILE:]))) < 1.0


@pytest.mark.parametrize(("value", "days", "period_s"), [(workdays, 35.0, 600.0), (every(5.0), 6.0, 60.0)])
def test_a_page_shows_what_the_kernel_expects(value: Callable[[Floats], Floats], days: float, period_s: float) -> None:
    story = Story(period_s)
    story.go(value, days)
    row = story.row
    assert row["habit_kind"] in (WEEK, CYCLE)
    story.table.rows["seasonal"][0] = 1
    for hour in range(0, 190, 7):
        at_ns = int((MONDAY_S + story.now_s + hour * HOUR_S) * 1e9)
        plain = row.copy()
        plain["habit_kind"] = SEARCH
        with_habit, without = (band_of(each, at_ns, warm_points=12) for each in (row, plain))
        assert with_habit is not None
        assert without is not None
        assert with_habit.expected - without.expected == pytest.approx(_departure_of(story.table.rows, at_ns), abs=1e-3)


@njit  # type: ignore[untyped-decorator]  # numba has no types
def _departure_of(rows: npt.NDArray[np.void], at_ns: int) -> float:
    """What the kernel adds for the first row's habit."""
    return float(habit_at(rows[0], at_ns))


@pytest.mark.parametrize("size", [1e-15, 1.0, 1e9, 1e17])
def test_what_stood_still_for_weeks_may_go_anywhere(size: float) -> None:
    story = Story(period_s=600.0)
    story.noise = 0.0
    story.go(lambda since_s: np.zeros(len(since_s)), 10)
    for factor in (0.0, size, -size):
        story.go(lambda since_s, factor=factor: factor * workdays(since_s), 21)  # type: ignore[misc]  # as each is
    rows = story.table.rows
    for name in ("slow", "spread", "shift", "level", "habit", "swing", "swing_spread"):
        assert np.isfinite(rows[name][0]).all(), name


def test_a_week_of_one_sample_a_day_is_learnt_in_its_own_bins() -> None:
    table = Table(PanelConfig())
    table.locate(np.array([7]))
    table.describe(0, kind=GAUGE, sides=UP | DOWN, floor=Floor(0.0, 0.1))
    days = np.arange(400)
    value = 100.0 + 40.0 * (days % 7 < 5) + np.random.default_rng(0).standard_normal(400)
    table.learn(np.zeros(400, np.int32), (MONDAY_S + 43_200 + days * 86_400) * 1_000_000_000, value, ranked=False)
    row = table.rows[0]
    assert row["habit_kind"] == WEEK
    noons = row["week"].reshape(7, 6)[:, 3] * row["habit"][SCALE]
    assert noons[:5].min() - noons[5:].max() > 15.0


def test_a_young_series_stands_on_its_level() -> None:
    row = np.zeros(1, row_type(16))[0]
    assert basis_of(row) == BY_LEVEL
