"""Alerts to incidents for one tenant: opening, joining, merging, resolving, and the lines of the timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from twofold.aiops.correlate.book import Book, Life, digest
from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.correlate.group import ACTIVE, Group, Groups, Span, leading
from twofold.aiops.correlate.relate import Relatives
from twofold.aiops.correlate.words import incident_title, worst
from twofold.records.alert import Severity
from twofold.records.entity import Edge
from twofold.records.event import Event, EventKind
from twofold.records.finding import Finding
from twofold.records.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from twofold.records.signal import Signal
from twofold.records.slo import SLOW_BURN
from twofold.records.time import SECOND_NS, to_datetime, to_ns
from twofold.records.words import name_of
from twofold.stats.graph import Graph

_MAX_CHANGES = 1000
_LEAN_HOPS = 6
_EFFECTS = frozenset({Signal.TRAFFIC, Signal.OBJECTIVE, Signal.OTHER})


class Incidents:
    """The alerts, open incidents and recent changes of one tenant.

    `take` merges an item, `settle` decides at a moment of event time, `flush` hands out what changed.
    Severity of an incident: that of its worst alert; critical also when an entity that nobody calls (the
    one that users meet) suffers in latency or errors.
    """

    def __init__(self, config: CorrelateConfig, tenant: str, *, backfilled: bool) -> None:
        self.config = config
        self.tenant = tenant
        self.backfilled = backfilled
        self.graph = Graph()
        self.relatives = Relatives(self.graph, config.hops)
        self.book = Book(config, backfilled=backfilled)
        self.groups = Groups(
            self.relatives.of,
            self.relatives.below,
            gap_ns=_ns(config.gap_s),
            spread_ns=_ns(config.spread_s),
            merge_ns=_ns(config.merge_s),
            late_ns=_ns(config.late_s),
        )
        self.incidents: dict[str, Incident] = {}
        self.changes: list[Event] = []
        self._touched: dict[str, Life] = {}
        self._dirty: set[str] = set()
        self._lines: list[TimelineEntry] = []
        self._ended: list[Incident] = []
        self._alerts: dict[str, Life] = {}

    def take(self, item: Finding | Event, now_ns: int) -> None:
        """Merge a finding, an outside alert or a change, heard at this moment of event time."""
        if isinstance(item, Finding):
            self._touch(self.book.finding(item))
        elif item.kind is EventKind.EXTERNAL_ALERT:
            life = self.book.outside(item, now_ns)
            if life is not None:
                self._touch(life)
        elif item.kind is EventKind.CHANGE:
            self.changes = [*self.changes[1 - _MAX_CHANGES :], item]
            for group in list(self.groups.open.values()):
                self._tell_change(group, item)

    def settle(self, now_ns: int) -> None:
        """Decide everything that can be decided at this moment of event time."""
        for life in self.book.stale(now_ns):
            self._touch(life)
        touched = sorted(self._touched.values(), key=_age)
        self._touched.clear()
        for life in touched:
            self._place(life)
        while opened := self._open_next(now_ns):
            self._attract(opened, now_ns)
        if touched:
            for group in sorted(self.groups.open.values(), key=lambda each: each.born):
                if group.id in self.groups.open:
                    self._attract(group, now_ns)
        self._resolve(now_ns)
        self._forget(now_ns)

    def learn(self, edge: Edge) -> None:
        """Take an edge of the topology."""
        if self.graph.edge(edge.source, edge.target, edge.relation) is None:
            self.relatives.clear()
        self.graph.add(edge)

    def unlearn(self, now_ns: int) -> None:
        """Forget edges that were not seen for long."""
        if self.graph.forget_before(to_datetime(max(0, now_ns - _ns(self.config.edge_keep_s)))):
            self.relatives.clear()

    def due_ns(self, now_ns: int) -> int | None:
        """The next moment at which time alone changes something."""
        return min((moment for moment in self._timers(now_ns) if moment > now_ns), default=None)

    def flush(self) -> Sequence[object]:
        """Alerts, incidents and timeline lines that changed since the last call."""
        alerts = [life.alert for life in sorted(self._alerts.values(), key=_age)]
        ended = sorted(self._ended, key=lambda each: each.id)
        changed = [self._build(self.groups.open[each]) for each in sorted(self._dirty) if each in self.groups.open]
        self.incidents.update({each.id: each for each in changed})
        lines, self._lines = self._lines, []
        self._alerts.clear()
        self._dirty.clear()
        self._ended = []
        return [*alerts, *changed, *ended, *lines]

    def pending(self) -> list[Life]:
        """Alerts that belong to no incident, oldest first."""
        return sorted((life for life in self.book.lives.values() if not life.alert.incident), key=_age)

    # --- opening ---

    def _open_next(self, now_ns: int) -> Group | None:
        waiting = [life for life in self.pending() if life.harm and life.firing]
        ready = [life for life in waiting if now_ns >= self._confirmed_ns(life)]
        for life in ready:
            partners = [life] if self._strong(life, now_ns) else self._partners(life, ready)
            if partners:
                return self._open(sorted(partners, key=_age), now_ns)
        return None

    def _confirmed_ns(self, life: Life) -> int:
        return life.start_ns + _ns(self.config.confirm_s if life.broad else self.config.tail_confirm_s)

    def _strong(self, life: Life, now_ns: int) -> bool:
        if life.promised:
            return True
        if life.kind is Signal.TRAFFIC or life.alert.signal == SLOW_BURN:
            return False
        if _effect(life) and now_ns < life.start_ns + _ns(self.config.effect_confirm_s):
            return False
        return life.alert.score >= self.config.strong_score and life.effect >= self.config.strong_effect

    def _partners(self, life: Life, ready: Sequence[Life]) -> list[Life]:
        near = self.relatives.of(life.alert.entity)
        for other in ready:
            distance = near.get(other.alert.entity)
            if distance is None or distance > 1 or (distance == 0 and other.kind is life.kind):
                continue
            if self._corroborate(life, other):
                return [life, other]
        return []

    def _corroborate(self, a: Life, b: Life) -> bool:
        return (
            {a.kind, b.kind} != {Signal.TRAFFIC}
            and Signal.OBJECTIVE not in (a.kind, b.kind)  # it is counted from the same requests
            and abs(a.start_ns - b.start_ns) <= _ns(self.config.corroborate_s)
            and a.alert.score + b.alert.score >= self.config.corroborate_score
            and a.effect + b.effect >= self.config.corroborate_effect
        )

    def _open(self, lives: Sequence[Life], now_ns: int) -> Group:
        first = lives[0]
        group = Group(digest("incident", first.alert.id), (now_ns, first.alert.id))
        for life in lives:
            self._put(life, group)
        incident = self._build(group)
        self.incidents[group.id] = incident
        self._tell(incident.id, TimelineKind.OPENED, to_datetime(now_ns), incident.title, entity=first.alert.entity)
        return group

    # --- joining and merging ---

    def _touch(self, life: Life) -> None:
        self._touched[life.alert.id] = life
        self._alerts[life.alert.id] = life

    def _place(self, life: Life) -> None:
        group = self.groups.open.get(life.alert.incident)
        if group is None:
            if life.alert.incident and not life.firing:  # what lingered after its incident is over
                self.book.forget([life.alert.fingerprint])
                return
            if life.promised and 0 < life.free_ns <= life.last_ns:
                ended = self.book.anew(life, to_datetime(life.free_ns - _ns(self.config.linger_s)))
                self._alerts.update({each.alert.id: each for each in (ended, life)})
            self._join(life)
            return
        group.members[life.alert.id] = _span(life)
        self._dirty.add(group.id)
        if not life.firing:
            self._tell_resolved(group, life)

    def _join(self, life: Life) -> None:
        survivor, merged = self.groups.join(life.alert.id, _heard(life))
        if survivor is None:
            return
        for other in merged:
            self._merge(other, survivor)
        self._put(life, survivor)

    def _attract(self, group: Group, now_ns: int) -> None:
        """Let waiting alerts join until none is near any more."""
        oldest = now_ns - _ns(self.config.gap_s)
        grown = True
        while grown:
            grown = False
            around = {span.entity for span in group.members.values()}
            for life in self.pending():
                if around.isdisjoint(self.relatives.of(life.alert.entity)):  # it cannot be near: spares the rest
                    continue
                near = self.groups.near(_heard(life)) if life.firing or life.last_ns >= oldest else []
                if near and near[0] is group:
                    self._join(life)
                    grown = True

    def _put(self, life: Life, group: Group) -> None:
        self.groups.add(life.alert.id, _span(life), group)
        life.alert = replace(life.alert, incident=group.id)
        self._alerts[life.alert.id] = life
        self._dirty.add(group.id)
        alert = life.alert
        self._tell(group.id, TimelineKind.ALERT, alert.start, alert.title, entity=alert.entity, ref=alert.id)
        for change in self.changes:
            self._tell_change(group, change)
        if not life.firing:
            self._tell_resolved(group, life)

    def _merge(self, other: Group, survivor: Group) -> None:
        gone = self._build(other)
        self.incidents.pop(other.id, None)
        for life in self._members(other):
            life.alert = replace(life.alert, incident=survivor.id)
            self._alerts[life.alert.id] = life
        moment = max(to_datetime(other.born[0]), gone.last_seen)
        self._dirty.discard(other.id)
        self._dirty.add(survivor.id)
        self._ended.append(
            replace(gone, state=IncidentState.RESOLVED, end=moment, entities=(), alerts=(), merged_into=survivor.id)
        )
        self._tell(other.id, TimelineKind.RESOLVED, moment, "Merged into an older incident", ref=survivor.id)
        self._tell(survivor.id, TimelineKind.NOTE, moment, f"Took over: {gone.title}", ref=other.id)

    # --- resolving ---

    def _resolve(self, now_ns: int) -> None:
        for group in list(self.groups.open.values()):
            quiet_ns = self._quiet_ns(group)
            if quiet_ns is None or now_ns < quiet_ns + _ns(self.config.hold_s):
                continue
            built = self._build(group)
            end = to_datetime(quiet_ns)
            incident = replace(built, state=IncidentState.RESOLVED, end=end, last_seen=end)
            minutes = (end - incident.start).total_seconds() / 60
            self._tell(
                group.id, TimelineKind.RESOLVED, to_datetime(now_ns), f"All signals are back, after {minutes:.1f} min"
            )
            self.groups.close(group.id)
            self.incidents.pop(group.id, None)
            self._dirty.discard(group.id)
            self._ended.append(incident)
            # effects that linger stay with it: they must not open an incident of their own
            for life in self._members(group):
                life.free_ns = now_ns + _ns(self.config.linger_s)
            self.book.forget([life.alert.fingerprint for life in self._members(group) if not life.firing])

    def _quiet_ns(self, group: Group) -> int | None:
        """Since when all leading alerts are resolved; effects that linger do not hold an incident open."""
        last_ns = max(span.last_ns for span in leading(group.members.values()))
        return None if last_ns == ACTIVE else last_ns

    def _forget(self, now_ns: int) -> None:
        oldest = now_ns - _ns(max(self.config.gap_s, self.config.hold_s))
        waiting = self.pending()
        over = waiting[: max(0, len(waiting) - self.config.max_pending)]
        gone = [life for life in waiting if not life.firing and life.last_ns < oldest]
        self.book.forget(life.alert.fingerprint for life in (*over, *gone))

    # --- records ---

    def _members(self, group: Group) -> Iterator[Life]:
        for life in sorted(self.book.lives.values(), key=_age):
            if life.alert.id in group.members:
                yield life

    def _build(self, group: Group) -> Incident:
        known = self.incidents.get(group.id)
        lives = list(self._members(group))
        leads = [life for life in lives if not _effect(life)] or lives
        harmful = [life for life in leads if life.harm] or leads
        entities = tuple(dict.fromkeys(life.alert.entity for life in lives))
        affected = tuple(dict.fromkeys(life.alert.entity for life in harmful))
        return Incident(
            id=group.id,
            title=incident_title(self._lead(harmful, affected).alert.title, affected),
            state=IncidentState.OPEN,
            severity=self._severity(lives),
            start=min(life.alert.start for life in leads),
            detected=to_datetime(group.born[0]),
            last_seen=max(life.alert.end or life.alert.last_seen for life in lives),
            entities=entities,
            alerts=tuple(life.alert.id for life in lives),
            backfilled=known.backfilled if known else self.backfilled,
            tenant=self.tenant,
        )

    def _lead(self, lives: Sequence[Life], affected: Sequence[str]) -> Life:
        """The alert that names the incident: of the entity on which most of the others lean, its strongest one."""
        leaning = {each: len(self.graph.upstream(each, _LEAN_HOPS).keys() & set(affected)) for each in affected}
        return max(
            lives, key=lambda life: (leaning[life.alert.entity], life.alert.score, -life.start_ns, life.alert.id)
        )

    def _severity(self, lives: Sequence[Life]) -> Severity:
        for life in lives:
            hurts = life.harm and life.kind in (Signal.LATENCY, Signal.ERRORS)
            if hurts and self.graph.callees(life.alert.entity) and not self.graph.callers(life.alert.entity):
                return Severity.CRITICAL
        return worst(life.alert.severity for life in lives)

    def _tell(
        self, incident: str, kind: TimelineKind, moment: datetime, text: str, *, entity: str = "", ref: str = ""
    ) -> None:
        self._lines.append(
            TimelineEntry(
                id=digest(incident, kind, ref, text, moment.isoformat()),
                incident=incident,
                time=moment,
                kind=kind,
                text=text,
                entity=entity,
                ref=ref,
                tenant=self.tenant,
            )
        )

    def _tell_resolved(self, group: Group, life: Life) -> None:
        alert = life.alert
        text = f"Back to usual: {alert.title}"
        moment = alert.end or alert.last_seen
        self._tell(group.id, TimelineKind.ALERT_RESOLVED, moment, text, entity=alert.entity, ref=alert.id)

    def _tell_change(self, group: Group, change: Event) -> None:
        start_ns = group.start_ns
        near = {each for span in group.members.values() for each in self.relatives.of(span.entity)}
        recent = to_ns(change.time) >= start_ns - _ns(self.config.change_window_s)
        if change.entity in near and recent and change.id not in group.told:
            group.told.add(change.id)
            word = change.change.value.replace("_", " ") if change.change else "change"
            text = f"{word} on {name_of(change.entity)}: {change.title or change.version}"
            self._tell(group.id, TimelineKind.CHANGE, change.time, text, entity=change.entity, ref=change.id)

    def _timers(self, now_ns: int) -> Iterator[int]:
        for life in self.book.lives.values():
            if life.firing:
                yield to_ns(life.alert.last_seen) + _ns(self.config.stale_s)
                if not life.alert.incident and life.harm:
                    yield self._confirmed_ns(life)
                    yield life.start_ns + _ns(self.config.effect_confirm_s)
        for group in self.groups.open.values():
            quiet_ns = self._quiet_ns(group)
            if quiet_ns is not None:
                yield max(quiet_ns + _ns(self.config.hold_s), now_ns)


def _ns(seconds: float) -> int:
    return int(seconds * SECOND_NS)


def _age(life: Life) -> tuple[int, str]:
    return life.start_ns, life.alert.id


def _span(life: Life) -> Span:
    last_ns = ACTIVE if life.firing else life.last_ns
    return Span(life.alert.entity, life.start_ns, last_ns, _effect(life))


def _heard(life: Life) -> Span:
    """For joining. A budget is told of long after it began to burn, and belongs to what is wrong when it is."""
    span = _span(life)
    return replace(span, start_ns=max(life.start_ns, life.told_ns)) if life.kind is Signal.OBJECTIVE else span


def _effect(life: Life) -> bool:
    """Whether it may be a mere effect of trouble elsewhere. What other systems page for is meant to be acted on."""
    return life.kind in _EFFECTS and life.alert.source == "twofold"
