"""What a released version claims while it only shadows the live one: seen by people, never an alert, never a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from twofold.records.alert import Severity
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.finding import Finding, FindingState
from twofold.records.incident import IncidentState


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowFinding:
    """A finding of a shadow.

    Attributes:
        id: `<detector>/<the finding's id>`: the live version makes the same finding under the same id.
        detector: `name@version` of the shadow.
    """

    id: str
    detector: str
    entity: str
    series: str
    metric: str
    onset: datetime
    state: FindingState
    finding: Finding
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPage:
    """An incident that would have opened if the shadow had been live.

    Attributes:
        id: `<detector>/<the incident's id>`.
        merged_into: Page that took over its alerts; then it would not have paged again.
    """

    id: str
    detector: str
    title: str
    state: IncidentState
    severity: Severity
    start: datetime
    detected: datetime
    last_seen: datetime
    end: datetime | None = None
    entities: tuple[str, ...] = field(default_factory=tuple)
    alerts: int = 0
    merged_into: str = ""
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowTime:
    """What a shadow has judged since it began to run.

    Attributes:
        id: `<run>/<partition>`, each partition tells of its own.
        run: `<detector>#<seq of the release that made it a shadow>`: what it earned in an earlier run counts no more.
        began, seen: Event time at which it began, and the newest that it judged.
        judged_s: Event time in which there were samples to judge; a hole counts five minutes at most.
        points: Samples that it judged.
    """

    id: str
    run: str
    detector: str
    began: datetime
    seen: datetime
    judged_s: float
    points: int
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A shadow beside the live version over the time that it has run: who would have paged for what.

    Attributes:
        detector, champion: `name@version` of the shadow and of what is live.
        since, until: The time compared.
        findings, champion_findings: Findings that began in it.
        both: Incidents that the shadow would have paged for too.
        only_shadow, only_champion: Pages that the other did not make; at most 200 each, newest first.
        pages, champion_pages: All pages of each.
        judged_s, points: Event time and samples that the shadow judged while it ran.
        excess: Chance that as good a version as the live one pages at least as often alone as the shadow did.
    """

    detector: str
    champion: str
    since: datetime
    until: datetime
    findings: int
    champion_findings: int
    pages: int
    champion_pages: int
    both: int
    excess: float
    judged_s: float = 0.0
    points: int = 0
    only_shadow: tuple[ShadowPage, ...] = field(default_factory=tuple)
    only_champion: tuple[str, ...] = field(default_factory=tuple)
