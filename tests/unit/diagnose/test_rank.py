"""Blame walks down the calls and rests where the explanation ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.correlate.shop import edges, finding
from twofold.aiops.diagnose import RankConfig
from twofold.aiops.diagnose.rank import Change, rank
from twofold.aiops.diagnose.symptom import Symptom, callee_of, operation_of, symptom_of
from twofold.records.entity import Edge, Relation
from twofold.records.finding import Direction
from twofold.records.signal import Signal
from twofold.stats.graph import Graph

SHOP = Graph(edges())


def seen(name: str, signal: Signal, onset_s: float = 0.0, strength: float = 0.6, callee: str = "") -> Symptom:
    return Symptom(f"service:{name}", signal, True, onset_s, strength, f"service:{callee}" if callee else "")


def order(symptoms: list[Symptom], changes: list[Change] | None = None, graph: Graph = SHOP) -> list[str]:
    return [each.entity.partition(":")[2] for each in rank(symptoms, graph, changes or [])]


def test_nothing_found_means_no_suspect() -> None:
    assert rank([], SHOP) == []


def test_the_deepest_slow_service_leads_whatever_is_strongest() -> None:
    slow = [seen("gateway", Signal.LATENCY, strength=0.9), seen("checkout", Signal.LATENCY, strength=0.7)]
    assert order([*slow, seen("payment", Signal.LATENCY, strength=0.5)])[0] == "payment"


def test_a_callee_without_telemetry_is_blamed_by_its_callers_view() -> None:
    graph = Graph([Edge(source="service:cart", target="database:redis", relation=Relation.CALLS)])
    view = Symptom("service:cart", Signal.ERRORS, True, 0.0, 0.8, "database:redis")
    assert order([view, seen("cart", Signal.ERRORS, strength=0.8)], graph=graph)[0] == "redis"


def test_a_starved_caller_that_sees_slow_calls_is_itself_the_cause() -> None:
    """It gets no CPU, so every call of its own seems slow; the callee shows nothing."""
    view = seen("checkout", Signal.LATENCY, strength=0.7, callee="payment")
    assert order([view])[0] == "payment", "without a reason of its own the caller is believed"
    starved = [view, seen("checkout", Signal.CPU, strength=0.7)]
    assert order(starved)[0] == "checkout"
    assert order([*starved, seen("payment", Signal.LATENCY, strength=0.7)])[0] == "payment"


def test_a_callee_that_began_much_later_explains_little() -> None:
    early = seen("checkout", Signal.LATENCY, 0.0)
    assert order([early, seen("payment", Signal.LATENCY, 5.0)])[0] == "payment"
    assert order([early, seen("payment", Signal.LATENCY, 150.0)])[0] == "checkout"


def test_a_busy_host_is_explained_by_the_busy_service_on_it() -> None:
    host = Symptom("host:shop", Signal.CPU, True, 0.0, 0.6)
    assert order([host, seen("worker", Signal.CPU, 3.0)])[0] == "worker"
    assert order([host])[0] == "shop"


def test_fewer_calls_from_a_broken_caller_do_not_accuse_the_callee() -> None:
    broken = seen("checkout", Signal.ERRORS)
    idle = Symptom("service:payment", Signal.TRAFFIC, False, 0.0, 0.9)
    assert order([broken, idle])[0] == "checkout"


def test_a_change_decides_between_equals_and_never_accuses_the_healthy() -> None:
    equals = [seen("cart", Signal.CPU), seen("catalog", Signal.CPU)]
    changes = [Change("c1", "service:catalog", -20.0), Change("c2", "service:payment", -5.0)]
    found = rank(equals, SHOP, changes)
    assert [each.entity for each in found] == ["service:catalog", "service:cart"]
    assert [each.change.id if each.change else "" for each in found] == ["c1", ""]


def test_a_change_after_the_onset_is_not_its_cause() -> None:
    assert rank([seen("cart", Signal.ERRORS)], SHOP, [Change("late", "service:cart", 60.0)])[0].change is None


def test_a_leak_may_show_minutes_after_its_deploy_an_error_may_not() -> None:
    change = [Change("c", "service:cart", -600.0)]
    assert rank([seen("cart", Signal.MEMORY)], SHOP, change)[0].change is not None
    assert rank([seen("cart", Signal.ERRORS)], SHOP, change)[0].change is None


def test_calls_in_a_circle_end() -> None:
    graph = Graph(Edge(source=a, target=b, relation=Relation.CALLS) for a, b in ("ab", "bc", "ca"))
    found = rank([Symptom(each, Signal.LATENCY, True, 0.0, 0.5) for each in "abc"], graph)
    assert len(found) == 3


NAMES = st.sampled_from(["gateway", "catalog", "cart", "checkout", "payment", "recommendation", "worker"])
SYMPTOMS = st.builds(
    seen, NAMES, st.sampled_from(list(Signal)), st.floats(0, 300), st.floats(0, 1), st.one_of(st.just(""), NAMES)
)


@given(st.lists(SYMPTOMS, max_size=12), st.randoms(use_true_random=False))
def test_shares_are_shares_and_the_order_of_symptoms_does_not_matter(symptoms: list[Symptom], random: object) -> None:
    found = rank(symptoms, SHOP)
    assert all(each.share >= 0 for each in found)
    assert sum(each.share for each in found) <= 1.0 + 1e-9
    mixed = list(symptoms)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    again = {each.entity: each.share for each in rank(mixed, SHOP)}
    assert again == pytest.approx({each.entity: each.share for each in found})


def test_readable_labels_tell_callee_and_operation() -> None:
    call = finding("service:checkout", "span.error_ratio", 0, labels="-> orders, zone=a")
    assert callee_of(call, SHOP) == "queue:orders"
    assert callee_of(finding("service:x", "m", 0, labels="-> nobody"), SHOP) == "service:nobody"
    operation = finding("service:cart", "span.rate", 0, labels="GET /items, zone=a")
    assert (operation_of(operation), callee_of(operation, SHOP)) == ("GET /items", "")


def test_silence_of_spans_is_traffic_and_silence_of_own_metrics_is_absence() -> None:
    config = RankConfig()
    spans = finding("service:cart", "span.rate", 0, direction=Direction.ABSENT)
    own = finding("service:cart", "http.server.request.duration", 0, direction=Direction.ABSENT)
    assert [getattr(symptom_of(each, SHOP, config), "signal", None) for each in (spans, own)] == [
        Signal.TRAFFIC,
        Signal.AVAILABILITY,
    ]
    assert symptom_of(finding("service:cart", "span.duration.p50", 0, value=0.1), SHOP, config) is None


def test_a_burnt_budget_alone_blames_its_service_and_what_explains_it() -> None:
    burn = Symptom("service:checkout", Signal.OBJECTIVE, True, 0.0, 0.5)
    assert order([burn]) == ["checkout"]
    assert order([burn, seen("payment", Signal.ERRORS, strength=0.8)])[0] == "payment"


def test_a_burnt_budget_adds_nothing_to_errors_that_show_by_themselves() -> None:
    errors, burn = seen("checkout", Signal.ERRORS), seen("checkout", Signal.OBJECTIVE, -900.0, 0.9)
    assert rank([errors, burn], SHOP) == rank([errors], SHOP)
