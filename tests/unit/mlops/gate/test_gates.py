"""Each gate passes what is good, stops what is not, and says so with the value and the limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.mlops import toys
from twofold.errors import ConfigError
from twofold.mlops.gate.gates import Judged, gates
from twofold.records.model import Field, GateResult

ROWS = toys.points(400, seed=5)


class Rule:
    """A predictor by a formula over the columns."""

    def __init__(self, formula: Any) -> None:
        self.formula = formula

    def predict(self, columns: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.asarray(self.formula(columns), dtype=np.float64).reshape(len(columns), -1)


GOOD = Rule(lambda columns: 1 / (1 + np.exp(-columns.sum(axis=1))))
BLIND = Rule(lambda columns: np.full(len(columns), 0.5))


def check(candidate: Rule, live: Rule | None = None, *, truth: bool = True, **declared: Any) -> GateResult:
    judged = Judged(
        candidate=candidate,
        live=live,
        fields=toys.INPUTS,
        outputs=toys.OUTPUTS,
        inputs=ROWS[:, :2],
        truth=ROWS[:, 2] if truth else None,
        metrics={"money": 3.0},
    )
    return gates([declared])[0].check(judged)


def test_schema_stops_wrong_shapes_and_values_that_are_not_finite() -> None:
    assert check(GOOD, gate="schema").passed
    assert not check(Rule(lambda columns: np.ones((len(columns), 2))), gate="schema").passed
    broken = check(Rule(lambda columns: np.full(len(columns), np.nan)), gate="schema")
    assert not broken.passed
    assert "400 values are not finite" in broken.text


def test_metric_has_a_lower_or_an_upper_limit() -> None:
    good = check(GOOD, gate="metric", metric="roc_auc", min=0.9)
    assert good.passed
    assert good.limit == 0.9
    assert not check(BLIND, gate="metric", metric="roc_auc", min=0.9).passed
    assert check(GOOD, gate="metric", metric="brier", max=0.2).passed
    assert not check(BLIND, gate="metric", metric="brier", max=0.2).passed


def test_metric_takes_the_projects_own_and_fails_on_an_unknown_one() -> None:
    assert check(GOOD, gate="metric", metric="money", min=2).passed
    assert not check(GOOD, gate="metric", metric="fame", min=0).passed
    assert not check(GOOD, truth=False, gate="metric", metric="roc_auc", min=0).passed


def test_slice_finds_the_part_where_a_model_is_bad() -> None:
    lame = Rule(lambda columns: np.where(columns[:, 0] > 0.7, 0.5, 1 / (1 + np.exp(-columns.sum(axis=1)))))
    assert check(lame, gate="metric", metric="roc_auc", min=0.8).passed
    found = check(lame, gate="slice", metric="roc_auc", column="a", parts=4, min=0.8)
    assert not found.passed
    assert found.value == pytest.approx(0.5, abs=0.1)
    assert check(GOOD, gate="slice", metric="roc_auc", column="a", parts=4, min=0.8).passed


def test_slice_of_a_lower_is_better_metric_takes_the_highest() -> None:
    found = check(GOOD, gate="slice", metric="brier", column="b", parts=4, max=0.9)
    whole = check(GOOD, gate="metric", metric="brier", max=0.9)
    assert found.value >= whole.value


def test_slice_that_cannot_be_made_has_not_passed() -> None:
    assert not check(GOOD, gate="slice", metric="roc_auc", column="c", min=0).passed
    assert not check(GOOD, truth=False, gate="slice", metric="roc_auc", column="a", min=0).passed
    assert not check(GOOD, gate="slice", metric="roc_auc", column="a", parts=200, min=0).passed


def test_slice_by_text_takes_each_value() -> None:
    words = np.array(["x", "y"] * 200, dtype=object)
    columns = np.empty((400, 2), dtype=object)
    columns[:, 0], columns[:, 1] = ROWS[:, 0] + ROWS[:, 1], words
    lame = Rule(lambda rows: np.where(rows[:, 1] == "y", 0.5, (rows[:, 0] > 0).astype(float)))
    judged = Judged(
        candidate=lame,
        live=None,
        fields=(toys.INPUTS[0], Field(name="word", datatype="BYTES")),
        outputs=toys.OUTPUTS,
        inputs=columns,
        truth=ROWS[:, 2],
        metrics={},
    )
    found = gates([{"gate": "slice", "metric": "roc_auc", "column": "word", "min": 0.9}])[0].check(judged)
    assert "word is y" in found.text
    assert not found.passed
    assert gates([{"gate": "robustness", "max_change": 1.0}])[0].check(judged).passed


def test_robustness_stops_a_model_that_jumps() -> None:
    assert check(GOOD, gate="robustness", noise=0.05, max_change=0.05).passed
    jumpy = Rule(lambda columns: np.sin(columns.sum(axis=1) * 1000))
    assert not check(jumpy, gate="robustness", noise=0.05, max_change=0.05).passed


def test_latency_stops_a_slow_model() -> None:
    assert check(BLIND, gate="latency", p99_ms=50).passed

    def slow(columns: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.full(len(columns), sum(range(20_000)))

    assert not check(Rule(slow), gate="latency", p99_ms=0.05).passed


def test_not_worse_than_live_compares_on_the_same_rows() -> None:
    assert check(GOOD, None, gate="not_worse_than_live", metric="roc_auc").passed
    assert check(GOOD, BLIND, gate="not_worse_than_live", metric="roc_auc").passed
    assert check(GOOD, BLIND, gate="not_worse_than_live", metric="brier").passed
    assert not check(BLIND, GOOD, gate="not_worse_than_live", metric="roc_auc", margin=0.1).passed
    assert not check(BLIND, GOOD, gate="not_worse_than_live", metric="brier", margin=0.1).passed
    assert check(BLIND, GOOD, gate="not_worse_than_live", metric="roc_auc", margin=0.9).passed
    assert not check(GOOD, BLIND, truth=False, gate="not_worse_than_live", metric="roc_auc").passed


@pytest.mark.parametrize(
    "declared",
    [
        {"gate": "magic"},
        {},
        {"gate": "latency"},
        {"gate": "latency", "p99_ms": "fast"},
        {"gate": "latency", "p99_ms": True},
        {"gate": "metric", "metric": 7},
        {"gate": "schema", "strict": 1},
    ],
)
def test_a_wrong_declaration_stops_before_anything_runs(declared: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="gate"):
        gates([declared])
