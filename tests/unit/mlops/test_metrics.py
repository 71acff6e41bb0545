"""Our metrics agree with scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.mlops.metrics import METRICS, judge


@given(st.integers(0, 10_000), st.integers(2, 200))
def test_chances_are_judged_as_scikit_learn_does(seed: int, rows: int) -> None:
    from sklearn import metrics  # noqa: PLC0415 - heavy

    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, rows).astype(float)
    truth[:2] = (0.0, 1.0)
    predicted = random.integers(1, 20, rows) / 20  # ties on purpose
    assert METRICS["roc_auc"](truth, predicted) == pytest.approx(metrics.roc_auc_score(truth, predicted))
    assert METRICS["brier"](truth, predicted) == pytest.approx(metrics.brier_score_loss(truth, predicted))
    assert METRICS["log_loss"](truth, predicted) == pytest.approx(metrics.log_loss(truth, predicted))
    assert METRICS["accuracy"](truth, predicted) == pytest.approx(metrics.accuracy_score(truth, predicted > 0.5))


def test_numbers_are_judged_as_scikit_learn_does() -> None:
    from sklearn import metrics  # noqa: PLC0415 - heavy

    truth = np.random.default_rng(0).normal(size=50)
    predicted = truth + 0.1
    assert METRICS["rmse"](truth, predicted) == pytest.approx(metrics.root_mean_squared_error(truth, predicted))
    assert METRICS["mae"](truth, predicted) == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    assert METRICS["r2"](truth, predicted) == pytest.approx(metrics.r2_score(truth, predicted))


def test_what_suits_is_chosen_by_the_truth_and_undefined_is_left_out() -> None:
    assert set(judge(np.array([0.0, 1.0]), np.array([0.2, 0.9]))) == {"roc_auc", "accuracy", "brier", "log_loss"}
    assert set(judge(np.array([0.0, 2.5]), np.array([0.2, 0.9]))) == {"rmse", "mae", "r2"}
    assert "roc_auc" not in judge(np.ones(3), np.array([0.2, 0.9, 0.1]))
    assert math.isnan(METRICS["r2"](np.full(3, 2.0), np.zeros(3)))
