"""Groups of alerts by time and topology: agglomeration as alerts arrive, the same for live incidents and replays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Relation = Callable[[str], Mapping[str, int]]


@dataclass(slots=True)
class Span:
    """When one alert was active, on which entity."""

    entity: str
    start_ns: int
    last_ns: int


@dataclass(slots=True)
class Group:
    """Alerts that belong together, by alert id. `born` orders by age; `told`: ids of changes already noted."""

    id: str
    born: tuple[int, str]
    members: dict[str, Span] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


class Groups:
    """Open groups. Single linkage: an alert joins when any member is near in time and topology.

    Suits outages, where symptoms follow each other within minutes along dependencies. Fails where two
    faults overlap on the same entities: they become one group, and the ranking must name both.

    Args:
        related: Entity to the entities that may share a cause with it, with their distance.
        gap_ns: Greatest time between an alert's start and a member's activity.
    """

    def __init__(self, related: Relation, gap_ns: int) -> None:
        self.related = related
        self.gap_ns = gap_ns
        self.open: dict[str, Group] = {}

    def near(self, span: Span) -> list[Group]:
        """Groups that the alert belongs to, oldest first."""
        relatives = self.related(span.entity)
        found = [group for group in self.open.values() if self._touches(span, group, relatives)]
        return sorted(found, key=lambda group: group.born)

    def add(self, alert: str, span: Span, group: Group) -> None:
        """Put an alert into a group, opening the group when it is new."""
        group.members[alert] = span
        self.open[group.id] = group

    def join(self, alert: str, span: Span) -> tuple[Group | None, list[Group]]:
        """Put an alert into the oldest group near it; younger ones near it are merged into that one.

        Returns the group, or None when no group is near, and the groups that were merged away.
        """
        found = self.near(span)
        if not found:
            return None, []
        survivor, others = found[0], found[1:]
        for other in others:
            survivor.members.update(other.members)
            del self.open[other.id]
        survivor.members[alert] = span
        return survivor, others

    def close(self, group_id: str) -> None:
        """The group takes no more alerts."""
        self.open.pop(group_id, None)

    def _touches(self, span: Span, group: Group, relatives: Mapping[str, int]) -> bool:
        return any(
            member.entity in relatives
            and member.start_ns - self.gap_ns <= span.start_ns <= member.last_ns + self.gap_ns
            for member in group.members.values()
        )
