"""Firings of alert rules as incidents with suspects, so that rules and detectors are judged by one yardstick."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from twofold.aiops.detect.rules import Firing, Replayed
from twofold.errors import InputError
from twofold.joints.hindsight import Made
from twofold.records.alert import Alert, AlertState, Severity
from twofold.records.backtest import RuleOutcome
from twofold.records.diagnosis import Diagnosis, Suspect
from twofold.records.incident import Incident, IncidentState
from twofold.records.time import to_datetime

_WORDS: Final = ("summary", "title", "message", "description")
_SHORT: Final = 200
_TOLD: Final = 1000


def made_of(replayed: Sequence[Replayed], *, points: int) -> Made:
    """What replayed rules would have paged. As Alertmanager does by default, alerts of one name are one page.

    Raises:
        InputError: No alert could be replayed.
    """
    alerts = [one for one in replayed if not one.rule.records and not one.refused]
    if not alerts:
        told = "; ".join(f"{one.rule.name}: {one.refused}" for one in replayed if one.refused and not one.rule.records)
        raise InputError(f"no alert of the rule file could be replayed: {told[:_TOLD]}", reason="rules")
    made = Made(
        findings={},
        alerts={},
        incidents={},
        diagnoses={},
        points=points,
        series=len(alerts),
        outcomes=tuple(_outcome(one) for one in replayed),
    )
    by_name: dict[str, list[Firing]] = {}
    for one in alerts:
        by_name.setdefault(one.rule.name, []).extend(one.firings)  # often a warning and a critical one share a name
    for firings in by_name.values():
        firings.sort(key=lambda one: (one.fired_ms, one.active_ms))
        for incident, diagnosis, members in pages_of(firings):
            made.incidents[incident.id] = incident
            made.diagnoses[incident.id] = diagnosis
            made.alerts.update((alert.id, alert) for alert in members)
    return made


def _outcome(one: Replayed) -> RuleOutcome:
    return RuleOutcome(
        name=one.rule.name,
        records=one.rule.records,
        group=one.rule.group,
        line=one.rule.line,
        refused=one.refused,
        note=one.note,
        fired=len(one.firings),
        series=one.series,
    )


def pages_of(found: Sequence[Firing]) -> Iterator[tuple[Incident, Diagnosis, list[Alert]]]:
    """Firings of one name that overlap in time are one page; what their labels name are its suspects."""
    group: list[Firing] = []
    until = 0
    for firing in [*found, None]:
        if group and (firing is None or firing.fired_ms > until):
            yield _paged(group)
            group = []
        if firing is not None:
            group.append(firing)
            until = max(until, firing.ended_ms)


def _paged(group: Sequence[Firing]) -> tuple[Incident, Diagnosis, list[Alert]]:
    first = group[0]
    text = f"{first.rule}\x1f{first.fired_ms}"
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    entities = tuple(dict.fromkeys(filter(None, (entity_of(one.labels) for one in group))))
    severity = max((_severity(one) for one in group), key=list(Severity).index)
    start, detected, end = (
        to_datetime(moment * 1_000_000) for moment in (first.active_ms, first.fired_ms, max(x.ended_ms for x in group))
    )
    alerts = [
        Alert(
            id=f"{key}-{number}",
            fingerprint=key,
            entity=entity_of(one.labels),
            signal=one.rule,
            title=_told(one),
            state=AlertState.RESOLVED,
            severity=_severity(one),
            start=to_datetime(one.active_ms * 1_000_000),
            last_seen=to_datetime(one.ended_ms * 1_000_000),
            incident=key,
        )
        for number, one in enumerate(group)
    ]
    incident = Incident(
        id=key,
        title=f"{first.rule}{f': {entities[0]}' if entities else ''}{_summary(first)}",
        state=IncidentState.RESOLVED,
        severity=severity,
        start=start,
        detected=detected,
        last_seen=end,
        end=end,
        entities=entities,
        alerts=tuple(alert.id for alert in alerts),
    )
    suspects = tuple(Suspect(entity=one, score=1.0 / len(entities), reason=first.rule, evidence=()) for one in entities)
    return incident, Diagnosis(id=key, incident=key, time=detected, suspects=suspects, ranker="rules"), alerts


def _severity(one: Firing) -> Severity:
    told = one.labels.get("severity", "")
    return Severity(told) if told in set(Severity) else Severity.WARNING


def _told(one: Firing) -> str:
    """Its name, and what its annotations say."""
    return f"{one.rule}{_summary(one)}"


def _summary(one: Firing) -> str:
    text = next((one.annotations[name] for name in _WORDS if one.annotations.get(name)), "").strip()
    return f" ({text[:_SHORT]})" if text else ""


def entity_of(labels: Mapping[str, str]) -> str:
    """Who a rule's labels speak of, as our entities are named; empty when they name nobody.

    >>> entity_of({"job": "cart", "instance": "10.0.0.1:9100"})
    'service:cart'
    """
    for name in ("entity", "service_name", "service", "job"):
        if value := labels.get(name):
            return value if ":" in value and name == "entity" else f"service:{value}"
    host = labels.get("instance", "").rpartition(":")[0]
    return f"host:{host}" if host else ""
