"""The reference profile: how inputs and outputs are spread on the training data, in quantile bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.records.model import Field
from twofold.records.profile import Distribution, Profile

BINS: Final = 10
CATEGORIES: Final = 20


def profile(
    inputs: Sequence[Field],
    columns: Mapping[str, npt.NDArray[Any]],
    outputs: Sequence[Field],
    predicted: npt.NDArray[np.float64],
) -> Profile:
    """Profile of training rows: `columns` by input name, `predicted` of shape (n, m)."""
    return Profile(
        inputs=tuple(
            text(field.name, columns[field.name])
            if field.datatype == "BYTES"
            else numbers(field.name, columns[field.name])
            for field in inputs
        ),
        outputs=tuple(numbers(field.name, predicted[:, index]) for index, field in enumerate(outputs)),
        rows=len(predicted),
    )


def numbers(name: str, values: npt.NDArray[Any], bins: int = BINS) -> Distribution:
    """Shares in at most `bins` quantile bins. A value that fills several quantiles gets one bin, so fewer remain.

    >>> numbers("x", np.array([0.0, 0.0, 0.0, 1.0]), bins=4).shares
    (0.75, 0.25)
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    edges = edges[edges < finite.max()]
    counts = np.bincount(np.searchsorted(edges, finite, side="left"), minlength=len(edges) + 1)
    return Distribution(
        name=name,
        edges=tuple(edges.tolist()),
        shares=tuple((counts / counts.sum()).tolist()),
        mean=float(finite.mean()),
        deviation=float(finite.std()),
    )


def text(name: str, values: npt.NDArray[Any], categories: int = CATEGORIES) -> Distribution:
    """Shares of the most frequent values, and of all others together."""
    known, counts = np.unique(values.astype(str), return_counts=True)
    order = np.lexsort((known, -counts))[:categories]
    shares = counts[order] / counts.sum()
    return Distribution(
        name=name,
        categories=tuple(known[order].tolist()),
        shares=(*shares.tolist(), max(0.0, 1.0 - float(shares.sum()))),
    )
