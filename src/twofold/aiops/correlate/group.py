"""Groups of alerts by time and topology: agglomeration as alerts arrive, the same for live incidents and replays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

Relation = Callable[[str], Mapping[str, int]]


ACTIVE: Final = 1 << 62
"""End of an alert that still fires."""


@dataclass(slots=True)
class Span:
    """When one alert was active, on which entity.

    Attributes:
        last_ns: `ACTIVE` while it fires.
        follows: It tells of an effect (traffic, a business figure, an error budget), so it joins but draws nothing to
            itself as soon as anything leads.
    """

    entity: str
    start_ns: int
    last_ns: int
    follows: bool = False


@dataclass(slots=True)
class Group:
    """Alerts that belong together, by alert id. `born` orders by age; `told`: ids of changes already noted."""

    id: str
    born: tuple[int, str]
    members: dict[str, Span] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    @property
    def start_ns(self) -> int:
        """Onset of the earliest alert that leads: an error budget may have burnt for days before."""
        return min(span.start_ns for span in leading(self.members.values()))

    @property
    def leaderless(self) -> bool:
        """Nothing but effects: their cause may still show itself, however late."""
        return all(span.follows for span in self.members.values())


def leading(members: Iterable[Span]) -> list[Span]:
    """The members that lead: all but followers, or all when there are only followers."""
    found = list(members)
    return [span for span in found if not span.follows] or found


class Groups:
    """Open groups. An alert joins the group in which a related alert began last, or is still active.

    Suits outages, where symptoms follow each other within minutes along dependencies. Groups that an
    alert connects become one only if they began at about the same time: those are one fault seen at two
    places; groups that began minutes apart are two faults. Fails where two faults begin together on the
    same entities: they are one group, and the ranking must name both.

    Trouble flows from what is depended on to what depends on it. So a group that is past its beginning takes only
    alerts of entities that lean on one of its members: an alert further down that began minutes later has a cause of
    its own.

    Args:
        related: Entity to the entities that may share a cause with it, with their distance.
        below: Entity to the entities that it leans on, itself included, with their distance.
        gap_ns: Greatest time between the onsets of related alerts.
        spread_ns: Greatest age at which a group takes alerts whose related members are active no more.
        merge_ns: Greatest time between the onsets of two groups that are one.
        late_ns: Age at which a group is past its beginning.
    """

    def __init__(
        self, related: Relation, below: Relation, *, gap_ns: int, spread_ns: int, merge_ns: int, late_ns: int
    ) -> None:
        self.related = related
        self.below = below
        self.gap_ns = gap_ns
        self.spread_ns = spread_ns
        self.merge_ns = merge_ns
        self.late_ns = late_ns
        self.open: dict[str, Group] = {}

    def near(self, span: Span) -> list[Group]:
        """Groups that the alert belongs to: the one with the latest related onset first, of equals the oldest."""
        found = []
        for group in self.open.values():
            late = span.start_ns - group.start_ns > self.late_ns and not group.leaderless
            relatives = self.below(span.entity) if late else self.related(span.entity)
            begun_ns = self._begun(span, group, relatives)
            if begun_ns is not None:
                found.append((-begun_ns, group.born, group))
        return [group for *_, group in sorted(found, key=lambda each: each[:2])]

    def add(self, alert: str, span: Span, group: Group) -> None:
        """Put an alert into a group, opening the group when it is new."""
        group.members[alert] = span
        self.open[group.id] = group

    def join(self, alert: str, span: Span) -> tuple[Group | None, list[Group]]:
        """Put an alert into the nearest group; groups near it that began with that one are merged, the oldest survives.

        Returns the group, or None when no group is near, and the groups that were merged away.
        """
        found = self.near(span)
        if not found:
            return None, []
        start_ns = found[0].start_ns
        same = sorted((g for g in found if abs(g.start_ns - start_ns) <= self.merge_ns), key=lambda each: each.born)
        survivor, others = same[0], same[1:]
        for other in others:
            survivor.members.update(other.members)
            survivor.told.update(other.told)
            del self.open[other.id]
        survivor.members[alert] = span
        return survivor, others

    def close(self, group_id: str) -> None:
        """The group takes no more alerts."""
        self.open.pop(group_id, None)

    def _begun(self, span: Span, group: Group, relatives: Mapping[str, int]) -> int | None:
        """Latest onset of a member that the alert follows, or None."""
        young = span.start_ns - group.start_ns <= self.spread_ns
        onsets = [
            member.start_ns
            for member in leading(group.members.values())
            if member.entity in relatives
            and member.start_ns - self.gap_ns <= span.start_ns
            and (span.start_ns <= member.last_ns or (young and span.start_ns <= member.start_ns + self.gap_ns))
        ]
        return max(onsets, default=None)
