"""PSI is around 0 without drift, however few rows, and grows with the shift."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from twofold.mlops.monitor.psi import psi

SHARES = np.array([[0.1] * 10, [0.5, 0.3, 0.2] + [0.0] * 7])
BINS = np.array([10, 3])


def drawn(rows: int, shares: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    return np.array([np.random.default_rng(seed).multinomial(rows, row) for row in shares], dtype=np.float64)


@pytest.mark.parametrize("rows", [100, 200, 1000, 10_000])
def test_without_drift_it_is_zero_on_average_at_any_number_of_rows(rows: int) -> None:
    values = np.array([psi(drawn(rows, SHARES, seed), SHARES, BINS, 100_000) for seed in range(400)])
    noise = np.sqrt(2 * (BINS - 1)) / rows
    assert values.mean(axis=0) == pytest.approx([0, 0], abs=float(0.3 * noise.max()))
    assert values.std(axis=0) == pytest.approx(noise, rel=0.25)


def test_it_grows_with_the_shift_and_matches_the_formula_on_many_rows() -> None:
    shifted = np.array([[0.19, 0.01] + [0.1] * 8, [0.2, 0.3, 0.5] + [0.0] * 7])
    rows = 1_000_000
    found = psi(shifted * rows, SHARES, BINS, rows)
    for feature, bins in enumerate(BINS):
        seen, known = shifted[feature, :bins], SHARES[feature, :bins]
        assert found[feature] == pytest.approx(((seen - known) * np.log(seen / known)).sum(), rel=0.01)
    assert found[1] > 0.25


def test_everything_in_one_bin_is_large_but_finite() -> None:
    counts = np.zeros((2, 10))
    counts[:, 0] = 300
    found = psi(counts, SHARES, BINS, 4500)
    assert np.isfinite(found).all()
    assert found[0] > 2


def test_a_constant_feature_of_one_bin_never_drifts() -> None:
    assert psi(np.array([[300.0]]), np.array([[1.0]]), np.array([1]), 4500).tolist() == [0.0]
