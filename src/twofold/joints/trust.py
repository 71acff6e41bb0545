"""A live detector that people call wrong is taken back: its precision on judged pages, against the version before.

Belongs to joints 1 and 5. Going live needs an approver; going back is safe, so nobody has to be awake for it.
Verdicts are few, and people judge false pages sooner than right ones: so the version is held against the one before,
judged the same way, and what counts is what the counts prove, not their ratio.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from twofold.errors import Conflict, NotFound
from twofold.joints.config import TrustConfig
from twofold.joints.hindsight import current
from twofold.mlops.release.releases import Releases, utc_now
from twofold.records.alert import Alert
from twofold.records.finding import Finding
from twofold.records.incident import Incident, TimelineEntry, TimelineKind
from twofold.records.model import ModelKind, ModelVersion, Release, ReleaseStage
from twofold.records.trust import Precision, Trust
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.records.words import percent
from twofold.stats.belief import below, interval, least_rate, worse
from twofold.store.ledger import Ledger

log = logging.getLogger(__name__)

APPROVER: Final = "twofold"
_MOST: Final = 1000
_LEAST_DAYS: Final = 1.0 / 24.0


class Trusts:
    """Judges live detectors by people's verdicts, and takes back what lost their trust.

    Args:
        ledger: Verdicts, incidents, findings and releases.
        config: How sure it must be.
        now: Wall clock.
    """

    def __init__(
        self, ledger: Ledger, config: TrustConfig | None = None, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._ledger, self._config, self._now = ledger, config or TrustConfig(), now
        self._releases = Releases(ledger, now)

    def check(self, *, tenant: str) -> list[Trust]:
        """Every live detector; those that lost trust have been rolled back."""
        versions = self._ledger.find(ModelVersion, tenant=tenant, where={"kind": ModelKind.DETECTOR}, limit=_MOST)
        found = []
        for model in sorted({version.model for version in versions}):
            trust = self.judge(model, tenant=tenant)
            if trust is None:
                continue
            found.append(trust)
            if trust.lost:
                self._take_back(trust, tenant)
        return found

    def judge(self, model: str, *, tenant: str) -> Trust | None:
        """The live version as people see it; None when nothing is live.

        A version that a rollback brought back is not judged against another: there is no better one to go to.
        """
        chain = self._releases.history(model, tenant=tenant)
        version = self._releases.live(model, tenant=tenant)
        went = [one for one in chain if _answers(one) == version]
        if not version or not went:
            return None
        last = went[-1]
        since, now = last.time, self._now()
        pages = list(self._judged(since - timedelta(days=self._config.days), tenant))
        live = precision(f"{model}@{version}", [page for page in pages if page[0].detected >= since])
        champion = None
        if last.stage is ReleaseStage.LIVE and last.previous:
            champion = precision(f"{model}@{last.previous}", pages)
        days = max((now - since).total_seconds() / 86_400.0, _LEAST_DAYS)
        trust = self._held(live, champion, days)
        return Trust(
            model=model,
            version=version,
            since=since,
            live=live,
            champion=champion,
            worse=round(trust[0], 4),
            false_per_day=round(live.false / days, 3),
            least_false_per_day=round(trust[1], 3),
            lost=trust[2] if champion is not None else "",
        )

    def _held(self, live: Precision, champion: Precision | None, days: float) -> tuple[float, float, str]:
        """Probability that it is worse, the least rate of false pages, and why it is taken back."""
        config = self._config
        known = champion if champion is not None and champion.right + champion.false else None
        chance = (
            worse(live.right, live.false, (known.right, known.false), config.margin)
            if known
            else below(live.right, live.false, config.least_precision)
        )
        rate = least_rate(live.false, days, config.certainty)
        if live.false < config.least_false:
            return chance, rate, ""
        judged = f"{live.false} of {live.right + live.false} judged pages were false"
        if chance >= config.certainty:
            borne = f"at most {percent(1.0 - config.least_precision)} is borne"
            beside = f"{known.false} of {known.right + known.false} of {known.detector}'s" if known else borne
            return chance, rate, f"{judged}, {beside}: less precise with {percent(chance)} certainty"
        if rate > config.false_per_day:
            return chance, rate, f"{judged}: more than {rate:.1f} false pages a day, {config.false_per_day:g} are borne"
        return chance, rate, ""

    def _judged(self, since: datetime, tenant: str) -> Iterator[tuple[Incident, bool, frozenset[str]]]:
        """Pages that people judged: the incident, whether it was right, the detectors whose findings made it."""
        by_incident: dict[str, list[Verdict]] = {}
        for verdict in current(self._ledger, since, tenant=tenant):
            by_incident.setdefault(verdict.incident, []).append(verdict)
        for key, verdicts in sorted(by_incident.items()):
            right = is_right(verdicts)
            if right is None:
                continue
            try:
                incident = self._ledger.get(Incident, key, tenant=tenant)
            except NotFound:
                continue
            yield incident, right, self._detectors(incident, tenant)

    def _detectors(self, incident: Incident, tenant: str) -> frozenset[str]:
        alerts = self._ledger.find(Alert, tenant=tenant, where={"incident": incident.id}, limit=_MOST)
        keys = [key for alert in alerts for key in alert.findings][:_MOST]
        findings = self._ledger.find(Finding, tenant=tenant, where={"id": keys}, limit=_MOST) if keys else ()
        return frozenset(finding.detector for finding in findings)

    def _take_back(self, trust: Trust, tenant: str) -> None:
        evidence = tuple(f"incident {key} was called false" for key in trust.live.incidents[:_MOST])
        try:
            release = self._releases.rollback(
                trust.model,
                version=trust.version,
                approver=APPROVER,
                reason=f"lost trust: {trust.lost}",
                evidence=evidence,
                tenant=tenant,
            )
        except Conflict as error:
            log.info("%s was already taken care of: %s", trust.live.detector, error.message)
            return
        log.warning("%s is taken back, %s answers: %s", trust.live.detector, release.previous, trust.lost)
        self._ledger.put(*(_line(release, key, trust) for key in trust.live.incidents))


def precision(detector: str, pages: Sequence[tuple[Incident, bool, frozenset[str]]]) -> Precision:
    """Judged pages that a detector had a part in."""
    mine = [(incident, right) for incident, right, detectors in pages if detector in detectors]
    right = sum(one for _, one in mine)
    false = [incident for incident, one in mine if not one]
    low, middle, high = interval(right, len(false))
    return Precision(
        detector=detector,
        right=right,
        false=len(false),
        low=round(low, 3),
        middle=round(middle, 3),
        high=round(high, 3),
        incidents=tuple(one.id for one in sorted(false, key=lambda one: one.detected, reverse=True)),
    )


def is_right(verdicts: Sequence[Verdict]) -> bool | None:
    """What people say of a page: right when anybody calls the group, an alert or a cause right; None when unsaid."""
    if any(one.value is VerdictValue.RIGHT and one.subject is not VerdictSubject.EXECUTION for one in verdicts):
        return True
    about = (VerdictSubject.GROUP, VerdictSubject.ALERT)
    return False if any(one.subject in about for one in verdicts) else None


def _answers(release: Release) -> str:
    """Who answers from a release on, where it changes that."""
    if release.stage is ReleaseStage.LIVE:
        return release.version
    return release.previous if release.stage is ReleaseStage.ROLLED_BACK else ""


def _line(release: Release, incident: str, trust: Trust) -> TimelineEntry:
    return TimelineEntry(
        id=f"trust-{release.id}-{incident}",
        incident=incident,
        time=release.time,
        kind=TimelineKind.NOTE,
        text=f"{trust.live.detector} was rolled back to {trust.model}@{release.previous}: {trust.lost}",
        entity=f"model:{trust.model}",
        ref=release.id,
        tenant=release.tenant,
    )
