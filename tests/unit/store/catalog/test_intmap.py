"""A map of integers against a dict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.store.catalog import intmap
from twofold.store.catalog.intmap import IntMap

KEYS = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 20)


@given(pairs=st.lists(st.tuples(KEYS, KEYS), max_size=60), asked=st.lists(KEYS, max_size=10))
def test_it_holds_what_a_dict_holds(pairs: list[tuple[int, int]], asked: list[int]) -> None:
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(intmap, "_FEW", 4)
        found, expected = IntMap(), dict[int, int]()
        for key, value in pairs:
            found[key] = value
            expected[key] = value
        for key in [*expected, *asked]:
            assert found.get(key) == expected.get(key)
        if len(expected) == len(pairs):
            assert len(found) == len(expected)
        found.clear()
        assert len(found) == 0
        assert all(found.get(key) is None for key in expected)


def test_a_hundred_thousand_keys_are_found() -> None:
    found = IntMap()
    for key in range(100_000):
        found[key * 7919 % 1_000_003] = key
    assert all(found.get(key * 7919 % 1_000_003) == key for key in range(0, 100_000, 97))
    assert found.get(1_000_003) is None
    assert len(found) == 100_000
