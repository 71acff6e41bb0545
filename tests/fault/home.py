"""A small Twofold in one folder: all stores and both consumers of the journal, driven by hand, and its final account.

What it is sent has names. Afterwards each name must stand once in every store that it passes through.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from tests.conservation import Account, stored_rows
from tests.telemetry import NOON, SECOND, logs_frame, samples_frame
from twofold.errors import NotFound
from twofold.flow.decode import decode
from twofold.flow.pipeline import Pipeline
from twofold.flow.recorder import Recorder, recall_series
from twofold.flow.runner import Runner
from twofold.flow.sink import LedgerSink
from twofold.flow.stage import State
from twofold.records.access import Audit
from twofold.records.columns import DerivedSamples, Logs, samples_batch
from twofold.records.event import Event, EventKind
from twofold.records.frame import Frame, FrameKind
from twofold.records.series import Origin, Series
from twofold.records.time import to_datetime
from twofold.store.blobs import Blobs
from twofold.store.blobs.files import FileBlobs
from twofold.store.blobs.s3 import S3Blobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.failpoints import arm
from twofold.store.history import Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import TABLES, DeltaHistory, HistoryConfig
from twofold.store.history.sql import SqlLimits
from twofold.store.journal import batches
from twofold.store.journal.codec import encode_series
from twofold.store.journal.segments import JournalConfig, SegmentJournal
from twofold.store.ledger.audit import append_audit, check_chain
from twofold.store.ledger.sql import open_ledger
from twofold.store.s3 import S3Config

JOURNAL: Final = JournalConfig(segment_bytes=15_000, tail_bytes=4_000)
HISTORY: Final = HistoryConfig(
    threads=1,
    sql=SqlLimits(threads=1),
    compact=CompactConfig(rows=1000, settle_s=0.0, small_rows=500, small_files=2, kept_hours=0),
)
LINES: Final = 3
DERIVED: Final = "told"
KINDS: Final = ("lines", "acts")


class Teller:
    """An event for each log line, and a derived sample for each frame: its value counts the frames."""

    name: ClassVar[str] = "teller"
    accepts: ClassVar[tuple[type, ...]] = (Logs,)

    def __init__(self, series: Series) -> None:
        self._series = series
        self._frames = 0

    def process(self, items: Sequence[object]) -> Sequence[object]:
        made: list[object] = []
        for item in items:
            assert isinstance(item, Logs)
            self._frames += 1
            time_ns = NOON + self._frames * SECOND
            values = (np.array([self._series.sid]), np.array([time_ns]), np.array([float(self._frames)]))
            made += [self._series, DerivedSamples(data=samples_batch(*values), window_ns=time_ns)]
            for body in item.data["body"].to_pylist():
                moment = to_datetime(NOON)
                made.append(Event(id=body, kind=EventKind.CHANGE, time=moment, entity="service:cart", title=body))
        return made

    def advance(self, watermark_ns: int) -> Sequence[object]:
        del watermark_ns
        return ()

    def snapshot(self) -> State:
        return {"frames": np.array([self._frames])}

    def restore(self, state: State) -> None:
        self._frames = int(np.asarray(state["frames"])[0])


class Home(AbstractContextManager["Home"]):
    """Everything in one folder, or history and blobs in a bucket. `close` is for good ends; a fault just drops it."""

    def __init__(self, root: Path, storage: S3Config | None = None) -> None:
        self.catalog = FileCatalog(root / "catalog")
        self.journal = SegmentJournal(root / "journal", config=JOURNAL)
        recall_series(self.journal, self.catalog)
        self.history = DeltaHistory(root / "history", config=replace(HISTORY, s3=storage) if storage else HISTORY)
        self.ledger = open_ledger(root / "ledger.sqlite")
        self.blobs: Blobs = S3Blobs(storage) if storage else FileBlobs(root / "blobs")
        self.recorder = Recorder(self.journal, self.history, self.catalog)
        sid, _ = self.catalog.register(DERIVED, {}, entity="service:cart", tenant="main", origin=Origin.METRIC)
        told = self.catalog.get(sid, tenant="main")
        self.runner = Runner(
            self.journal,
            0,
            decode=decode,
            build=lambda _, lane: Pipeline([Teller(told)], lane=lane, lateness_ns=0),
            sink=LedgerSink(self.journal, self.ledger),
            blobs=self.blobs,
        )
        self.runner.restore()

    def send(self, name: str) -> list[str]:
        """A new series, its sample and some log lines in one append; the names of the lines once it returned."""
        bodies = [f"{name}-{row}" for row in range(LINES)]
        sid, _ = self.catalog.register("sent", {"who": name}, entity="service:cart", tenant="main")
        self.journal.append(
            [
                _series_frame([self.catalog.get(sid, tenant="main")]),
                samples_frame([(sid, NOON, 1.0)]),
                logs_frame(bodies),
            ]
        )
        return bodies

    def act(self, name: str) -> None:
        """One entry of the audit chain."""
        append_audit(self.ledger, actor="test", action="act", target=name, tenant="main")

    def chores(self, number: int) -> None:
        """What the threads of a real one do in turns."""
        self.runner.work_off()
        self.recorder.drain()
        if number % 2:
            self.recorder.flush()
        if number % 3 == 0:
            self.runner.checkpoint()
        if number % 4 == 3:
            self.history.compact()

    def close(self) -> None:
        self.history.close()
        self.ledger.close()
        self.journal.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _series_frame(series: Sequence[Series]) -> Frame:
    payload = encode_series(series)
    return Frame(kind=FrameKind.SERIES, payload=payload, time_ns=NOON, rows=len(series))


@dataclass(frozen=True)
class Acknowledged:
    """What was told to the sender: names of log lines, and of acts."""

    lines: frozenset[str] = frozenset()
    acts: frozenset[str] = frozenset()

    def __or__(self, other: Acknowledged) -> Acknowledged:
        return replace(self, lines=self.lines | other.lines, acts=self.acts | other.acts)


def live(folder: str, told: str, name: str, failpoint: str, rounds: int) -> None:
    """A process's life: two senders and all chores, until a failpoint ends it or `rounds` are over.

    Acknowledgements go to the file `told` by single writes: the kernel keeps them when the process is killed.
    """
    arm(failpoint)
    home = Home(Path(folder))
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    over = threading.Event()
    turns = threading.Semaphore(0)

    def tell(*facts: Sequence[str]) -> None:
        os.write(out, b"".join(json.dumps(fact).encode() + b"\n" for fact in facts))

    def send(who: int) -> None:
        number = 0
        while turns.acquire() and not over.is_set():
            tell(["lines", *home.send(f"{name}-{who}-{number}")])
            number += 1

    senders = [threading.Thread(target=send, args=(who,), daemon=True) for who in range(2)]
    for sender in senders:
        sender.start()
    for number in range(rounds):
        turns.release(6)
        home.chores(number)
        home.act(f"{name}-{number}")
        tell(["acts", f"{name}-{number}"])
    over.set()
    turns.release(2)
    for sender in senders:
        sender.join()
    home.close()


def acknowledged(told: Path) -> Acknowledged:
    """What `live` was told."""
    facts = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
    return Acknowledged(
        *(frozenset(name for kind, *names in facts if kind == want for name in names) for want in KINDS)
    )


def settle(
    root: Path,
    expected: Acknowledged,
    *,
    sent: Iterable[str] | None = None,
    torn: bool = False,
    storage: S3Config | None = None,
) -> int:
    """Bring everything where it belongs; check that each acknowledged name stands everywhere, once (P1, P5).

    Returns how many log lines there are. `sent`: nothing else may be there. `torn`: of an append that was not
    acknowledged some frames may be there and others not, as a disk leaves it that loses pages.
    """
    with Home(root, storage) as home:
        home.runner.drain()
        received = sum(
            frame.rows
            for _, frame in batches(home.journal, 0, home.journal.committed("history", 0))
            if frame.kind in TABLES
        )
        before = _rows(home.history)
        home.recorder.drain()
        home.recorder.flush()
        counts = home.history.counts
        stored = _rows(home.history) - before
        Account(received=received, stored=stored, duplicate=counts["replayed"] + counts["duplicate"]).check()
        assert not counts["unreadable"]
        lines = Counter(home.history.query("SELECT body FROM logs", tenant="main")["body"].to_pylist())
        assert expected.lines <= lines.keys(), f"gone: {sorted(expected.lines - lines.keys())[:5]}"
        assert set(lines.values()) <= {1}, f"twice: {lines.most_common(3)}"
        if sent is not None:
            assert lines.keys() <= set(sent), "lines that nobody sent"
        _check_samples(home, expected, lines.keys(), torn=torn)
        _check_ledger(home, expected, lines.keys())
        return len(lines)


def _rows(history: DeltaHistory) -> int:
    return stored_rows(history, Table.LOGS) + stored_rows(history, Table.SAMPLES)


def _check_samples(home: Home, expected: Acknowledged, lines: Iterable[str], *, torn: bool) -> None:
    """Each sender's sample stands beside its lines and belongs to a known series; derived ones count without a gap."""
    names: Counter[str] = Counter()
    told: Counter[float] = Counter()
    for row in home.history.query("SELECT sid, value FROM samples", tenant="main").to_pylist():
        try:
            series = home.catalog.get(row["sid"], tenant="main")
        except NotFound:
            assert torn, "a sample whose series nobody knows"
            continue
        if series.metric == DERIVED:
            told[row["value"]] += 1
        else:
            names[series.labels["who"]] += 1
    found = {line.rpartition("-")[0] for line in lines}
    assert set(names.values()) <= {1}
    assert {line.rpartition("-")[0] for line in expected.lines} <= names.keys()
    assert torn or names.keys() == found
    assert told == Counter(map(float, range(1, len(found) + 1)))


def _check_ledger(home: Home, expected: Acknowledged, lines: Iterable[str]) -> None:
    events = {event.id for event in home.ledger.find(Event, tenant="main", limit=1_000_000)}
    assert events == set(lines), "events and lines differ"
    chain = home.ledger.find(Audit, tenant="main", limit=1_000_000, newest_first=False)
    check_chain(sorted(chain, key=lambda entry: entry.seq))
    acts = Counter(entry.target for entry in chain)
    assert expected.acts <= acts.keys(), "an act without its entry"
    assert set(acts.values()) <= {1}


def moments(seed: int) -> random.Random:
    """Chance that falls the same way in every run."""
    return random.Random(seed)  # noqa: S311 - repeatable on purpose, nothing secret
