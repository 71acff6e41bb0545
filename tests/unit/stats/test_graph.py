"""The entity graph: direction, distance, neighbourhood, and a state that JSON can carry."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.errors import Corrupt
from twofold.records.entity import Edge, Relation
from twofold.stats.graph import Graph

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def calls(source: str, target: str, *, seen: datetime | None = NOW) -> Edge:
    return Edge(source=source, target=target, relation=Relation.CALLS, last_seen=seen)


def chain() -> Graph:
    return Graph(
        [
            calls("a", "b"),
            calls("b", "c"),
            calls("c", "d"),
            Edge(source="c", target="host:1", relation=Relation.RUNS_ON),
            Edge(source="x", target="host:1", relation=Relation.RUNS_ON),
        ]
    )


def test_callees_and_callers_leave_out_the_ground() -> None:
    graph = chain()
    assert graph.callees("c") == ("d",)
    assert graph.callers("host:1") == ()
    assert graph.grounds("c") == ("host:1",)
    assert graph.residents("host:1") == ("c", "x")


def test_distance_ignores_direction_and_stops_at_the_limit() -> None:
    graph = chain()
    assert graph.distance("d", "a", 3) == 3
    assert graph.distance("d", "a", 2) is None
    assert graph.distance("c", "x", 2) == 2
    assert graph.distance("nobody", "nobody", 0) == 0
    assert graph.distance("nobody", "a", 9) is None


def test_downstream_follows_dependencies_only() -> None:
    graph = chain()
    assert graph.downstream_distance("a", "d", 4) == 3
    assert graph.downstream_distance("d", "a", 4) is None
    assert graph.upstream("d", 1) == {"d": 0, "c": 1}
    assert graph.downstream("b", 1) == {"b": 0, "c": 1}


def test_the_same_edge_again_replaces_what_was_known() -> None:
    graph = Graph([calls("a", "b"), calls("a", "b", seen=NOW + timedelta(minutes=1))])
    assert len(graph) == 1
    found = graph.edge("a", "b", Relation.CALLS)
    assert found is not None
    assert found.last_seen == NOW + timedelta(minutes=1)


def test_old_edges_are_forgotten_and_declared_ones_stay() -> None:
    graph = Graph([calls("a", "b"), calls("b", "c", seen=None)])
    assert [e.source for e in graph.forget_before(NOW + timedelta(seconds=1))] == ["a"]
    assert "a" not in graph
    assert graph.callees("b") == ("c",)


def test_removing_what_is_not_there_changes_nothing() -> None:
    graph = chain()
    graph.remove(calls("never", "seen"))
    assert len(graph) == 5


def test_a_state_that_does_not_fit_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="graph state"):
        Graph.from_state([{"source": "a"}])


NAMES = st.sampled_from([f"service:{c}" for c in "abcdef"])
EDGES = st.lists(st.builds(calls, NAMES, NAMES), max_size=25)


@given(EDGES)
def test_state_survives_json_and_order_of_add_does_not_matter(edges: list[Edge]) -> None:
    graph = Graph(edges)
    again = Graph.from_state(json.loads(json.dumps(graph.to_state())))
    assert again.edges() == graph.edges() == Graph(reversed(edges)).edges()
    assert again.neighbourhood("service:a", 2) == graph.neighbourhood("service:a", 2)


@given(EDGES, NAMES, NAMES)
def test_distance_is_symmetric(edges: list[Edge], a: str, b: str) -> None:
    graph = Graph(edges)
    assert graph.distance(a, b, 5) == graph.distance(b, a, 5)
