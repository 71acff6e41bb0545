"""The table of rows: every sid one row, in order of first sight, through growth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.stats.series import rows
from twofold.stats.series.rows import EMPTY, RowIndex

SIDS = st.lists(st.integers(0, 2**63 - 1), max_size=300)


@settings(deadline=None)
@given(SIDS, SIDS)
def test_it_is_a_dict_from_sid_to_order_of_first_sight(first: list[int], second: list[int]) -> None:
    index, plain = RowIndex(), dict[int, int]()
    for sids in (first, second):
        expected = [plain.setdefault(sid, len(plain)) for sid in sids]
        assert index.rows(np.array(sids, np.int64)).tolist() == expected
    assert index.sids.tolist() == list(plain)
    assert len(index) == len(plain)


def test_it_grows_and_finds_everything_again() -> None:
    sids = np.random.default_rng(1).integers(0, 2**62, 50_000)
    index = RowIndex()
    rows = index.rows(sids)
    assert np.array_equal(index.find(sids), rows)
    assert np.array_equal(RowIndex(index.sids.copy()).rows(sids), rows)
    assert index.nbytes < 50_000 * 50


def test_neighbouring_sids_do_not_pile_up() -> None:
    sids = np.arange(20_000, dtype=np.int64) << 43
    assert RowIndex().rows(sids).tolist() == list(range(20_000))


def test_what_was_never_seen_is_not_found() -> None:
    index = RowIndex(np.array([5], np.int64))
    assert index.find(np.array([4, 5], np.int64)).tolist() == [EMPTY, 0]


def test_a_batch_met_before_gets_the_same_rows_and_one_that_only_looks_alike_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "REMEMBERED", 1000)
    draw = np.random.default_rng(1)
    index, plain = RowIndex(), dict[int, int]()
    for _ in range(50):
        sids = np.sort(draw.choice(400, 100, replace=False))
        sids[[0, -1]] = (1000, 1001)
        for batch in (sids, sids[::-1].copy(), sids):
            for sid in batch.tolist():
                plain.setdefault(sid, len(plain))
            assert index.rows(batch).tolist() == [plain[sid] for sid in batch.tolist()]
        assert sum(len(each) for each in index._batches.values()) <= 1000
