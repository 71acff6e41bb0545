"""A backtest is the same code as live: over the history of a shop it makes the very findings that were made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.score import RECORDED
from twofold.aiops.ingest.capture import read_capture
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.ingest import Ingest
from twofold.app.stages import builder
from twofold.config import Config
from twofold.errors import Conflict, InputError
from twofold.flow.decode import decode
from twofold.flow.memory import MemoryJournal
from twofold.flow.runner import Runner
from twofold.flow.sink import LedgerSink
from twofold.joints.backtests import Backtests
from twofold.joints.contest import contest, failed, must_win
from twofold.joints.detectors import Released, configure
from twofold.mlops.monitor.profiles import Profiles
from twofold.records.backtest import Backtest, BacktestState, Label
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.frame import Position
from twofold.records.incident import Incident
from twofold.records.time import SECOND_NS, to_datetime
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.history.delta import DeltaHistory
from twofold.store.ledger import Ledger
from twofold.store.ledger.sql import open_ledger

TRUTH = json.loads(RECORDED.with_suffix(RECORDED.suffix + ".json").read_text())["items"]
MINUTES = 12
_DRAIN_EVERY = 100


@dataclass
class Past:
    """What is left of a live time: ledger and history."""

    home: Path
    ledger: Ledger
    blobs: FileBlobs
    history: DeltaHistory
    catalog: FileCatalog
    start: datetime
    end: datetime

    @property
    def backtests(self) -> Backtests:
        config = Config(home=self.home)
        return Backtests(
            self.ledger,
            self.blobs,
            self.history,
            self.catalog,
            correlate=config.correlate,
            lateness_s=config.lateness_s,
        )

    @contextmanager
    def copy(self, folder: Path) -> Iterator[Past]:
        """The same with a ledger of its own."""
        with closing(sqlite3.connect(self.home / "ledger.sqlite")) as here:
            here.execute("VACUUM INTO ?", (str(folder / "ledger.sqlite"),))
        ledger = open_ledger(folder / "ledger.sqlite")
        try:
            yield replace(self, ledger=ledger)
        finally:
            ledger.close()

    def ask(self, version: str = "1", **changes: object) -> Backtest:
        asked = Backtest(
            id=f"{version}-{len(changes)}",
            model="panel",
            version=version,
            start=self.start,
            end=self.end,
            warm_up_s=0.0,
            requester="robin",
            created=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return replace(asked, **changes)  # type: ignore[arg-type]  # fields of a backtest, by name


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """The first minutes of the recorded shop went through receivers and stages, and into the history."""
    home = tmp_path_factory.mktemp("past")
    config, clock = Config(home=home), [0]
    ledger, blobs = open_ledger(home / "ledger.sqlite"), FileBlobs(home / "blobs")
    catalog, journal = FileCatalog(home / "catalog"), MemoryJournal()
    ingest = Ingest(journal, catalog, Counts(), config.ingest, now_ns=lambda: clock[0])
    released = Released(ledger, blobs)
    released.ensure()
    build = builder(config, catalog, ledger, Profiles(ledger, blobs), released)
    runner = Runner(journal, 0, decode=decode, build=build, sink=LedgerSink(journal, ledger), blobs=blobs)
    first_ns = 0
    for number, request in enumerate(read_capture(RECORDED)):
        first_ns = first_ns or request.time_ns
        if request.time_ns > first_ns + MINUTES * 60 * SECOND_NS:
            break
        for second in range((clock[0] // SECOND_NS + 1) if clock[0] else 0, request.time_ns // SECOND_NS):
            if clock[0]:
                clock[0] = second * SECOND_NS
                ingest.tick()
        clock[0] = request.time_ns
        ingest.replay(request)
        if number % _DRAIN_EVERY == 0:
            runner.work_off()
    runner.work_off()
    history = DeltaHistory(home / "history")
    at = Position(0, 0)
    while found := journal.read(0, at):
        history.append(0, found)
        at = found[-1][0]
    history.flush()
    catalog.save()
    end = to_datetime(clock[0])
    yield Past(home, ledger, blobs, history, catalog, end - timedelta(minutes=MINUTES), end)
    history.close()
    ledger.close()


def test_it_makes_the_findings_and_incidents_that_live_made(past: Past) -> None:
    asked = past.ask()
    made = past.backtests.replay(past.backtests._settings(asked), asked, lambda _share: None)
    live = {one.id: one for one in past.ledger.find(Finding, tenant="main", limit=1000)}
    assert live
    assert {key: (x.series, x.onset, x.direction, x.detector) for key, x in made.findings.items()} == {
        key: (x.series, x.onset, x.direction, x.detector) for key, x in live.items()
    }
    incidents = past.ledger.find(Incident, tenant="main", limit=100)
    assert {one.id for one in made.incidents.values()} == {one.id for one in incidents}


def test_it_tells_what_would_have_paged_and_what_would_have_been_missed(past: Past) -> None:
    faults = [item for item in TRUTH if item["accepted"] and datetime.fromisoformat(item["started"]) < past.end]
    labels = tuple(
        Label(
            name=item["fault"],
            start=datetime.fromisoformat(item["started"]),
            end=datetime.fromisoformat(item["ended"] or item["started"]),
            entities=tuple(item["accepted"]),
        )
        for item in faults
    )
    nothing = Label(
        name="nobody noticed", start=past.start + timedelta(minutes=1), end=past.start + timedelta(minutes=2)
    )
    told: list[float] = []
    done = past.backtests.judge(past.ask(labels=(*labels, nothing)), told.append)
    figures = done.figures
    assert done.state is BacktestState.DONE
    assert figures is not None
    assert (figures.labels, figures.found, figures.first) == (len(labels) + 1, len(labels), len(labels))
    assert [one.name for one in done.missed] == ["nobody noticed"]
    assert figures.median_delay_s is not None
    assert 0 < figures.median_delay_s < 60
    assert (figures.noise, figures.repeats) == (0, 0)
    assert figures.points > 10_000


def test_what_detectors_found_that_are_not_replayed_pages_as_it_did(past: Past, tmp_path: Path) -> None:
    """A call that is missing comes from spans, which no replay sees; the record says when it was told, and by whom."""
    opened = past.start + timedelta(minutes=2)
    missing = Finding(
        id="missing-call",
        entity="service:elsewhere",
        series="00000000000000ff",
        metric="span.call_ratio",
        onset=opened - timedelta(seconds=20),
        seen=opened + timedelta(minutes=3),
        opened=opened,
        score=9.0,
        effect=-12.0,
        value=0.0,
        expected=1.0,
        low=0.9,
        high=1.0,
        direction=Direction.DOWN,
        detector="calls@1",
        reason="elsewhere (GET /) calls nobody in 0 % of 40 requests",
        state=FindingState.CLOSED,
    )
    before = past.backtests.judge(past.ask())
    with past.copy(tmp_path) as other:
        other.ledger.put(missing, replace(missing, id="replayed", entity="service:nowhere", detector="panel@9"))
        after = other.backtests.judge(past.ask())
    new = [page for page in after.pages if page.incident not in {one.incident for one in before.pages}]
    assert [page.entities for page in new] == [("service:elsewhere",)]
    assert timedelta(0) <= new[0].detected - opened < timedelta(minutes=1)


def test_a_page_inside_of_what_was_noise_is_false(past: Past) -> None:
    noise = Label(name="maintenance", start=past.start, end=past.end, noise=True)
    done = past.backtests.judge(past.ask(labels=(noise,)))
    assert done.figures is not None
    assert done.figures.noise == done.figures.pages > 0
    assert all(page.noise for page in done.pages)


def test_a_period_without_telemetry_or_without_length_is_refused(past: Past) -> None:
    with pytest.raises(InputError, match="no samples between"):
        past.backtests.judge(past.ask(start=past.start - timedelta(days=9), end=past.start - timedelta(days=8)))
    with pytest.raises(InputError, match="before it starts"):
        past.backtests.judge(past.ask(end=past.start))


def test_a_detector_goes_live_only_after_it_won_against_the_one_that_is(past: Past) -> None:
    deaf = configure(
        past.ledger,
        past.blobs,
        "panel",
        {"least_score": 60.0},
        description="hears nothing",
        owner="robin",
        tenant="main",
    )
    with pytest.raises(Conflict, match="was not yet compared"):
        must_win(past.ledger, "panel", deaf.version, tenant="main")
    fault = next(item for item in TRUTH if item["accepted"])
    label = Label(
        name=fault["fault"],
        start=datetime.fromisoformat(fault["started"]),
        end=datetime.fromisoformat(fault["ended"]),
        entities=tuple(fault["accepted"]),
    )
    champion = past.backtests.judge(past.ask(labels=(label,)))
    candidate = past.backtests.judge(past.ask(deaf.version, labels=(label,)))
    past.ledger.put(champion, candidate)
    found = contest(candidate, champion)
    assert not found.won
    assert {gate.name for gate in found.gates if failed(gate)} == {"labelled_recall", "cause_first", "recall_service"}
    assert {gate.name for gate in found.gates if gate.unknown} == {"pages_per_week"}, "minutes say nothing of weeks"
    with pytest.raises(Conflict, match="finds 0 of 1 labelled incidents"):
        must_win(past.ledger, "panel", deaf.version, tenant="main")
    assert contest(champion, champion).won


def test_alert_rules_are_judged_by_the_same_yardstick(past: Past) -> None:
    fault = next(item for item in TRUTH if item["accepted"])
    label = Label(
        name=fault["fault"],
        start=datetime.fromisoformat(fault["started"]),
        end=datetime.fromisoformat(fault["ended"]),
        entities=tuple(fault["accepted"]),
    )
    alert = "{alert: Slow, expr: 'span_duration_p50{kind=\"server\"} > 0.2', for: 30s}"
    slow = f"{{name: shop, interval: 15s, rules: [{alert}]}}"
    done = past.backtests.judge(past.ask(labels=(label,), rules=f"groups: [{slow}]"))
    assert done.figures is not None
    assert (done.figures.pages, done.figures.found, done.figures.noise) == (1, 1, 0)
    assert done.pages[0].title.startswith("Slow")
    never = "{name: shop, rules: [{alert: Never, expr: 'up > 7'}]}"
    missed = past.backtests.judge(past.ask(labels=(label,), rules=f"groups: [{never}]"))
    assert [one.name for one in missed.missed] == [fault["fault"]]
