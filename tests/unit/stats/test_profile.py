"""Forecasts from daily and weekly profiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from twofold.errors import InputError
from twofold.stats.profile import DAY, forecast

LEVELS = (0.1, 0.5, 0.9)
Floats = npt.NDArray[np.float64]


def a_week(hours: Floats) -> Floats:
    """Busy by day, quiet on two days of seven."""
    busy = 10.0 + 8.0 * np.sin(2.0 * np.pi * hours / DAY)
    return np.where((hours // DAY) % 7 >= 5, 0.3 * busy, busy)


def test_a_daily_and_weekly_habit_is_continued_exactly() -> None:
    past, future = a_week(np.arange(6 * 168.0)), a_week(np.arange(6 * 168.0, 6 * 168.0 + 72))
    found = forecast(past[None, :], 72, LEVELS)
    assert found.point[0] == pytest.approx(future, abs=0.05)


def test_it_is_better_than_yesterday_and_last_week_on_noise_and_its_interval_covers_what_it_says() -> None:
    rng = np.random.default_rng(5)
    hours = np.arange(5 * 168.0 + 72)
    value = a_week(hours) + rng.normal(0.0, 1.5, (80, len(hours)))
    past, future = value[:, :-72], value[:, -72:]
    found = forecast(past, 72, LEVELS)
    ours = np.abs(found.point - future).mean()
    assert ours < 0.85 * np.abs(past[:, -168 : -168 + 72] - future).mean()
    covered = ((found.quantiles[:, :, 0] <= future) & (future <= found.quantiles[:, :, 2])).mean()
    assert 0.77 < covered < 0.9


def test_a_new_level_is_followed_once_a_day_has_shown_it() -> None:
    rng = np.random.default_rng(6)
    value = 10.0 + rng.normal(0.0, 0.2, (1, 28 * DAY))
    value[:, -5 * DAY :] += 20.0
    assert forecast(value, DAY, LEVELS).point.mean() == pytest.approx(30.0, abs=2.0)


def test_gaps_and_short_pasts_are_bridged_and_an_empty_past_says_nothing() -> None:
    value = np.full((3, 10 * DAY), np.nan)
    value[0] = a_week(np.arange(10.0 * DAY))
    value[0, ::3] = np.nan
    value[1, -5:] = 4.0
    found = forecast(value, DAY, LEVELS)
    assert np.isfinite(found.point[0]).all()
    assert found.point[1] == pytest.approx(4.0)
    assert np.isnan(found.point[2]).all()


def test_quantiles_ascend_and_bad_ones_are_refused() -> None:
    rng = np.random.default_rng(8)
    found = forecast(rng.normal(0, 1, (5, 400)), 30, LEVELS)
    assert (np.diff(found.quantiles, axis=2) >= 0.0).all()
    for levels in ((0.5, 0.1), (0.0, 0.5), (0.5, 1.0)):
        with pytest.raises(InputError, match="ascend between 0 and 1"):
            forecast(np.ones((1, 50)), 5, levels)
