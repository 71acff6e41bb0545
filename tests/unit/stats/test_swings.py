"""Swings: noise that grows or dies is told, what bursts by habit is not, and a change that stays becomes usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import Floor
from twofold.aiops.detect.table import Table
from twofold.stats.series.layout import DOWN, GAUGE, SWINGS, SWINGS_BACK, SWINGS_ON, UP
from twofold.stats.series.swings import SURE, TOLD, USUAL_NOW, WATCH

Floats = npt.NDArray[np.float64]
START_S = 1_767_225_600
PERIOD_S = 30
DAY = 86_400 // PERIOD_S


def events(value: Floats, *, floor: float = 0.05, budget: float = 0.05) -> Sequence[tuple[int, int, float]]:
    """What swings bring: which, at which sample, and the ratio."""
    table = Table(replace(PanelConfig(), alerts_per_day=budget))
    table.locate(np.array([7]))
    table.describe(0, kind=GAUGE, sides=UP | DOWN, floor=Floor(0.0, floor))
    time_ns = (START_S + np.arange(len(value), dtype=np.int64) * PERIOD_S) * 1_000_000_000
    _, found = table.learn(np.zeros(len(value), np.int32), time_ns, value, ranked=False)
    return [
        (int(each["what"]), (int(each["time_ns"]) // 1_000_000_000 - START_S) // PERIOD_S, float(each["effect"]))
        for each in found
        if each["what"] in (SWINGS, SWINGS_BACK, SWINGS_ON)
    ]


def noise(points: int, spread: float = 3.0, seed: int = 0) -> Floats:
    return 100.0 + spread * np.random.default_rng(seed).standard_normal(points)


@pytest.mark.parametrize("factor", [3.0, 0.3])
def test_noise_that_grows_or_dies_is_told_and_ends_when_it_is_as_before(factor: float) -> None:
    for seed in range(4):
        value = noise(3 * DAY, seed=seed)
        value[2 * DAY : 2 * DAY + 300] = 100.0 + factor * (value[2 * DAY : 2 * DAY + 300] - 100.0)
        (told, told_at, ratio), (ended, ended_at, _) = events(value)
        assert (told, ended) == (SWINGS, SWINGS_BACK)
        assert 2 * DAY < told_at <= 2 * DAY + 8 * WATCH
        assert (ratio > 1.8) if factor > 1 else (ratio < 0.6)
        assert 2 * DAY + 300 - WATCH <= ended_at <= 2 * DAY + 300 + 4 * WATCH


def habit(kind: str, seed: int) -> Floats:
    """Four days that swing as they do."""
    rng, points = np.random.default_rng(seed), 4 * DAY
    if kind == "heavy":
        return 100.0 + 3.0 * rng.standard_t(3, points)
    if kind == "counts":
        return rng.poisson(3.0, points).astype(np.float64)
    if kind == "bursts":
        return np.where(rng.random(points) < 0.05, rng.exponential(100.0, points), 0.0)
    if kind == "walk":
        return 500.0 + np.cumsum(rng.standard_normal(points))
    value = noise(points, seed=seed)
    if kind == "season":
        return 100.0 + (value - 100.0) * (1.5 + np.sin(2 * np.pi * np.arange(points) / DAY))
    return value + 1000.0 * (np.arange(points) == 3 * DAY) if kind == "spike" else value


@pytest.mark.parametrize("kind", ["plain", "heavy", "counts", "bursts", "walk", "season", "spike"])
def test_what_swings_by_habit_is_not_told(kind: str) -> None:
    assert sum(what == SWINGS for seed in range(5) for what, _, _ in events(habit(kind, seed))) <= 1


def test_a_change_that_stays_is_usual_after_a_while_and_the_next_one_needs_more() -> None:
    value = noise(4 * DAY)
    value[2 * DAY :] = 100.0 + 3.0 * (value[2 * DAY :] - 100.0)
    (told, told_at, _), (ended, ended_at, _) = events(value)
    assert (told, ended) == (SWINGS, SWINGS_ON)
    assert 0 <= ended_at - told_at - (USUAL_NOW - TOLD - SURE) * WATCH <= 8 * WATCH


def test_swings_too_small_to_matter_are_not_told() -> None:
    value = noise(3 * DAY, spread=0.1)
    value[2 * DAY :] = 100.0 + 3.0 * (value[2 * DAY :] - 100.0)
    assert not events(value)
    assert events(value, floor=0.001)


def test_a_smaller_budget_wants_more_proof() -> None:
    value = noise(3 * DAY)
    value[2 * DAY :] = 100.0 + 3.0 * (value[2 * DAY :] - 100.0)
    loose, strict = (events(value, budget=budget)[0][1] for budget in (1.0, 0.001))
    assert loose < strict
