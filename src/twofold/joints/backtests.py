"""What would have paged: a detector version replayed over history, through the same stages as live.

Belongs to joint 1: a detector is judged before its release like any model, here on this installation's own past.
What spans, logs and models were turned into is in the history as samples, so the replay begins at the panel:
panel → correlate → diagnose, with the topology as it stands and the changes of the period. Silences and routing join
when they exist.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.panel import Panel
from twofold.aiops.detect.rules import firings, read_rules
from twofold.aiops.diagnose.config import DiagnoseConfig
from twofold.aiops.diagnose.stage import Diagnose
from twofold.errors import InputError, NotFound, TooLarge, TwofoldError
from twofold.flow.pipeline import Pipeline
from twofold.flow.workflow import Context, Json
from twofold.joints.rule_pages import pages_of
from twofold.mlops.registry.registry import Registry
from twofold.mlops.release.releases import Releases
from twofold.records.alert import Alert
from twofold.records.backtest import Backtest, BacktestState, Figures, Label, Missed, Page
from twofold.records.codec import from_json
from twofold.records.columns import Samples
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge
from twofold.records.event import Event
from twofold.records.finding import Finding
from twofold.records.frame import Lane
from twofold.records.incident import Incident
from twofold.records.model import ModelKind
from twofold.records.time import SECOND_NS, to_ns
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.store.blobs import Blobs
from twofold.store.catalog import Catalog
from twofold.store.history import History
from twofold.store.ledger import Ledger
from twofold.store.promql import Engine, HistorySource, Limits

NAME: Final = "backtest"
"""Name under which the workflow is registered. Its id is the backtest's id."""
MODEL: Final = "panel"
MOST_PAGES: Final = 500
GRACE: Final = timedelta(seconds=60)
"""A page this long after a label's end still belongs to it."""
_CHUNK_ROWS: Final = 1_000_000
_LEAST_CHUNK_NS: Final = 10 * SECOND_NS
_FIRST_CHUNK_NS: Final = 600 * SECOND_NS
_SLICE_NS: Final = 5 * SECOND_NS
_TELL_S: Final = 1.0
_SQL: Final = "SELECT sid, time_ns, value FROM samples ORDER BY time_ns"
_COUNT_SQL: Final = "SELECT count(*) AS n FROM samples"
_LIMIT: Final = 10_000
_RULE_LIMITS: Final = Limits(seconds=300.0, samples=50_000_000, cells=50_000_000)
_WEEK_S: Final = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides what pages: the version's own settings, and those of the stages behind it."""

    panel: PanelConfig
    detector: str
    correlate: CorrelateConfig
    causes: DiagnoseConfig
    ranker: str
    lateness_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came out of a replay; of records written several times the last."""

    findings: dict[str, Finding]
    alerts: dict[str, Alert]
    incidents: dict[str, Incident]
    diagnoses: dict[str, Diagnosis]
    points: int
    series: int


class Backtests:
    """Requests and runs backtests.

    Args:
        correlate: Settings of grouping, as live.
        lateness_s: How far the watermark stays behind, as live.
    """

    def __init__(
        self,
        ledger: Ledger,
        blobs: Blobs,
        history: History,
        catalog: Catalog,
        *,
        correlate: CorrelateConfig,
        lateness_s: float,
    ) -> None:
        self._ledger, self._history, self._catalog = ledger, history, catalog
        self._registry, self._releases = Registry(ledger, blobs), Releases(ledger)
        self._correlate, self._lateness_s = correlate, lateness_s

    def run(self, context: Context, arguments: Json) -> Json:
        """The workflow: replay, judge, write the result. A replay that was cut off runs again from its start."""
        key, tenant = str(arguments["backtest"]), str(arguments["tenant"])
        return context.step("replay", lambda: self._finish(key, tenant), idempotent=True, timeout_s=24 * 3600.0)

    def _finish(self, key: str, tenant: str) -> Json:
        asked = self._ledger.get(Backtest, key, tenant=tenant)
        self._ledger.put(replace(asked, state=BacktestState.RUNNING, done=0.0))
        try:
            done = self.judge(asked, lambda share: self._ledger.put(_running(asked, share)))
        except TwofoldError as error:
            done = replace(asked, state=BacktestState.FAILED, error=error.message)
        self._ledger.put(done)
        return done.state.value

    def judge(self, asked: Backtest, tell: Callable[[float], None] = lambda _share: None) -> Backtest:
        """Replay and hold against the labels.

        Args:
            asked: Version and period.
            tell: Hears the share done, about once a second.

        Raises:
            NotFound: No such version.
            InputError: The period is empty, or there is no telemetry in it.
        """
        if asked.end <= asked.start:
            raise InputError(f"the period ends at {asked.end}, before it starts at {asked.start}")
        labels = asked.labels or labels_of(self._ledger, asked.start, asked.end, tenant=asked.tenant)
        clock, cpu = time.monotonic(), time.process_time()
        made = self.replay_rules(asked, tell) if asked.rules else self.replay(self._settings(asked), asked, tell)
        if not made.points:
            raise InputError(f"there are no samples between {asked.start} and {asked.end}")
        pages, missed = hold_against(made, labels, asked.start, asked.end)
        took = (time.monotonic() - clock, time.process_time() - cpu)
        figures = _figures(made, pages, labels, asked, took)
        return replace(
            asked,
            state=BacktestState.DONE,
            done=1.0,
            error="",
            labels=tuple(labels),
            figures=figures,
            pages=tuple(pages[:MOST_PAGES]),
            missed=tuple(missed),
        )

    def replay(self, settings: Settings, asked: Backtest, tell: Callable[[float], None]) -> Made:
        """Push the period through the stages, oldest sample first."""
        stages = (
            Panel(self._catalog, settings.panel, detector=settings.detector, tenant=asked.tenant),
            Correlate(settings.correlate, lane=Lane.BACKFILL),
            Diagnose(settings.causes, ranker=settings.ranker),
        )
        pipeline = Pipeline(stages, lane=Lane.BACKFILL, lateness_ns=int(settings.lateness_s * SECOND_NS))
        made = Made(findings={}, alerts={}, incidents={}, diagnoses={}, points=0, series=0)
        edges = self._ledger.find(Edge, tenant=asked.tenant, limit=_LIMIT)
        _keep(made, pipeline.push(edges, event_ns=0, received_ns=0))
        start_ns, end_ns = to_ns(asked.start) - int(asked.warm_up_s * SECOND_NS), to_ns(asked.end)
        points, told = 0, 0.0
        for time_ns, items in self._items(asked, start_ns, end_ns):
            points += sum(item.data.num_rows for item in items if isinstance(item, Samples))
            _keep(made, pipeline.push(items, event_ns=time_ns, received_ns=time_ns))
            if time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                tell((time_ns - start_ns) / max(end_ns - start_ns, 1))
        panel = stages[0]
        return replace(made, points=points, series=len(panel))

    def replay_rules(self, asked: Backtest, tell: Callable[[float], None]) -> Made:
        """Evaluate alert rules over the period. As Alertmanager does by default, alerts of one name are one page."""
        rules = read_rules(asked.rules)
        engine, source = Engine(_RULE_LIMITS), HistorySource(self._catalog, self._history, tenant=asked.tenant)
        start_ms, end_ms = (to_ns(moment) // 1_000_000 for moment in (asked.start, asked.end))
        incidents: dict[str, Incident] = {}
        alerts: dict[str, Alert] = {}
        diagnoses: dict[str, Diagnosis] = {}
        for number, rule in enumerate(rules):
            found = firings(rule, engine, source, start_ms, end_ms)
            for incident, diagnosis, members in pages_of(found):
                incidents[incident.id] = incident
                diagnoses[incident.id] = diagnosis
                alerts |= {alert.id: alert for alert in members}
            tell((number + 1) / len(rules))
        counted = self._history.query(
            _COUNT_SQL, tenant=asked.tenant, start_ns=to_ns(asked.start), end_ns=to_ns(asked.end)
        )
        points = int(counted["n"][0].as_py())
        return Made(
            findings={},
            alerts=alerts,
            incidents=incidents,
            diagnoses=diagnoses,
            points=points,
            series=len(rules),
        )

    def _items(self, asked: Backtest, start_ns: int, end_ns: int) -> Iterator[tuple[int, list[object]]]:
        """Slices of event time with their samples and changes: newest time in it, items."""
        changes = list(self._changes(asked))
        for batch in self._chunks(asked.tenant, start_ns, end_ns):
            times = batch.data.column(1).to_numpy()
            slices = times // _SLICE_NS
            cuts = [0, *(np.flatnonzero(np.diff(slices)) + 1).tolist(), len(times)]
            for low, high in itertools.pairwise(cuts):
                newest = int(times[high - 1])
                before: list[object] = []
                while changes and to_ns(changes[0].time) <= newest:
                    before.append(changes.pop(0))
                part = replace(batch, data=batch.data.slice(low, high - low))
                yield newest, [*before, part]

    def _chunks(self, tenant: str, start_ns: int, end_ns: int) -> Iterator[Samples]:
        """Samples in the order of time, in pieces of about `_CHUNK_ROWS`."""
        at, width = start_ns, _FIRST_CHUNK_NS
        while at < end_ns:
            upto = min(at + width, end_ns)
            try:
                found = self._history.query(_SQL, tenant=tenant, start_ns=at, end_ns=upto)
            except TooLarge:
                if width <= _LEAST_CHUNK_NS:
                    raise
                width = max(width // 4, _LEAST_CHUNK_NS)
                continue
            for data in found.combine_chunks().to_batches():
                yield Samples(data=data, tenant=tenant, lane=Lane.BACKFILL)
            at = upto
            width = int(min(max(width * _CHUNK_ROWS / max(found.num_rows, 1), width / 4), width * 4))
            width = max(width, _LEAST_CHUNK_NS)

    def _changes(self, asked: Backtest) -> Iterator[Event]:
        since = asked.start - timedelta(seconds=asked.warm_up_s)
        after = ""
        while True:
            page = self._ledger.find(
                Event, tenant=asked.tenant, since=since, until=asked.end, limit=_LIMIT, after=after, newest_first=False
            )
            yield from page
            if len(page) < _LIMIT:
                return
            after = page[-1].id

    def _settings(self, asked: Backtest) -> Settings:
        version = self._registry.version(asked.model, asked.version, tenant=asked.tenant)
        if asked.model != MODEL or version.kind is not ModelKind.DETECTOR:
            raise InputError(f"{asked.model} is no detector of series; backtests replay {MODEL!r}", model=asked.model)
        ranker, causes = "causes@0", DiagnoseConfig()
        if number := self._releases.live("causes", tenant=asked.tenant):
            live = self._registry.version("causes", number, tenant=asked.tenant)
            ranker, causes = live.id, from_json(DiagnoseConfig, self._registry.config(live))
        return Settings(
            panel=from_json(PanelConfig, self._registry.config(version)),
            detector=version.id,
            correlate=self._correlate,
            causes=causes,
            ranker=ranker,
            lateness_s=self._lateness_s,
        )


def labels_of(ledger: Ledger, start: datetime, end: datetime, *, tenant: str) -> list[Label]:
    """What verdicts say of the incidents of a period; of several by one author on one subject the last counts."""
    since = start - timedelta(days=1)  # a verdict comes after its incident, an incident may have begun before
    latest: dict[tuple[str, str, str, str], Verdict] = {}
    for verdict in ledger.find(Verdict, tenant=tenant, since=since, limit=_LIMIT, newest_first=False):
        latest[verdict.author, verdict.subject, verdict.ref, verdict.incident] = verdict
    by_incident: dict[str, list[Verdict]] = {}
    for verdict in latest.values():
        by_incident.setdefault(verdict.incident, []).append(verdict)
    found = []
    for incident, verdicts in sorted(by_incident.items()):
        try:
            record = ledger.get(Incident, incident, tenant=tenant)
        except NotFound:
            continue
        if start <= record.detected < end:
            found.append(_label(record, verdicts))
    return found


def _label(incident: Incident, verdicts: Sequence[Verdict]) -> Label:
    causes = tuple(
        sorted({v.ref for v in verdicts if v.subject is VerdictSubject.SUSPECT and v.value is VerdictValue.RIGHT})
    )
    about = [v.value for v in verdicts if v.subject in (VerdictSubject.GROUP, VerdictSubject.ALERT)]
    noise = not causes and bool(about) and VerdictValue.RIGHT not in about
    end = incident.end or incident.last_seen
    return Label(name=incident.id, start=incident.start, end=max(end, incident.start), entities=causes, noise=noise)


def hold_against(
    made: Made, labels: Sequence[Label], start: datetime, end: datetime
) -> tuple[list[Page], list[Missed]]:
    """Pages of the period, each with the label it falls into, and the labels that have none.

    A page falls into a label when it was detected between the label's start and a minute after its end. Where
    labels overlap, the one whose cause is among the page's suspects is taken, otherwise the one that began last.
    """
    incidents = [one for one in made.incidents.values() if not one.merged_into and start <= one.detected < end]
    pages = [
        _page(one, made.diagnoses.get(one.id), labels) for one in sorted(incidents, key=lambda x: (x.detected, x.id))
    ]
    has = {page.label for page in pages}
    wanted = [label for label in labels if not label.noise]
    return pages, [Missed(name=x.name, start=x.start, entities=x.entities) for x in wanted if x.name not in has]


def _page(incident: Incident, diagnosis: Diagnosis | None, labels: Sequence[Label]) -> Page:
    suspects = [one.entity for one in diagnosis.suspects] if diagnosis else []

    def rank(label: Label) -> int:
        return next((place for place, entity in enumerate(suspects, 1) if entity in label.entities), 0)

    fits = [label for label in labels if label.start <= incident.detected <= label.end + GRACE]
    label = max(fits, key=lambda one: (rank(one) > 0, one.start), default=None)
    return Page(
        incident=incident.id,
        title=incident.title,
        severity=incident.severity,
        start=incident.start,
        detected=incident.detected,
        alerts=len(incident.alerts),
        suspect=suspects[0] if suspects else "",
        rank=rank(label) if label else 0,
        label=label.name if label else "",
        noise=bool(label and label.noise),
    )


def _figures(
    made: Made, pages: Sequence[Page], labels: Sequence[Label], asked: Backtest, took: tuple[float, float]
) -> Figures:
    wanted = {label.name: label for label in labels if not label.noise}
    firsts: dict[str, Page] = {}
    for page in pages:
        if page.label in wanted:
            firsts.setdefault(page.label, page)
    delays = [(page.detected - wanted[name].start).total_seconds() for name, page in firsts.items()]
    period_s = (asked.end - asked.start).total_seconds()
    seconds, cpu_s = took
    return Figures(
        points=made.points,
        series=made.series,
        seconds=round(seconds, 3),
        cpu_s=round(cpu_s, 3),
        findings=sum(asked.start <= one.onset < asked.end for one in made.findings.values()),
        alerts=sum(asked.start <= one.start < asked.end for one in made.alerts.values()),
        pages=len(pages),
        labels=len(wanted),
        found=len(firsts),
        first=sum(page.rank == 1 for page in firsts.values()),
        noise=sum(page.noise for page in pages),
        repeats=sum(page.label in wanted for page in pages) - len(firsts),
        pages_per_week=round(len(pages) * _WEEK_S / period_s, 2),
        cpu_s_per_day=round(cpu_s * 86_400.0 / (period_s + asked.warm_up_s), 2),
        median_delay_s=round(statistics.median(delays), 1) if delays else None,
    )


def _keep(made: Made, items: Sequence[object]) -> None:
    for item in items:
        if isinstance(item, Finding):
            made.findings[item.id] = item
        elif isinstance(item, Alert):
            made.alerts[item.id] = item
        elif isinstance(item, Incident):
            made.incidents[item.id] = item
        elif isinstance(item, Diagnosis):
            made.diagnoses[item.incident] = item


def _running(asked: Backtest, share: float) -> Backtest:
    return replace(asked, state=BacktestState.RUNNING, done=round(min(max(share, 0.0), 1.0), 3))
