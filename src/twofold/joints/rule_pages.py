"""Firings of alert rules as incidents with suspects, so that rules and detectors are judged by one yardstick."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from twofold.aiops.detect.rules import Firing
from twofold.records.alert import Alert, AlertState, Severity
from twofold.records.diagnosis import Diagnosis, Suspect
from twofold.records.incident import Incident, IncidentState
from twofold.records.time import to_datetime


def pages_of(found: Sequence[Firing]) -> Iterator[tuple[Incident, Diagnosis, list[Alert]]]:
    """Firings of one rule that overlap in time are one page; what their labels name are its suspects."""
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
    told = first.labels.get("severity", "warning")
    severity = Severity(told) if told in set(Severity) else Severity.WARNING
    start, detected, end = (
        to_datetime(moment * 1_000_000) for moment in (first.active_ms, first.fired_ms, max(x.ended_ms for x in group))
    )
    alerts = [
        Alert(
            id=f"{key}-{number}",
            fingerprint=key,
            entity=entity_of(one.labels),
            signal=one.rule,
            title=one.rule,
            state=AlertState.RESOLVED,
            severity=severity,
            start=to_datetime(one.active_ms * 1_000_000),
            last_seen=to_datetime(one.ended_ms * 1_000_000),
            incident=key,
        )
        for number, one in enumerate(group)
    ]
    incident = Incident(
        id=key,
        title=f"{first.rule}{f': {entities[0]}' if entities else ''}",
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
