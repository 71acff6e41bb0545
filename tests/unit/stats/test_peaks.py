"""Peaks of a few hours: the budget of false findings holds, habits are no news, faults do not move what is usual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.stats.test_panel import START_NS, Run, noise
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import Floor
from twofold.aiops.detect.table import Table
from twofold.stats.series.layout import DOWN, GAUGE, OPENED, UP
from twofold.stats.series.peaks import CALIBRATED, SHOCK

Floats = npt.NDArray[np.float64]
MINUTES_A_DAY = 1440
BLOCK = 180  # minutes
DAYS = 12
WARM_DAYS = 2


def openings(value: Floats, per_day: float) -> npt.NDArray[np.int64]:
    """Samples at which findings open, of minutes."""
    table = Table(replace(PanelConfig(), alerts_per_day=per_day))
    at = table.locate(np.full(len(value), 7, np.int64))
    table.describe(0, kind=GAUGE, sides=UP | DOWN, floor=Floor(0.0, 0.0))
    _, events = table.learn(at, START_NS + np.arange(len(value)) * 60_000_000_000, value, ranked=False)
    opened = [int(event["time_ns"]) for event in events if event["what"] == OPENED]
    return (np.array(opened, np.int64) - START_NS) // 60_000_000_000


def walk(kind: str, seed: int) -> Floats:
    """Twelve days without anything wrong: plain noise, heavy tails, noise that remembers, rare jumps by habit."""
    rng = np.random.default_rng(seed)
    points = DAYS * MINUTES_A_DAY
    if kind == "heavy":
        return 100.0 + rng.standard_t(3, points)
    if kind == "wandering":
        out, level = np.empty(points), 0.0
        for i, step in enumerate(rng.standard_normal(points)):
            level = 0.97 * level + step
            out[i] = 100.0 + level
        return out
    value = 100.0 + rng.standard_normal(points)
    if kind == "bursts":
        value[rng.random(points) < 8 / MINUTES_A_DAY] += 40.0
    return value


@pytest.mark.parametrize("kind", ["plain", "heavy", "wandering", "bursts"])
@pytest.mark.parametrize("budget", [0.1, 1.0])
def test_a_budget_of_false_findings_a_day_holds_whatever_the_noise(kind: str, budget: float) -> None:
    series = 8
    found = [openings(walk(kind, seed), budget) for seed in range(series)]
    false = sum(int((each >= WARM_DAYS * MINUTES_A_DAY).sum()) for each in found)
    assert false / (series * (DAYS - WARM_DAYS)) <= 2.5 * budget


def test_a_burst_is_news_to_a_tame_series_and_none_to_one_that_bursts_by_habit() -> None:
    for kind, news in (("plain", True), ("bursts", False)):
        value = walk(kind, seed=3)
        value[-60:-55] = 140.0
        last = openings(value, 0.1)
        assert bool((last >= len(value) - 60).any()) is news, kind


def test_faults_in_a_third_of_the_blocks_leave_what_is_usual_where_it_was() -> None:
    value = noise(100.0, 1.0, 40 * BLOCK)
    faulty = value.copy()
    for block in range(12, 40, 3):
        faulty[block * BLOCK + 90 : block * BLOCK + 95] += 50.0
    usual = []
    for each in (value, faulty):
        run = Run(period_s=60.0)
        run.feed(each)
        assert run["blocks"] >= CALIBRATED
        usual.append(float(run.rows["usual_peak"][0, SHOCK]))
    assert usual[1] == pytest.approx(usual[0], abs=0.35), "log of a peak: 50 usual sizes would be 2.6 more"


def test_a_series_that_never_moves_has_no_peaks() -> None:
    run = Run(period_s=60.0)
    run.feed(np.full(20 * BLOCK, 5.0))
    assert run.rows["peaks"][0, SHOCK] == 0
    assert run.rows["moving"][0, SHOCK] == 0.0
