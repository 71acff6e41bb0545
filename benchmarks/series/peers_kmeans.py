"""The detector of Netdata's agent, written from its public documentation: k-means with two centres, 18 models a metric.

A feature vector is the last six smoothed differences. Every `EVERY` samples a model is trained on the last
`LONGEST`; a vector's score is its distance from the centres on the scale of the distances seen in
training (0 nearest, 1 farthest), and what counts is the least of all models: they must agree.

Netdata counts in samples, one a second. The data here have one a minute or less; with its own counts most series
would have no model for days. So its counts are divided by ten, a new model comes every three hours of minutes as there,
and trains on all samples instead of a fifth: of what was tried the setting in which it finds most.

Source: Netdata documentation, "Machine learning (ML) powered anomaly detection" and "ML configuration".
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from benchmarks.series.data import Floats, Labelled

MODELS: Final = 18
LONGEST: Final = 2160
LEAST: Final = 90
EVERY: Final = 180
SMOOTH: Final = 3
LAGS: Final = 6
ROUNDS: Final = 1000
BYTES_PER_SERIES: Final = 8 * (MODELS * (2 * LAGS + 2) + LONGEST)
"""Centres and scale of all models, and the samples that the next one is trained on."""


def kmeans(series: Labelled) -> Floats:
    """Score of every point, not a number before the first model."""
    found: Floats = _kmeans(series.value)
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def _features(value: Floats) -> Floats:
    """Vector of each point, shape (points, lags); the first ones are not whole and repeat what there is."""
    n = len(value)
    smooth = np.zeros(n)
    for i in range(1, n):
        first = max(1, i - SMOOTH + 1)
        for j in range(first, i + 1):
            smooth[i] += (value[j] - value[j - 1]) / (i - first + 1)
    out = np.zeros((n, LAGS))
    for i in range(n):
        for k in range(LAGS):
            out[i, k] = smooth[max(i - k, 0)]
    return out


@njit(cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def _distance(vector: Floats, centres: Floats) -> float:
    """Mean distance from both centres."""
    a, b = 0.0, 0.0
    for k in range(LAGS):
        a += (vector[k] - centres[0, k]) ** 2
        b += (vector[k] - centres[1, k]) ** 2
    return float(0.5 * (np.sqrt(a) + np.sqrt(b)))


@njit(cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def _train(vectors: Floats, centres: Floats) -> tuple[float, float]:
    """Move the centres to where Lloyd's rounds end; gives the least and largest distance seen."""
    n = len(vectors)
    norms = np.array([np.sum(v * v) for v in vectors])
    centres[0], centres[1] = vectors[np.argmin(norms)], vectors[np.argmax(norms)]
    owner = np.full(n, -1)
    for _ in range(ROUNDS):
        changed = False
        sums, counts = np.zeros((2, LAGS)), np.zeros(2)
        for i in range(n):
            near = 0 if np.sum((vectors[i] - centres[0]) ** 2) <= np.sum((vectors[i] - centres[1]) ** 2) else 1
            changed = changed or near != owner[i]
            owner[i] = near
            counts[near] += 1
            sums[near] += vectors[i]
        if not changed:
            break
        for c in range(2):
            if counts[c]:
                centres[c] = sums[c] / counts[c]
    distances = np.array([_distance(v, centres) for v in vectors])
    return distances.min(), distances.max()


@njit(cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def _kmeans(value: Floats) -> npt.NDArray[np.float64]:
    vectors = _features(value)
    out = np.full(len(value), np.nan)
    centres, scale = np.zeros((MODELS, 2, LAGS)), np.zeros((MODELS, 2))
    trained = 0
    for i in range(len(value)):
        if i >= LEAST and (i - LEAST) % EVERY == 0:
            slot = trained % MODELS
            scale[slot] = _train(vectors[max(i - LONGEST, 0) : i], centres[slot])
            trained += 1
        if not trained:
            continue
        least = np.inf
        for m in range(min(trained, MODELS)):
            span, beyond = scale[m, 1] - scale[m, 0], _distance(vectors[i], centres[m]) - scale[m, 0]
            constant = 1.0 if beyond > 0 else 0.0  # what differs from it is as strange as can be told
            least = min(least, beyond / span if span > 0 else constant)
        out[i] = least
    return out
