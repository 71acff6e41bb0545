"""What few judgements prove."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.stats.belief import belief, below, interval, least_rate, worse

COUNTS = st.integers(0, 200)


@given(COUNTS, COUNTS)
def test_a_belief_is_a_distribution_and_an_interval_ascends(yes: int, no: int) -> None:
    assert belief(yes, no).sum() == pytest.approx(1.0)
    low, middle, high = interval(yes, no)
    assert 0.0 <= low <= middle <= high <= 1.0


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_of_two_one_is_the_worse(yes: int, no: int, other_yes: int, other_no: int) -> None:
    both = worse(yes, no, (other_yes, other_no)) + worse(other_yes, other_no, (yes, no))
    assert both == pytest.approx(1.0)


@given(COUNTS, COUNTS, st.floats(0.0, 0.5))
def test_a_margin_only_makes_it_harder_to_be_worse(yes: int, no: int, margin: float) -> None:
    assert worse(yes, no, (20, 2), margin) <= worse(yes, no, (20, 2)) + 1e-9


def test_one_false_page_proves_nothing_and_many_do() -> None:
    assert below(0, 1, 0.5) < 0.95 < below(0, 4, 0.5)
    assert worse(5, 5, (5, 5), 0.1) < 0.4


@pytest.mark.parametrize(("count", "bound"), [(1, 0.051), (3, 0.818), (10, 5.425), (50, 38.96)])
def test_the_least_rate_is_garwoods(count: int, bound: float) -> None:
    assert least_rate(count, 1.0) == pytest.approx(bound, rel=0.01)
    assert least_rate(count, 2.0) == pytest.approx(bound / 2.0, rel=0.01)
