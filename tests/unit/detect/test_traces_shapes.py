"""Calls that are missing or new are told; rare, optional and cached ones, and little traffic, are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.detect.telemetry import START_NS, MemoryCatalog, ns, span, spans, values_of
from twofold.aiops.detect.traces.habits import DOWN, UP, Change, HabitConfig, Habits
from twofold.aiops.detect.traces.stage import Traces
from twofold.errors import ConfigError, Corrupt
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.time import SECOND_NS, to_datetime

PAIR = (0, 7)
Share = Callable[[int], float]  # of a window


def judged(
    share: Share, windows: int, *, per_window: int = 20, copies: int = 1, habits: Habits | None = None
) -> list[Change]:
    """Changes over windows of five seconds in which a request makes the call with probability `share(window)`."""
    rng, habits = np.random.default_rng(1), habits or Habits(HabitConfig())
    found: list[Change] = []
    for window in range(windows):
        n = rng.poisson(per_window, copies)
        k = rng.binomial(n, share(window)).tolist()
        requests = {group: many for group, many in enumerate(n.tolist()) if many}
        made = {(group, 7): k[group] for group in requests if k[group]}
        found += habits.close(requests, made, set(), START_NS + (window + 1) * 5 * SECOND_NS)
    return found


def step(before: float, after: float, at: int = 400) -> Share:
    return lambda window: after if window >= at else before


def test_a_call_that_always_was_made_is_missed_after_a_few_requests() -> None:
    (change,) = judged(step(1.0, 0.0), 402)
    assert (change.side, change.share) == (DOWN, 0.0)
    assert change.usual == 1.0
    assert change.requests < 50


def test_an_optional_call_is_missed_after_more_requests() -> None:
    (change,) = judged(step(0.3, 0.0), 420)
    assert change.side == DOWN
    assert change.requests > 50


def test_a_rare_call_is_never_missed() -> None:
    assert judged(step(0.02, 0.0), 1500) == []


def test_few_requests_convict_nobody() -> None:
    assert judged(step(1.0, 0.0, at=700), 703, per_window=1) == []
    assert [each.side for each in judged(step(1.0, 0.0, at=700), 720, per_window=1)] == [DOWN]


def test_a_call_that_was_never_made_is_told_when_it_becomes_usual() -> None:
    (change,) = judged(step(0.0, 0.5), 410)
    assert (change.side, change.usual) == (UP, 0.0)
    assert change.share > 0.3


def test_a_new_call_that_stays_rare_is_not_told() -> None:
    assert judged(step(0.0, 0.01), 1500) == []


def test_a_rare_call_that_becomes_usual_is_told() -> None:
    (change,) = judged(step(0.01, 0.5), 410)
    assert change.side == UP
    assert 0.0 < change.usual < 0.03


def test_steady_calls_raise_nothing_in_ten_days() -> None:
    shares = np.tile([1.0, 0.97, 0.6, 0.2, 0.06], 40)
    assert judged(lambda _: shares, 900, per_window=6, copies=len(shares)) == []  # type: ignore[arg-type, return-value]  # one each


def test_a_cache_that_fills_and_empties_raises_nothing() -> None:
    """Of each quarter of an hour five minutes miss, the others hit; the minutes before the first judgement show it."""

    def cached(window: int) -> float:
        return 0.9 if window % 180 < 60 else 0.02

    assert judged(cached, 1500, per_window=10) == []


def test_what_comes_and_goes_is_told_twice_a_day() -> None:
    def flaps(window: int) -> float:
        return 0.0 if window >= 400 and window % 100 < 20 else 1.0

    assert len([each for each in judged(flaps, 1800) if not each.ended]) == 2


def test_it_ends_when_the_call_is_made_again_and_lasting_change_becomes_habit() -> None:
    def outage(window: int) -> float:
        return 0.0 if 400 <= window < 430 else 1.0

    opened, closed = judged(outage, 460)
    assert (closed.ended, closed.onset_ns) == ("back", opened.onset_ns)
    opened, closed = judged(step(1.0, 0.0), 1200)
    assert closed.ended == "habit"


def test_what_may_have_been_made_is_not_missed() -> None:
    habits = Habits(HabitConfig())
    judged(lambda _: 1.0, 400, habits=habits)
    for window in range(400, 500):
        assert habits.close({0: 20}, {}, {PAIR}, START_NS + (window + 1) * 5 * SECOND_NS) == []


def test_calls_beyond_the_bound_are_counted() -> None:
    habits = Habits(HabitConfig(max_calls=2))
    habits.close({0: 1}, {(0, n): 1 for n in range(1, 6)}, set(), START_NS)
    assert habits.refused == 3


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError):
        HabitConfig(least_share=0.0)
    with pytest.raises(ConfigError):
        HabitConfig(threshold=0.0)


# --- the stage ---


def shop(stage: Traces, seconds: range, *callees: str, fails: bool = False, name: str = "POST /pay") -> list[object]:
    """Two requests a second that call these."""
    made: list[object] = []
    for second in seconds:
        rows = []
        for n in range(2):
            at_s, ident = second + 0.1 + n / 2, f"{second:06}{n}"
            rows.append(span("service:checkout", f"a{ident}", at_s=at_s, ms=80, name=name, error=fails))
            rows += [
                span(
                    "service:checkout",
                    f"b{ident}{who}",
                    at_s=at_s,
                    ms=9,
                    kind=3,
                    parent=f"a{ident}",
                    peer=f"service:{who}",
                )
                for who in callees
            ]
        stage.process([spans(*rows)])
        made.extend(stage.advance(ns(second - 2)))
    return made


def findings(made: list[object]) -> list[Finding]:
    return [item for item in made if isinstance(item, Finding)]


def deploy(at_s: float) -> Event:
    return Event(
        id="d",
        kind=EventKind.CHANGE,
        time=to_datetime(ns(at_s)),
        entity="service:checkout",
        title="deploy",
        change=ChangeKind.DEPLOY,
        version="1.4.2",
    )


def test_a_missing_call_explains_itself_and_shows_a_request() -> None:
    catalog = MemoryCatalog()
    stage = Traces(catalog)
    assert findings(shop(stage, range(900), "payment", "cart")) == []
    made = shop(stage, range(900, 960), "cart")
    (found,) = findings(made)
    assert found.entity == "service:checkout"
    assert (found.direction, found.metric, found.state) == (Direction.DOWN, "span.call_ratio", FindingState.OPEN)
    assert found.reason.startswith("checkout (POST /pay) calls payment in 0 % of ")
    assert found.reason.endswith("since 00:15:05, usually in 100 %, with no change of either near")
    assert found.trace_id.strip("0").startswith("a0009")
    assert abs(found.effect) >= 8
    ((at, share), *_) = values_of(made, catalog)["service:checkout", "span.call_ratio", "-> payment, POST /pay"]
    assert (at, share) == (found.seen.timestamp() - START_NS / SECOND_NS, 0.0)
    again = findings(shop(stage, range(960, 1020), "payment", "cart"))
    assert [(each.id, each.state) for each in again] == [(found.id, FindingState.CLOSED)]


def test_after_a_deploy_it_says_so_and_weighs_less() -> None:
    stage = Traces(MemoryCatalog())
    shop(stage, range(900), "payment")
    stage.process([deploy(890)])
    (found,) = findings(shop(stage, range(900, 960)))
    assert found.reason.endswith("usually in 100 %, deploy of checkout 1.4.2 15 s before")
    assert abs(found.effect) < 8


def test_a_new_call_is_told_and_harms_nobody() -> None:
    stage = Traces(MemoryCatalog())
    shop(stage, range(900), "payment")
    (found,) = findings(shop(stage, range(900, 960), "payment", "ads"))
    assert found.direction is Direction.UP
    assert "calls ads in " in found.reason
    assert "never did before" in found.reason


def test_requests_that_fail_before_the_call_are_no_news() -> None:
    stage = Traces(MemoryCatalog())
    shop(stage, range(900), "payment")
    assert findings(shop(stage, range(900, 1000), fails=True)) == []


def test_answers_that_do_not_come_change_no_name() -> None:
    """A call is known by who answers; when the callee's spans stop, its address must not count as another service."""
    stage = Traces(MemoryCatalog())

    def run(seconds: range, *, answered: bool) -> list[Finding]:
        made: list[object] = []
        for second in seconds:
            rows = []
            for n in range(2):
                at_s, ident = second + 0.1 + n / 2, f"{second:06}{n}"
                rows += [
                    span("service:a", f"a{ident}", at_s=at_s, ms=80),
                    span(
                        "service:a", f"b{ident}", at_s=at_s, ms=60, kind=3, parent=f"a{ident}", peer="service:10.0.0.7"
                    ),
                ]
                if answered:
                    rows.append(span("service:b", f"c{ident}", at_s=at_s, ms=50, parent=f"b{ident}"))
            stage.process([spans(*rows)])
            made.extend(stage.advance(ns(second - 2)))
        return findings(made)

    assert run(range(900), answered=True) == []
    assert run(range(900, 1000), answered=False) == []


def test_calls_that_come_too_late_are_not_missing() -> None:
    stage = Traces(MemoryCatalog())
    shop(stage, range(900), "payment")
    made: list[object] = []
    late: list[tuple[int, dict[str, object]]] = []
    for second in range(900, 1000):
        at_s, ident = second + 0.1, f"{second:06}"
        rows = [span("service:checkout", f"a{ident}", at_s=at_s, ms=80, name="POST /pay")]
        call = span(
            "service:checkout", f"b{ident}", at_s=at_s, ms=9, kind=3, parent=f"a{ident}", peer="service:payment"
        )
        late.append((second + 12, call))
        rows += [row for due, row in late if due == second]
        stage.process([spans(*rows)])
        made.extend(stage.advance(ns(second - 2)))
    opened = findings(made)
    assert len(opened) <= 1, "once at the beginning, before the first late call has come"


def test_a_restart_keeps_habits_and_what_is_told() -> None:
    catalog = MemoryCatalog()
    stage = Traces(catalog)
    shop(stage, range(900), "payment")
    stage.process([deploy(890)])
    shop(stage, range(900, 912))
    again = Traces(catalog)
    again.restore(stage.snapshot())
    ends = [findings(shop(each, range(912, 960)) + shop(each, range(960, 1020), "payment")) for each in (stage, again)]
    assert ends[0] == ends[1]
    assert ends[0]


@pytest.mark.parametrize("key", ["habits", "habits_rows", "shapes"])
def test_a_damaged_state_is_refused(key: str) -> None:
    state = dict(Traces(MemoryCatalog()).snapshot())
    wrong = np.zeros(7, np.uint8) if key == "habits_rows" else b"\xff"
    with pytest.raises(Corrupt):
        Traces(MemoryCatalog()).restore({**state, key: wrong})
