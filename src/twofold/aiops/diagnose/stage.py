"""Incidents in, ranked suspects with evidence out. Stands behind grouping, before the ledger and response."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from twofold.aiops.diagnose.config import DiagnoseConfig
from twofold.aiops.diagnose.evidence import Case, reason_of
from twofold.aiops.diagnose.memory import Memory
from twofold.aiops.diagnose.rank import Change, Ranked, rank
from twofold.aiops.diagnose.symptom import Symptom, symptom_of
from twofold.errors import Corrupt, DecodeError
from twofold.flow.stage import State
from twofold.records.alert import Alert
from twofold.records.codec import Json, from_json, to_json
from twofold.records.diagnosis import Diagnosis, Suspect
from twofold.records.entity import Edge
from twofold.records.event import Event, EventKind
from twofold.records.example import Exemplar, LogExample
from twofold.records.finding import Finding
from twofold.records.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from twofold.records.signal import signal_of
from twofold.records.time import SECOND_NS, to_datetime, to_ns
from twofold.records.words import name_of, percent

_VERSION: Final = 1
_OUTSIDE_STRENGTH: Final = 0.5
"""Strength of an alert from outside: somebody's rule says so, but not how much."""
_FORGET_EVERY_NS: Final = 60 * SECOND_NS
DEFAULT_RANKER: Final = "causes@1"


@dataclass(slots=True)
class _Open:
    """An incident under diagnosis: what was said last, and when to look again."""

    incident: Incident
    due_ns: int
    last_ns: int = 0
    said: str = ""
    top: str = ""


class Diagnose:
    """Ranks the possible causes of each incident: at opening, as it grows, and once more when it resolves.

    Suits incidents whose entities stand in the topology; without edges the strongest and earliest
    entity leads. A diagnosis replaces the earlier one of the same incident and is given only when it says
    something new.

    Args:
        config: Weights and limits.
        ranker: `name@version` of the released ranker whose weights these are.
    """

    name: ClassVar[str] = "diagnose"
    accepts: ClassVar[tuple[type, ...]] = (Finding, Alert, Incident, Edge, Event, Exemplar, LogExample)

    def __init__(self, config: DiagnoseConfig | None = None, ranker: str = DEFAULT_RANKER) -> None:
        self._config = config or DiagnoseConfig()
        self._ranker = ranker
        self._memories: dict[str, Memory] = {}
        self._outside: dict[str, dict[str, Alert]] = {}
        self._open: dict[tuple[str, str], _Open] = {}
        self._forgot_ns = 0

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Remember what was found and happened; note incidents that are new, grew or resolved."""
        for item in items:
            if isinstance(item, Incident):
                self._note(item)
            elif isinstance(item, Alert):
                if item.source != "twofold":
                    self._outside.setdefault(item.tenant, {})[item.id] = item
            else:
                self._remember(item)
        return ()

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Rank what is due."""
        made: list[object] = []
        for open_ in sorted(self._open.values(), key=lambda each: each.incident.id):
            if open_.due_ns <= watermark_ns:
                made += self._diagnose(open_, watermark_ns)
                open_.last_ns, open_.due_ns = watermark_ns, _never()
                if open_.incident.state is IncidentState.RESOLVED:
                    del self._open[open_.incident.tenant, open_.incident.id]
        if watermark_ns - self._forgot_ns >= _FORGET_EVERY_NS:
            self._forget(watermark_ns)
        return made

    def snapshot(self) -> State:
        """Everything as one JSON document."""
        document = {
            "version": _VERSION,
            "forgot_ns": self._forgot_ns,
            "memories": {name: memory.to_state() for name, memory in self._memories.items()},
            "outside": {name: to_json(list(alerts.values())) for name, alerts in self._outside.items()},
            "open": [_open_json(each) for each in self._open.values()],
        }
        return {"diagnose": json.dumps(document, separators=(",", ":")).encode()}

    def restore(self, state: State) -> None:
        """Take back a snapshot. Raises `Corrupt` when it is of another version or damaged."""
        try:
            document = json.loads(bytes(state["diagnose"]))
            if document["version"] != _VERSION:
                raise Corrupt(
                    f"diagnose state has version {document['version']}, this is {_VERSION}: replay the journal"
                )
            memories = {name: Memory.from_state(self._config, row) for name, row in document["memories"].items()}
            outside = {
                name: {row["id"]: from_json(Alert, row) for row in rows} for name, rows in document["outside"].items()
            }
            opened = [_open_back(row) for row in document["open"]]
            forgot_ns = int(document["forgot_ns"])
        except (LookupError, ValueError, TypeError, AttributeError, DecodeError) as error:
            raise Corrupt(f"diagnose state does not fit this version: {error!r}; replay the journal") from error
        self._forgot_ns = forgot_ns
        self._memories = memories
        self._outside = outside
        self._open = {(each.incident.tenant, each.incident.id): each for each in opened}

    def _memory(self, tenant: str) -> Memory:
        if tenant not in self._memories:
            self._memories[tenant] = Memory(self._config)
        return self._memories[tenant]

    def _remember(self, item: object) -> None:
        if isinstance(item, Finding):
            self._memory(item.tenant).finding(item)
        elif isinstance(item, Edge):
            self._memory(item.tenant).graph.add(item)
        elif isinstance(item, Exemplar):
            self._memory(item.tenant).trace(item)
        elif isinstance(item, LogExample):
            self._memory(item.tenant).log(item)
        elif isinstance(item, Event) and item.kind is EventKind.CHANGE:
            self._memory(item.tenant).change(item)
            for open_ in self._open.values():
                if open_.incident.tenant == item.tenant:
                    self._again(open_)

    def _forget(self, now_ns: int) -> None:
        self._forgot_ns = now_ns
        for memory in self._memories.values():
            memory.forget(now_ns)
        oldest = to_datetime(max(0, now_ns - int(self._config.keep_s * SECOND_NS)))
        self._outside = {
            tenant: {key: each for key, each in alerts.items() if each.last_seen >= oldest}
            for tenant, alerts in self._outside.items()
        }

    def _note(self, incident: Incident) -> None:
        key = incident.tenant, incident.id
        if incident.merged_into:
            self._open.pop(key, None)
        elif key not in self._open:
            self._open[key] = _Open(incident, due_ns=0)
        else:
            self._open[key].incident = incident
            self._again(self._open[key])

    def _again(self, open_: _Open) -> None:
        resolved = open_.incident.state is IncidentState.RESOLVED
        open_.due_ns = 0 if resolved else min(open_.due_ns, open_.last_ns + int(self._config.every_s * SECOND_NS))

    def _diagnose(self, open_: _Open, now_ns: int) -> list[object]:
        incident, memory = open_.incident, self._memory(open_.incident.tenant)
        now = min(max(incident.detected, to_datetime(now_ns)), incident.end or to_datetime(now_ns))
        near = memory.around(incident.entities, self._config.rank.hops)
        findings = [each for each in memory.findings.values() if self._belongs(each, incident, near)]
        symptoms = [found for each in findings if (found := symptom_of(each, memory.graph, self._config.rank))]
        symptoms += self._outside_symptoms(incident)
        changes = [
            Change(each.id, each.entity, to_ns(each.time) / SECOND_NS)
            for each in memory.changes.values()
            if incident.end is None or each.time <= incident.end
        ]
        ranking = rank(symptoms, memory.graph, changes, self._config.rank)
        if not ranking:
            return []
        case = Case(memory, self._config, findings, now)
        suspects = self._suspects(case, ranking)
        return self._say(open_, suspects, now)

    def _belongs(self, finding: Finding, incident: Incident, near: set[str]) -> bool:
        earliest = incident.start - timedelta(seconds=self._config.before_s)
        in_time = finding.onset >= earliest and (incident.end is None or finding.onset <= incident.end)
        return in_time and finding.seen >= incident.start and finding.entity in near

    def _outside_symptoms(self, incident: Incident) -> list[Symptom]:
        alerts = self._outside.get(incident.tenant, {})
        return [
            Symptom(
                each.entity, signal_of(each.signal), True, to_ns(each.start) / SECOND_NS, _OUTSIDE_STRENGTH, ref=key
            )
            for key in incident.alerts
            if (each := alerts.get(key)) is not None
        ]

    def _suspects(self, case: Case, ranking: Sequence[Ranked]) -> tuple[Suspect, ...]:
        config = self._config.rank
        named = [each for each in ranking if each.share >= config.least_share][: config.suspects]
        first_s = min(each.blame.onset_s for each in ranking)
        return tuple(
            Suspect(
                entity=each.entity,
                reason=reason_of(case, each, first=each.blame.onset_s == first_s),
                score=round(each.share, 4),
                change=each.change.id if each.change else "",
                evidence=case.cite(each),
            )
            for each in named
        )

    def _say(self, open_: _Open, suspects: tuple[Suspect, ...], now: datetime) -> list[object]:
        incident = open_.incident
        diagnosis = Diagnosis(
            id=incident.id,
            incident=incident.id,
            time=now,
            suspects=suspects,
            ranker=self._ranker,
            tenant=incident.tenant,
        )
        said = _digest(json.dumps([[each.entity, each.change, round(each.score, 2)] for each in suspects]))
        if said == open_.said and incident.state is not IncidentState.RESOLVED:
            return []
        open_.said = said
        made: list[object] = [diagnosis]
        top = f"{suspects[0].entity} {suspects[0].change}"
        if top != open_.top:
            open_.top = top
            made.append(_line(diagnosis))
        return made


def _line(diagnosis: Diagnosis) -> TimelineEntry:
    top = diagnosis.suspects[0]
    text = f"Most suspect: {name_of(top.entity)} ({percent(top.score)}). {top.reason}"
    return TimelineEntry(
        id=_digest(f"{diagnosis.incident}|diagnosis|{diagnosis.time.isoformat()}|{text}"),
        incident=diagnosis.incident,
        time=diagnosis.time,
        kind=TimelineKind.DIAGNOSIS,
        text=text,
        entity=top.entity,
        ref=top.change,
        tenant=diagnosis.tenant,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _never() -> int:
    return (1 << 63) - 1


def _open_json(open_: _Open) -> Json:
    return {
        "incident": to_json(open_.incident),
        "due_ns": open_.due_ns,
        "last_ns": open_.last_ns,
        "said": open_.said,
        "top": open_.top,
    }


def _open_back(row: Json) -> _Open:
    return _Open(from_json(Incident, row["incident"]), row["due_ns"], row["last_ns"], row["said"], row["top"])
