"""Definitions in pages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twofold.store.catalog.packed import PAGE_BYTES, Packed

TEXTS = st.binary(max_size=40)


@given(given_out=st.dictionaries(st.integers(0, 2**63 - 1), st.tuples(TEXTS, TEXTS), max_size=30))
def test_every_definition_comes_back_in_order(given_out: dict[int, tuple[bytes, bytes]]) -> None:
    packed = Packed()
    for sid, (identity, rest) in given_out.items():
        packed.add(sid, identity, rest)
    assert list(packed) == list(given_out)
    assert len(packed) == len(given_out)
    for sid, (identity, rest) in given_out.items():
        assert sid in packed
        assert packed[sid] == packed.get(sid) == (identity, rest)
        assert packed.identity(sid) == identity


def test_an_unknown_series_is_none() -> None:
    packed = Packed()
    assert packed.get(7) is None
    assert packed.identity(7) is None
    assert 7 not in packed


def test_definitions_larger_than_a_page_and_over_many_pages_come_back() -> None:
    packed = Packed()
    texts = [bytes([n]) * (PAGE_BYTES // 3) for n in range(8)] + [b"x" * (2 * PAGE_BYTES), b"", b"last"]
    for sid, text in enumerate(texts):
        packed.add(sid, text, b"rest")
    assert [packed[sid] for sid in range(len(texts))] == [(text, b"rest") for text in texts]
