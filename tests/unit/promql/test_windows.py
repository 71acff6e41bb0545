"""What each step sees is what a plain loop would find."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.promql.language import STALE
from twofold.store.promql.over_time import quantile
from twofold.store.promql.values import Samples, is_stale
from twofold.store.promql.windows import latest, reduce, runs, sums, windows

VALUE = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, math.nan, STALE, math.inf]))
RUN = st.dictionaries(st.integers(-500, 3000), VALUE, max_size=30)
STEPS = st.lists(st.integers(-1000, 4000), min_size=1, max_size=20)


def samples_of(found: list[dict[int, float]]) -> Samples:
    times = [at for run in found for at in sorted(run)]
    values = [run[at] for run in found for at in sorted(run)]
    starts = np.append(0, np.cumsum([len(run) for run in found])).astype(np.int64)
    labels = [(("n", str(at)),) for at in range(len(found))]
    return Samples(labels, starts, np.array(times, np.int64), np.array(values, np.float64))


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@settings(max_examples=200, deadline=None)
@given(st.lists(RUN, max_size=5), STEPS, st.integers(1, 2000))
def test_a_step_sees_the_newest_sample_within_the_lookback(
    found: list[dict[int, float]], steps: list[int], lookback: int
) -> None:
    vector, times = latest(samples_of(found), np.array(steps), lookback)
    for row, run in enumerate(found):
        for column, step in enumerate(steps):
            seen = [at for at in sorted(run) if step - lookback < at <= step]
            there = bool(seen) and not is_stale(np.array([run[seen[-1]]]))[0]
            assert vector.present[row, column] == there
            if there:
                assert same(vector.values[row, column], run[seen[-1]])
                assert times[row, column] == seen[-1]


@settings(max_examples=200, deadline=None)
@given(st.lists(RUN, max_size=5), STEPS, st.integers(1, 2000))
def test_a_window_holds_what_is_after_its_beginning_up_to_its_end_without_marks(
    found: list[dict[int, float]], steps: list[int], length: int
) -> None:
    ends = np.array(steps)
    seen = windows(samples_of(found), ends, length, ends)
    total, most = sums(seen), reduce(np.fmax, seen.samples.values, seen.low, seen.high)
    halves, _ = quantile(seen, np.full(len(steps), 0.5))
    for row, run in enumerate(found):
        for column, end in enumerate(steps):
            inside = [run[at] for at in sorted(run) if end - length < at <= end]
            inside = [value for value in inside if not is_stale(np.array([value]))[0]]
            assert seen.count[row, column] == len(inside)
            if inside:
                assert same(most[row, column], float(np.fmax.reduce(inside)))
                if all(map(math.isfinite, inside)):
                    assert total[row, column] == pytest.approx(math.fsum(inside), rel=1e-9, abs=1e-9)
                    assert halves[row, column] == pytest.approx(float(np.quantile(inside, 0.5)), rel=1e-9, abs=1e-9)


def test_windows_are_laid_out_in_parts_that_bound_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every window once, in order, whatever the size of a part."""
    monkeypatch.setattr("twofold.store.promql.windows._AT_ONCE", 50)
    run = {at: float(at) for at in range(200)}
    ends = np.arange(0, 200, 7)
    seen = windows(samples_of([run, {}, run]), ends, 40, ends)
    parts = list(runs(seen))
    assert len(parts) > 10
    assert np.concatenate([part.cells for part in parts]).tolist() == np.flatnonzero(seen.count.ravel()).tolist()
    assert sum(len(part.index) for part in parts) == seen.count.sum()


def test_large_terms_that_cancel_out_leave_the_small_ones() -> None:
    run = dict(enumerate([1.0, 1e100, 1.0, -1e100, 3.0]))
    ends = np.array([4])
    assert sums(windows(samples_of([run]), ends, 10, ends)).tolist() == [[5.0]]
