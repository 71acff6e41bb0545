"""What diagnosis remembers of one tenant: topology, findings, changes, traces and log lines of the last hours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from twofold.aiops.diagnose.config import DiagnoseConfig
from twofold.records.codec import Json, from_json, to_json
from twofold.records.event import Event
from twofold.records.example import Exemplar, LogExample
from twofold.records.finding import Finding
from twofold.records.time import SECOND_NS, to_datetime, to_ns
from twofold.stats.graph import Graph

_ERROR: Final = 17
"""OpenTelemetry SeverityNumber from which a log line tells of an error."""
_BUCKET_NS: Final = 30 * SECOND_NS

T = TypeVar("T", bound=Exemplar | LogExample)


class Examples(Generic[T]):
    """The most telling example of each entity and half minute.

    So an incident's first minute can still be cited at its end, however busy the entity was since.

    Args:
        telling: Orders examples; the greatest of a half minute is kept.
        limit: Half minutes kept per entity.
    """

    def __init__(self, telling: Callable[[T], tuple[Any, ...]], limit: int) -> None:
        self._telling = telling
        self._limit = limit
        self._kept: dict[str, dict[int, T]] = {}

    def add(self, entity: str, example: T) -> None:
        """Take an example of the entity."""
        kept = self._kept.setdefault(entity, {})
        bucket = example.time_ns // _BUCKET_NS
        if bucket not in kept or self._telling(example) > self._telling(kept[bucket]):
            kept[bucket] = example
        while len(kept) > self._limit:
            del kept[min(kept)]

    def best(self, entity: str, since_ns: int, until_ns: int) -> T | None:
        """The most telling one within the time."""
        found = [each for each in self._kept.get(entity, {}).values() if since_ns <= each.time_ns <= until_ns]
        return max(found, key=self._telling, default=None)

    def forget(self, before_ns: int) -> None:
        """Drop older ones."""
        for entity, kept in list(self._kept.items()):
            self._kept[entity] = {bucket: each for bucket, each in kept.items() if each.time_ns >= before_ns}
            if not self._kept[entity]:
                del self._kept[entity]

    def rows(self) -> Json:
        """As JSON values."""
        return {entity: [to_json(each) for each in kept.values()] for entity, kept in self._kept.items()}

    def take(self, rows: Iterable[tuple[str, T]]) -> None:
        """Inverse of `rows`."""
        for entity, each in rows:
            self.add(entity, each)


class Memory:
    """Bounded in time and number; what the ledger and the history keep for good is kept here only as long as needed."""

    def __init__(self, config: DiagnoseConfig) -> None:
        self._config = config
        self.graph = Graph()
        self.findings: dict[str, Finding] = {}
        self.changes: dict[str, Event] = {}
        self.traces: Examples[Exemplar] = Examples(
            lambda each: (each.error, each.duration_ns, each.time_ns, each.trace_id), config.max_examples
        )
        self.logs: Examples[LogExample] = Examples(
            lambda each: (each.severity, -each.time_ns, each.body), config.max_examples
        )

    def finding(self, finding: Finding) -> None:
        """Take a finding; a later state of the same one replaces it."""
        self.findings.pop(finding.id, None)
        self.findings[finding.id] = finding
        while len(self.findings) > self._config.max_findings:
            del self.findings[next(iter(self.findings))]

    def change(self, event: Event) -> None:
        """Take a change."""
        self.changes[event.id] = event

    def trace(self, exemplar: Exemplar) -> None:
        """Take a telling span, for who reported it and for the callee."""
        for entity in {exemplar.entity, exemplar.callee} - {""}:
            self.traces.add(entity, exemplar)

    def log(self, example: LogExample) -> None:
        """Take a log line that tells of an error, or is odd."""
        if example.severity >= _ERROR or example.why:
            self.logs.add(example.entity, example)

    def forget(self, now_ns: int) -> None:
        """Drop what is older than the configured time; a finding that still holds stays."""
        oldest_ns = now_ns - int(self._config.keep_s * SECOND_NS)
        self.findings = {k: f for k, f in self.findings.items() if to_ns(f.seen) >= oldest_ns}
        self.changes = {k: e for k, e in self.changes.items() if to_ns(e.time) >= oldest_ns}
        self.traces.forget(oldest_ns)
        self.logs.forget(oldest_ns)
        self.graph.forget_before(to_datetime(max(0, now_ns - int(self._config.edge_keep_s * SECOND_NS))))

    def around(self, entities: Sequence[str], hops: int) -> set[str]:
        """The entities and their neighbourhood; a host in trouble brings those who run on it."""
        found = set(entities)
        for entity in entities:
            found.update(self.graph.downstream(entity, hops))
            found.update(self.graph.upstream(entity, hops))
        return found

    def to_state(self) -> Json:
        """Everything as JSON values."""
        return {
            "graph": self.graph.to_state(),
            "findings": to_json(list(self.findings.values())),
            "changes": to_json(list(self.changes.values())),
            "traces": self.traces.rows(),
            "logs": self.logs.rows(),
        }

    @classmethod
    def from_state(cls, config: DiagnoseConfig, state: Json) -> Memory:
        """Inverse of `to_state`."""
        memory = cls(config)
        memory.graph = Graph.from_state(state["graph"])
        memory.findings = {row["id"]: from_json(Finding, row) for row in state["findings"]}
        memory.changes = {row["id"]: from_json(Event, row) for row in state["changes"]}
        memory.traces.take((key, from_json(Exemplar, row)) for key, rows in state["traces"].items() for row in rows)
        memory.logs.take((key, from_json(LogExample, row)) for key, rows in state["logs"].items() for row in rows)
        return memory
