"""When a limit is reached: steady fills, late leaks, sawtooths, gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.forecast.fills import DAY, fills
from twofold.errors import InputError
from twofold.stats.fill import LEAST, fill

HOUR = 12


def test_a_straight_line_is_told_to_the_step() -> None:
    value = 0.5 + 0.001 * np.arange(400.0)[None, :]
    found = fill(value, np.array([1.0]), [50.0, 150.0])
    assert found.within[0, 0] < 0.01
    assert found.within[0, 1] > 0.99
    assert found.eta_steps[0, 1] == pytest.approx((1.0 - value[0, -2]) / 0.001, rel=0.06)


def test_a_leak_that_began_six_hours_ago_is_followed_and_the_quiet_week_before_is_not() -> None:
    t = np.arange(2016.0)
    value = 0.5 + 0.3 / (6 * HOUR) * np.maximum(t - (2016 - 6 * HOUR), 0.0)
    value += np.random.default_rng(1).normal(0.0, 1e-3, 2016)
    found = fill(value[None, :], np.array([1.0]), [DAY])
    assert found.within[0, 0] > 0.9
    assert found.eta_steps[0, 1] == pytest.approx(4 * HOUR, rel=0.2)


def test_what_fell_before_at_this_height_will_fall_again_until_it_is_higher_than_ever() -> None:
    t = np.arange(600.0)
    teeth = 0.5 + 0.3 * (t % 150) / 150
    assert fill(teeth[None, :], np.array([1.0]), [150.0]).within[0, 0] < 0.3
    higher = np.concatenate([teeth, 0.8 + 0.002 * np.arange(75.0)])
    assert fill(higher[None, :], np.array([1.0]), [150.0]).within[0, 0] > 0.8


def test_a_full_thing_is_full_and_one_without_values_says_nothing() -> None:
    value = np.stack([np.ones(100), np.full(100, np.nan)])
    found = fill(value, np.ones(2), [10.0])
    assert found.within[:, 0].tolist() == [1.0, 0.0]
    assert found.eta_steps[0].tolist() == [0.0, 0.0, 0.0]
    assert np.isinf(found.eta_steps[1]).all()


def test_it_beats_a_straight_line_on_fills_of_every_shape_and_its_interval_holds_the_end() -> None:
    _, past, end = fills(12, seed=3)
    found = fill(past, np.ones(len(past)), [float(DAY)])
    truth = (end <= DAY).astype(float)
    t = np.arange(72) - 35.5
    slope = (past[:, -72:] * t).sum(axis=1) / (t * t).sum()
    line = past[:, -72:].mean(axis=1) + slope * (35.5 + DAY) >= 1.0
    ours = np.mean((found.within[:, 0] - truth) ** 2)
    assert ours < 0.7 * np.mean((line - truth) ** 2)
    inside = (found.eta_steps[:, 0] <= end) & (end <= found.eta_steps[:, 2])
    assert 0.7 < inside.mean() < 0.97


def test_too_short_a_past_is_refused() -> None:
    with pytest.raises(InputError, match=f"at least {LEAST} steps"):
        fill(np.ones((1, LEAST - 1)), np.ones(1), [1.0])


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.6))
def test_any_values_give_probabilities_that_grow_with_time_and_times_that_grow_with_probability(
    seed: int, gaps: float
) -> None:
    rng = np.random.default_rng(seed)
    value = np.cumsum(rng.normal(rng.normal(0, 0.01), 0.02, (3, 200)), axis=1) * 10.0 ** rng.integers(-3, 9)
    value[rng.random(value.shape) < gaps] = np.nan
    found = fill(value, rng.normal(0, 1, 3) * 100, [1.0, 10.0, 100.0])
    assert ((found.within >= 0.0) & (found.within <= 1.0 + 1e-9)).all()
    assert (np.diff(found.within, axis=1) >= -1e-12).all()
    known = np.nan_to_num(found.eta_steps, posinf=1e18)
    assert (np.diff(known, axis=1) >= 0.0).all()
