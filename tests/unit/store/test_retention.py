"""Telemetry goes when its time is over, by signal, and never what is pinned or what a wrong clock calls old."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.telemetry import NOON, SECOND, Numbered, logs_frame, samples_frame
from twofold.errors import ConfigError
from twofold.store.history import Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.retention import DAY_NS, RetentionConfig, expire

DAYS = RetentionConfig(samples_days=30, logs_days=7, spans_days=0, predictions_days=0)


@pytest.fixture
def history(tmp_path: Path) -> DeltaHistory:
    """Samples and logs of every fifth of sixty days, the last at noon."""
    opened = DeltaHistory(tmp_path, config=HistoryConfig(compact=CompactConfig(kept_hours=0)))
    number = Numbered()
    for day in range(60, -1, -5):
        at = NOON - day * DAY_NS
        opened.append(0, number(samples_frame([(1, at, float(day))]), logs_frame([str(day)], time_ns=at)))
        opened.flush()
    return opened


def days(history: DeltaHistory, sql: str) -> list[float]:
    return sorted(float(value) for value in history.query(sql, tenant="main")[0].to_pylist())


def test_each_signal_has_its_own_time(history: DeltaHistory) -> None:
    gone = expire(history, DAYS, now_ns=NOON + SECOND)
    assert gone == {Table.SAMPLES: 7, Table.LOGS: 11}
    assert days(history, "SELECT value FROM samples") == [0, 5, 10, 15, 20, 25]
    assert days(history, "SELECT body FROM logs") == [0, 5]
    assert expire(history, DAYS, now_ns=NOON + SECOND) == {Table.SAMPLES: 0, Table.LOGS: 0}


def test_what_is_pinned_can_be_read_for_ever(history: DeltaHistory) -> None:
    reference = history.pin(Table.SAMPLES)
    expire(history, DAYS, now_ns=NOON)
    history.compact()
    found = history.pinned(reference, "SELECT count(*) AS n FROM samples", tenant="main")
    assert found["n"].to_pylist() == [13]
    history.release(reference)


def test_a_clock_that_jumps_ahead_deletes_a_day_too_much_at_most(history: DeltaHistory) -> None:
    expire(history, DAYS, now_ns=NOON + 3650 * DAY_NS)
    assert days(history, "SELECT value FROM samples") == [0, 5, 10, 15, 20, 25]


def test_a_clock_that_is_behind_deletes_less(history: DeltaHistory) -> None:
    assert expire(history, DAYS, now_ns=NOON - 365 * DAY_NS) == {Table.SAMPLES: 0, Table.LOGS: 0}


def test_a_time_below_zero_is_no_setting() -> None:
    with pytest.raises(ConfigError, match="logs_days"):
        RetentionConfig(logs_days=-1)
