"""Findings and outside alerts to alerts: one fingerprint, one life at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.correlate.words import parse_severity, severity_of, worst
from twofold.records.alert import Alert, AlertState, Severity
from twofold.records.event import Event
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.signal import Signal, harmful, signal_of, stem, tail_only
from twofold.records.slo import BURN
from twofold.records.time import SECOND_NS, to_datetime, to_ns
from twofold.records.words import headline, name_of

SILENCE = "silence"
"""Signal of an alert about telemetry that stopped: whichever series was missed first."""
OUTSIDE_SCORE = 6.0
"""Score of an alert from outside: somebody wrote a rule for it, so it may open an incident alone."""


def fingerprint(tenant: str, entity: str, signal: str, direction: str) -> str:
    """The same problem has the same fingerprint.

    >>> fingerprint("main", "service:a", "span.duration", "up")
    '498c507f46299840'
    """
    return digest(tenant, entity, signal, direction)


def digest(*parts: str) -> str:
    """16 hex digits of the parts, in order; parts cannot run into each other."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Life:
    """An alert with what the stage must remember of it beyond the record.

    Attributes:
        open: Keys of the findings (or outside alerts) that still hold.
        effect: Largest deviation so far, absolute.
        kind: Kind of signal.
        harm: May open an incident.
        broad: More than the slowest requests are affected.
        told_ns: When it was first heard of, which may be long after its onset.
        free_ns: From when on it may open an incident again, after one that it belonged to was over without it.
    """

    alert: Alert
    kind: Signal
    harm: bool
    broad: bool = False
    effect: float = 0.0
    open: set[str] = field(default_factory=set)
    told_ns: int = 0
    free_ns: int = 0

    @property
    def start_ns(self) -> int:
        """Onset of the earliest finding."""
        return to_ns(self.alert.start)

    @property
    def last_ns(self) -> int:
        """When it was last known to hold."""
        return to_ns(self.alert.end or self.alert.last_seen)

    @property
    def promised(self) -> bool:
        """An error budget burns fast: who declared the objective wants to know, whatever else is seen."""
        return self.alert.signal == BURN and self.alert.source == "twofold"

    @property
    def firing(self) -> bool:
        """Not resolved."""
        return self.alert.state is not AlertState.RESOLVED


class Book:
    """The alerts of one tenant, by fingerprint. A fingerprint's newest life only; older ones are in the ledger."""

    def __init__(self, config: CorrelateConfig, *, backfilled: bool) -> None:
        self.config = config
        self.backfilled = backfilled
        self.lives: dict[str, Life] = {}

    def finding(self, finding: Finding) -> Life:
        """Merge a finding, new, updated or closed, and return the alert's life."""
        signal = SILENCE if finding.direction is Direction.ABSENT else stem(finding.metric)
        key = fingerprint(finding.tenant, finding.entity, signal, finding.direction)
        life = self._alive(key, finding.onset)
        if life is None:
            life = self._open_finding(key, signal, finding)
        self._merge_finding(life, finding)
        return life

    def outside(self, event: Event, now_ns: int) -> Life | None:
        """Merge an alert from outside, heard at a moment; None for the end of one that was never seen.

        Its time is when it began, which may be long ago, and stays the same when it is sent again: what tells that
        it still holds is that somebody said so now.
        """
        signal = event.attributes.get("alertname") or event.title
        key = fingerprint(event.tenant, event.entity, signal, f"outside:{event.source}")
        life = self._alive(key, event.time)
        resolved = event.state == "resolved"
        if life is None:
            if resolved:
                return self._end_by_key(event, now_ns)
            life = self._open_outside(key, signal, event)
        self._merge_outside(life, event, now_ns, resolved=resolved)
        return life

    def anew(self, life: Life, moment: datetime) -> Life:
        """Begin its alert again at a moment at which its incident was over; returns the one that ends then."""
        alert, end = life.alert, max(moment, life.alert.start)
        life.alert = replace(alert, id=digest(alert.id, end.isoformat()), start=end, incident="")
        life.free_ns = 0
        return replace(life, alert=replace(alert, state=AlertState.RESOLVED, end=end), open=set())

    def _end_by_key(self, event: Event, now_ns: int) -> Life | None:
        """End the alert that names this key, where its end does not say of which entity it speaks (PagerDuty)."""
        key = event.attributes.get("fingerprint", "")
        named = (life for life in self.lives.values() if key in life.open and life.alert.source == event.source)
        life = next(named, None) if key else None
        if life is not None:
            self._merge_outside(life, event, now_ns, resolved=True)
        return life

    def stale(self, now_ns: int) -> list[Life]:
        """Resolve alerts that nobody has spoken of for too long."""
        limit = now_ns - int(self.config.stale_s * SECOND_NS)
        found = [life for life in self.lives.values() if life.firing and to_ns(life.alert.last_seen) <= limit]
        for life in found:
            life.open.clear()
            self._settle(life, life.alert.last_seen)
        return found

    def forget(self, keys: Iterable[str]) -> None:
        """Drop lives that nothing can come back to."""
        for key in keys:
            self.lives.pop(key, None)

    def _alive(self, key: str, moment: datetime) -> Life | None:
        life = self.lives.get(key)
        if life is None or life.firing or life.alert.end is None or life.alert.incident:
            return life  # an incident that is still open keeps its alerts: the same one fires again
        back_s = (moment - life.alert.end).total_seconds()
        return life if back_s <= self.config.hold_s else None

    def _open_finding(self, key: str, signal: str, finding: Finding) -> Life:
        alert = Alert(
            id=digest(key, finding.onset.isoformat()),
            fingerprint=key,
            entity=finding.entity,
            signal=signal,
            title=headline(finding),
            state=AlertState.FIRING,
            severity=severity_of(finding),
            start=finding.onset,
            last_seen=finding.seen,
            count=0,
            backfilled=self.backfilled,
            tenant=finding.tenant,
        )
        kind = Signal.AVAILABILITY if finding.direction is Direction.ABSENT else signal_of(finding.metric)
        life = Life(alert, kind, harmful(finding.metric, finding.direction), told_ns=to_ns(finding.seen))
        self.lives[key] = life
        return life

    def _merge_finding(self, life: Life, finding: Finding) -> None:
        alert = life.alert
        known = finding.id in alert.findings or finding.id in life.open
        listed = alert.findings
        if not known and len(listed) < self.config.max_findings:
            listed = (*listed, finding.id)
        worse = finding.score >= alert.score
        life.alert = replace(
            alert,
            title=headline(finding) if worse else alert.title,
            severity=worst((alert.severity, severity_of(finding))),
            start=min(alert.start, finding.onset),
            last_seen=max(alert.last_seen, finding.seen),
            findings=listed,
            count=alert.count + (not known),
            score=max(alert.score, finding.score),
        )
        life.effect = max(life.effect, abs(finding.effect))
        life.broad = life.broad or not tail_only(finding.metric)
        if finding.direction is Direction.ABSENT:
            life.effect = max(life.effect, self.config.strong_effect)
        self._turn(life, finding.id, finding.seen, holds=finding.state is FindingState.OPEN)

    def _open_outside(self, key: str, signal: str, event: Event) -> Life:
        severity = parse_severity(event.attributes.get("severity", ""))
        alert = Alert(
            id=digest(key, event.time.isoformat()),
            fingerprint=key,
            entity=event.entity,
            signal=signal,
            title=f"{name_of(event.entity)}: {event.title or signal}",
            state=AlertState.FIRING,
            severity=severity,
            start=event.time,
            last_seen=event.time,
            source=event.source or "outside",
            count=0,
            score=0.0 if severity is Severity.INFO else OUTSIDE_SCORE,
            backfilled=self.backfilled,
            tenant=event.tenant,
        )
        harm = severity is not Severity.INFO
        life = Life(alert, signal_of(signal), harm, broad=True, effect=self.config.strong_effect)
        self.lives[key] = life
        return life

    def _merge_outside(self, life: Life, event: Event, now_ns: int, *, resolved: bool) -> None:
        alert = life.alert
        heard = event.time if resolved else max(event.time, to_datetime(now_ns))
        known = event.id in alert.findings
        listed = alert.findings if known or resolved else (*alert.findings, event.id)[-self.config.max_findings :]
        life.alert = replace(
            alert,
            last_seen=max(alert.last_seen, heard),
            findings=listed,
            count=alert.count + (not known and not resolved),
        )
        self._turn(life, event.attributes.get("fingerprint", life.alert.signal), event.time, holds=not resolved)

    def _turn(self, life: Life, key: str, moment: datetime, *, holds: bool) -> None:
        if holds:
            life.open.add(key)
            life.alert = replace(life.alert, state=AlertState.FIRING, end=None)
        else:
            life.open.discard(key)
            if not life.open and life.firing:
                self._settle(life, moment)

    def _settle(self, life: Life, moment: datetime) -> None:
        life.alert = replace(life.alert, state=AlertState.RESOLVED, end=max(moment, life.alert.start))
