"""How well predictions fit the truth: plain numpy, one function a metric, shared by training and gates.

Each takes `truth` and `predicted`, both float64 of shape (n,), n > 0, and gives one number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_TINY: Final = 1e-15


def roc_auc(truth: Floats, predicted: Floats) -> float:
    """Chance that a random positive scores above a random negative; ties count half. NaN with one class only.

    >>> roc_auc(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.1, 0.9]))
    0.75
    """
    positive = truth > 0.5  # noqa: PLR2004 - truth is 0 or 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    values, inverse, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    del values
    return float((ranks[inverse][positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def accuracy(truth: Floats, predicted: Floats) -> float:
    """Share of rows on the right side of 0.5."""
    return float(np.mean((predicted > 0.5) == (truth > 0.5)))  # noqa: PLR2004 - the middle of a chance


def brier(truth: Floats, predicted: Floats) -> float:
    """Mean squared error of chances; lower is better."""
    return float(np.mean((truth - predicted) ** 2))


def log_loss(truth: Floats, predicted: Floats) -> float:
    """Mean negative log likelihood of chances; lower is better."""
    clipped = np.clip(predicted, _TINY, 1 - _TINY)
    return float(-np.mean(truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped)))


def rmse(truth: Floats, predicted: Floats) -> float:
    """Root mean squared error; lower is better."""
    return float(np.sqrt(np.mean((truth - predicted) ** 2)))


def mae(truth: Floats, predicted: Floats) -> float:
    """Mean absolute error; lower is better."""
    return float(np.mean(np.abs(truth - predicted)))


def r2(truth: Floats, predicted: Floats) -> float:
    """Explained share of the variance; NaN for a constant truth."""
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return 1 - float(np.sum((truth - predicted) ** 2)) / spread if spread else float("nan")


METRICS: Final[Mapping[str, Callable[[Floats, Floats], float]]] = MappingProxyType(
    {function.__name__: function for function in (roc_auc, accuracy, brier, log_loss, rmse, mae, r2)}
)
LOWER_IS_BETTER: Final = frozenset({"brier", "log_loss", "rmse", "mae"})
CHANCES: Final = ("roc_auc", "accuracy", "brier", "log_loss")
NUMBERS: Final = ("rmse", "mae", "r2")


def judge(truth: Floats, predicted: Floats) -> dict[str, float]:
    """Every metric that suits the truth: those of chances for 0/1, else those of numbers; NaN left out."""
    names = CHANCES if np.isin(truth, (0.0, 1.0)).all() else NUMBERS
    values = {name: METRICS[name](truth, predicted) for name in names}
    return {name: value for name, value in values.items() if np.isfinite(value)}
