"""What became of what a live version claimed: pages and first suspects as people judged them, forecasts as time did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from twofold.errors import NotFound
from twofold.joints.hindsight import current
from twofold.records.alert import Alert
from twofold.records.diagnosis import Diagnosis
from twofold.records.finding import Finding
from twofold.records.forecast import Forecast, ForecastState
from twofold.records.incident import Incident
from twofold.records.model import ModelKind
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.store.ledger import Change, Ledger

_MOST: Final = 1000
_DECIDED: Final = (ForecastState.HIT.value, ForecastState.MISSED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One claim, and whether it was right.

    Attributes:
        key: Id of the incident, or of the forecast.
        by: `name@version` of whoever claimed it.
    """

    key: str
    time: datetime
    right: bool
    by: frozenset[str]


def outcomes(ledger: Ledger, kind: ModelKind, since: datetime, *, tenant: str) -> Iterator[Outcome]:
    """Of detectors, rankers and forecasters; nobody judges others."""
    match kind:
        case ModelKind.DETECTOR:
            return _pages(ledger, since, tenant)
        case ModelKind.RANKER:
            return _suspects(ledger, since, tenant)
        case ModelKind.FORECASTER:
            return _forecasts(ledger, since, tenant)
        case _:
            return iter(())


def newly_judged(ledger: Ledger, changes: Sequence[Change]) -> set[str]:
    """Tenants of whose claims something was said among these writes: verdicts, and forecasts whose time has come."""
    tenants = {change.tenant for change in changes if change.table == "verdicts"}
    for tenant in {change.tenant for change in changes if change.table == "forecasts"} - tenants:
        keys = [one.id for one in changes if one.table == "forecasts" and one.tenant == tenant]
        if ledger.find(Forecast, tenant=tenant, where={"id": keys, "state": list(_DECIDED)}, limit=1):
            tenants.add(tenant)
    return tenants


def _pages(ledger: Ledger, since: datetime, tenant: str) -> Iterator[Outcome]:
    """Pages that people judged, by the detectors whose findings made them."""
    for incident, verdicts in _judged(ledger, since, tenant):
        right = is_right(verdicts)
        if right is not None:
            by = _detectors(ledger, incident, tenant)
            yield Outcome(key=incident.id, time=incident.detected, right=right, by=by)


def _suspects(ledger: Ledger, since: datetime, tenant: str) -> Iterator[Outcome]:
    """First suspects that people judged. Another one called right makes the first one wrong."""
    for incident, verdicts in _judged(ledger, since, tenant):
        about = {one.ref: one.value for one in verdicts if one.subject is VerdictSubject.SUSPECT}
        try:
            diagnosis = ledger.get(Diagnosis, incident.id, tenant=tenant)
        except NotFound:
            continue
        if not diagnosis.suspects:
            continue
        first = diagnosis.suspects[0].entity
        if first in about or VerdictValue.RIGHT in about.values():
            right = about.get(first) is VerdictValue.RIGHT
            yield Outcome(key=incident.id, time=incident.detected, right=right, by=frozenset({diagnosis.ranker}))


def _forecasts(ledger: Ledger, since: datetime, tenant: str) -> Iterator[Outcome]:
    """Forecasts of our own whose time has come."""
    for state in _DECIDED:
        for one in ledger.find(Forecast, tenant=tenant, where={"state": state}, since=since, limit=_MOST):
            if not one.engine:
                right = one.state is ForecastState.HIT
                yield Outcome(key=one.id, time=one.made, right=right, by=frozenset({one.model}))


def _judged(ledger: Ledger, since: datetime, tenant: str) -> Iterator[tuple[Incident, Sequence[Verdict]]]:
    by_incident: dict[str, list[Verdict]] = {}
    for verdict in current(ledger, since, tenant=tenant):
        by_incident.setdefault(verdict.incident, []).append(verdict)
    for key, verdicts in sorted(by_incident.items()):
        try:
            yield ledger.get(Incident, key, tenant=tenant), verdicts
        except NotFound:
            continue


def _detectors(ledger: Ledger, incident: Incident, tenant: str) -> frozenset[str]:
    alerts = ledger.find(Alert, tenant=tenant, where={"incident": incident.id}, limit=_MOST)
    keys = [key for alert in alerts for key in alert.findings][:_MOST]
    findings = ledger.find(Finding, tenant=tenant, where={"id": keys}, limit=_MOST) if keys else ()
    return frozenset(finding.detector for finding in findings)


def is_right(verdicts: Iterable[Verdict]) -> bool | None:
    """What people say of a page: right when anybody calls the group, an alert or a cause right; None when unsaid."""
    told = list(verdicts)
    if any(one.value is VerdictValue.RIGHT and one.subject is not VerdictSubject.EXECUTION for one in told):
        return True
    about = (VerdictSubject.GROUP, VerdictSubject.ALERT)
    return False if any(one.subject in about for one in told) else None
