"""Earlier findings like one, and what they turned out to be: read from alerts, incidents, verdicts and executions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from twofold.api.health import MOST
from twofold.api.views.findings import Contribution, Kinship, Outcomes, PastFinding
from twofold.errors import NotFound
from twofold.records.alert import Alert
from twofold.records.diagnosis import Diagnosis
from twofold.records.finding import Finding
from twofold.records.incident import Incident
from twofold.records.runbook import Execution, ExecutionState
from twofold.records.signal import stem
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.store.ledger import Ledger

_SHOWN: Final = 8
_LOOKED_AT: Final = 200
_SECOND: Final = timedelta(seconds=1)
_SURE: Final = 0.5
"""Share of the suspicion from which on the first suspect is named as the cause, where nobody judged."""


class Past:
    """Reads the ledger for one finding.

    Args:
        finding: The one that is explained.
    """

    def __init__(self, ledger: Ledger, finding: Finding) -> None:
        self._ledger, self._finding = ledger, finding
        self._tenant = finding.tenant

    def alert(self, finding: Finding | None = None) -> Alert | None:
        """The alert that holds a finding; None when it was merged into none."""
        finding = finding or self._finding
        found = self._ledger.find(
            Alert, tenant=self._tenant, where={"entity": finding.entity}, until=_after(finding), limit=_LOOKED_AT
        )
        return next((alert for alert in found if finding.id in alert.findings), None)

    def contributions(self) -> list[Contribution]:
        """Findings of the same entity that overlap in time, this one among them, the highest score first."""
        near = self._ledger.find(
            Finding,
            tenant=self._tenant,
            where={"entity": self._finding.entity},
            until=_after(self._finding),
            limit=MOST,
        )
        found = {each.id: each for each in (self._finding, *near) if each.seen >= self._finding.onset}
        total = sum(each.score for each in found.values()) or 1.0
        return [
            Contribution(
                finding=each.id,
                series=each.series,
                metric=each.metric,
                labels_text=each.labels_text,
                direction=each.direction,
                score=each.score,
                effect=each.effect,
                share=round(each.score / total, 4),
                reason=each.reason,
            )
            for each in sorted(found.values(), key=lambda each: -each.score)
        ]

    def similar(self) -> list[PastFinding]:
        """Those that were over before it began: of its series, of its signal of the entity, of its metric elsewhere."""
        return [self._told(kinship, finding) for kinship, finding in self._alike()]

    def _alike(self) -> list[tuple[Kinship, Finding]]:
        found: dict[str, tuple[Kinship, Finding]] = {}
        of = self._finding
        for kinship, where in (
            (Kinship.SERIES, {"series": of.series}),
            (Kinship.ENTITY, {"entity": of.entity}),
            (Kinship.METRIC, {"metric": of.metric}),
        ):
            for each in self._ledger.find(Finding, tenant=self._tenant, where=where, until=of.onset, limit=_LOOKED_AT):
                if each.seen < of.onset and each.direction is of.direction and stem(each.metric) == stem(of.metric):
                    found.setdefault(each.id, (kinship, each))
            if len(found) >= _SHOWN:
                break
        return list(found.values())[:_SHOWN]

    def _told(self, kinship: Kinship, finding: Finding) -> PastFinding:
        alert = self.alert(finding)
        incident = self._incident(alert.incident) if alert and alert.incident else None
        verdict = self._verdict(alert, incident)
        return PastFinding(
            finding=finding.id,
            kinship=kinship,
            entity=finding.entity,
            onset=finding.onset,
            lasted_s=(finding.seen - finding.onset).total_seconds(),
            score=finding.score,
            reason=finding.reason,
            incident=incident.id if incident else "",
            incident_title=incident.title if incident else "",
            verdict=verdict.value if verdict else None,
            outcome=". ".join(self._outcome(alert, incident, verdict)),
        )

    def _incident(self, incident: str) -> Incident | None:
        """The incident, or the one that took over its alerts."""
        try:
            found = self._ledger.get(Incident, incident, tenant=self._tenant)
        except NotFound:
            return None
        return self._incident(found.merged_into) or found if found.merged_into else found

    def _verdict(self, alert: Alert | None, incident: Incident | None) -> Verdict | None:
        """The newest one on the alert, or else on the grouping."""
        for subject, ref in ((VerdictSubject.ALERT, alert), (VerdictSubject.GROUP, incident)):
            if ref is None:
                continue
            where = {"subject": subject, "ref": ref.id}
            if found := self._ledger.find(Verdict, tenant=self._tenant, where=where, limit=1):
                return found[0]
        return None

    def _outcome(self, alert: Alert | None, incident: Incident | None, verdict: Verdict | None) -> Iterator[str]:
        if verdict is not None:
            note = f": {verdict.note}" if verdict.note else ""
            yield f"{verdict.author} called it {_WORDS[verdict.value]}{note}"
        if incident is None:
            yield "No incident came of it" if alert else "It was part of no alert"
            return
        yield f"Incident {incident.title!r}, {_life(incident)}"
        yield from self._cause(incident)
        where = {"incident": incident.id, "state": ExecutionState.SUCCEEDED, "dry_run": False}
        for execution in self._ledger.find(Execution, tenant=self._tenant, where=where, limit=1):
            yield f"{execution.title} helped"

    def _cause(self, incident: Incident) -> Iterator[str]:
        where = {"incident": incident.id, "subject": VerdictSubject.SUSPECT, "value": VerdictValue.RIGHT}
        judged = self._ledger.find(Verdict, tenant=self._tenant, where=where, limit=1)
        if judged:
            yield f"The cause was {judged[0].ref}, as {judged[0].author} confirmed"
            return
        try:
            suspects = self._ledger.get(Diagnosis, incident.id, tenant=self._tenant).suspects
        except NotFound:
            return
        if suspects and suspects[0].score >= _SURE:
            yield f"First suspect was {suspects[0].entity} ({suspects[0].score:.0%})"


_WORDS: Final = {
    VerdictValue.RIGHT: "right",
    VerdictValue.WRONG: "a false alarm",
    VerdictValue.NOISE: "noise",
}


def outcomes(past: list[PastFinding]) -> Outcomes:
    """How people judged them."""
    given = [each.verdict for each in past]
    return Outcomes(
        right=given.count(VerdictValue.RIGHT),
        wrong=given.count(VerdictValue.WRONG),
        noise=given.count(VerdictValue.NOISE),
        unjudged=given.count(None),
    )


def _life(incident: Incident) -> str:
    if incident.end is None:
        return "still open"
    minutes = (incident.end - incident.start).total_seconds() / 60
    return f"resolved after {minutes:.0f} min"


def _after(finding: Finding) -> datetime:
    """The first moment that is past what was seen of it."""
    return finding.seen.replace(microsecond=0) + _SECOND
