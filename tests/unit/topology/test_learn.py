"""Edges and entities learnt from spans, logs and series."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.unit.detect.telemetry import line, logs, ns, span, spans
from twofold.aiops.topology import parents
from twofold.aiops.topology.learn import Topology, TopologyConfig
from twofold.aiops.topology.parents import OLD_WAITING
from twofold.errors import ConfigError, Corrupt
from twofold.records.entity import Edge, Entity, EntityKind, Relation
from twofold.records.series import Series


def links(made: object) -> set[tuple[str, str, str]]:
    assert isinstance(made, list)
    return {(e.source, e.target, e.relation.value) for e in made if isinstance(e, Edge)}


def test_a_server_span_under_another_services_span_is_a_call() -> None:
    stage = Topology()
    stage.process([spans(span("service:a", "1", at_s=1, kind=3), span("service:b", "2", at_s=1, parent="1"))])
    made = list(stage.advance(ns(3)))
    assert links(made) == {("service:a", "service:b", "calls")}
    assert {e.id for e in made if isinstance(e, Entity)} == {"service:a", "service:b"}


@pytest.mark.parametrize("child_first", [True, False])
def test_parent_and_child_may_come_in_different_batches(*, child_first: bool) -> None:
    stage = Topology()
    batches = [
        spans(span("service:a", "1", at_s=1, kind=3, ms=9000)),
        spans(span("service:b", "2", at_s=1, parent="1")),
    ]
    found: set[tuple[str, str, str]] = set()
    for batch, at_s in zip(reversed(batches) if child_first else batches, (4, 12), strict=True):
        stage.process([batch])
        found |= links(list(stage.advance(ns(at_s))))
    assert found == {("service:a", "service:b", "calls")}


def test_a_span_does_not_wait_for_ever() -> None:
    stage = Topology(TopologyConfig(keep_s=10))
    stage.process([spans(span("service:a", "1", at_s=1, kind=3))])
    stage.advance(ns(5))
    stage.process([spans(span("service:x", "9", at_s=60))])
    stage.advance(ns(62))
    stage.process([spans(span("service:b", "2", at_s=61, parent="1"))])
    assert links(list(stage.advance(ns(65)))) == set()


def test_calls_are_counted_once() -> None:
    stage = Topology()
    rows = [span("service:a", f"c{i}", at_s=1, kind=3) for i in range(5)]
    rows += [span("service:b", f"s{i}", at_s=1, parent=f"c{i}") for i in range(5)]
    stage.process([spans(*rows)])
    (first,) = [e for e in stage.advance(ns(3)) if isinstance(e, Edge)]
    stage.process([spans(span("service:a", "c9", at_s=90, kind=3), span("service:b", "s9", at_s=90, parent="c9"))])
    (again,) = [e for e in stage.advance(ns(92)) if isinstance(e, Edge)]
    assert (first.calls, again.calls) == (5, 1)
    assert again.last_seen is not None
    assert first.last_seen is not None
    assert again.last_seen > first.last_seen


def test_named_peers_are_called_and_queues_are_read() -> None:
    stage = Topology()
    stage.process(
        [
            spans(
                span("service:a", "1", at_s=1, kind=3, peer="database:shop"),
                span("service:a", "2", at_s=1, kind=4, peer="queue:orders"),
                span("service:w", "3", at_s=1, kind=5, peer="queue:orders", parent="2"),
            )
        ]
    )
    assert links(list(stage.advance(ns(3)))) == {
        ("service:a", "database:shop", "calls"),
        ("service:a", "queue:orders", "calls"),
        ("service:w", "queue:orders", "reads"),
    }


def test_a_consumer_without_a_named_queue_reads_from_its_producer() -> None:
    stage = Topology()
    stage.process([spans(span("service:a", "1", at_s=1, kind=4), span("service:w", "2", at_s=1, kind=5, parent="1"))])
    assert links(list(stage.advance(ns(3)))) == {("service:w", "service:a", "reads")}


def test_a_peer_that_another_service_answers_for_makes_no_edge_of_its_own() -> None:
    stage = Topology()
    for i in range(2):
        at_s = 1 + 70 * i
        client = span("service:a", f"c{i}", at_s=at_s, kind=3, peer="service:proxy")
        stage.process([spans(client, span("service:b", f"s{i}", at_s=at_s, parent=f"c{i}"))])
        assert links(list(stage.advance(ns(at_s + 2)))) == {("service:a", "service:b", "calls")}


def test_resource_attributes_say_what_runs_where() -> None:
    stage = Topology()
    attributes = {"host.name": "h1", "k8s.pod.name": "p1", "service.version": "1.2"}
    stage.process([logs(line("service:a", "hello", at_s=1, severity=9, attributes=attributes))])
    stage.process([Series(sid=1, metric="cpu", entity="service:b", labels={"host.name": "h1"})])
    made = list(stage.advance(ns(3)))
    assert links(made) == {
        ("service:a", "pod:p1", "runs_on"),
        ("pod:p1", "host:h1", "runs_on"),
        ("service:b", "host:h1", "runs_on"),
    }
    entity = next(e for e in made if isinstance(e, Entity) and e.id == "service:a")
    assert entity.kind is EntityKind.SERVICE
    assert entity.attributes["service.version"] == "1.2"


def test_a_new_version_of_a_service_is_told_at_once() -> None:
    stage = Topology()
    for i, version in enumerate(("1", "2")):
        stage.process([spans(span("service:a", str(i), at_s=1 + 3 * i, attributes={"service.version": version}))])
        (entity,) = [e for e in stage.advance(ns(3 + 3 * i)) if isinstance(e, Entity)]
        assert entity.attributes["service.version"] == version


def test_what_is_still_seen_is_told_again_each_minute_and_no_oftener() -> None:
    stage = Topology(TopologyConfig(refresh_s=60))
    told = []
    for second in range(0, 200, 2):
        stage.process([spans(span("service:a", f"{second}", at_s=second, kind=3, peer="database:d"))])
        told += [second for item in stage.advance(ns(second + 2)) if isinstance(item, Edge)]
    assert told == [0, 60, 120, 180]


def test_strange_attributes_and_names_do_no_harm() -> None:
    stage = Topology(TopologyConfig(max_entities=1))
    row = span("service:a", "1", at_s=1)
    stage.process([spans({**row, "attributes": "{not json"}), spans({**row, "span_id": "2", "attributes": "[1]"})])
    stage.process([spans(span("nonsense", "3", at_s=3)), spans(span("service:b", "4", at_s=3))])
    made = list(stage.advance(ns(6)))
    assert {e.id for e in made if isinstance(e, Entity)} == {"service:a"}
    assert stage.refused == 2


def test_the_oldest_spans_go_first_when_too_many_wait() -> None:
    stage = Topology(TopologyConfig(max_spans=10))
    stage.process([spans(*(span("service:a", f"c{i}", at_s=1 + i / 10, kind=3) for i in range(20)))])
    stage.advance(ns(3))
    stage.process([spans(span("service:b", "s0", at_s=3, parent="c0"), span("service:c", "s19", at_s=3, parent="c19"))])
    assert links(list(stage.advance(ns(6)))) == {("service:a", "service:c", "calls")}


def test_settings_must_be_above_zero() -> None:
    with pytest.raises(ConfigError):
        TopologyConfig(refresh_s=0)


def test_a_state_of_another_kind_is_corrupt() -> None:
    with pytest.raises(Corrupt):
        Topology().restore({"topology": b"{}"})
    state = dict(Topology().snapshot())
    with pytest.raises(Corrupt):
        Topology().restore({**state, "parents": b"no arrow"})


def test_relations_survive_a_restart() -> None:
    stage = Topology()
    stage.process([spans(span("service:a", "1", at_s=1, kind=3, peer="queue:q"))])
    stage.advance(ns(3))
    again = Topology()
    again.restore(stage.snapshot())
    again.process([spans(span("service:a", "2", at_s=70, kind=3, peer="queue:q"))])
    (edge,) = [e for e in again.advance(ns(73)) if isinstance(e, Edge)]
    assert edge.relation is Relation.CALLS


def test_waiting_spans_survive_a_restart_and_the_version_before_is_read() -> None:
    rows = [span("service:a", "00000000000000f1", at_s=1, kind=3), span("service:c", "odd", at_s=1, kind=3, peer="x:y")]
    stage = Topology()
    stage.process([spans(*rows)])
    state = dict(stage.snapshot())
    old = spans(*rows).data
    end_ns = pc.add(old.column("start_ns"), old.column("duration_ns"))
    texts = [old.column("span_id"), pa.array(["", ""]), pa.array(["service:a", "service:c"]), pa.array(["", "x:y"])]
    before = pa.record_batch([*texts, old.column("kind"), end_ns], schema=OLD_WAITING)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, OLD_WAITING) as writer:
        writer.write_batch(before.slice(0, 0))
        writer.write_batch(before)
    older = {"topology": state["topology"], "parents": sink.getvalue().to_pybytes()}
    children = [
        span("service:b", "00000000000000f2", at_s=2, parent="00000000000000f1"),
        span("service:d", "2", at_s=2, parent="odd"),
    ]
    for each in (state, older):
        again = Topology()
        again.restore(each)
        again.process([spans(*children)])
        found = links(list(again.advance(ns(6))))
        assert {("service:a", "service:b", "calls"), ("service:c", "service:d", "calls")} <= found


def test_names_that_no_waiting_span_has_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parents, "MAX_NAMES", 4)
    stage = Topology()
    for second in range(1, 90, 3):
        caller = span(f"service:a{second}", f"{second:016x}", at_s=second, kind=3)
        stage.process([spans(caller, span("service:b", f"{second + 4096:016x}", at_s=second, parent=f"{second:016x}"))])
        assert (f"service:a{second}", "service:b", "calls") in links(list(stage.advance(ns(second + 3))))
    assert len(stage._parents._names) < 40


def edges_of(stage: Topology, until_s: float) -> dict[tuple[str, str], Edge]:
    return {(e.source, e.target): e for e in stage.advance(ns(until_s)) if isinstance(e, Edge)}


def test_an_edge_is_as_sure_as_it_was_often_seen_and_an_address_alone_never_quite() -> None:
    stage = Topology(TopologyConfig(refresh_s=1))
    rows = [span("service:a", "c0", at_s=1, kind=3), span("service:b", "s0", at_s=1, parent="c0")]
    rows += [span("service:a", f"d{i}", at_s=1, kind=3, peer="database:x") for i in range(3)]
    stage.process([spans(span("service:a", "h", at_s=1, attributes={"host.name": "h1"}), *rows)])
    first = edges_of(stage, 3)
    assert (first["service:a", "service:b"].confidence, first["service:a", "service:b"].observations) == (0.5, 1)
    assert (first["service:a", "database:x"].confidence, first["service:a", "database:x"].observations) == (0.45, 3)
    assert (first["service:a", "host:h1"].confidence, first["service:a", "host:h1"].observations) == (1.0, 0)
    more = [span("service:a", f"e{i}", at_s=9, kind=3) for i in range(98)]
    more += [span("service:b", f"t{i}", at_s=9, parent=f"e{i}") for i in range(98)]
    more += [span("service:a", f"f{i}", at_s=9, kind=3, peer="database:x") for i in range(9999)]
    again = Topology(TopologyConfig(refresh_s=1))
    again.restore(stage.snapshot())
    again.process([spans(*more)])
    later = edges_of(again, 12)
    assert later["service:a", "service:b"].confidence == 0.99
    assert later["service:a", "database:x"].confidence == 0.9


def test_a_state_from_before_edges_were_counted_is_taken() -> None:
    stage = Topology()
    stage.process([spans(span("service:a", "1", at_s=1, kind=3, peer="database:x"))])
    stage.advance(ns(3))
    state = dict(stage.snapshot())
    known = json.loads(bytes(state["topology"]))
    del known["observed"]
    old = Topology()
    old.restore({**state, "topology": json.dumps(known).encode()})
    assert old.advance(ns(200)) == []
