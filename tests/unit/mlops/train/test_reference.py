"""Profiles of training data."""

from __future__ import annotations

import numpy as np
import pytest

from twofold.errors import Corrupt
from twofold.mlops.train.reference import numbers, profile, text
from twofold.records.model import Field
from twofold.records.profile import Profile


def test_continuous_numbers_fill_ten_bins_evenly() -> None:
    made = numbers("x", np.random.default_rng(0).normal(size=5000))
    assert made.shares == pytest.approx([0.1] * 10, abs=0.001)
    assert len(made.edges) == 9


def test_a_value_that_many_rows_share_gets_one_bin() -> None:
    made = numbers("discount", np.concatenate([np.zeros(600), np.linspace(0.05, 0.4, 400)]))
    assert made.shares[0] == pytest.approx(0.6, abs=0.01)
    assert sum(made.shares) == pytest.approx(1)


@pytest.mark.parametrize("values", [np.full(50, 3.0), np.array([0.0, 1.0] * 20), np.array([1.0])])
def test_few_distinct_values_still_give_a_valid_profile(values: np.ndarray) -> None:
    made = numbers("x", values)
    assert len(made.shares) == len(made.edges) + 1 <= 2
    assert sum(made.shares) == pytest.approx(1)


def test_rare_texts_are_counted_together() -> None:
    made = text("country", np.array(["de"] * 6 + ["fr"] * 3 + ["x"]), categories=2)
    assert made.categories == ("de", "fr")
    assert made.shares == pytest.approx((0.6, 0.3, 0.1))


def test_a_profile_survives_its_bytes_and_damage_is_noticed() -> None:
    fields = (Field(name="a", datatype="FP64"), Field(name="t", datatype="BYTES"))
    columns = {"a": np.arange(50.0), "t": np.array(["u", "v"] * 25, dtype=object)}
    made = profile(fields, columns, (Field(name="y", datatype="FP64"),), np.arange(50.0)[:, None])
    assert Profile.from_bytes(made.to_bytes()) == made
    assert made.rows == 50
    for broken in (b"", b"[]", b'{"inputs": 1}', made.to_bytes().replace(b"0.5", b"0.5,0.5", 1)):
        with pytest.raises(Corrupt):
            Profile.from_bytes(broken)
