"""Rows of many windows in one file, of one window in another: compaction keeps the order in which they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.test_history import read
from tests.telemetry import NOON, SECOND, Numbered, Row, samples_frame
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.history.sql import SqlLimits

HOUR = 3600 * SECOND
CONFIG = HistoryConfig(
    windows_per_flush=1,
    sql=SqlLimits(seconds=5, rows=1000, memory_mb=64),
    compact=CompactConfig(rows=40, settle_s=0, small_rows=20, small_files=2, kept_hours=0),
)
OLD, NEW = NOON, NOON + 24 * HOUR


def written(root: Path, *flushes: list[Row]) -> DeltaHistory:
    """One file a window and flush; of the newest window apart, of all before together."""
    history, number = DeltaHistory(root, config=CONFIG), Numbered()
    for rows in flushes:
        history.append(0, number(samples_frame(rows)))
        history.flush()
    return history


@pytest.mark.parametrize(
    "flushes",
    [
        ([(1, OLD, 1.0), (1, NEW, 0.0)], [(1, OLD, 2.0)], [(2, OLD - HOUR, 0.0), (2, NEW, 0.0)]),
        ([(1, OLD, 1.0)], [(1, OLD, 2.0), (1, NEW, 0.0)], [(2, OLD + HOUR, 0.0)]),
    ],
    ids=["mixed, window, mixed", "window, mixed, window"],
)
def test_the_value_that_was_written_last_stays(tmp_path: Path, flushes: tuple[list[Row], ...]) -> None:
    history = written(tmp_path, *flushes)
    for _ in range(3):
        assert (1, OLD, 2.0) in read(history, 1)
        history.compact()
    history.close()


def test_mixed_files_that_nothing_came_between_become_one(tmp_path: Path) -> None:
    flushes = [[(1, OLD + minute * 60 * SECOND, 1.0), (1, NEW + minute * HOUR, 0.0)] for minute in range(4)]
    history = written(tmp_path, *flushes)
    assert history.compact() > 2
    assert len(read(history, 1)) == 8
    history.close()
