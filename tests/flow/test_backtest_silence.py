"""Silence in a replay: what live hears by the receivers' clock, a backtest finds by the one it makes anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.telemetry import Row, samples_frame
from twofold.app.stages import builder
from twofold.config import Config
from twofold.flow.decode import decode
from twofold.flow.memory import MemoryJournal
from twofold.flow.runner import Runner
from twofold.flow.sink import LedgerSink
from twofold.joints.backtests import Backtests
from twofold.joints.detectors import Released
from twofold.joints.ticks import Ticks
from twofold.mlops.monitor.profiles import Profiles
from twofold.records.backtest import Backtest
from twofold.records.finding import Direction, Finding
from twofold.records.frame import Frame, FrameKind, Position
from twofold.records.incident import Incident
from twofold.records.series import Origin
from twofold.records.time import SECOND_NS, to_datetime
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.history.delta import DeltaHistory
from twofold.store.ledger import Ledger
from twofold.store.ledger.sql import open_ledger

START_NS = 1_767_225_600 * SECOND_NS
HOSTS = 6
GONE = 3
"""The host that says nothing for a while."""


class Farm:
    """Hosts that all report at the same moment, so that nothing at all comes in between."""

    def __init__(self, home: Path, period_s: int) -> None:
        self.home, self.period_s, self.end_ns = home, period_s, START_NS
        self.ledger: Ledger = open_ledger(home / "ledger.sqlite")
        self.blobs, self.catalog = FileBlobs(home / "blobs"), FileCatalog(home / "catalog")
        self.history, self.journal = DeltaHistory(home / "history"), MemoryJournal()
        self._random = np.random.default_rng(5)
        released = Released(self.ledger, self.blobs)
        released.ensure()
        config = Config(home=home)
        build = builder(config, self.catalog, self.ledger, Profiles(self.ledger, self.blobs), released)
        sink = LedgerSink(self.journal, self.ledger)
        self.runner = Runner(self.journal, 0, decode=decode, build=build, sink=sink, blobs=self.blobs)
        self.backtests = Backtests(
            self.ledger,
            self.blobs,
            self.history,
            self.catalog,
            correlate=config.correlate,
            lateness_s=config.lateness_s,
        )
        self._sids = [
            self.catalog.register(
                "system.cpu.utilization",
                {"host": f"h{n}"},
                entity=f"host:h{n}",
                tenant="main",
                unit="1",
                origin=Origin.METRIC,
            )[0]
            for n in range(HOSTS)
        ]

    def live(self, periods: int, gone: range) -> None:
        """Frames as receivers write them: samples each period, a tick each second."""
        for number in range(periods):
            now_ns = START_NS + number * self.period_s * SECOND_NS
            heard = [n for n in range(HOSTS) if n != GONE or number not in gone]
            self.journal.append([samples_frame([self._row(n, now_ns) for n in heard], time_ns=now_ns)])
            self.journal.append([self._tick(now_ns + s * SECOND_NS) for s in range(1, self.period_s)])
            self.end_ns = now_ns + self.period_s * SECOND_NS
        self.runner.work_off()
        at = Position(0, 0)
        while found := self.journal.read(0, at):
            self.history.append(0, found)
            at = found[-1][0]
        self.history.flush()

    def replayed(self) -> tuple[dict[str, Finding], dict[str, Incident]]:
        """Findings and incidents that a backtest of all of it makes."""
        asked = Backtest(
            id="b",
            model="panel",
            version="1",
            start=to_datetime(START_NS),
            end=to_datetime(self.end_ns),
            warm_up_s=0.0,
            requester="robin",
            created=datetime(2026, 1, 1, tzinfo=UTC),
        )
        made = self.backtests.replay(self.backtests._settings(asked), asked, lambda _share: None)
        return made.findings, made.incidents

    def _row(self, host: int, now_ns: int) -> Row:
        return self._sids[host], now_ns, 0.3 + 0.01 * float(self._random.standard_normal())

    def _tick(self, time_ns: int) -> Frame:
        return Frame(kind=FrameKind.TICK, payload=b"", time_ns=time_ns, rows=0)

    def close(self) -> None:
        """Release files."""
        self.history.close()
        self.ledger.close()


@pytest.fixture(params=[30, 60, 300])
def farm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Farm]:
    made = Farm(tmp_path, request.param)
    yield made
    made.close()


def test_a_replay_finds_the_silence_that_live_found_however_rarely_samples_come(farm: Farm) -> None:
    farm.live(80, gone=range(40, 60))
    live = {one.id: one for one in farm.ledger.find(Finding, tenant="main", limit=1000)}
    absent = [one for one in live.values() if one.direction is Direction.ABSENT]
    assert [one.entity for one in absent] == [f"host:h{GONE}"]
    findings, incidents = farm.replayed()
    assert _told(findings) == _told(live)
    paged = {one.id: one.detected for one in farm.ledger.find(Incident, tenant="main", limit=100)}
    assert incidents.keys() == paged.keys()
    assert all(abs(one.detected - paged[one.id]) <= timedelta(seconds=10) for one in incidents.values())


def _told(found: Mapping[str, Finding]) -> dict[str, object]:
    return {key: (one.series, one.onset, one.direction, one.state) for key, one in found.items()}


def test_a_single_hole_in_everything_was_our_own_absence() -> None:
    ticks, hour_ns = Ticks(20.0), 3600 * SECOND_NS
    dense = [list(ticks.until(n * 5 * SECOND_NS, (n + 1) * 5 * SECOND_NS)) for n in range(1, 20)]
    assert not any(dense)
    assert list(ticks.until(hour_ns, 2 * hour_ns)) == []


def test_holes_that_recur_are_the_rhythm_of_senders() -> None:
    ticks, step_ns = Ticks(20.0), 300 * SECOND_NS
    holes = [len(list(ticks.until(n * step_ns, (n + 1) * step_ns))) for n in range(4)]
    assert holes == [0, 0, 29, 29]
