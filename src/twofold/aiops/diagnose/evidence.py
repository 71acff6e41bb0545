"""Facts behind a suspect that a person can check: series, traces, log lines, changes, paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from twofold.aiops.diagnose.config import DiagnoseConfig
from twofold.aiops.diagnose.memory import Memory
from twofold.aiops.diagnose.rank import Ranked
from twofold.aiops.diagnose.symptom import callee_of, operation_of, symptom_of
from twofold.records.diagnosis import Evidence, EvidenceKind
from twofold.records.event import Event
from twofold.records.finding import Finding
from twofold.records.time import to_datetime, to_ns
from twofold.records.words import claim, name_of, seconds

_BEFORE = timedelta(minutes=5)
_MAX_LINE = 300


class Case:
    """One incident as it stands: its findings, and the memory to cite from."""

    def __init__(self, memory: Memory, config: DiagnoseConfig, findings: Sequence[Finding], now: datetime) -> None:
        self.memory = memory
        self.config = config
        self.findings = findings
        self.now = now

    def cite(self, suspect: Ranked) -> tuple[Evidence, ...]:
        """Evidence for one suspect, strongest kinds first, weights summing to 1."""
        own = self.own(suspect.entity)
        found: list[Evidence] = []
        if suspect.change is not None:
            found.append(self._change(self.memory.changes[suspect.change.id], suspect.lead_s))
        found += [self._series(each, weight) for each, weight in own[:3]]
        found += [self._series(each, weight * 0.8) for each, weight in self.views(suspect.entity)[:2]]
        onset = min((e.onset for e, _ in (*own, *self.views(suspect.entity))), default=self.now)
        found += self._trace(suspect.entity, onset)
        found += self._log(suspect.entity, onset)
        found += self._paths(suspect, onset)
        total = sum(each.weight for each in found) or 1.0
        cited = [replace(each, weight=round(each.weight / total, 4)) for each in found]
        return tuple(cited[: self.config.max_evidence])

    def own(self, entity: str) -> list[tuple[Finding, float]]:
        """Findings about the entity itself, strongest first, with their strength."""
        return self._strongest(
            each for each in self.findings if each.entity == entity and not callee_of(each, self.memory.graph)
        )

    def views(self, entity: str) -> list[tuple[Finding, float]]:
        """What callers see of the entity, strongest first."""
        return self._strongest(each for each in self.findings if callee_of(each, self.memory.graph) == entity)

    def _strongest(self, findings: Iterable[Finding]) -> list[tuple[Finding, float]]:
        rows = [
            (each, found.strength)
            for each in findings
            if (found := symptom_of(each, self.memory.graph, self.config.rank))
        ]
        return sorted(rows, key=lambda row: (-row[1], row[0].onset, row[0].id))

    def _series(self, finding: Finding, weight: float) -> Evidence:
        about, operation = name_of(finding.entity), operation_of(finding)
        callee = callee_of(finding, self.memory.graph)
        where = f" in calls to {name_of(callee)}" if callee else ""
        asked = f" {operation}" if operation else ""
        return Evidence(
            kind=EvidenceKind.SERIES,
            text=f"{about}{asked}: {claim(finding)}{where}, since {finding.onset:%H:%M:%S}",
            ref=finding.series,
            start=finding.onset - _BEFORE,
            end=max(finding.seen, self.now),
            entity=finding.entity,
            weight=weight,
            attributes={
                "metric": finding.metric,
                "finding": finding.id,
                "direction": finding.direction,
                "operation": operation,
                "callee": callee,
            },
        )

    def _change(self, event: Event, lead_s: float) -> Evidence:
        when = f"{seconds(lead_s)} before it began" if lead_s >= 1 else "as it began"
        return Evidence(
            kind=EvidenceKind.CHANGE,
            text=f"{describe(event)}, {when}",
            ref=event.id,
            start=event.time,
            end=self.now,
            entity=event.entity,
            weight=1.0,
            attributes={"change": event.change or "", "version": event.version, "link": event.link},
        )

    def _trace(self, entity: str, onset: datetime) -> list[Evidence]:
        shown = next((each for each, _ in self.own(entity) if each.trace_id), None)
        if shown is not None:
            return [self._shown(shown)]
        best = self.memory.traces.best(entity, to_ns(onset), to_ns(self.now))
        if best is None:
            return []
        caller = f"{name_of(best.entity)} calling {name_of(best.callee)}" if best.callee else name_of(best.entity)
        where = f"{caller}, {best.operation}" if best.operation else caller
        took = f"{best.duration_ns / 1e6:.0f} ms"
        moment = to_datetime(best.time_ns)
        return [
            Evidence(
                kind=EvidenceKind.TRACE,
                text=f"{where}: " + (f"fails after {took}" if best.error else took),
                ref=best.trace_id,
                start=moment - timedelta(microseconds=best.duration_ns / 1000),
                end=moment,
                entity=best.entity,
                weight=0.3,
            )
        ]

    def _shown(self, finding: Finding) -> Evidence:
        """The request that a finding shows."""
        return Evidence(
            kind=EvidenceKind.TRACE,
            text=f"{name_of(finding.entity)}: a request that shows it, {claim(finding)}",
            ref=finding.trace_id,
            start=finding.onset - _BEFORE,
            end=finding.seen,
            entity=finding.entity,
            weight=0.3,
        )

    def _log(self, entity: str, onset: datetime) -> list[Evidence]:
        line = self.memory.logs.best(entity, to_ns(onset - timedelta(seconds=10)), to_ns(self.now))
        if line is None:
            return []
        moment = to_datetime(line.time_ns)
        return [
            Evidence(
                kind=EvidenceKind.LOG,
                text=f"{line.body[:_MAX_LINE]} ({line.why})" if line.why else line.body[:_MAX_LINE],
                ref="",
                start=moment,
                end=moment,
                entity=entity,
                weight=0.3,
                attributes={"trace_id": line.trace_id} if line.trace_id else {},
            )
        ]

    def _paths(self, suspect: Ranked, onset: datetime) -> list[Evidence]:
        givers = sorted(suspect.blame.givers.items(), key=lambda item: (-item[1], item[0]))
        return [
            Evidence(
                kind=EvidenceKind.TOPOLOGY,
                text=f"{name_of(giver)} depends on {name_of(suspect.entity)} and suffers with it",
                ref=f"{giver}->{suspect.entity}",
                start=onset,
                end=self.now,
                entity=giver,
                weight=0.5 * min(weight, 1.0),
            )
            for giver, weight in givers[:2]
        ]


def describe(event: Event) -> str:
    """A change in words: `deploy of cart: 2.0.0`."""
    word = event.change.value.replace("_", " ") if event.change else "change"
    return f"{word} of {name_of(event.entity)}: {event.title or event.version}"


def reason_of(case: Case, suspect: Ranked, *, first: bool) -> str:
    """One sentence that says why this entity is suspect."""
    own, views = case.own(suspect.entity), case.views(suspect.entity)
    parts = []
    if own:
        parts.append(claim(own[0][0]))
    elif views:
        parts.append(f"{name_of(views[0][0].entity)} sees {claim(views[0][0])} in calls to it")
    if first:
        parts.append("the first to deviate")
    if suspect.change is not None:
        event = case.memory.changes[suspect.change.id]
        parts.append(f"right after the {describe(event)}")
    givers = [name_of(each) for each, weight in sorted(suspect.blame.givers.items()) if weight > 0.05]  # noqa: PLR2004 - a trace of blame is no explanation
    if givers:
        parts.append(f"explains the trouble of {', '.join(givers[:4])}")
    text = ", ".join(parts) or "close to the affected entities"
    return text[0].upper() + text[1:]
