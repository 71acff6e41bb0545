"""A live version of our own that proves wrong is taken back: the precision of its claims, against the version before.

Belongs to joints 1 and 5. Going live needs an approver; going back is safe, so nobody has to be awake for it.
A detector's claims are pages and a ranker's first suspects, which people judge; a forecaster's are judged by time.
Verdicts are few, and people judge false pages sooner than right ones: so the version is held against the one before,
judged the same way, and what counts is what the counts prove, not their ratio.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from twofold.errors import Conflict
from twofold.joints.config import TrustConfig
from twofold.joints.outcomes import Outcome, outcomes
from twofold.mlops.release.releases import Releases, utc_now
from twofold.records.incident import TimelineEntry, TimelineKind
from twofold.records.model import ModelKind, ModelVersion, Release, ReleaseStage
from twofold.records.trust import Precision, Trust
from twofold.records.words import percent
from twofold.stats.belief import below, interval, least_rate, worse
from twofold.store.ledger import Ledger

log = logging.getLogger(__name__)

APPROVER: Final = "twofold"
_MOST: Final = 1000
_LEAST_DAYS: Final = 1.0 / 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How it is said of one kind of model; `timeline`: the claims judged are incidents."""

    judged: str
    evidence: str
    timeline: bool = True


WORDS: Final = {
    ModelKind.DETECTOR: Words(judged="judged pages were false", evidence="incident {} was called false"),
    ModelKind.RANKER: Words(judged="judged first suspects were wrong", evidence="incident {} had another cause"),
    ModelKind.FORECASTER: Words(
        judged="decided forecasts did not come true", evidence="forecast {} did not come true", timeline=False
    ),
}


class Trusts:
    """Judges live versions of our own by people's verdicts or by time, and takes back what lost trust.

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
        """Every live version of our own; those that lost trust have been rolled back."""
        kinds = [kind.value for kind in WORDS]
        versions = self._ledger.find(ModelVersion, tenant=tenant, where={"kind": kinds}, limit=_MOST)
        found = []
        for model, kind in sorted({(version.model, version.kind) for version in versions}):
            trust = self.judge(model, tenant=tenant)
            if trust is None:
                continue
            found.append(trust)
            if trust.lost:
                self._take_back(trust, WORDS[kind], tenant)
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
        registered = self._ledger.find(ModelVersion, tenant=tenant, where={"model": model}, limit=1)
        kind = registered[0].kind if registered else ModelKind.DETECTOR
        last = went[-1]
        since, now = last.time, self._now()
        known = list(outcomes(self._ledger, kind, since - timedelta(days=self._config.days), tenant=tenant))
        live = precision(f"{model}@{version}", [one for one in known if one.time >= since])
        champion = None
        if last.stage is ReleaseStage.LIVE and last.previous:
            champion = precision(f"{model}@{last.previous}", known)
        days = max((now - since).total_seconds() / 86_400.0, _LEAST_DAYS)
        trust = self._held(live, champion, days, kind)
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

    def _held(
        self, live: Precision, champion: Precision | None, days: float, kind: ModelKind
    ) -> tuple[float, float, str]:
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
        judged = f"{live.false} of {live.right + live.false} {WORDS.get(kind, WORDS[ModelKind.DETECTOR]).judged}"
        if chance >= config.certainty:
            borne = f"at most {percent(1.0 - config.least_precision)} is borne"
            beside = f"{known.false} of {known.right + known.false} of {known.detector}'s" if known else borne
            return chance, rate, f"{judged}, {beside}: less precise with {percent(chance)} certainty"
        if kind is ModelKind.DETECTOR and rate > config.false_per_day:
            return chance, rate, f"{judged}: more than {rate:.1f} false pages a day, {config.false_per_day:g} are borne"
        return chance, rate, ""

    def _take_back(self, trust: Trust, words: Words, tenant: str) -> None:
        evidence = tuple(words.evidence.format(key) for key in trust.live.incidents[:_MOST])
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
        if words.timeline:
            self._ledger.put(*(_line(release, key, trust) for key in trust.live.incidents))


def precision(claimant: str, found: Sequence[Outcome]) -> Precision:
    """Judged claims that a version had a part in."""
    mine = [one for one in found if claimant in one.by]
    right = sum(one.right for one in mine)
    false = [one for one in mine if not one.right]
    low, middle, high = interval(right, len(false))
    return Precision(
        detector=claimant,
        right=right,
        false=len(false),
        low=round(low, 3),
        middle=round(middle, 3),
        high=round(high, 3),
        incidents=tuple(one.key for one in sorted(false, key=lambda one: one.time, reverse=True)),
    )


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
