"""Order and uniqueness of samples against the plain way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.store.history.scatter import scattered
from twofold.store.history.sorting import _by_sid, last_of_each

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 3)), max_size=40)


@given(ROWS)
def test_the_last_row_of_each_pair_stays_in_order(rows: list[tuple[int, int, int]]) -> None:
    sid, time_ns, _ = (np.array([row[part] for row in rows], np.int64) for part in range(3))
    by_sid, by_time, index = last_of_each(sid, time_ns)
    kept = list(range(len(rows))) if index is None else index.tolist()
    last = {(row[0], row[1]): at for at, row in enumerate(rows)}
    assert kept == [at for _, at in sorted(last.items())]
    assert list(zip(by_sid.tolist(), by_time.tolist(), strict=True)) == sorted(last)


@given(ROWS)
def test_the_row_of_the_highest_place_stays(rows: list[tuple[int, int, int]]) -> None:
    sid, time_ns, place = (np.array([row[part] for row in rows], np.int64) for part in range(3))
    by_sid, by_time, index = last_of_each(sid, time_ns, place)
    kept = list(range(len(rows))) if index is None else index.tolist()
    last: dict[tuple[int, int], int] = {}
    for at, row in enumerate(rows):
        before = last.get((row[0], row[1]))
        if before is None or row[2] >= rows[before][2]:
            last[row[0], row[1]] = at
    assert kept == [at for _, at in sorted(last.items())]
    assert list(zip(by_sid.tolist(), by_time.tolist(), strict=True)) == sorted(last)


@pytest.mark.parametrize("series", [1, 3, 70_000])
def test_many_rows_are_sorted_by_counting_as_by_comparing(series: int) -> None:
    draw = np.random.default_rng(series)
    sids = draw.integers(0, 2**62, series)
    sid = np.concatenate([draw.permutation(sids) for _ in range(max(2, 9000 // series))])
    time_ns = draw.integers(0, 5, len(sid))
    by_sid, by_time, index = last_of_each(sid, time_ns)
    assert index is not None
    order = np.lexsort((time_ns, sid))
    last = np.append((np.diff(sid[order]) != 0) | (np.diff(time_ns[order]) != 0), True)
    assert np.array_equal(index, order[last])
    assert np.array_equal(by_sid, sid[index])
    assert np.array_equal(by_time, time_ns[index])
    assert np.array_equal(_by_sid(sid)[1], np.argsort(sid, kind="stable"))


@given(st.integers(1, 50), st.integers(0, 2**32), st.sampled_from(["in order", "repeated", "late"]))
@settings(max_examples=30, deadline=None)
def test_rows_written_to_their_place_are_the_rows_sorted(series: int, seed: int, how: str) -> None:
    draw = np.random.default_rng(seed)
    sids = draw.integers(0, 2**62, series)
    sid = np.concatenate([draw.permutation(sids) for _ in range(20)])
    time_ns, value = np.repeat(np.arange(20), series), draw.normal(size=len(sid))
    at = int(draw.integers(series, len(sid)))
    if how != "in order":
        time_ns[at] = time_ns[np.flatnonzero(sid[:at] == sid[at])[-1]] - (how == "late")
    found = scattered(sid, time_ns, value)
    assert (found is None) == (how != "in order")
    if found is not None:
        order = np.argsort(sid, kind="stable")
        assert all(np.array_equal(mine, each[order]) for mine, each in zip(found, (sid, time_ns, value), strict=True))


@given(st.integers(2, 30), st.integers(0, 2**32), st.sampled_from(["in order", "repeated", "late"]))
@settings(max_examples=30, deadline=None)
def test_sorted_files_behind_each_other_are_sorted_as_one(series: int, seed: int, how: str) -> None:
    draw = np.random.default_rng(seed)
    sids = np.sort(draw.choice(2**40, series, replace=False))
    steps = 8000 // series
    sid = np.concatenate([np.repeat(draw.choice(sids, series - 1, replace=False), steps) for _ in range(3)])
    time_ns = np.arange(len(sid)) * 10
    if how == "repeated":
        time_ns[len(sid) // 2 :] -= 5 * len(sid)
    elif how == "late":
        time_ns = time_ns[::-1].copy()
    by_sid, by_time, index = last_of_each(sid, time_ns)
    order = np.lexsort((time_ns, sid))
    last = np.append((np.diff(sid[order]) != 0) | (np.diff(time_ns[order]) != 0), True)
    expected = order[last]
    assert np.array_equal(np.arange(len(sid)) if index is None else index, expected)
    assert np.array_equal(by_sid, sid[expected])
    assert np.array_equal(by_time, time_ns[expected])
