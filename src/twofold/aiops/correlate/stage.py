"""Findings and events in; alerts, incidents and timeline lines out. The stage between detection and diagnosis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from typing import ClassVar, Final

from twofold.aiops.correlate.book import Life
from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.correlate.group import Group, Span
from twofold.aiops.correlate.incidents import Incidents
from twofold.errors import Corrupt, DecodeError
from twofold.flow.stage import State
from twofold.records.alert import Alert
from twofold.records.codec import Json, from_json, to_json
from twofold.records.entity import Edge
from twofold.records.event import Event, EventKind
from twofold.records.finding import Finding
from twofold.records.frame import Lane
from twofold.records.incident import Incident
from twofold.records.signal import Signal
from twofold.records.time import SECOND_NS, to_ns
from twofold.stats.graph import Graph

_VERSION: Final = 1
_HOUR_NS: Final = 3600 * SECOND_NS
_EVIDENCE: Final = frozenset({EventKind.NEW_TEMPLATE, EventKind.ODD_VALUE})
"""What lines of a log tell of: shown beside incidents, no reason for one."""


class Correlate:
    """Deduplicates findings into alerts and groups alerts into incidents.

    Findings and events wait until the watermark passes them and are then worked off in event time, on a
    grid of one second. So neither the order of arrival within a batch nor the size of batches changes the
    result, and a replay gives the same ids. Edges count from their arrival on.

    Records are the stage's view; whoever stores them applies `records.merge.merge` first, so that what people
    wrote (owner, acknowledgement, a close by hand) stays.

    Args:
        config: When alerts join, open and resolve.
        lane: Of the pipeline; what begins in the backfill lane is marked `backfilled`.
    """

    name: ClassVar[str] = "correlate"
    accepts: ClassVar[tuple[type, ...]] = (Finding, Event, Edge)

    def __init__(self, config: CorrelateConfig | None = None, lane: Lane = Lane.LIVE) -> None:
        self._config = config or CorrelateConfig()
        self._lane = lane
        self._now_ns = 0
        self._waiting: list[Finding | Event] = []
        self._tenants: dict[str, Incidents] = {}

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Take findings, events and edges; nothing comes out before `advance`."""
        for item in items:
            if isinstance(item, Edge):
                self._tenant(item.tenant).learn(item)
            elif isinstance(item, Finding) or (isinstance(item, Event) and item.kind not in _EVIDENCE):
                self._waiting.append(item)
        return ()

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Work off what the watermark has passed, second by second, and give what changed."""
        end_ns = watermark_ns // SECOND_NS * SECOND_NS
        if end_ns < self._now_ns:
            return ()
        ready = sorted((item for item in self._waiting if _tick(item) <= end_ns), key=_order)
        self._waiting = [item for item in self._waiting if _tick(item) > end_ns]
        position = 0
        while (moment := self._next(ready, position)) is not None and moment <= end_ns:
            self._now_ns = moment
            while position < len(ready) and _tick(ready[position]) <= moment:
                item = ready[position]
                self._tenant(item.tenant).take(item, moment)
                position += 1
            for tenant in self._tenants.values():
                tenant.settle(moment)
        if end_ns // _HOUR_NS != self._now_ns // _HOUR_NS:
            for tenant in self._tenants.values():
                tenant.unlearn(end_ns)
        self._now_ns = end_ns
        return [record for tenant in self._tenants.values() for record in tenant.flush()]

    def snapshot(self) -> State:
        """Everything as one JSON document."""
        document = {
            "version": _VERSION,
            "now_ns": self._now_ns,
            "waiting": to_json(self._waiting),
            "tenants": {name: _tenant_json(tenant) for name, tenant in self._tenants.items()},
        }
        return {"correlate": json.dumps(document, separators=(",", ":")).encode()}

    def restore(self, state: State) -> None:
        """Take back a snapshot. Raises `Corrupt` when it is of another version or damaged."""
        try:
            document = json.loads(bytes(state["correlate"]))
            if document["version"] != _VERSION:
                raise Corrupt(
                    f"correlate state has version {document['version']}, this is {_VERSION}: replay the journal"
                )
            waiting = [_item_back(row) for row in document["waiting"]]
            tenants = {name: self._tenant_back(name, row) for name, row in document["tenants"].items()}
        except (LookupError, ValueError, TypeError, AttributeError, DecodeError) as error:
            raise Corrupt(f"correlate state does not fit this version: {error!r}; replay the journal") from error
        self._now_ns = document["now_ns"]
        self._waiting = waiting
        self._tenants = tenants

    def _tenant(self, name: str) -> Incidents:
        if name not in self._tenants:
            self._tenants[name] = self._new(name)
        return self._tenants[name]

    def _new(self, name: str) -> Incidents:
        return Incidents(self._config, name, backfilled=self._lane is Lane.BACKFILL)

    def _next(self, ready: Sequence[Finding | Event], position: int) -> int | None:
        moments = [max(_tick(ready[position]), self._now_ns)] if position < len(ready) else []
        for tenant in self._tenants.values():
            due_ns = tenant.due_ns(self._now_ns)
            if due_ns is not None:
                moments.append(-(-due_ns // SECOND_NS) * SECOND_NS)
        return min(moments, default=None)

    def _tenant_back(self, name: str, row: Json) -> Incidents:
        tenant = self._new(name)
        tenant.graph = Graph.from_state(row["graph"])
        tenant.relatives.graph = tenant.graph
        tenant.changes = [from_json(Event, each) for each in row["changes"]]
        tenant.incidents = {each["id"]: from_json(Incident, each) for each in row["incidents"]}
        for each in row["lives"]:
            alert = from_json(Alert, each["alert"])
            life = Life(
                alert,
                Signal(each["kind"]),
                each["harm"],
                each["broad"],
                each["effect"],
                set(each["open"]),
                each.get("told_ns", 0),
                each.get("free_ns", 0),
            )
            tenant.book.lives[alert.fingerprint] = life
        for each in row["groups"]:
            members = {alert: Span(*span) for alert, span in each["members"].items()}
            born = (each["born"][0], each["born"][1])
            tenant.groups.open[each["id"]] = Group(each["id"], born, members, set(each["told"]))
        return tenant


def _time_ns(item: Finding | Event) -> int:
    return to_ns(item.seen if isinstance(item, Finding) else item.time)


def _tick(item: Finding | Event) -> int:
    return -(-_time_ns(item) // SECOND_NS) * SECOND_NS


def _order(item: Finding | Event) -> tuple[int, int, str, str, float]:
    if isinstance(item, Finding):
        return _time_ns(item), 1, item.id, item.state, item.score
    return _time_ns(item), 0, item.id, item.state, 0.0


def _item_back(row: Json) -> Finding | Event:
    return from_json(Finding, row) if "series" in row else from_json(Event, row)


def _tenant_json(tenant: Incidents) -> Json:
    return {
        "graph": tenant.graph.to_state(),
        "changes": to_json(tenant.changes),
        "incidents": to_json(list(tenant.incidents.values())),
        "lives": [
            {
                "alert": to_json(life.alert),
                "kind": life.kind.value,
                "harm": life.harm,
                "broad": life.broad,
                "effect": life.effect,
                "open": sorted(life.open),
                "told_ns": life.told_ns,
                "free_ns": life.free_ns,
            }
            for life in tenant.book.lives.values()
        ],
        "groups": [
            {
                "id": group.id,
                "born": list(group.born),
                "members": {alert: list(astuple(span)) for alert, span in group.members.items()},
                "told": sorted(group.told),
            }
            for group in tenant.groups.open.values()
        ],
    }
