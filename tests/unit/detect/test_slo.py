"""Error budgets: what counts, when it burns, what few requests prove."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.unit.detect.telemetry import MemoryCatalog, ns, span, spans
from twofold.aiops.detect.burn import lower_bound
from twofold.aiops.detect.slo import Slos
from twofold.errors import ConfigError, Corrupt
from twofold.records.finding import Finding, FindingState
from twofold.records.slo import BUDGET, BURN, SLOW_BURN, Slo, SloState, SloStatus
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


def turns(made: list[object], metric: str = BURN) -> list[Finding]:
    """Findings of one speed where they open or close, without news in between."""
    told = [one for one in findings(made) if one.metric == metric]
    return [*told[:1], *(one for before, one in pairwise(told) if before.state is not one.state)]


def test_the_budget_is_what_the_objective_allows_of_the_requests_in_the_window(catalog: MemoryCatalog) -> None:
    made = list(minutes(Slos([PROMISE], catalog), 0, 60, good=199, bad=1))
    status = last_status(made)
    assert (status.total, status.bad) == (12_000, 60)
    assert status.budget_left == pytest.approx(0.75), "60 bad of the 240 that two hours allow"
    assert status.burn_1h == pytest.approx(0.5)
    assert status.state is SloState.OK
    assert findings(made) == []
    assert {catalog.series[sid].metric for sid in catalog.series} == {BURN, SLOW_BURN, BUDGET}


def test_fast_burning_is_told_within_minutes_with_its_news_and_ends_when_the_short_window_is_clean(
    catalog: MemoryCatalog,
) -> None:
    stage = Slos([PROMISE], catalog)
    made = [*minutes(stage, 0, 60, good=100), *minutes(stage, 60, 100, good=60, bad=40)]
    told = findings(made)
    assert {one.state for one in told} == {FindingState.OPEN}
    assert {one.metric for one in told} == {BURN}
    assert told[0].seen <= to_datetime(ns(85 * 60))
    assert told[0].onset == to_datetime(ns(60 * 60)), "not before bad requests began"
    assert told[0].value == pytest.approx(40.0)
    assert "burns 40.0 x as fast as allowed since 01:00; told above 14.4 x over 5 min and 1 h" in told[0].reason
    assert told[-1].seen == to_datetime(ns(100 * 60)), "what burns is told again, so that nothing takes it for over"
    assert last_status(made).state in (SloState.BURNING, SloState.EXHAUSTED)
    after = turns(list(minutes(stage, 100, 520, good=100)))
    assert [one.state for one in after] == [FindingState.OPEN, FindingState.CLOSED]
    assert after[-1].id == told[0].id


def test_a_young_service_is_not_judged_by_windows_of_days(catalog: MemoryCatalog) -> None:
    """At five times the allowed rate, six hours prove neither a day at three nor three days at one times."""
    made = list(minutes(Slos([PROMISE], catalog), 0, 360, good=95, bad=5))
    assert findings(made) == []


def test_a_young_service_is_told_of_when_an_old_one_would_be() -> None:
    """Nothing but errors, from the first minute on or after two days of good ones: 14.4 % of an hour both times."""
    young = turns(list(minutes(Slos([PROMISE], MemoryCatalog()), 0, 30, good=0, bad=100)))
    stage = Slos([PROMISE], MemoryCatalog())
    list(minutes(stage, 0, 2880, good=100))
    old = turns(list(minutes(stage, 2880, 2910, good=0, bad=100)))
    assert young[0].seen - to_datetime(ns(0)) == old[0].seen - to_datetime(ns(2880 * 60)) == timedelta(minutes=10)
    assert young[0].onset == to_datetime(ns(0)), "not before there was telemetry"


@pytest.mark.parametrize("objective", [0.2, 0.8, 0.9, 0.99, 0.999])
def test_where_every_request_is_bad_any_objective_is_told_of(objective: float) -> None:
    promise = Slo(name="any", entity="service:checkout", objective=objective)
    stage = Slos([promise], MemoryCatalog())
    list(minutes(stage, 0, 60, good=100))
    assert turns(list(minutes(stage, 60, 120, good=0, bad=100))), "14.4 times is out of reach where 20 % may be bad"


def test_two_failed_requests_in_a_quiet_night_are_no_reason_to_wake_anybody(catalog: MemoryCatalog) -> None:
    stage = Slos([PROMISE], catalog)
    list(minutes(stage, 0, 600, good=100))
    list(minutes(stage, 600, 1400, good=0))
    made = [*minutes(stage, 1400, 1402, good=0, bad=1), *minutes(stage, 1402, 1500, good=0)]
    assert findings(made) == []


def test_errors_in_bursts_are_one_finding(catalog: MemoryCatalog) -> None:
    """Two bad minutes of every ten: the short window is clean in between."""
    stage = Slos([PROMISE], catalog)
    made = list(minutes(stage, 0, 60, good=100))
    for minute in range(60, 260, 10):
        made += minutes(stage, minute, minute + 2, good=0, bad=100)
        made += minutes(stage, minute + 2, minute + 10, good=100)
    assert [one.state for one in turns(made)] == [FindingState.OPEN]
    made += minutes(stage, 260, 420, good=100)
    assert [one.state for one in turns(made)] == [FindingState.OPEN, FindingState.CLOSED]


def test_a_rate_around_the_limit_does_not_flap(catalog: MemoryCatalog) -> None:
    stage = Slos([PROMISE], catalog)
    made: list[object] = []
    for minute in range(0, 900, 15):
        bad = 17 if minute % 30 else 14
        made += minutes(stage, minute, minute + 15, good=100 - bad, bad=bad)
    assert [one.state for one in turns(made)] == [FindingState.OPEN]


def test_what_burns_again_began_after_the_last_one_was_over(catalog: MemoryCatalog) -> None:
    stage = Slos([PROMISE], catalog)
    made = [*minutes(stage, 0, 60, good=100), *minutes(stage, 60, 75, good=0, bad=100)]
    made += [*minutes(stage, 75, 105, good=100), *minutes(stage, 105, 125, good=0, bad=100)]
    first, over, second = turns(made)
    assert over.state is FindingState.CLOSED
    assert second.id != first.id
    assert second.onset == to_datetime(ns(105 * 60))


def test_what_burns_slowly_is_a_finding_of_its_own_and_stays_while_news_come(catalog: MemoryCatalog) -> None:
    stage = Slos([PROMISE], catalog)
    made = [*minutes(stage, 0, 1440, good=100), *minutes(stage, 1440, 1440 + 1300, good=96, bad=4)]
    assert turns(made) == []
    told = turns(made, SLOW_BURN)
    assert [one.state for one in told] == [FindingState.OPEN]
    assert told[0].score < 4.5
    seen = [one.seen for one in findings(made) if one.metric == SLOW_BURN]
    assert max(b - a for a, b in pairwise(seen)) <= timedelta(minutes=30), "after an hour it would count as over"


def test_an_objective_that_is_no_longer_declared_burns_no_more(catalog: MemoryCatalog) -> None:
    stage = Slos([PROMISE], catalog)
    told = findings([*minutes(stage, 0, 60, good=100), *minutes(stage, 60, 80, good=0, bad=100)])
    other = Slos([], catalog)
    other.restore(stage.snapshot())
    (closed,) = findings(list(other.advance(ns(81 * 60))))
    assert (closed.id, closed.state) == (told[0].id, FindingState.CLOSED)
    assert closed.reason.endswith("it is no longer declared")


def test_counts_of_before_first_requests_were_remembered_are_taken_as_old(catalog: MemoryCatalog) -> None:
    stage = Slos([PROMISE], catalog)
    list(minutes(stage, 0, 60, good=100))
    state = {name: each for name, each in stage.snapshot().items() if name != "first"}
    again = Slos([PROMISE], catalog)
    again.restore(state)
    status = last_status(list(minutes(again, 60, 61, good=99, bad=1)))
    assert (status.total, status.bad) == (6100, 1)


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


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"objective": 1.0}, "between 0 and 1"),
        ({"objective": float("nan")}, "between 0 and 1"),
        ({"entity": "checkout"}, "such as service:checkout"),
        ({"entity": "service:"}, "such as service:checkout"),
        ({"name": " "}, "needs a name"),
        ({"window_s": 60.0}, "between 3600"),
        ({"window_s": 1000 * 366 * 86_400.0}, "366 days"),
        ({"window_s": float("inf")}, "366 days"),
        ({"threshold_s": -1.0}, "threshold_s"),
        ({"threshold_s": float("nan")}, "threshold_s"),
    ],
)
def test_an_objective_that_makes_no_sense_is_refused_with_the_limit(wrong: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Slo(**{"name": "n", "entity": "service:a", **wrong})  # type: ignore[arg-type]  # that is the point


def test_two_objectives_of_one_name_are_refused(catalog: MemoryCatalog) -> None:
    with pytest.raises(ConfigError, match="checkout answers"):
        Slos([PROMISE, PROMISE], catalog)
