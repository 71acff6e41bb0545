"""A shadow beside the live version: who would have paged for what, over the time that both have run.

Belongs to joint 1. Read from the ledger, so it can be asked at any time; the gates of `contest` ask it before a
version goes live.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from twofold.errors import Conflict
from twofold.joints.config import ShadowConfig
from twofold.joints.successions import running_shadow
from twofold.mlops.release.releases import Releases
from twofold.records.finding import Finding
from twofold.records.incident import Incident
from twofold.records.model import GateResult
from twofold.records.shadow import Rehearsal, ShadowFinding, ShadowPage, ShadowTime
from twofold.store.ledger import Ledger

R = TypeVar("R")
MOST: Final = 200
_PAGE: Final = 1000
_BEFORE: Final = timedelta(days=1)
_TOLD: Final = timedelta(seconds=60)
_CHANCE: Final = 0.05
Period = tuple[datetime, datetime]


def rehearsal(ledger: Ledger, model: str, version: str, *, tenant: str, now: datetime) -> Rehearsal:
    """What the shadow claims, beside what the live version claimed since the shadow began.

    Two pages are one when they share an entity and the times of their trouble meet.

    Raises:
        Conflict: The version is not the shadow that runs, or nothing is live beside it.
    """
    releases = Releases(ledger)
    live, running = releases.live(model, tenant=tenant), running_shadow(releases, model, tenant=tenant)
    if running is None or running.version != version or not live:
        instead = f"; {model}@{running.version} does, and one shadow runs at a time" if running else ""
        raise Conflict(
            f"{model}@{version} does not shadow {model}@{live or '?'}{instead}; run "
            f"`twofold detectors release {model} {version} --stage shadow` first",
            model=model,
            version=version,
        )
    period = (running.time, now)
    detector, champion = f"{model}@{version}", f"{model}@{live}"
    judged_s, points = _judged(ledger, f"{detector}#{running.seq}", tenant)
    where = {"detector": detector}
    pages = [one for one in _all(ledger, ShadowPage, tenant, period, where) if not one.merged_into]
    reached = {"backfilled": False, "merged_into": ""}
    near = list(_all(ledger, Incident, tenant, (period[0] - _BEFORE, now), reached))
    incidents = [one for one in near if one.detected >= period[0]]
    alone = [page for page in pages if not any(same(page, one) for one in near)]
    missing = [one for one in incidents if not any(same(page, one) for page in pages)]
    return Rehearsal(
        detector=detector,
        champion=champion,
        since=period[0],
        until=now,
        findings=ledger.count(ShadowFinding, tenant=tenant, where=where, since=period[0], until=now),
        champion_findings=ledger.count(
            Finding, tenant=tenant, where={"detector": champion}, since=period[0], until=now
        ),
        pages=len(pages),
        champion_pages=len(incidents),
        both=len(pages) - len(alone),
        only_shadow=tuple(reversed(alone[-MOST:])),
        only_champion=tuple(one.id for one in reversed(missing[-MOST:])),
        excess=excess(len(alone), len(missing)),
        judged_s=judged_s,
        points=points,
    )


def _judged(ledger: Ledger, run: str, tenant: str) -> tuple[float, int]:
    """Event time and samples that a run of a shadow judged, in the partition that judged most."""
    found = ledger.find(ShadowTime, tenant=tenant, where={"run": run}, limit=_PAGE)
    return max((one.judged_s for one in found), default=0.0), sum(one.points for one in found)


def same(page: ShadowPage, incident: Incident) -> bool:
    """Whether both are about one trouble: an entity in common, and times that meet within a minute."""
    if not set(page.entities) & set(incident.entities):
        return False
    ends = [one.end or one.last_seen for one in (page, incident)]
    return page.start <= ends[1] + _TOLD and incident.start <= ends[0] + _TOLD


def excess(alone: int, missing: int) -> float:
    """The chance of at least `alone` of all pages that one of two made alone, if both were alike (sign test).

    >>> excess(0, 0), excess(5, 0), round(excess(6, 5), 2)
    (1.0, 0.03125, 0.5)
    """
    total = alone + missing
    return (
        sum(math.comb(total, many) for many in range(alone, total + 1)) / 2.0**total
        if total < MOST
        else (0.5 * math.erfc((alone - 0.5 - total / 2.0) / math.sqrt(total / 2.0)))
    )


def shadow_gates(found: Rehearsal, limits: ShadowConfig) -> tuple[GateResult, ...]:
    """It must have judged enough telemetry as the shadow, and not page more often by more than chance."""
    alone, missing = found.pages - found.both, len(found.only_champion)
    return (
        GateResult(
            name="shadow_time",
            passed=found.judged_s >= limits.least_s,
            value=found.judged_s,
            limit=limits.least_s,
            text=f"as the shadow it judged {found.judged_s / 60:.0f} min of telemetry ({found.points:,} points), "
            f"at least {limits.least_s / 60:.0f} min wanted",
        ),
        GateResult(
            name="shadow_pages",
            passed=found.excess >= _CHANCE,
            value=alone,
            limit=missing,
            text=f"as a shadow it would have paged {alone} times where {found.champion} did not, and not {missing} "
            f"times where it did (p = {found.excess:.2g}, at least {_CHANCE} wanted)",
        ),
    )


def _all(ledger: Ledger, kind: type[R], tenant: str, period: Period, where: dict[str, Any]) -> Iterator[R]:
    """Records of a period, oldest first."""
    after = ""
    while True:
        page: Sequence[R] = ledger.find(
            kind,
            tenant=tenant,
            where=where,
            since=period[0],
            until=period[1],
            limit=_PAGE,
            after=after,
            newest_first=False,
        )
        yield from page
        if len(page) < _PAGE:
            return
        after = str(page[-1].id)  # type: ignore[attr-defined]  # the kinds asked for have ids
