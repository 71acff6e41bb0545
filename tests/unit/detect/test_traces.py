"""Spans to visits: whose time it was, for whom it waited, and what that takes when spans are late, lost or wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.detect.telemetry import MemoryCatalog, ns, span, spans, values_of
from twofold.aiops.detect.groups import GroupConfig
from twofold.aiops.detect.panel import Panel
from twofold.aiops.detect.red import Red
from twofold.aiops.detect.traces.pool import PoolConfig
from twofold.aiops.detect.traces.shares import Part, told
from twofold.aiops.detect.traces.stage import Traces, TracesConfig
from twofold.errors import ConfigError, Corrupt
from twofold.records.columns import Samples
from twofold.records.finding import Finding, FindingState
from twofold.records.series import Series

CLIENT, INTERNAL, PRODUCER, CONSUMER = 3, 1, 4, 5
OWN, WAIT = "span.self_time.p95", "span.wait_time.p95"
Row = dict[str, object]


def visit(
    ident: str, *calls: tuple[str, float, float, float], at_s: float = 1.0, ms: float = 100.0, **more: object
) -> list[Row]:
    """A request that service:a serves; calls are (id, offset in ms, ms, 0) to service:b."""
    rows = [span("service:a", f"s{ident}", at_s=at_s, ms=ms, **more)]  # type: ignore[arg-type]  # of span()
    for key, offset_ms, lasts_ms, _ in calls:
        rows.append(
            span(
                "service:a",
                f"c{ident}{key}",
                at_s=at_s + offset_ms / 1000,
                ms=lasts_ms,
                kind=CLIENT,
                parent=f"s{ident}",
                peer="service:b",
            )
        )
    return rows


def seen(stage: Traces, catalog: MemoryCatalog, *rows: Row, until_s: float = 60) -> dict[tuple[str, str], float]:
    """(entity and callee, metric) to milliseconds, of one window."""
    stage.process([spans(*rows)])
    found = values_of(stage.advance(ns(until_s)), catalog)
    return {(f"{e} {label}".strip(), m): points[0][1] * 1000 for (e, m, label), points in found.items()}


def once(*rows: Row) -> dict[tuple[str, str], float]:
    catalog = MemoryCatalog()
    return seen(Traces(catalog), catalog, *rows)


def test_time_is_the_services_own_but_for_its_calls() -> None:
    found = once(*visit("1", ("x", 10, 30, 0), ("y", 50, 20, 0)))
    assert found == {
        ("service:a", OWN): pytest.approx(50),
        ("service:a -> b", WAIT): pytest.approx(50),
    }


def test_calls_at_the_same_time_count_once() -> None:
    found = once(*visit("1", ("x", 10, 40, 0), ("y", 20, 40, 0), ("z", 30, 10, 0)))
    assert found["service:a", OWN] == pytest.approx(50)
    assert found["service:a -> b", WAIT] == pytest.approx(50)


def test_calls_below_internal_spans_are_the_visits_and_wrapped_calls_count_once() -> None:
    rows = [
        span("service:a", "s", at_s=1, ms=100),
        span("service:a", "i", at_s=1.01, ms=80, kind=INTERNAL, parent="s"),
        span("service:a", "o", at_s=1.02, ms=60, kind=CLIENT, parent="i"),
        span("service:a", "w", at_s=1.03, ms=40, kind=CLIENT, parent="o", peer="database:shop"),
    ]
    found = once(*rows)
    assert found == {
        ("service:a", OWN): pytest.approx(40),
        ("service:a -> shop", WAIT): pytest.approx(60),
    }


def test_who_answered_names_a_call_better_than_the_callers_address() -> None:
    rows = visit("1", ("x", 10, 30, 0))
    rows[1]["peer"] = "service:b.shop.svc"
    found = once(*rows, span("service:b", "t", at_s=1.012, ms=25, parent="c1x"))
    assert found["service:a -> b", WAIT] == pytest.approx(30)
    assert found["service:b", OWN] == pytest.approx(25)


def test_one_id_for_a_call_and_its_answer_as_zipkin_has_it() -> None:
    rows = visit("1", ("x", 10, 30, 0))
    rows[1]["peer"] = ""
    found = once(*rows, span("service:b", "c1x", at_s=1.012, ms=25, parent="s1"))
    assert found["service:a", OWN] == pytest.approx(70)
    assert found["service:a -> b", WAIT] == pytest.approx(30)


def test_nobody_waits_for_a_call_that_outlives_its_request() -> None:
    found = once(*visit("1", ("x", 10, 500, 0)))
    assert found["service:a", OWN] == pytest.approx(100)
    assert found["service:a -> b", WAIT] == 0.0


def test_what_a_queue_hands_over_is_not_waited_for() -> None:
    rows = visit("1")
    rows += [
        span("service:a", "p", at_s=1.01, ms=5, kind=PRODUCER, parent="s1", peer="queue:orders"),
        span("service:b", "t", at_s=1.02, ms=60, kind=CONSUMER, parent="p"),
    ]
    found = once(*rows)
    assert found["service:a", OWN] == pytest.approx(95)
    assert found["service:a -> orders", WAIT] == pytest.approx(5)
    assert found["service:b", OWN] == pytest.approx(60)


@pytest.mark.parametrize("skew_s", [0.0, -3.0, 0.5], ids=["none", "behind", "ahead"])
def test_without_client_spans_the_answer_stands_for_the_call_whatever_its_clock_says(skew_s: float) -> None:
    found = once(*visit("1"), span("service:b", "t", at_s=1.02 + skew_s, ms=60, parent="s1"))
    assert found["service:a", OWN] == pytest.approx(40)
    assert found["service:a -> b", WAIT] == pytest.approx(60)


def test_a_call_whose_parent_is_missing_belongs_to_the_request_around_it() -> None:
    rows = visit("1", ("x", 10, 30, 0))
    rows[1]["parent_id"] = "dropped"
    rows[1]["trace_id"] = rows[0]["trace_id"] = "0" * 31 + "7"
    found = once(*rows)
    assert found["service:a", OWN] == pytest.approx(70)


def test_a_call_without_any_request_is_counted_when_nobody_came_for_it() -> None:
    catalog = MemoryCatalog()
    stage = Traces(catalog)
    stage.process([spans(span("service:a", "c", at_s=1, kind=CLIENT, parent="gone", peer="service:b"))])
    stage.advance(ns(20))
    assert stage.dropped["orphan"] == 0
    for at_s in range(20, 60, 5):
        stage.process([spans(span("service:z", f"z{at_s}", at_s=at_s))])
        stage.advance(ns(at_s + 10))
    assert stage.dropped["orphan"] == 1


def test_a_span_sent_twice_counts_once() -> None:
    rows = visit("1", ("x", 10, 30, 0))
    catalog = MemoryCatalog()
    stage = Traces(catalog)
    stage.process([spans(*rows), spans(*rows)])
    found = values_of(stage.advance(ns(60)), catalog)
    assert dict(found["service:a", OWN, ""]) == pytest.approx({5.0: 0.07})
    assert stage.dropped["duplicate"] == 2


def test_a_service_that_calls_itself_serves_two_requests() -> None:
    rows = [
        span("service:a", "s", at_s=1, ms=100, name="outer"),
        span("service:a", "c", at_s=1.01, ms=60, kind=CLIENT, parent="s"),
        span("service:a", "t", at_s=1.02, ms=40, parent="c", name="inner"),
    ]
    found = once(*rows)
    assert found["service:a outer", OWN] == pytest.approx(40)
    assert found["service:a inner", OWN] == pytest.approx(40)
    assert found["service:a -> a", WAIT] == pytest.approx(60)


def test_parents_in_a_ring_end_nowhere_and_harm_nothing() -> None:
    rows = [
        span("service:a", "x", at_s=1, kind=INTERNAL, parent="y"),
        span("service:a", "y", at_s=1, kind=INTERNAL, parent="x"),
        span("service:a", "me", at_s=1, kind=INTERNAL, parent="me"),
        *visit("1"),
    ]
    assert once(*rows)["service:a", OWN] == pytest.approx(100)


def test_a_request_that_ends_in_a_later_window_still_has_its_calls() -> None:
    catalog = MemoryCatalog()
    stage = Traces(catalog)
    rows = visit("1", ("x", 1000, 2000, 0), at_s=1, ms=12_000)
    stage.process([spans(rows[1], span("service:b", "t", at_s=2.5, ms=900, parent="c1x"))])
    stage.advance(ns(12))
    stage.process([spans(rows[0])])
    found = values_of(stage.advance(ns(30)), catalog)
    assert dict(found["service:a", OWN, ""]) == pytest.approx({15.0: 10.0})
    assert dict(found["service:a", WAIT, "-> b"]) == pytest.approx({15.0: 2.0})


def test_spans_out_of_order_and_a_little_late_count_in_the_next_window_and_much_later_ones_are_dropped() -> None:
    catalog = MemoryCatalog()
    stage = Traces(catalog)
    stage.process([spans(*visit("1", at_s=11))])
    stage.advance(ns(20))
    stage.process([spans(*reversed(visit("2", ("x", 10, 30, 0), at_s=3, ms=200)))])
    found = values_of(stage.advance(ns(25)), catalog)
    assert dict(found["service:a", OWN, ""]) == pytest.approx({20.0: 0.17})
    stage.process([spans(*visit("3", at_s=100))])
    stage.advance(ns(120))
    stage.process([spans(*visit("4", ("x", 10, 30, 0), at_s=3))])
    assert stage.dropped["late"] == 2


def test_ten_thousand_calls_of_one_request() -> None:
    calls = [(f"{n}", n * 1.0, 0.5, 0.0) for n in range(10_000)]
    found = once(*visit("1", *calls, ms=10_000))
    assert found["service:a", OWN] == pytest.approx(5000)
    assert found["service:a -> b", WAIT] == pytest.approx(5000)


def test_a_chain_of_ten_thousand_internal_spans() -> None:
    rows = visit("1")
    parent = "s1"
    for n in range(10_000):
        rows.append(span("service:a", f"i{n}", at_s=1, ms=100, kind=INTERNAL, parent=parent))
        parent = f"i{n}"
    rows.append(span("service:a", "c", at_s=1.01, ms=30, kind=CLIENT, parent=parent, peer="service:b"))
    assert once(*rows)["service:a", OWN] == pytest.approx(70)


def test_operations_and_callees_past_the_bound_are_counted_together() -> None:
    catalog = MemoryCatalog()
    stage = Traces(catalog, TracesConfig(groups=GroupConfig(max_members=2)))
    rows: list[Row] = []
    for n in range(5):
        rows += visit(f"{n}", ("x", 10, 30, 0), name=f"GET /{n}")
        rows[-1]["peer"] = f"service:b{n}"
    found = seen(stage, catalog, *rows)
    assert {who for who, metric in found if metric == OWN} == {
        "service:a",
        "service:a GET /0",
        "service:a GET /1",
        "service:a (other)",
    }
    assert {who for who, metric in found if metric == WAIT} == {
        "service:a -> b0",
        "service:a -> b1",
        "service:a -> (other)",
    }


def test_series_that_the_catalog_refuses_are_counted() -> None:
    catalog = MemoryCatalog(limit=1)
    stage = Traces(catalog)
    made = seen(stage, catalog, *visit("1", ("x", 10, 30, 0)))
    assert len(made) == 1
    assert stage.dropped["cardinality"] == 1


def test_spans_beyond_the_bound_are_dropped_and_counted() -> None:
    stage = Traces(MemoryCatalog(), TracesConfig(pool=PoolConfig(max_spans=3)))
    stage.process([spans(*visit("1", ("x", 10, 30, 0), ("y", 10, 30, 0), ("z", 10, 30, 0)))])
    assert stage.dropped["full"] == 1
    with pytest.raises(ConfigError):
        PoolConfig(max_spans=0)


def test_how_spans_are_cut_into_batches_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    rows: list[Row] = []
    for n in range(300):
        rows += visit(f"{n:03}", ("x", 5, float(rng.exponential(20)), 0), at_s=float(rng.uniform(0, 30)))
    whole, cut = MemoryCatalog(), MemoryCatalog()
    first, second = Traces(whole), Traces(cut)
    first.process([spans(*rows)])
    second.process([spans(*rows[n : n + 7]) for n in range(0, len(rows), 7)])
    assert values_of(first.advance(ns(60)), whole) == values_of(second.advance(ns(60)), cut)


def test_a_restart_in_the_middle_changes_nothing() -> None:
    catalog = MemoryCatalog()
    stage = Traces(catalog)
    rows = visit("1", ("x", 1000, 2000, 0), at_s=1, ms=12_000)
    stage.process([spans(rows[1], *visit("2", ("x", 10, 20, 0)))])
    stage.advance(ns(9))
    again = Traces(catalog)
    again.restore(stage.snapshot())
    for each in (stage, again):
        each.process([spans(rows[0])])
    made, same = (values_of(each.advance(ns(30)), catalog) for each in (stage, again))
    assert made == same
    assert dict(made["service:a", WAIT, "-> b"]) == pytest.approx({15.0: 2.0})


@pytest.mark.parametrize("key", ["pool", "pool_names", "visits", "callees", "shares_pairs", "shares_count"])
def test_a_damaged_state_is_refused(key: str) -> None:
    state = dict(Traces(MemoryCatalog()).snapshot())
    with pytest.raises(Corrupt):
        Traces(MemoryCatalog()).restore({**state, key: b"\xff"})


def slow_payments() -> tuple[Traces, MemoryCatalog]:
    """Ten quiet minutes, then calls to b take 1.8 s."""
    catalog = MemoryCatalog()
    stage = Traces(catalog)
    for n in range(0, 700, 5):
        slow = 1700.0 if n >= 650 else 0.0
        rows = visit(f"{n:04}", ("x", 10, 100 + slow, 0), at_s=n, ms=400 + slow)
        stage.process([spans(*rows)])
        stage.advance(ns(n))
    return stage, catalog


def test_a_slow_service_says_for_whom_it_waits() -> None:
    stage, catalog = slow_payments()
    series = Series(sid=1, metric="span.duration.p95", labels={"kind": "server"}, entity="service:a", unit="s")
    assert stage.explain(series, ns(650)) == (
        "the slowest take 2.1 s: 1.8 s waiting for b (usually 100 ms), 300 ms of its own (usually 300 ms)"
    )
    again = Traces(catalog)
    again.restore(stage.snapshot())
    assert again.explain(series, ns(650)) == stage.explain(series, ns(650))


def test_where_time_went_stands_in_the_finding_while_it_lasts_and_when_it_is_over() -> None:
    stage, catalog = Traces(MemoryCatalog()), MemoryCatalog()
    red, panel = Red(catalog), Panel(catalog, explain=stage.explain)
    found: list[Finding] = []
    for n in range(0, 900, 1):
        slow = 1700.0 if 650 <= n < 750 else 0.0
        batch = spans(*visit(f"{n:04}", ("x", 10, 100 + n % 5 + slow, 0), at_s=n, ms=400 + n % 7 + slow))
        for each in (red, stage):
            each.process([batch])
        stage.advance(ns(n))
        made = [item for item in red.advance(ns(n)) if isinstance(item, Samples)]
        found += [item for item in [*panel.process(made), *panel.advance(ns(n))] if isinstance(item, Finding)]
    told_of = [each for each in found if each.metric == "span.duration.p95" and "->" not in each.labels_text]
    where = "1.8 s waiting for b (usually 103 ms), 303 ms of its own (usually 303 ms)"
    assert told_of[0].reason.endswith(f"; the slowest take 2.1 s: {where}")
    assert told_of[-1].state is FindingState.CLOSED
    assert told_of[-1].reason.endswith(f"; at its worst the slowest take 2.11 s: {where}")


def test_where_time_went_is_said_only_of_times_and_services_that_are_known() -> None:
    stage, _ = slow_payments()
    for metric, entity, kind in (
        ("span.rate", "service:a", "server"),
        ("span.duration.p95", "service:nobody", "server"),
        ("span.duration.p95", "service:a", "client"),
    ):
        series = Series(sid=1, metric=metric, labels={"kind": kind}, entity=entity)
        assert stage.explain(series, ns(650)) == ""
    series = Series(sid=1, metric="span.duration.p95", labels={"kind": "server"}, entity="service:a")
    assert stage.explain(series, ns(90_000)) == ""


def test_small_parts_are_not_named_and_what_is_usual_only_when_known() -> None:
    assert told(1.0, [Part("", 0.95, None), Part("service:b", 0.05, None)]) == "the slowest take 1 s: 950 ms of its own"
    assert told(0.0, [Part("", 0.0, None)]) == ""
