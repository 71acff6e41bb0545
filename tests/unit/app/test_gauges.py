"""What /metrics tells of the stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from twofold.app.gauges import OUTCOMES, StoreMetrics
from twofold.app.stores import Stores, open_stores
from twofold.config import Config
from twofold.records.columns import samples_batch
from twofold.records.frame import Frame, FrameKind, Position
from twofold.store.journal.codec import encode_batch


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    opened = open_stores(Config(home=tmp_path))
    yield opened
    opened.close()


def told(stores: Stores) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(StoreMetrics(stores))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def a_frame(payload: bytes | None = None) -> Frame:
    batch = samples_batch(np.array([7, 7]), np.array([1, 1]), np.array([1.0, 2.0]))
    return Frame(kind=FrameKind.SAMPLES, payload=encode_batch(batch) if payload is None else payload, time_ns=1, rows=2)


def test_empty_stores_have_nothing_and_lost_nothing(stores: Stores) -> None:
    assert set(told(stores).values()) == {0.0}


def test_the_journal_tells_what_it_keeps_and_what_nobody_took_yet(stores: Stores) -> None:
    (after,) = stores.journal.append([a_frame()])
    before = told(stores)
    assert before["twofold_journal_bytes"] == before["twofold_journal_unread_bytes"] > 0
    stores.journal.commit("history", 0, after)
    assert told(stores)["twofold_journal_unread_bytes"] > 0  # the stages have not taken it
    stores.journal.commit("pipeline", 0, after)
    assert told(stores)["twofold_journal_unread_bytes"] == 0


def test_rows_are_told_by_what_became_of_them(stores: Stores) -> None:
    """Two samples of one moment are one; a frame that stood here before is replayed; one of nonsense is unreadable."""
    stores.history.append(0, [(Position(0, 1), a_frame()), (Position(0, 2), a_frame(b"nonsense"))])
    stores.history.append(0, [(Position(0, 1), a_frame())])
    stores.history.flush()
    found = told(stores)
    rows = {outcome: found[f'twofold_history_rows_total{{outcome="{outcome}"}}'] for outcome in OUTCOMES}
    assert rows == {"taken": 2, "stored": 1, "duplicate": 1, "replayed": 2, "unreadable": 2}


def test_series_are_counted(stores: Stores) -> None:
    stores.catalog.register("m", {}, entity="service:a", tenant="main")
    assert told(stores)["twofold_catalog_series"] == 1
