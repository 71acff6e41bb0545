"""Every detector of series keeps the same promises. A detector is a stage below `detect` with `score`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twofold.aiops.detect
from tests.contract.stages import MEMBERS, classes_of, stored
from tests.unit.detect.telemetry import START_NS, MemoryCatalog
from twofold.aiops.detect.panel import Panel
from twofold.flow.stage import Stage
from twofold.records.columns import Samples, samples_batch
from twofold.records.finding import Finding
from twofold.records.series import SeriesKind
from twofold.records.time import SECOND_NS

Floats = npt.NDArray[np.float64]


class Detector(Stage, Protocol):
    """What this suite needs of a detector."""

    def score(self, samples: Samples) -> npt.NDArray[np.float32]: ...


OPENERS: dict[str, Callable[[MemoryCatalog], Detector]] = {"twofold.aiops.detect.panel.Panel": Panel}


def test_every_detector_is_found_and_has_an_opener_here() -> None:
    found = classes_of(twofold.aiops.detect, [*MEMBERS, "score"])
    assert found, "no detector found: the contract covers nothing"
    assert set(found) == set(OPENERS)


@pytest.fixture(params=OPENERS)
def detector(request: pytest.FixtureRequest) -> Callable[[], Detector]:
    return lambda: OPENERS[str(request.param)](_catalog())


def _catalog() -> MemoryCatalog:
    catalog = MemoryCatalog()
    for kind in SeriesKind:
        catalog.register(f"m.{kind}", {}, entity="service:a", tenant="main", kind=kind)
    return catalog


SIDS = sorted(_catalog().series)


def batch(value: Sequence[float] | Floats, *, sid: int = SIDS[0], start: int = 0, period_s: float = 5.0) -> Samples:
    """Samples of one series at an even rhythm."""
    values = np.array(value, np.float64)
    step_ns = int(period_s * SECOND_NS)
    times = START_NS + (start + np.arange(len(values), dtype=np.int64)) * step_ns
    return Samples(data=samples_batch(np.full(len(values), sid), times, values))


def rough(points: int, seed: int = 0) -> Floats:
    """A level with noise, spikes, a shift, a gap of movement, and a season."""
    rng = np.random.default_rng(seed)
    values: Floats = 100 + 5 * rng.standard_normal(points) + 20 * np.sin(np.arange(points) / 40)
    values[points // 3] += 200
    values[points // 2 : points // 2 + 40] += 60
    values[-points // 5 : -points // 6] = 100.0
    return values


@pytest.mark.parametrize("sid", SIDS)
def test_the_score_of_a_prefix_is_the_prefix_of_the_score(detector: Callable[[], Detector], sid: int) -> None:
    values = rough(600)
    whole = detector().score(batch(values, sid=sid))
    for cut in (1, 8, 9, 250, 333, 599):
        assert np.array_equal(detector().score(batch(values[:cut], sid=sid)), whole[:cut])


def test_what_comes_later_does_not_change_what_was_scored(detector: Callable[[], Detector]) -> None:
    values, other = rough(400), rough(400)
    other[300:] = 1e6
    assert np.array_equal(detector().score(batch(values))[:300], detector().score(batch(other))[:300])


@pytest.mark.parametrize("size", [1, 7, 64, 599])
def test_the_size_of_a_batch_changes_nothing(detector: Callable[[], Detector], size: int) -> None:
    values = rough(600)
    whole = detector().score(batch(values))
    one = detector()
    parts = [one.score(batch(values[i : i + size], start=i)) for i in range(0, len(values), size)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_series_do_not_disturb_each_other(detector: Callable[[], Detector]) -> None:
    a, b = rough(300, seed=1), rough(300, seed=2)
    times = START_NS + np.repeat(np.arange(300, dtype=np.int64), 2) * 5 * SECOND_NS
    mixed = Samples(data=samples_batch(np.tile(np.array(SIDS[:2]), 300), times, np.stack([a, b], 1).ravel()))
    found = detector().score(mixed)
    assert np.array_equal(found[0::2], detector().score(batch(a, sid=SIDS[0])))
    assert np.array_equal(found[1::2], detector().score(batch(b, sid=SIDS[1])))


@pytest.mark.parametrize("cut", [1, 5, 9, 200, 320])
def test_a_restart_changes_neither_scores_nor_findings(detector: Callable[[], Detector], cut: int) -> None:
    values = rough(600)
    whole = detector()
    expected = whole.score(batch(values))
    first = detector()
    first.score(batch(values[:cut]))
    second = detector()
    second.restore(stored(first.snapshot()))
    assert np.array_equal(second.score(batch(values[cut:], start=cut)), expected[cut:])


def test_inputs_are_never_changed(detector: Callable[[], Detector]) -> None:
    samples = batch(rough(200)[::-1])
    before = samples.data.to_pydict()
    detector().score(samples)
    assert samples.data.to_pydict() == before


def test_scores_are_finite_and_not_negative(detector: Callable[[], Detector]) -> None:
    found = detector().score(batch(rough(600)))
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found.max() > 3


def test_a_constant_series_is_never_strange(detector: Callable[[], Detector]) -> None:
    for value in (0.0, 1.0, -3.5, 1e12, 1e-12):
        one = detector()
        found = one.score(batch(np.full(500, value)))
        assert found.max() < 1.0, value
        assert not [item for item in one.process([batch(np.full(200, value), start=500)]) if isinstance(item, Finding)]


def test_one_point_and_no_point_are_no_harm(detector: Callable[[], Detector]) -> None:
    one = detector()
    assert one.score(batch([])).tolist() == []
    assert one.score(batch([5.0])).tolist() == [0.0]
    assert list(one.process([batch([], start=2)])) == []


def test_missing_and_infinite_values_are_passed_over(detector: Callable[[], Detector]) -> None:
    values = rough(300)
    holes = values.copy()
    holes[100:110] = [math.nan, math.inf, -math.inf, math.nan, math.nan] * 2
    found = detector().score(batch(holes))
    assert (found[100:110] == 0).all()
    assert np.isfinite(found).all()
    assert np.array_equal(found[:100], detector().score(batch(values))[:100])


def test_huge_and_tiny_values_stay_finite(detector: Callable[[], Detector]) -> None:
    rng = np.random.default_rng(3)
    for scale in (1e-300, 1e-30, 1e15, 2e17, 1e18, 1e30, 1e300, 1e307):
        found = detector().score(batch(rng.standard_normal(300) * scale))
        assert np.isfinite(found).all(), scale


def test_time_that_goes_back_is_passed_over(detector: Callable[[], Detector]) -> None:
    values = rough(300)
    straight = detector()
    expected = np.concatenate([straight.score(batch(values[:200])), straight.score(batch(values[200:], start=200))])
    one = detector()
    first = one.score(batch(values[:200]))
    assert (one.score(batch(np.full(50, 9e9), start=100)) == 0).all()
    assert np.array_equal(np.concatenate([first, one.score(batch(values[200:], start=200))]), expected)


def test_the_unit_of_a_series_changes_nothing(detector: Callable[[], Detector]) -> None:
    values = rough(600)
    whole = detector().score(batch(values))
    for scale in (2.0**-20, 2.0**20):
        assert detector().score(batch(values * scale)) == pytest.approx(whole, rel=0.01, abs=0.01)


def test_irregular_times_and_a_gap_are_taken_as_they_come(detector: Callable[[], Detector]) -> None:
    steps = np.random.default_rng(5).integers(1, 40, 600)
    steps[300] = 3 * 86_400
    times = START_NS + np.cumsum(steps) * SECOND_NS
    values = rough(600)

    def score(points: int) -> npt.NDArray[np.float32]:
        given = samples_batch(np.full(points, SIDS[0]), times[:points], values[:points])
        return detector().score(Samples(data=given))

    whole = score(600)
    assert np.isfinite(whole).all()
    for cut in (299, 300, 301, 450):
        assert np.array_equal(score(cut), whole[:cut])


@settings(deadline=None, max_examples=40)
@given(
    value=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=60),
    gaps=st.lists(st.integers(-100, 10**6), min_size=60, max_size=60),
    sid=st.sampled_from(SIDS),
)
def test_no_input_breaks_it(value: list[float], gaps: list[int], sid: int) -> None:
    times = START_NS + np.cumsum(np.array(gaps[: len(value)], np.int64)) * SECOND_NS
    samples = Samples(data=samples_batch(np.full(len(value), sid), times, np.array(value)))
    for opener in OPENERS.values():
        found = opener(_catalog()).score(samples)
        assert np.isfinite(found).all()
        assert (found >= 0).all()
