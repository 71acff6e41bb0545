"""Grouping by code and finding by id give what sorting and comparing texts give."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.stats.codes import first_of_each, first_with, id_keys, id_numbers, present, stable_order

codes = st.lists(st.integers(0, 40), max_size=60).map(lambda found: np.array(found, np.int64))


@pytest.mark.parametrize("space", [41, 1 << 30])
@given(code=codes)
@settings(max_examples=100, deadline=None)
def test_first_rows_and_numbers_are_those_of_unique(space: int, code: np.ndarray) -> None:
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    found = first_of_each(code, space)
    assert found[0].tolist() == first.tolist()
    assert found[1].tolist() == inverse.tolist()
    assert present(code, space).tolist() == np.unique(code).tolist()


@given(keys=codes, wanted=codes, offset=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_the_first_place_of_a_number_is_found_whatever_repeats(
    keys: np.ndarray, wanted: np.ndarray, offset: int
) -> None:
    keys = keys[offset:] << 40
    wanted = wanted << 40
    expected = pc.fill_null(pc.index_in(pa.array(wanted), value_set=pa.array(keys)), -1).to_pylist()
    assert first_with(keys, wanted).tolist() == expected


@given(key=codes)
@settings(max_examples=200, deadline=None)
def test_equal_keys_keep_their_order(key: np.ndarray) -> None:
    assert stable_order(key).tolist() == np.argsort(key, kind="stable").tolist()


def test_any_text_gets_a_number_of_its_own_and_an_id_its_value() -> None:
    numbers = id_numbers(pa.array(["00000000000000ff", "", "x", "y", "0" * 16, "x"])).tolist()
    assert numbers[:2] == [255, 0]
    assert numbers[2] == numbers[5]
    assert len(set(numbers)) == 5


@given(numbers=st.lists(st.integers(0, 2**64 - 1), max_size=20))
@settings(max_examples=100, deadline=None)
def test_ids_keep_all_their_bits(numbers: list[int]) -> None:
    column = pa.array([f"{n:016x}" if n else "" for n in numbers], pa.string())
    keys = id_keys(column)
    assert keys is not None
    assert keys.view(np.uint64).tolist() == numbers
    part = id_keys(column.slice(1))
    assert part is not None
    assert part.view(np.uint64).tolist() == numbers[1:]


@pytest.mark.parametrize("text", ["ab", "0" * 16, "0" * 17, "00000000000000FF", "g000000000000001", "ü0000000000000"])
def test_any_other_text_is_left_to_comparison(text: str) -> None:
    assert id_keys(pa.array(["00000000000000ff", text, ""])) is None
