"""Error budgets: what counts, when it burns, what few requests prove."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.detect.telemetry import MemoryCatalog, ns, span, spans
from twofold.aiops.detect.slo import BUDGET, BURN, Slos, lower_bound
from twofold.errors import ConfigError, Corrupt
from twofold.records.finding import Finding, FindingState
from twofold.records.slo import Slo, SloState, SloStatus
from twofold.records.time import to_datetime

PROMISE = Slo(name="checkout answers", entity="service:checkout", objective=0.99, window_s=7200.0)


@pytest.fixture
def catalog() -> MemoryCatalog:
    return MemoryCatalog()


def minutes(stage: Slos, first: int, last: int, *, good: int, bad: int = 0, ms: float = 10) -> Iterator[object]:
    """So many requests in each minute of [first, last), and what the stage makes of it."""
    for minute in range(first, last):
        rows = [
            span("service:checkout", f"{minute}-{n}", at_s=minute * 60 + 30, kind=2, ms=ms, error=n < bad)
            for n in range(good + bad)
        ]
        if rows:
            stage.process([spans(*rows)])
        yield from stage.advance(ns((minute + 1) * 60))


def last_status(made: list[object]) -> SloStatus:
    return [one for one in made if isinstance(one, SloStatus)][-1]


def findings(made: list[object]) -> list[Finding]:
    return [one for one in made if isinstance(one, Finding)]


def test_the_budget_is_what_the_objective_allows_of_the_requests_in_the_window(catalog: MemoryCatalog) -> None:
    made = list(minutes(Slos([PROMISE], catalog), 0, 60, good=199, bad=1))
    status = last_status(made)
    assert (status.total, status.bad) == (12_000, 60)
    assert status.budget_left == pytest.approx(0.5)
    assert status.burn_1h == pytest.approx(0.5)
    assert status.state is SloState.OK
    assert findings(made) == []
    assert {catalog.series[sid].metric for sid in catalog.series} == {BURN, BUDGET}


def test_fast_burning_alerts_within_minutes_and_ends_when_the_short_window_is_clean(catalog: MemoryCatalog) -> None:
    stage = Slos([PROMISE], catalog)
    made = [*minutes(stage, 0, 60, good=100), *minutes(stage, 60, 90, good=60, bad=40)]
    opened = findings(made)
    assert [one.state for one in opened] == [FindingState.OPEN]
    assert opened[0].seen <= to_datetime(ns(85 * 60))
    assert "burns" in opened[0].reason
    assert last_status(made).state in (SloState.BURNING, SloState.EXHAUSTED)
    after = findings(list(minutes(stage, 90, 520, good=100)))
    assert [one.state for one in after] == [FindingState.CLOSED]
    assert after[0].id == opened[0].id


def test_a_slow_request_is_bad_where_a_threshold_is_promised(catalog: MemoryCatalog) -> None:
    slow = Slo(name="fast", entity="service:checkout", objective=0.9, threshold_s=0.2, window_s=7200.0)
    stage = Slos([slow], catalog)
    status = last_status([*minutes(stage, 0, 5, good=9), *minutes(stage, 5, 6, good=5, ms=300)])
    assert (status.total, status.bad) == (50, 5)


def test_one_error_of_ten_requests_an_hour_is_no_evidence(catalog: MemoryCatalog) -> None:
    stage = Slos([PROMISE], catalog)
    made: list[object] = []
    for minute in range(0, 600, 6):
        made += minutes(stage, minute, minute + 1, good=1, bad=1 if minute == 300 else 0)
    assert findings(made) == []


def test_a_restart_changes_nothing_and_other_objectives_begin_empty(catalog: MemoryCatalog) -> None:
    whole = Slos([PROMISE], catalog)
    expected = [*minutes(whole, 0, 60, good=50, bad=1), *minutes(whole, 60, 80, good=20, bad=20)]
    first = Slos([PROMISE], MemoryCatalog())
    before = list(minutes(first, 0, 60, good=50, bad=1))
    second = Slos([PROMISE], MemoryCatalog())
    second.restore(first.snapshot())
    after = [*before, *minutes(second, 60, 80, good=20, bad=20)]
    assert findings(after) == findings(expected)
    assert last_status(after) == last_status(expected)
    other = Slos([Slo(name="another", entity="service:checkout")], MemoryCatalog())
    other.restore(first.snapshot())
    assert last_status(list(minutes(other, 60, 61, good=3))).total == 3
    with pytest.raises(Corrupt, match="replay the journal"):
        Slos([PROMISE], MemoryCatalog()).restore({**first.snapshot(), "minutes": first.snapshot()["at"]})


@pytest.mark.parametrize(("count", "low"), [(0, 0.0), (1, 0.1), (3, 1.1), (10, 6.2), (100, 87.4)])
def test_the_lower_bound_of_what_errors_prove(count: int, low: float) -> None:
    assert lower_bound(count) == pytest.approx(low, abs=0.06)


@pytest.mark.parametrize("wrong", [{"objective": 1.0}, {"entity": "checkout"}, {"name": ""}, {"window_s": 60.0}])
def test_an_objective_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Slo(**{"name": "n", "entity": "service:a", **wrong})  # type: ignore[arg-type]  # that is the point
