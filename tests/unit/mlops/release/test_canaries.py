"""A canary that does worse than live in the prediction log is taken back; a good one is only told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.unit.mlops import toys
from twofold.mlops.pipeline import register_project
from twofold.mlops.release.canaries import APPROVER, Canaries
from twofold.mlops.release.guard import Action
from twofold.mlops.release.releases import Releases
from twofold.mlops.serve.log import Entry, batch
from twofold.records.frame import Frame, FrameKind, Position
from twofold.records.model import ReleaseStage
from twofold.records.time import to_ns
from twofold.store.blobs.files import FileBlobs
from twofold.store.history.delta import DeltaHistory
from twofold.store.journal.codec import encode_batch
from twofold.store.ledger.sql import SqlLedger


@pytest.fixture
def history(tmp_path: Path) -> Iterator[DeltaHistory]:
    opened = DeltaHistory(tmp_path / "history")
    yield opened
    opened.close()


@pytest.fixture
def clock(ledger: SqlLedger, blobs: FileBlobs) -> toys.Clock:
    """Version 1 is live, version 2 a canary; the clock stands shortly after."""
    clock = toys.Clock()
    toys.put_live(ledger, toys.register(ledger, blobs, b"1", now=clock), clock)
    toys.register(ledger, blobs, b"2", now=clock)
    releases = Releases(ledger, clock)
    releases.release("toy", "2", ReleaseStage.CANARY, approver="ann", reason="try", weight=0.3)
    return clock


def answered(history: DeltaHistory, clock: toys.Clock, version: str, good: int, failed: int = 0, ms: float = 5) -> None:
    """Put answers of a version into the prediction log, after those already there."""
    answered_ns = to_ns(clock())
    entries = [
        Entry(
            answered_ns + number,
            "toy",
            version,
            "live",
            f"{version}-{number}-{answered_ns}",
            int(ms * 1e6),
            np.ones((1, 2)),
            (),
            np.ones((1, 1)) if number < good else np.empty((1, 0)),
        )
        for number in range(good + failed)
    ]
    data = batch(entries)
    frame = Frame(kind=FrameKind.PREDICTIONS, payload=encode_batch(data), time_ns=answered_ns, rows=data.num_rows)
    history.append(0, [(Position(1, answered_ns), frame)])
    clock.time += timedelta(seconds=10)


def test_a_failing_canary_is_taken_back_once(ledger: SqlLedger, history: DeltaHistory, clock: toys.Clock) -> None:
    answered(history, clock, "1", 900)
    answered(history, clock, "2", 290, failed=10)
    canaries = Canaries(ledger, history, now=clock)
    [(model, version, decision)] = canaries.check()
    assert (model, version, decision.action) == ("toy", "2", Action.ROLL_BACK)
    last = Releases(ledger).history("toy")[-1]
    assert (last.stage, last.version, last.previous, last.approver) == (ReleaseStage.ROLLED_BACK, "2", "1", APPROVER)
    assert "3.3% of its requests failed" in last.reason
    assert canaries.check() == []


def test_a_slow_canary_is_taken_back(ledger: SqlLedger, history: DeltaHistory, clock: toys.Clock) -> None:
    answered(history, clock, "1", 900, ms=5)
    answered(history, clock, "2", 300, ms=80)
    assert Canaries(ledger, history, now=clock).check()[0][2].action is Action.ROLL_BACK


def test_a_canary_whose_output_drifts_is_taken_back(
    ledger: SqlLedger, history: DeltaHistory, clock: toys.Clock
) -> None:
    answered(history, clock, "2", 300)
    canaries = Canaries(ledger, history, now=clock, drift=lambda _model, version: 0.6 if version == "2" else 0.0)
    assert canaries.check()[0][2].action is Action.ROLL_BACK


def test_a_good_canary_is_told_and_stays(ledger: SqlLedger, history: DeltaHistory, clock: toys.Clock) -> None:
    canaries = Canaries(ledger, history, now=clock)
    assert canaries.check()[0][2].action is Action.WAIT
    answered(history, clock, "1", 900)
    answered(history, clock, "2", 300)
    assert canaries.check()[0][2].action is Action.PROMOTE
    assert len(Releases(ledger).history("toy")) == 2


def test_what_happened_before_the_canary_began_does_not_count(
    ledger: SqlLedger, history: DeltaHistory, clock: toys.Clock
) -> None:
    now = clock.time
    clock.time = now - timedelta(hours=1)
    answered(history, clock, "2", 0, failed=100)
    clock.time = now
    assert Canaries(ledger, history, now=clock).check()[0][2].action is Action.WAIT


def test_bounds_come_from_the_project_or_are_the_default_ones(
    ledger: SqlLedger, history: DeltaHistory, clock: toys.Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rules = "rollout: [{stage: canary, weight: 0.3, requests: 50}]\nmonitors: {error_ratio: 0.5}\n"
    folder = toys.write_project(tmp_path / "toy", recipe=toys.RECIPE + rules)
    register_project(ledger, folder)
    answered(history, clock, "2", 60, failed=4)
    assert Canaries(ledger, history, now=clock).check()[0][2].action is Action.PROMOTE
    (folder / "twofold.yaml").write_text("nonsense")
    assert Canaries(ledger, history, now=clock).check()[0][2].action is Action.WAIT
    assert "default bounds" in caplog.text
