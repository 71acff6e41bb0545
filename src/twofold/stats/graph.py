"""A directed graph of entities: who depends on whom, and how far apart two of them are.

Read by grouping (distance between alerts) and by diagnosis (callers, callees). Pure data: edges
in, sorted tuples out, so that every answer is deterministic whatever the order of `add`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from twofold.errors import Corrupt
from twofold.records.entity import Edge, Relation

_MANAGED = frozenset({Relation.RUNS_ON})  # shared ground, not a call: left out of callers and callees


class Graph:
    """Directed edges `source depends on target`, one per (source, target, relation).

    Suits some thousands of entities; breadth-first search is O(edges) within the limit.

    >>> graph = Graph()
    >>> graph.add(Edge(source="service:a", target="service:b", relation=Relation.CALLS))
    >>> graph.add(Edge(source="service:b", target="database:c", relation=Relation.CALLS))
    >>> graph.callees("service:a"), graph.callers("database:c")
    (('service:b',), ('service:b',))
    >>> graph.distance("database:c", "service:a", 3)
    2
    >>> graph.neighbourhood("service:b", 1)
    {'service:b': 0, 'database:c': 1, 'service:a': 1}
    """

    def __init__(self, edges: Iterable[Edge] = ()) -> None:
        self._edges: dict[tuple[str, str, Relation], Edge] = {}
        self._out: dict[str, dict[str, set[Relation]]] = {}
        self._in: dict[str, dict[str, set[Relation]]] = {}
        for edge in edges:
            self.add(edge)

    def __len__(self) -> int:
        return len(self._edges)

    def __contains__(self, entity: str) -> bool:
        return entity in self._out or entity in self._in

    def add(self, edge: Edge) -> None:
        """Take an edge; the same (source, target, relation) again replaces what was known of it."""
        self._edges[(edge.source, edge.target, edge.relation)] = edge
        self._out.setdefault(edge.source, {}).setdefault(edge.target, set()).add(edge.relation)
        self._in.setdefault(edge.target, {}).setdefault(edge.source, set()).add(edge.relation)

    def remove(self, edge: Edge) -> None:
        """Forget an edge; no error when absent."""
        if self._edges.pop((edge.source, edge.target, edge.relation), None) is None:
            return
        for sides, key, other in ((self._out, edge.source, edge.target), (self._in, edge.target, edge.source)):
            relations = sides[key][other]
            relations.discard(edge.relation)
            if not relations:
                del sides[key][other]
            if not sides[key]:
                del sides[key]

    def forget_before(self, moment: datetime) -> Sequence[Edge]:
        """Forget edges last seen before the moment and return them; declared edges (no `last_seen`) stay."""
        old = [e for e in self.edges() if e.last_seen is not None and e.last_seen < moment]
        for edge in old:
            self.remove(edge)
        return old

    def callees(self, entity: str) -> tuple[str, ...]:
        """What the entity depends on directly, sorted; hosts it runs on are left out (see `grounds`)."""
        return _named(self._out.get(entity, {}), without=_MANAGED)

    def callers(self, entity: str) -> tuple[str, ...]:
        """What depends on the entity directly, sorted; for a host the services on it are in `residents`."""
        return _named(self._in.get(entity, {}), without=_MANAGED)

    def grounds(self, entity: str) -> tuple[str, ...]:
        """Hosts and pods that the entity runs on, sorted."""
        return tuple(sorted(t for t, r in self._out.get(entity, {}).items() if Relation.RUNS_ON in r))

    def residents(self, entity: str) -> tuple[str, ...]:
        """What runs on this host or pod, sorted."""
        return tuple(sorted(s for s, r in self._in.get(entity, {}).items() if Relation.RUNS_ON in r))

    def edge(self, source: str, target: str, relation: Relation) -> Edge | None:
        """The edge as last added, or None."""
        return self._edges.get((source, target, relation))

    def edges(self) -> tuple[Edge, ...]:
        """All edges, sorted by source, target, relation."""
        return tuple(self._edges[key] for key in sorted(self._edges))

    def entities(self) -> tuple[str, ...]:
        """Every entity that has an edge, sorted."""
        return tuple(sorted(self._out.keys() | self._in.keys()))

    def distance(self, a: str, b: str, limit: int = 4) -> int | None:
        """Hops between two entities whichever way the edges point; None when more than `limit` or unknown.

        The same entity is at distance 0 even when the graph has never heard of it.
        """
        if a == b:
            return 0
        return self.neighbourhood(a, limit).get(b)

    def downstream_distance(self, a: str, b: str, limit: int = 4) -> int | None:
        """Hops from `a` down to what it depends on; None when `b` is not reached within `limit`."""
        return self._search(a, limit, down=True, up=False).get(b)

    def neighbourhood(self, entity: str, hops: int) -> dict[str, int]:
        """Entities within `hops` whichever way the edges point, with their distance; nearest first, then by name."""
        return self._search(entity, hops, down=True, up=True)

    def downstream(self, entity: str, hops: int) -> dict[str, int]:
        """What the entity depends on within `hops`, with the distance; the entity itself at 0."""
        return self._search(entity, hops, down=True, up=False)

    def upstream(self, entity: str, hops: int) -> dict[str, int]:
        """What depends on the entity within `hops`, with the distance: its blast radius."""
        return self._search(entity, hops, down=False, up=True)

    def _search(self, entity: str, hops: int, *, down: bool, up: bool) -> dict[str, int]:
        found = {entity: 0}
        queue = deque([entity])
        while queue:
            here = queue.popleft()
            step = found[here] + 1
            if step > hops:
                break
            near = set(self._out.get(here, ())) if down else set()
            if up:
                near |= set(self._in.get(here, ()))
            for other in sorted(near - found.keys()):
                found[other] = step
                queue.append(other)
        return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))

    def to_state(self) -> list[dict[str, Any]]:
        """The edges as JSON values."""
        return [
            {
                "source": e.source,
                "target": e.target,
                "relation": e.relation.value,
                "tenant": e.tenant,
                "calls": e.calls,
                "confidence": e.confidence,
                "last_seen": e.last_seen.isoformat() if e.last_seen else None,
            }
            for e in self.edges()
        ]

    @classmethod
    def from_state(cls, state: Iterable[dict[str, Any]]) -> Graph:
        """Inverse of `to_state`. Raises `Corrupt` when a value does not fit."""
        graph = cls()
        try:
            for row in state:
                seen = row["last_seen"]
                edge = Edge(**{**row, "relation": Relation(row["relation"]), "last_seen": None})
                graph.add(replace(edge, last_seen=datetime.fromisoformat(seen)) if seen else edge)
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"graph state does not fit this version: {error!r}; rebuild it from the journal") from error
        return graph


def _named(sides: dict[str, set[Relation]], *, without: frozenset[Relation]) -> tuple[str, ...]:
    return tuple(sorted(other for other, relations in sides.items() if relations - without))
