"""One fault, one incident: opening, joining, merging, resolving, and the same result whatever the batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.correlate.shop import (
    FAULTS,
    at,
    at_ns,
    deploy,
    edges,
    ends,
    failing,
    finding,
    slow,
    slow_call,
)
from twofold.aiops.correlate import Correlate, CorrelateConfig
from twofold.errors import Corrupt
from twofold.records.alert import Alert, AlertState, Severity
from twofold.records.codec import to_json
from twofold.records.event import Event, EventKind
from twofold.records.finding import Direction, Finding
from twofold.records.frame import Lane
from twofold.records.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from twofold.records.slo import BURN, SLOW_BURN


def play(
    items: Sequence[object], until: float = 120, *, stage: Correlate | None = None, step: float = 5
) -> list[object]:
    """Feed items when they are seen, with a watermark that goes on every `step` seconds."""
    stage = stage or Correlate()
    records = list(stage.process(edges()))
    waiting = list(items)
    now = -60.0
    while now <= until:
        ready = [each for each in waiting if _moment(each) <= now]
        waiting = [each for each in waiting if _moment(each) > now]
        records += stage.process(ready)
        records += stage.advance(at_ns(now))
        now += step
    return records


def _moment(item: object) -> float:
    moment = item.seen if isinstance(item, Finding) else item.time  # type: ignore[attr-defined]  # Event
    return float((moment - at(0)).total_seconds())


def last(records: Sequence[object], kind: type) -> dict[str, object]:
    """The newest record of a type, by id: what the ledger would hold."""
    return {each.id: each for each in records if isinstance(each, kind)}  # type: ignore[attr-defined]  # all have ids


def incidents(records: Sequence[object]) -> list[Incident]:
    found = [each for each in last(records, Incident).values() if isinstance(each, Incident)]
    return [each for each in found if not each.merged_into]


def test_a_quiet_stream_opens_nothing() -> None:
    assert play([deploy("cart", 0)]) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_opens_exactly_one_incident_within_thirty_seconds(fault: str) -> None:
    build, _ = FAULTS[fault]
    found = incidents(play(build()))
    assert len(found) == 1
    assert (found[0].detected - at(0)).total_seconds() <= 30
    assert found[0].state is IncidentState.OPEN
    affected = {each.entity for each in build() if isinstance(each, Finding)}
    assert set(found[0].entities) == affected


def test_quantiles_and_operations_of_one_problem_are_one_alert() -> None:
    rows = [
        finding("service:cart", f"span.duration.{q}", i, labels=f"operation={op}")
        for i, (q, op) in enumerate((q, op) for q in ("p50", "p95", "p99") for op in ("add", "get"))
    ]
    alerts = last(play(rows), Alert)
    assert len(alerts) == 1
    (alert,) = alerts.values()
    assert isinstance(alert, Alert)
    assert (alert.count, len(alert.findings), alert.signal) == (6, 6, "span.duration")


def test_an_update_of_a_finding_does_not_count_again() -> None:
    first = slow("cart", 0)
    again = replace(first, seen=at(30), score=20.0)
    (alert,) = last(play([first, again]), Alert).values()
    assert isinstance(alert, Alert)
    assert (alert.count, alert.score) == (1, 20.0)


def test_a_weak_finding_alone_waits_and_opens_nothing() -> None:
    assert incidents(play([slow("cart", 0, score=4.5, effect=4)])) == []


def test_a_strong_spike_that_ends_at_once_opens_nothing() -> None:
    spike = slow("cart", 0, after=2.0)
    assert incidents(play([spike, *ends([spike], 7)])) == []


def test_two_weak_findings_of_neighbours_open_one() -> None:
    weak = [slow("catalog", 0, score=4.5, effect=5), slow("gateway", 3, score=4.5, effect=5)]
    assert len(incidents(play(weak))) == 1


def test_two_weak_findings_a_minute_apart_do_not_corroborate() -> None:
    weak = [slow("catalog", 0, score=4.5, effect=5), slow("gateway", 60, score=4.5, effect=5)]
    assert incidents(play(weak)) == []


def tail(name: str, onset: float) -> Finding:
    return finding(f"service:{name}", "span.duration.p99", onset, effect=60)


def test_a_few_slow_requests_seen_on_every_service_open_nothing() -> None:
    rows = [tail("catalog", 0), tail("gateway", 0)]
    assert incidents(play([*rows, *ends(rows, 35)])) == []


def test_slow_tails_that_last_open_an_incident() -> None:
    (incident,) = incidents(play([tail("catalog", 0), tail("gateway", 0)]))
    assert incident.detected == at(55)


def test_traffic_alone_opens_nothing() -> None:
    rows = [finding(f"service:{each}", "span.rate", 0, effect=20) for each in ("gateway", "catalog", "cart")]
    assert incidents(play(rows)) == []


def test_two_weak_findings_of_one_signal_on_strangers_open_nothing() -> None:
    weak = [slow("payment", 0, score=4.5, effect=4), slow("recommendation", 3, score=4.5, effect=4)]
    assert incidents(play(weak)) == []


def test_an_improvement_never_opens_an_incident() -> None:
    better = finding("service:cart", "span.duration.p95", 0, value=0.01, expected=0.1, score=20, effect=30)
    assert incidents(play([better])) == []


def test_simultaneous_faults_far_apart_stay_apart() -> None:
    found = incidents(play([slow("payment", 0), finding("feature:recommender/age", "model.drift.psi", 0)]))
    assert len(found) == 2


def test_entities_on_one_host_do_not_join_unless_the_host_is_in_trouble() -> None:
    apart = [slow("worker", 0), slow("catalog", 1)]
    host = finding("host:shop", "system.cpu.utilization", 12)
    assert len(incidents(play(apart))) == 2
    assert len(incidents(play([*apart, host]))) == 1


def test_a_connecting_alert_merges_two_incidents_into_the_older() -> None:
    records = play([slow("payment", 0), slow("catalog", 20), slow("gateway", 45)])
    every = [each for each in last(records, Incident).values() if isinstance(each, Incident)]
    older = next(each for each in every if not each.merged_into)
    younger = next(each for each in every if each.merged_into)
    assert older.detected < younger.detected
    assert younger.merged_into == older.id
    assert (younger.state, younger.alerts) == (IncidentState.RESOLVED, ())
    alerts = [each for each in last(records, Alert).values() if isinstance(each, Alert)]
    assert {each.incident for each in alerts} == {older.id}
    assert set(older.alerts) == {each.id for each in alerts}


def test_an_incident_resolves_a_minute_after_its_last_alert() -> None:
    rows = [slow("catalog", 0), slow_call("gateway", "service:catalog", 2)]
    records = play([*rows, *ends(rows[:1], 60), *ends(rows[1:], 80)], until=139)
    assert incidents(records)[0].state is IncidentState.OPEN
    records = play([*rows, *ends(rows[:1], 60), *ends(rows[1:], 80)], until=145)
    (incident,) = incidents(records)
    assert (incident.state, incident.end) == (IncidentState.RESOLVED, at(80))
    kinds = [each.kind for each in records if isinstance(each, TimelineEntry)]
    assert kinds.count(TimelineKind.RESOLVED) == 1
    assert kinds.count(TimelineKind.ALERT_RESOLVED) == 2


def test_an_alert_that_fires_again_keeps_the_incident_open() -> None:
    first, again = slow("catalog", 0), slow("catalog", 100)
    (incident,) = incidents(play([first, *ends([first], 60), again], until=300))
    assert incident.state is IncidentState.OPEN
    assert len(incident.alerts) == 1


def test_a_fault_after_the_incident_resolved_is_a_new_incident() -> None:
    first, again = slow("catalog", 0), slow("catalog", 400)
    found = incidents(play([first, *ends([first], 60), again], until=500))
    assert sorted(each.state for each in found) == [IncidentState.OPEN, IncidentState.RESOLVED]


def test_an_alert_without_news_for_an_hour_is_resolved() -> None:
    (incident,) = incidents(play([slow("catalog", 0)], until=3700 + 60, step=20))
    assert incident.state is IncidentState.RESOLVED


def test_changes_near_the_incident_are_told_once_and_strangers_not() -> None:
    rows = [
        deploy("cart", -100),
        deploy("catalog", -90),
        failing("cart", 0),
        failing("checkout", 20),
        deploy("cart", 50),
    ]
    lines = [each for each in play(rows) if isinstance(each, TimelineEntry) and each.kind is TimelineKind.CHANGE]
    assert [each.entity for each in lines] == ["service:cart", "service:cart"]


def test_title_and_severity_say_what_hurts() -> None:
    (incident,) = incidents(play(FAULTS["latency"][0]()))
    assert incident.title == "catalog: median latency 12 x usual, 2 services affected"
    assert incident.severity is Severity.CRITICAL  # the gateway, which users meet, is slow
    (leak,) = incidents(play(FAULTS["memory_leak"][0]()))
    assert leak.severity is Severity.WARNING
    (down,) = incidents(play(FAULTS["dependency_down"][0]()))
    assert down.title.startswith("payment: ")


def test_backfill_marks_what_begins_there_and_live_goes_on_from_its_state() -> None:
    backfill = Correlate(lane=Lane.BACKFILL)
    old = incidents(play([slow("catalog", 0)], until=50, stage=backfill))
    live = Correlate()
    live.restore(backfill.snapshot())
    rows = [slow("gateway", 60), slow("worker", 70)]
    records = [*live.process(rows), *live.advance(at_ns(120))]
    states = {each.id: each.backfilled for each in incidents(records)}
    assert old[0].backfilled
    assert states.pop(old[0].id)
    assert list(states.values()) == [False]


def outside(state: str, time: float, severity: str = "critical") -> Event:
    return Event(
        id=f"am-{state}-{time}",
        kind=EventKind.EXTERNAL_ALERT,
        time=at(time),
        entity="service:cart",
        title="CartDown",
        state=state,
        source="alertmanager",
        attributes={"alertname": "CartDown", "severity": severity, "fingerprint": "f1"},
    )


def test_an_outside_alert_that_began_long_ago_holds_as_long_as_it_is_told() -> None:
    stage = Correlate()
    stage.advance(at_ns(40_000))
    rows: list[object] = []
    for minute in range(0, 180, 30):  # told again and again with the time at which it began
        stage.process([outside("firing", 0)])
        for second in (1, 1799):
            rows.extend(stage.advance(at_ns(40_000 + 60 * minute + second)))
    assert incidents(rows)[-1].state is not IncidentState.RESOLVED
    rows.extend(stage.advance(at_ns(40_000 + 180 * 60 + 7200)))
    assert incidents(rows)[-1].state is IncidentState.RESOLVED


def test_an_outside_alert_opens_joins_and_resolves_like_our_own() -> None:
    rows = [outside("firing", 0), outside("firing", 30), outside("resolved", 60)]
    (incident,) = incidents(play(rows, until=50))
    assert incident.severity is Severity.CRITICAL
    records = play(rows, until=130)
    (alert,) = last(records, Alert).values()
    assert isinstance(alert, Alert)
    assert (alert.state, alert.count, alert.source) == (AlertState.RESOLVED, 2, "alertmanager")
    assert incidents(records)[0].state is IncidentState.RESOLVED
    assert incidents(play([outside("firing", 0, "info")])) == []
    assert play([outside("resolved", 0)]) == []


def test_tenants_never_meet() -> None:
    stage = Correlate()
    for tenant in ("a", "b"):
        stage.process([replace(each, tenant=tenant) for each in edges()])
    stage.process(
        [
            finding("service:cart", "up", 0, value=0, tenant="a"),
            finding("service:checkout", "up", 0, value=0, tenant="b"),
        ]
    )
    found = incidents(stage.advance(at_ns(60)))
    assert sorted(each.tenant for each in found) == ["a", "b"]


def state_of(records: Sequence[object]) -> dict[str, object]:
    return {
        key: to_json(each) for kind in (Alert, Incident, TimelineEntry) for key, each in last(records, kind).items()
    }


ROWS = list({row.id: row for build, _ in FAULTS.values() for row in build()}.values())
ROWS += ends([row for row in ROWS if isinstance(row, Finding)], 90)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(len(ROWS))))
def test_the_order_of_arrival_within_a_batch_does_not_matter(order: list[int]) -> None:
    def run(items: Sequence[object]) -> dict[str, object]:
        stage = Correlate()
        stage.process(edges())
        return state_of([*stage.process(items), *stage.advance(at_ns(200))])

    assert run([ROWS[each] for each in order]) == run(ROWS)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.5, 60), min_size=1, max_size=40), st.integers(0, 40))
def test_batches_and_restarts_do_not_change_the_result(steps: list[float], restart: int) -> None:
    one = Correlate()
    whole = state_of([*one.process([*edges(), *ROWS]), *one.advance(at_ns(340))])
    stage = Correlate()
    records = list(stage.process(edges()))
    waiting = sorted(ROWS, key=_moment)
    now = -60.0
    for index, step in enumerate([*steps, 2000.0]):
        now += step
        ready = [each for each in waiting if _moment(each) <= now + 2]
        waiting = [each for each in waiting if _moment(each) > now + 2]
        records += [*stage.process(ready), *stage.advance(at_ns(min(now, 340)))]
        if index == restart:
            snapshot = stage.snapshot()
            stage = Correlate()
            stage.restore(snapshot)
    assert state_of(records) == whole


def test_the_same_input_twice_gives_the_same_ids() -> None:
    assert [to_json(each) for each in play(ROWS)] == [to_json(each) for each in play(ROWS)]


def test_a_damaged_or_foreign_state_is_refused() -> None:
    good = json.loads(bytes(Correlate().snapshot()["correlate"]))
    for bad in (b"", b"{}", json.dumps({**good, "version": 99}).encode(), json.dumps({**good, "tenants": 3}).encode()):
        with pytest.raises(Corrupt):
            Correlate().restore({"correlate": bad})
    with pytest.raises(Corrupt):
        Correlate().restore({})


def test_pending_alerts_are_bounded() -> None:
    stage = Correlate(CorrelateConfig(max_pending=10))
    stage.process([finding(f"service:s{i}", "x", i / 10, score=3) for i in range(50)])
    stage.advance(at_ns(60))
    assert len(json.loads(bytes(stage.snapshot()["correlate"]))["tenants"]["main"]["lives"]) == 10


def test_absence_is_strong_whatever_its_effect() -> None:
    gone = finding("service:worker", "process.cpu.utilization", 0, effect=0, direction=Direction.ABSENT, score=7)
    (incident,) = incidents(play([gone]))
    assert incident.title == "worker: went silent"


def _carts(onset: float) -> Finding:
    return finding("service:cart", "shop.carts.active", onset)


def _incidents(records: Sequence[object]) -> list[Incident]:
    return [each for each in last(records, Incident).values() if isinstance(each, Incident)]


def test_a_business_figure_alone_opens_an_incident_only_when_it_lasts() -> None:
    assert _incidents(play([_carts(0)], 300)) == []
    (incident,) = _incidents(play([_carts(0)], 700))
    assert incident.detected == at(600)


def test_a_business_figure_joins_an_incident_and_neither_names_dates_nor_holds_it() -> None:
    """The figure began earlier and lasts longer: the incident begins with the errors and ends with them."""
    errors = [failing("cart", 60)]
    records = play([_carts(0), *errors, *ends(errors, 120)], 300)
    (incident,) = _incidents(records)
    assert "error" in incident.title
    assert incident.start == at(60)
    assert incident.state is IncidentState.RESOLVED
    assert len(incident.alerts) == 2


def test_what_lingers_of_one_fault_does_not_draw_the_next_one_to_it() -> None:
    first = [failing("cart", 0)]
    second = [failing("cart", 400)]
    records = play([_carts(5), *first, *ends(first, 60), *second], 460)
    assert len(_incidents(records)) == 2


def test_what_breaks_further_down_minutes_later_is_a_fault_of_its_own() -> None:
    """Gateway calls cart: trouble flows up to gateway, so cart's own trouble three minutes on has another cause."""
    above = [failing("gateway", 0)]
    below = [failing("cart", 200)]
    assert len(_incidents(play([*above, *below], 260))) == 2
    assert len(_incidents(play([failing("cart", 0), failing("gateway", 200)], 260))) == 1


def burning(onset: float, *, metric: str = BURN, **more: Any) -> Finding:
    """The cart's error budget burns; told ten minutes after its onset."""
    return finding(
        "service:cart", metric, onset, value=30.0, score=6.3, labels="slo=orders", **{"after": 600.0, **more}
    )


def test_a_fast_burn_opens_an_incident_alone_and_is_critical() -> None:
    records = play([burning(0)], until=700)
    (incident,) = incidents(records)
    assert (incident.title, incident.severity) == (
        "cart: error budget burns 30 x as fast as allowed",
        Severity.CRITICAL,
    )
    assert (incident.start, incident.detected) == (at(0), at(600))


def test_a_slow_burn_opens_nothing_not_even_beside_a_weak_finding() -> None:
    weak = slow("cart", 590, score=4.5, effect=7)
    slow_burn = replace(burning(590, metric=SLOW_BURN, after=8.0), score=4.0)
    records = play([slow_burn, weak], until=900)
    assert incidents(records) == []
    severities = {each.signal: each.severity for each in last(records, Alert).values() if isinstance(each, Alert)}
    assert severities[SLOW_BURN] is Severity.WARNING


def test_a_burn_told_late_joins_the_incident_that_is_open_by_then() -> None:
    records = play([slow("cart", 400), burning(0)], until=900)
    (incident,) = incidents(records)
    assert len(incident.alerts) == 2
    assert incident.start == at(400), "what the budget lost before is another story"
    assert "p50" in incident.title or "latency" in incident.title


def test_its_cause_joins_the_incident_of_a_burn_however_late() -> None:
    records = play([burning(0), failing("payment", 1500), failing("checkout", 1500)], until=1800)
    (incident,) = incidents(records)
    assert "service:payment" in incident.entities


def test_a_burn_that_lingers_after_its_incident_opens_no_other_but_one_that_goes_on_does() -> None:
    fault = slow("cart", 590)
    first = [fault, burning(0), *ends([fault], 700)]
    lingering = [burning(0, after=moment) for moment in (720.0, 780.0, 840.0, 900.0)]
    assert len(incidents(play([*first, *lingering], until=2000))) == 1
    going_on = [burning(0, after=moment) for moment in range(720, 1500, 60)]
    opened = incidents(play([*first, *lingering, *going_on], until=2000))
    before, now = sorted(opened, key=lambda each: each.detected)
    assert (before.state, now.state) == (IncidentState.RESOLVED, IncidentState.OPEN)
    assert (before.end, now.detected) == (at(700), at(1080)), "five minutes after the hold, at the next news"
    assert set(now.alerts).isdisjoint(before.alerts)


def test_a_burn_that_ends_after_its_incident_is_forgotten_with_it() -> None:
    fault = slow("cart", 590)
    over = burning(0, closed=900.0)
    again = replace(burning(5000, after=600.0), id="again")
    records = play([fault, burning(0), *ends([fault], 700), over, again], until=6000)
    newest = incidents(records)[-1]
    assert newest.start == at(5000)
    assert newest.state is IncidentState.OPEN
