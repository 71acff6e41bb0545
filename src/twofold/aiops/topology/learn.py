"""Who calls whom and what runs where, learnt from spans, logs and series definitions.

First stage of the pipeline, so that those behind it have the edges before the findings.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from twofold.aiops.topology.parents import Parents
from twofold.errors import ConfigError, Corrupt
from twofold.flow.stage import Mine, State
from twofold.records.columns import Links, Logs, Spans
from twofold.records.entity import DEFAULT_TENANT, Edge, Entity, EntityKind, Relation, entity_id
from twofold.records.series import Series
from twofold.records.time import SECOND_NS, to_datetime
from twofold.stats.codes import first_of_each

CLIENT, PRODUCER, CONSUMER = 3, 4, 5
KINDS: Final = frozenset(kind.value for kind in EntityKind)
GROUNDS: Final = (("k8s.pod.name", EntityKind.POD), ("host.name", EntityKind.HOST))
KEPT: Final = ("service.version", "service.namespace", "service.instance.id", "deployment.environment.name")

Link = tuple[str, str, Relation]
_NAMED_MOST: Final = 0.9
"""Confidence that an address alone never exceeds: it may stand for a proxy, or for somebody else."""
_NAMED_HALF: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyConfig:
    """Settings of the learner.

    Attributes:
        join_s: How often parents and children are matched; a new edge is told this late at most.
        keep_s: How long a span waits for its parent or child.
        max_spans: Spans kept for matching; the oldest go first.
        refresh_s: A known entity or edge that is still seen is told again this often.
        max_entities: Entities told apart; further ones are counted in `refused`.
    """

    join_s: float = 2.0
    keep_s: float = 30.0
    max_spans: int = 200_000
    refresh_s: float = 60.0
    max_entities: int = 100_000

    def __post_init__(self) -> None:
        if min(self.join_s, self.keep_s, self.refresh_s, self.max_spans, self.max_entities) <= 0:
            raise ConfigError(f"every setting of the topology must be above 0: {self}")


class Topology:
    """Gives `Entity` and `Edge` records: at once when new, and every `refresh_s` while they are seen.

    | edge | from |
    |---|---|
    | service calls service | a server span whose parent span belongs to another service |
    | service calls database, queue, outside service | the peer that a client or producer span names |
    | service reads queue | the peer of a consumer span; without one, the producer itself |
    | service runs on pod, host; pod runs on host | resource attributes of spans, logs and series |

    An edge says how often it was seen and how sure that makes it (`confidence`).

    A client span that names a service by another name than the one that answered (a proxy, a DNS
    name) makes no edge of its own.

    Args:
        linked: Who calls whom comes as `Links` of the spans of all partitions, to one of them; not from spans.

    Attributes:
        refused: Entities not taken because `max_entities` are known.
    """

    name: ClassVar[str] = "topology"
    accepts: ClassVar[tuple[type, ...]] = (Spans, Links, Logs, Series)

    def __init__(
        self, config: TopologyConfig | None = None, *, tenant: str = DEFAULT_TENANT, linked: bool = False
    ) -> None:
        self._config = config or TopologyConfig()
        self._callers: type[Spans | Links] = Links if linked else Spans
        self._tenant = tenant
        self._parents = Parents(int(self._config.keep_s * SECOND_NS), self._config.max_spans)
        self._attributes: dict[str, dict[str, str]] = {}
        self._seen_ns: dict[str, int] = {}
        self._told_ns: dict[str, int] = {}
        self._calls: Counter[Link] = Counter()
        self._link_seen_ns: dict[Link, int] = {}
        self._link_told_ns: dict[Link, int] = {}
        self._matched: Counter[Link] = Counter()
        self._named: Counter[Link] = Counter()
        self._aliases: set[tuple[str, str]] = set()
        self._joined_ns = 0
        self.refused = 0

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Note what is seen; `advance` tells it."""
        for item in items:
            if isinstance(item, Spans):
                self._resources(item.data, item.data.column("start_ns"))
            if isinstance(item, self._callers):
                self._peers(item.data)
                self._parents.add(item.data)
            if isinstance(item, Logs):
                self._resources(item.data, item.data.column("time_ns"))
            elif isinstance(item, Series) and item.entity:
                self._resource(item.entity, item.labels, 0)
        return ()

    def _resources(self, data: pa.RecordBatch, time_ns: pa.Array) -> None:
        column = data.column("entity")
        codes = column.indices.to_numpy().astype(np.int64)
        newest = np.zeros(len(column.dictionary), np.int64)
        np.maximum.at(newest, codes, time_ns.to_numpy())
        for i in first_of_each(codes, len(newest))[0].tolist():
            entity, newest_ns = column[i].as_py(), int(newest[codes[i]])
            if newest_ns - self._seen_ns.get(entity, 0) > SECOND_NS:
                self._resource(entity, _attributes(data.column("attributes")[i].as_py()), newest_ns)

    def _resource(self, entity: str, attributes: Mapping[str, str], time_ns: int) -> None:
        if not self._see(entity, time_ns):
            return
        kept = {key: attributes[key] for key in KEPT if attributes.get(key)}
        if kept and self._attributes.get(entity, {}) | kept != self._attributes.get(entity, {}):
            self._attributes[entity] = self._attributes.get(entity, {}) | kept
            self._told_ns.pop(entity, None)
        under = entity
        for key, kind in GROUNDS:
            ground = entity_id(kind, attributes[key]) if attributes.get(key) else ""
            if ground and ground != under and self._see(ground, time_ns):
                self._link((under, ground, Relation.RUNS_ON), time_ns, 0)
                under = ground

    def _peers(self, data: pa.RecordBatch) -> None:
        kind, peer, entity = data.column("kind").to_numpy(), data.column("peer"), data.column("entity")
        names = np.array([bool(name) for name in peer.dictionary.to_pylist()], np.bool_)
        codes = peer.indices.to_numpy()
        asks = np.flatnonzero((kind >= CLIENT) & (kind <= CONSUMER) & names[codes])
        if not len(asks):
            return
        start_ns = data.column("start_ns").to_numpy()
        code = entity.indices.to_numpy()[asks].astype(np.int64) * len(names) + codes[asks]
        first, number = first_of_each(code * 8 + kind[asks], len(entity.dictionary) * len(names) * 8)
        counts = np.bincount(number)
        newest_ns = int(start_ns[asks].max())
        for at, count in zip(asks[first].tolist(), counts.tolist(), strict=True):
            source, target = entity[at].as_py(), peer[at].as_py()
            relation = Relation.READS if kind[at] == CONSUMER else Relation.CALLS
            if source != target and (source, target) not in self._aliases and self._see(target, newest_ns):
                self._link((source, target, relation), newest_ns, count)
                self._named[source, target, relation] += count

    def _see(self, entity: str, time_ns: int) -> bool:
        known = self._seen_ns.get(entity)
        if known is None and (len(self._seen_ns) >= self._config.max_entities or entity.partition(":")[0] not in KINDS):
            self.refused += 1
            return False
        self._seen_ns[entity] = max(known or 0, time_ns)
        return True

    def _link(self, link: Link, time_ns: int, calls: int) -> None:
        self._calls[link] += calls
        self._link_seen_ns[link] = max(self._link_seen_ns.get(link, 0), time_ns)

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Match parents with children, and tell what is new or due again."""
        if watermark_ns - self._joined_ns < int(self._config.join_s * SECOND_NS):
            return ()
        self._joined_ns = watermark_ns
        for call in self._parents.join(watermark_ns):
            if call.peer and call.peer != call.callee:
                self._aliases.add((call.caller, call.peer))
                for relation in (Relation.CALLS, Relation.READS):
                    self._forget((call.caller, call.peer, relation))
            link = (call.caller, call.callee, Relation.CALLS)
            if call.queued:
                link = (call.callee, call.caller, Relation.READS)
            self._link(link, call.time_ns, call.spans)
            self._matched[link] += call.spans
        return [*self._entities(watermark_ns), *self._edges(watermark_ns)]

    def _forget(self, link: Link) -> None:
        for known in (self._calls, self._link_seen_ns, self._link_told_ns, self._matched, self._named):
            known.pop(link, None)

    def _due(self, seen_ns: int, told_ns: int | None, watermark_ns: int) -> bool:
        if told_ns is None:
            return True
        return seen_ns > told_ns and watermark_ns - told_ns >= int(self._config.refresh_s * SECOND_NS)

    def _entities(self, watermark_ns: int) -> Iterable[Entity]:
        for entity, seen_ns in self._seen_ns.items():
            if self._due(seen_ns, self._told_ns.get(entity), watermark_ns):
                self._told_ns[entity] = watermark_ns
                kind, _, name = entity.partition(":")
                yield Entity(
                    id=entity,
                    kind=EntityKind(kind),
                    name=name,
                    tenant=self._tenant,
                    attributes=dict(self._attributes.get(entity, {})),
                    last_seen=to_datetime(seen_ns) if seen_ns else None,
                )

    def _edges(self, watermark_ns: int) -> Iterable[Edge]:
        for link, seen_ns in self._link_seen_ns.items():
            if self._due(seen_ns, self._link_told_ns.get(link), watermark_ns):
                self._link_told_ns[link] = watermark_ns
                source, target, relation = link
                yield Edge(
                    source=source,
                    target=target,
                    relation=relation,
                    tenant=self._tenant,
                    calls=self._calls.pop(link, 0),
                    observations=self._matched[link] + self._named[link],
                    confidence=confidence(self._matched[link], self._named[link]),
                    last_seen=to_datetime(seen_ns) if seen_ns else None,
                )

    def snapshot(self) -> State:
        """What is known and when it was told, and the spans that wait."""
        known = {
            "entities": [[e, t, self._told_ns.get(e), self._attributes.get(e, {})] for e, t in self._seen_ns.items()],
            "links": [[*k, t, self._link_told_ns.get(k), self._calls[k]] for k, t in self._link_seen_ns.items()],
            "observed": [[*k, self._matched[k], self._named[k]] for k in self._link_seen_ns],
            "aliases": sorted(self._aliases),
            "joined_ns": self._joined_ns,
            "refused": self.refused,
        }
        return {"topology": json.dumps(known).encode(), **self._parents.snapshot()}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            known = json.loads(bytes(state["topology"]))
            entities = [(str(e), int(t), told, dict(a)) for e, t, told, a in known["entities"]]
            links = [((s, t, Relation(r)), int(seen), told, int(n)) for s, t, r, seen, told, n in known["links"]]
            observed = [((s, t, Relation(r)), int(m), int(n)) for s, t, r, m, n in known.get("observed", ())]
            aliases = {(str(a), str(b)) for a, b in known["aliases"]}
            joined_ns, refused = int(known["joined_ns"]), int(known["refused"])
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"topology does not fit this version: {error!r}; replay the journal") from error
        self._parents.restore(state)
        self._seen_ns = {e: t for e, t, _, _ in entities}
        self._told_ns = {e: int(told) for e, _, told, _ in entities if told is not None}
        self._attributes = {e: a for e, _, _, a in entities if a}
        self._link_seen_ns = {k: seen for k, seen, _, _ in links}
        self._link_told_ns = {k: int(told) for k, _, told, _ in links if told is not None}
        self._calls = Counter({k: n for k, _, _, n in links})
        self._matched = Counter({k: matched for k, matched, _ in observed})
        self._named = Counter({k: named for k, _, named in observed})
        self._aliases, self._joined_ns, self.refused = aliases, joined_ns, refused

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`: who calls whom is learnt in the first partition. Entities all may know."""
        if mine.first:
            return
        for link in [link for link in self._link_seen_ns if link[2] is not Relation.RUNS_ON]:
            self._forget(link)
        self._aliases.clear()
        self._parents = Parents(int(self._config.keep_s * SECOND_NS), self._config.max_spans)


def confidence(matched: int, named: int) -> float:
    """How sure an edge is after so many spans matched with their parents, and calls that only name an address.

    >>> confidence(1, 0), confidence(99, 0), confidence(0, 3), confidence(0, 10_000), confidence(0, 0)
    (0.5, 0.99, 0.45, 0.9, 1.0)
    """
    if not matched and not named:  # stated by the source's own attributes
        return 1.0
    return round(max(matched / (matched + 1), _NAMED_MOST * named / (named + _NAMED_HALF)), 3)


def _attributes(text: str) -> dict[str, str]:
    """Attributes whose value is text; a body that is no JSON object tells nothing."""
    try:
        found: Any = json.loads(text) if text else {}
    except ValueError:
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
