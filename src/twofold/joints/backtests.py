"""What would have paged: a detector version replayed over history, through the same stages as live.

Belongs to joint 1: a detector is judged before its release like any model, here on this installation's own past.
What spans, logs and models were turned into is in the history as samples, so the replay begins at the panel:
panel → joint → correlate → diagnose, with the topology as it stands and the changes of the period. Whatever else
opened incidents then, findings of other detectors and alerts of other systems, joins as it was told, for it would have
been told whichever version was live. Silences and routing join when they exist.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from operator import itemgetter
from typing import Final, TypeVar

import numpy as np

from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.joint.config import JointConfig
from twofold.aiops.detect.joint.stage import Joint
from twofold.aiops.detect.panel import Panel
from twofold.aiops.detect.rules import read_rules, replay
from twofold.aiops.diagnose.stage import Diagnose
from twofold.errors import InputError, TooLarge, TwofoldError
from twofold.flow.pipeline import Pipeline
from twofold.flow.stage import Stage
from twofold.flow.workflow import Context, Json
from twofold.joints.hindsight import Made, figures_of, hold_against, inside, labels_of
from twofold.joints.rule_pages import made_of
from twofold.joints.settings import PANEL, Chain, Settings
from twofold.joints.ticks import Heard, Ticks
from twofold.records.alert import Alert
from twofold.records.backtest import Backtest, BacktestState
from twofold.records.columns import Samples
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge
from twofold.records.event import Event
from twofold.records.finding import Finding, FindingState
from twofold.records.frame import Lane
from twofold.records.incident import Incident
from twofold.records.time import SECOND_NS, to_ns
from twofold.store.blobs import Blobs
from twofold.store.catalog import Catalog
from twofold.store.history import History
from twofold.store.ledger import Ledger
from twofold.store.promql import Engine, HistorySource, Limits

log = logging.getLogger(__name__)

NAME: Final = "backtest"
"""Name under which the workflow is registered. Its id is the backtest's id."""
REPLAYED: Final = frozenset({PANEL, "joint"})
"""Detectors that a replay runs; what others found is taken from the record."""
MOST_PAGES: Final = 500
_CHUNK_ROWS: Final = 1_000_000
_LEAST_CHUNK_NS: Final = 10 * SECOND_NS
_FIRST_CHUNK_NS: Final = 600 * SECOND_NS
_SLICE_NS: Final = 5 * SECOND_NS
_TELL_S: Final = 1.0
_SQL: Final = "SELECT sid, time_ns, value FROM samples ORDER BY time_ns"
_MINUTES_SQL: Final = "SELECT time_ns // 60000000000 AS minute, count(*) AS n FROM samples GROUP BY 1 ORDER BY 1"
_LIMIT: Final = 10_000
_RULE_LIMITS: Final = Limits(seconds=300.0, samples=50_000_000, cells=50_000_000)


T = TypeVar("T", Event, Finding)


class Backtests:
    """Requests and runs backtests.

    Args:
        correlate: Settings of grouping, as live.
        joint: Settings of the detector of whole entities, as live.
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
        joint: JointConfig | None = None,
    ) -> None:
        self._ledger, self._history, self._catalog = ledger, history, catalog
        self._chain = Chain(ledger, blobs, correlate=correlate, joint=joint or JointConfig(), lateness_s=lateness_s)

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
        except Exception as error:  # the boundary of the task: a fault of ours ends it, too, and says so
            log.exception("backtest %s failed", key)
            done = replace(asked, state=BacktestState.FAILED, error=f"a fault of Twofold's own: {error!r}")
        self._ledger.put(done)
        return done.state.value

    def judge(
        self,
        asked: Backtest,
        tell: Callable[[float], None] = lambda _share: None,
        *,
        config: PanelConfig | None = None,
    ) -> Backtest:
        """Replay and hold against the labels.

        Args:
            asked: Version and period.
            tell: Hears the share done, about once a second.
            config: Settings that are no version yet, in place of the version's.

        Raises:
            NotFound: No such version.
            InputError: The period is empty, a label ends before it starts, or there is no telemetry in it.
        """
        if asked.end <= asked.start:
            raise InputError(f"the period ends at {asked.end}, before it starts at {asked.start}")
        labels = inside(asked.labels, asked.start, asked.end)
        if not asked.labels:
            labels = labels_of(self._ledger, asked.start, asked.end, tenant=asked.tenant)
        clock, cpu = time.monotonic(), time.process_time()
        made = (
            self.replay_rules(asked, tell) if asked.rules else self.replay(self._settings(asked, config), asked, tell)
        )
        if not made.points:
            raise InputError(f"there are no samples between {asked.start} and {asked.end}")
        pages, missed = hold_against(made, labels, asked.start, asked.end)
        took = (time.monotonic() - clock, time.process_time() - cpu)
        figures = figures_of(made, pages, labels, asked, took)
        return replace(
            asked,
            state=BacktestState.DONE,
            done=1.0,
            error="",
            labels=tuple(labels),
            figures=figures,
            pages=tuple(pages[:MOST_PAGES]),
            missed=tuple(missed),
            outcomes=made.outcomes,
        )

    def replay(self, settings: Settings, asked: Backtest, tell: Callable[[float], None]) -> Made:
        """Push the period through the stages, oldest sample first."""
        panel = Panel(self._catalog, settings.panel, detector=settings.detector, tenant=asked.tenant)
        stages: tuple[Stage, ...] = (
            panel,
            *([Joint(self._catalog, settings.joint, tenant=asked.tenant)] if settings.joint.on else []),
            Correlate(settings.correlate, lane=Lane.BACKFILL),
            Diagnose(settings.causes, ranker=settings.ranker),
        )
        pipeline = Pipeline(stages, lane=Lane.BACKFILL, lateness_ns=int(settings.lateness_s * SECOND_NS))
        made = Made(findings={}, alerts={}, incidents={}, diagnoses={}, points=0, series=0)
        edges = self._ledger.find(Edge, tenant=asked.tenant, limit=_LIMIT)
        _keep(made, pipeline.push(edges, event_ns=0, received_ns=0))
        start_ns, end_ns = to_ns(asked.start) - int(asked.warm_up_s * SECOND_NS), to_ns(asked.end)
        points, told = 0, 0.0
        observed, replayed = Heard(), Heard()
        for time_ns, items in _ticking(self._items(asked, start_ns, end_ns), end_ns, settings.panel.resume_s):
            if samples := sum(item.data.num_rows for item in items if isinstance(item, Samples)):
                points += samples
                replayed.add(time_ns)
                if time_ns >= to_ns(asked.start):
                    observed.add(time_ns)
            _keep(made, pipeline.push(items, event_ns=time_ns, received_ns=time_ns))
            if time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                tell((time_ns - start_ns) / max(end_ns - start_ns, 1))
        return replace(made, points=points, series=len(panel), observed_s=observed.seconds, replayed_s=replayed.seconds)

    def replay_rules(self, asked: Backtest, tell: Callable[[float], None]) -> Made:
        """Evaluate alert rules over the period. Raises `InputError` when none can be."""
        engine, source = Engine(_RULE_LIMITS), HistorySource(self._catalog, self._history, tenant=asked.tenant)
        start_ms, end_ms = (to_ns(moment) // 1_000_000 for moment in (asked.start, asked.end))
        replayed = replay(read_rules(asked.rules), engine, source, start_ms, end_ms, tell)
        counted = self._history.query(
            _MINUTES_SQL, tenant=asked.tenant, start_ns=to_ns(asked.start), end_ns=to_ns(asked.end)
        )
        observed = Heard()
        for minute in counted["minute"].to_pylist():
            observed.add(minute * 60 * SECOND_NS)
        points = sum(counted["n"].to_pylist())
        return replace(made_of(replayed, points=points), observed_s=observed.seconds, replayed_s=observed.seconds)

    def _items(self, asked: Backtest, start_ns: int, end_ns: int) -> Iterator[tuple[int, list[object]]]:
        """Slices of event time with their samples and what was told: newest time in it, items."""
        told = deque(sorted(self._told(asked), key=itemgetter(0)))
        for batch in self._chunks(asked.tenant, start_ns, end_ns):
            times = batch.data.column(1).to_numpy()
            slices = times // _SLICE_NS
            cuts = [0, *(np.flatnonzero(np.diff(slices)) + 1).tolist(), len(times)]
            for low, high in itertools.pairwise(cuts):
                newest = int(times[high - 1])
                before: list[object] = []
                while told and told[0][0] <= newest:
                    before.append(told.popleft()[1])
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

    def _told(self, asked: Backtest) -> Iterator[tuple[int, object]]:
        """Events, and what detectors found that are not replayed, each with the time at which it was told."""
        for event in self._recorded(Event, asked):
            yield to_ns(event.time), event
        for finding in self._recorded(Finding, asked):
            if finding.detector.partition("@")[0] in REPLAYED:
                continue
            opened = finding.opened or finding.onset
            yield to_ns(opened), replace(finding, seen=opened, state=FindingState.OPEN)
            if finding.state is FindingState.CLOSED:
                yield to_ns(finding.seen), finding

    def _recorded(self, kind: type[T], asked: Backtest) -> Iterator[T]:
        """Records of the period and of the warm-up before it, by time."""
        since = asked.start - timedelta(seconds=asked.warm_up_s)
        after = ""
        while True:
            page = self._ledger.find(
                kind, tenant=asked.tenant, since=since, until=asked.end, limit=_LIMIT, after=after, newest_first=False
            )
            yield from page
            if len(page) < _LIMIT:
                return
            after = page[-1].id

    def _settings(self, asked: Backtest, config: PanelConfig | None = None) -> Settings:
        return self._chain.of(asked.model, asked.version, asked.tenant, config)


def _ticking(
    slices: Iterator[tuple[int, list[object]]], end_ns: int, resume_s: float
) -> Iterator[tuple[int, list[object]]]:
    """The same with the receivers' clock in between and until the end of the period."""
    ticks, last_ns = Ticks(resume_s), 0
    for time_ns, items in slices:
        yield from ((tick, []) for tick in (ticks.until(last_ns, time_ns) if last_ns else ()))
        yield time_ns, items
        last_ns = time_ns
    yield from ((tick, []) for tick in (ticks.until(last_ns, end_ns + 1) if last_ns else ()))


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
