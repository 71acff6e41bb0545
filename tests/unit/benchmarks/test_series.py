"""The yardsticks of the series benchmark: by hand on small cases, and equal to the published scorer."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.series.data import Labelled, load
from benchmarks.series.detectors import panel, rolling_median
from benchmarks.series.nab import PROFILES, nab
from benchmarks.series.peers import names, run
from benchmarks.series.recall import alerts, judge, recall
from benchmarks.series.vus import period_points, vus_pr

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TWOFOLD_DATA", ROOT.parent / "shared" / "data"))
SCORER = DATA.parent / "scorers" / "series.py"


def labelled(
    points: int, events: list[tuple[int, int]], *, seed: int = 0, warm: int = 0, family: str = "f"
) -> Labelled:
    rng = np.random.default_rng(seed)
    label = np.zeros(points, np.int64)
    for first, last in events:
        label[first : last + 1] = 1
    return Labelled(
        name=f"{family}/{seed}",
        family=family,
        period_s=60.0,
        time_s=np.arange(points) * 60,
        value=rng.standard_normal(points) + np.sin(np.arange(points) / 8) * 3,
        label=label,
        warm=warm,
        ignore=np.zeros(points, np.bool_),
        windows=tuple((max(a - 20, 0), min(b + 20, points - 1)) for a, b in events),
    )


def test_alerts_open_once_while_crossings_are_near() -> None:
    score = np.zeros(60)
    score[[3, 4, 15, 27, 50]] = 1
    assert alerts(score, 1.0).tolist() == [3, 27, 50]


def test_an_alert_must_open_inside_the_event_and_may_be_two_points_early() -> None:
    series = labelled(200, [(50, 60), (100, 110)])
    delay, false = judge(series, np.array([48, 97, 105]))
    assert delay.tolist() == [0, 5]
    assert false == 1
    assert judge(series, np.array([70]))[1] == 0, "just behind an event is not false"
    assert judge(series, np.array([71]))[1] == 1


def test_recall_is_the_best_within_the_budget() -> None:
    series = labelled(2880, [(100, 110), (500, 520), (2000, 2010)])
    score = np.zeros(2880)
    score[[102, 505, 1500, 1600, 1700, 2003]] = [9, 8, 5, 4.5, 4, 3]
    (tight, delay), (loose, _) = recall([series], [score], (0.1, 2.0))
    assert tight == pytest.approx(2 / 3)
    assert loose == 1.0
    assert delay == 3.5


def test_a_perfect_score_fills_the_volume_and_a_useless_one_does_not() -> None:
    series = labelled(4000, [(1000, 1040), (3000, 3030)])
    assert vus_pr(series, series.label.astype(float)) > 0.8
    assert vus_pr(series, np.random.default_rng(1).random(4000)) < 0.2
    assert math.isnan(vus_pr(labelled(100, []), np.zeros(100)))


def test_the_period_of_a_wave_is_found() -> None:
    assert abs(period_points(np.sin(2 * np.pi * np.arange(5000) / 50)) - 50) <= 3
    assert period_points(np.ones(100)) == 125


def test_nab_is_hundred_for_perfect_and_zero_for_silence() -> None:
    series = labelled(1000, [(500, 520)], family="nab")
    perfect = np.zeros(1000)
    perfect[series.windows[0][0]] = 1
    assert nab([series], [perfect])["standard"] == pytest.approx(100, abs=0.5)
    assert nab([series], [np.full(1000, np.nan)])["standard"] == 0.0


@pytest.fixture(scope="module")
def published() -> Any:
    """The published scorer."""
    if not SCORER.exists():
        pytest.skip(f"no published scorer at {SCORER}: set TWOFOLD_DATA")
    spec = importlib.util.spec_from_file_location("published_series_scorer", SCORER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases() -> list[tuple[list[Labelled], list[np.ndarray[Any, Any]]]]:
    """Series with events at awkward places, and scores that partly find them."""
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        series, scores = [], []
        for k in range(3):
            events = [(50, 55), (300, 340), (352, 360), (700, 700), (990, 999)][: 5 - k]
            one = labelled(1000, events, seed=10 * seed + k, warm=40 * k, family="nab")
            score = rng.random(1000).round(2 if seed % 2 else 6) + one.label * rng.random(1000)
            score[rng.random(1000) < 0.02] = np.nan
            series.append(one)
            scores.append(score)
        found.append((series, scores))
    return found


def _as_published(series: list[Labelled], scores: list[np.ndarray[Any, Any]]) -> list[dict[str, Any]]:
    rows = []
    for one, score in zip(series, scores, strict=True):
        filled = np.where(np.isfinite(score), score, -1e30)
        first, last = one.events()
        rows.append(
            {
                "all": filled,
                "score": filled[one.warm :],
                "label": one.label[one.warm :],
                "start": first,
                "end": last,
                "ignore": one.ignore[one.warm :].astype(np.int8),
                "days": one.days,
                "value": one.value,
                "info": {"nab_windows_idx": one.windows},
            }
        )
    return rows


@pytest.mark.parametrize("case", range(4))
def test_it_is_equal_to_the_published_scorer(case: int, published: Any) -> None:
    series, scores = cases()[case]
    rows = _as_published(series, scores)
    (tight, delay), (loose, _) = recall(series, scores, (0.1, 1.0))
    theirs = published._recall(rows)
    assert (tight, loose) == (theirs["recall_0_1"], theirs["recall_1"])
    assert delay == theirs["delay_points"] or (math.isnan(delay) and math.isnan(theirs["delay_points"]))
    profiles = nab(series, scores)
    for name in PROFILES:
        assert profiles[name] == pytest.approx(published._nab(rows)[name], abs=0.01)
    for one, score, row in zip(series, scores, rows, strict=True):
        ordered = -np.sort(-row["score"])
        n = len(ordered)
        ranks = np.unique(np.r_[0, np.geomspace(1, n - 1, 400).astype(int), n - 1])
        thresholds = np.unique(ordered[ranks])[::-1].copy()
        expected = published._vus_pr(row["label"], row["score"], period_points(one.value), thresholds)
        assert vus_pr(one, score) == pytest.approx(expected, rel=1e-9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    meta: dict[str, Any] = {"series": {}, "entities": {}}
    for family in ("nab", "ops"):
        (tmp_path / family).mkdir()
        for k in range(2):
            value = rng.standard_normal(3000) * 2 + 50
            label = np.zeros(3000, np.int8)
            value[2000:2040] += 30
            label[2000:2040] = 1
            table = pa.table({"timestamp": np.arange(3000) * 60 + 1_700_000_000, "value": value, "label": label})
            pq.write_table(table, tmp_path / family / f"{k}.parquet")
            windows = [[1950, 2090]] if family == "nab" else []
            meta["series"][f"{family}/{k}"] = {
                "family": family, "n": 3000, "period_s": 60, "nab_windows_idx": windows
            }  # fmt: skip
    (tmp_path / "labels.json").write_text(json.dumps(meta))
    return tmp_path


def test_both_detectors_find_the_obvious(folder: Path) -> None:
    series = load(folder)
    ours, _ = panel()
    for score in (ours, rolling_median):
        (tight, _), _ = recall(series, [score(each) for each in series], (0.1, 1.0))
        assert tight == 1.0


@pytest.mark.parametrize("name", names())
def test_peers_find_the_obvious_and_look_at_nothing_that_is_to_come(folder: Path, name: str) -> None:
    series = load(folder)[:1]
    found = run(name, series)
    assert found.bytes_per_series > 0
    (tight, _), _ = recall(series, found.scores, (0.1, 1.0))
    assert tight == 1.0
    short = [_until(each, 1500) for each in series]
    for whole, part in zip(found.scores, run(name, short).scores, strict=True):
        assert np.array_equal(whole[:1500], part, equal_nan=True)


def _until(series: Labelled, points: int) -> Labelled:
    """Its first points."""
    cut = {name: getattr(series, name)[:points] for name in ("time_s", "value", "label", "ignore")}
    return replace(series, **cut)


def test_a_sample_takes_the_first_series_of_each_family(folder: Path) -> None:
    assert [each.name for each in load(folder, most_per_family=1)] == ["nab/0", "ops/0"]
    assert load(folder, most_points=10) == []


def test_the_command_prints_one_object_with_the_promised_keys(folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.series", "--quick", "--alone", "--json", "--data", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    keys = {"recall_0_1", "recall_1", "vus_pr", "nab", "delay_points", "points_per_s", "bytes_per_series"}
    assert keys <= found.keys()
    assert keys <= found["peers"]["rolling median"].keys()
    assert found["recall_0_1"] == 1.0


def test_absent_data_is_said_and_ends_with_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.series", "--data", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no labelled series" in done.stderr
