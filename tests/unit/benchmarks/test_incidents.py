"""The incidents benchmark: its scorers agree with the published definitions, its adapters find what was put in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.incidents import logs, score, shift, spans
from benchmarks.incidents.case import Case
from benchmarks.incidents.ranking import Baseline, suspects
from benchmarks.incidents.shift import Column
from twofold.aiops.diagnose import RankConfig

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TWOFOLD_DATA", ROOT.parent / "shared" / "data"))
SCORER = DATA.parent / "scorers" / "incidents.py"


def test_ties_count_at_their_worst_place_and_the_unlisted_last() -> None:
    ranked = [("a", 3.0), ("b", 1.0), ("c", 1.0), ("d", 0.5)]
    assert [score.worst_rank(ranked, each) for each in "abcd"] == [1, 3, 3, 4]
    assert score.worst_rank(ranked, "x") == 10**6


def test_rank_scores_are_means_and_leave_commits_out_of_the_macro() -> None:
    table = score.rank_scores({"s": [1, 2, 4, 9], "t": [1], "rootcausebench": [9]})
    assert table["s"] == {"cases": 4.0, "ac1": 0.25, "ac3": 0.5, "avg5": pytest.approx(0.55)}
    assert table["macro"] == {"ac1": 0.625, "ac3": 0.75, "avg5": 0.775}


# groupings and their scores as scikit-learn gives them (adjusted_rand_score, pair_confusion_matrix)
KNOWN = [
    (list("aabbcc"), list("xxyyzz"), 1.0, 1.0),
    (list("aabbcc"), list("xxxxyy"), 0.4444444444444444, 0.6),
    (list("aaabbb"), list("xxyyzz"), 0.24242424242424243, 0.4444444444444444),
    (list("aaaabbbbcc"), list("xxyxyyzyzz"), 0.39114391143911437, 0.56),
]


@pytest.mark.parametrize(("true", "found", "ari", "pair_f1"), KNOWN)
def test_grouping_scores_equal_the_published_ones(
    true: list[str], found: list[str], ari: float, pair_f1: float
) -> None:
    noisy, groups = [*true, "noise"], [*found, found[0]]
    got = score.group_scores(noisy, groups)
    assert got["ari"] == pytest.approx(ari)
    assert got["pair_f1"] == pytest.approx(pair_f1)
    assert got["compression"] == pytest.approx(len(noisy) / len(set(found)))


def test_scores_equal_the_yardstick_on_random_input(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars", reason="the yardstick reads its input with polars")
    if not SCORER.exists():
        pytest.skip(f"no yardstick at {SCORER}")
    assert pl
    rng = np.random.default_rng(7)
    manifest: list[object] = []
    answers: dict[str, object] = {}
    places: dict[str, list[int]] = {"s": [], "t": []}
    for i in range(40):
        system = "st"[i % 2]
        ranked = [(f"e{j}", float(rng.integers(0, 5))) for j in range(8)]
        true = f"e{rng.integers(0, 10)}"
        manifest.append({"id": str(i), "system": system, "root_cause_service": true})
        answers[str(i)] = ranked
        places[system].append(score.worst_rank(ranked, true))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "ranks.json").write_text(json.dumps(answers))
    told = subprocess.run(
        [sys.executable, str(SCORER), "ranks", str(tmp_path), str(tmp_path / "ranks.json"), "--json"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    ours = score.rank_scores(places)
    for system, row in json.loads(told.stdout).items():
        for key, value in row.items():
            assert ours[system][key] == pytest.approx(value, abs=1e-4)


def column(entity: str, metric: str, after: list[float], seed: int = 0) -> Column:
    before = np.asarray(np.random.default_rng(seed).normal(1.0, 0.05, 60), np.float64)
    return Column(entity, metric, before, np.array(after, np.float64), np.arange(len(after), dtype=np.float64) * 60.0)


def test_a_shifted_metric_is_a_symptom_and_a_quiet_one_hardly() -> None:
    quiet = [column(each, "cpu.usage", [1.0, 1.02, 0.99, 1.0], i) for i, each in enumerate("bcd")]
    columns = [column("a", "cpu.usage", [4.0, 4.1, 3.9, 4.0], 9), *quiet]
    found = {each.entity: each.strength for each in shift.symptoms(columns, RankConfig())}
    assert found["a"] > 0.5
    assert found.get("b", 0.0) < 0.05


def test_one_outlier_is_no_shift() -> None:
    spike = shift.shift_of(column("a", "cpu.usage", [1.0, 9.0, 1.0, 1.0]))
    assert spike is not None
    assert abs(spike.effect) < 3


def traces(own_ms: float, *, calls: bool = True, count: int = 20, gap_ms: float = 1.0) -> pa.Table:
    """Traces of gateway -> cart, with the cart's own time and the gap between them."""
    rows: list[tuple[int, int, int, str, str, float, float]] = []
    for i in range(count):
        start, callee_us = i * 100.0, own_ms * 1000
        client_us = callee_us + gap_ms * 1000
        rows.append((i, 3 * i, -1, "gateway", "GET /", start, client_us + 2000))
        if calls:
            rows.append((i, 3 * i + 1, 3 * i, "gateway", "call cart", start + 1, client_us))
            rows.append((i, 3 * i + 2, 3 * i + 1, "cart", "get", start + 1 + gap_ms / 2, callee_us))
    names = ["trace", "span", "parent", "service", "operation", "start_ms", "duration_us"]
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def test_exclusive_time_goes_to_the_deepest_span() -> None:
    profile = spans.profile(traces(own_ms=10, gap_ms=4))
    assert profile.own_us["cart", "get"] == pytest.approx([10_000.0] * 20)
    assert profile.gap_us["gateway", "cart"] == pytest.approx([4000.0] * 20)
    assert profile.own_us["gateway", "GET /"] == pytest.approx([2000.0] * 20)
    assert profile.edges() == {("gateway", "cart")}


def test_a_slow_callee_is_found_by_its_own_time_and_a_slow_network_by_the_gap() -> None:
    usual = [spans.profile(traces(own_ms=10))]
    slow = {e.entity: e.strength for e in spans.symptoms(spans.profile(traces(own_ms=80)), usual, RankConfig())}
    assert slow["cart"] > 0.5
    assert slow.get("gateway", 0.0) < 0.1
    far = {e.entity: e.strength for e in spans.symptoms(spans.profile(traces(10, gap_ms=60)), usual, RankConfig())}
    assert far["cart"] > far["gateway"] > 0.1


def test_calls_that_are_not_made_any_more_point_at_the_caller() -> None:
    usual = [spans.profile(traces(own_ms=10))]
    found = spans.symptoms(spans.profile(traces(own_ms=10, calls=False)), usual, RankConfig())
    assert max(found, key=lambda each: each.strength).entity == "gateway"


def test_log_shapes_mask_digits_but_keep_source_positions() -> None:
    assert logs.shape("ERROR c.BasicController#37 user 42 failed") == "ERROR c.BasicController#37 user <*> failed"


def test_the_guilty_service_of_a_small_case_leads() -> None:
    metrics = [column("cart", "cpu.usage", [5.0] * 4), column("gateway", "cpu.usage", [1.0] * 4, 3)]
    start = traces(own_ms=90)
    case = Case(id="x", system="s", true="cart", columns=metrics, edges=[("gateway", "cart")], spans=start)
    ranked = suspects(case, Baseline({"traces.csv.gz": [traces(own_ms=10)]}), RankConfig())
    assert ranked[0][0] == "cart"


@pytest.mark.long
@pytest.mark.skipif(not (DATA / "rca").is_dir(), reason=f"no fault cases in {DATA / 'rca'}; set TWOFOLD_DATA")
def test_the_quick_run_beats_the_rules_and_prints_the_keys() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.incidents", "--quick", "--json", "--data", str(DATA)],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    result = json.loads(run.stdout)
    assert {"ac1", "ac3", "avg5", "seconds_per_case", "ari"} <= result.keys()
    for rule in result["peers"].values():
        assert result["avg5"]["macro"] > rule["avg5"]["macro"]
    assert set(result["ari"]) == {"gap1.5", "gap3", "gap8"}


def test_absent_data_is_said_and_not_a_crash(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.incidents", "--data", str(tmp_path)],
        check=False, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert run.returncode == 2
    assert "TWOFOLD_DATA" in run.stderr
