"""Which entities are close enough that their alerts may have one cause."""

from __future__ import annotations

from collections.abc import Mapping

from twofold.stats.graph import Graph

_PASSIVE = ("database:", "queue:", "model:", "feature:", "dataset:")


class Relatives:
    """Entities related to an entity, with their distance, cached until the graph changes.

    Trouble flows from what is depended on to what depends on it. So two entities are related when one leans on
    the other within `hops`, or when both lean on one thing that seldom speaks for itself (a database, a queue, a
    model). Two callees of one busy caller, and two services that merely share a host, are not: if the caller or
    the host is in trouble, its own alert joins them.
    """

    def __init__(self, graph: Graph, hops: int) -> None:
        self.graph = graph
        self.hops = hops
        self._cache: dict[str, dict[str, int]] = {}

    def clear(self) -> None:
        """The graph has changed."""
        self._cache.clear()

    def of(self, entity: str) -> Mapping[str, int]:
        """Related entities and their distance; the entity itself at 0."""
        if entity not in self._cache:
            self._cache[entity] = self._search(entity)
        return self._cache[entity]

    def below(self, entity: str) -> Mapping[str, int]:
        """What an entity leans on within `hops`, and their distance; the entity itself at 0."""
        return self.graph.downstream(entity, self.hops)

    def _search(self, entity: str) -> dict[str, int]:
        below = self.graph.downstream(entity, self.hops)
        found = dict(below)
        _take_nearer(found, self.graph.upstream(entity, self.hops), 0)
        for shared, distance in below.items():
            if distance and shared.startswith(_PASSIVE):
                _take_nearer(found, self.graph.upstream(shared, self.hops - distance), distance)
        return found


def _take_nearer(found: dict[str, int], others: Mapping[str, int], offset: int) -> None:
    for other, distance in others.items():
        if distance + offset < found.get(other, distance + offset + 1):
            found[other] = distance + offset
