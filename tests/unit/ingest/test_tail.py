"""Following files: growth, rotation, truncation, restarts; and what is read out of their lines."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.files.config import TailedFiles
from twofold.aiops.ingest.files.tail import Tail
from twofold.aiops.ingest.files.text import TextReader
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.logs.lines import Lines
from twofold.errors import ConfigError, Overloaded
from twofold.records.frame import FrameKind
from twofold.records.time import to_ns

LATEST_NS = NOW_NS + 600 * 10**9


@contextmanager
def following(bench: Bench, folder: Path, pattern: str = "*.log", **settings: Any) -> Iterator[None]:
    """A tail over files of the folder; it is stopped with the block, and what was written by then is read."""
    intake = Intake(bench.journal, bench.catalog, bench.counts, bench.config, lambda: bench.now_ns)
    files = TailedFiles(path=str(folder / pattern), interval_s=0.01, **settings)
    tail = Tail(intake, [files], folder / "positions.json")
    tail.start()
    try:
        yield
    finally:
        tail.stop()


def bodies(bench: Bench) -> list[str]:
    return [row["body"] for row in bench.rows(FrameKind.LOGS)]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_lines_are_read_once_as_they_come_and_a_half_one_waits(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "cart.log"
    append(log, "one\ntwo\nthr")
    with following(bench, tmp_path):
        eventually(lambda: bodies(bench) == ["one", "two"])
        append(log, "ee\n\nfour\n")
        eventually(lambda: bodies(bench) == ["one", "two", "three", "four"])
    row = bench.rows(FrameKind.LOGS)[0]
    assert (row["entity"], row["time_ns"]) == ("service:cart", NOW_NS)
    assert orjson.loads(row["attributes"]) == {"log.file.path": str(log)}


def test_a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_start(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "cart.log"
    append(log, "one\n")
    with following(bench, tmp_path):
        eventually(lambda: bodies(bench) == ["one"])
        log.rename(tmp_path / "cart.log.1")
        append(tmp_path / "cart.log.1", "two\n")
        append(log, "three\n")
        eventually(lambda: sorted(bodies(bench)) == ["one", "three", "two"])


def test_a_restart_goes_on_where_it_was_also_in_a_file_that_was_rotated_meanwhile(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "cart.log"
    append(log, "one\n")
    with following(bench, tmp_path):
        eventually(lambda: bodies(bench) == ["one"])
    append(log, "two\n")
    log.rename(tmp_path / "cart.log.1")
    append(log, "three\n")
    with following(bench, tmp_path):
        eventually(lambda: sorted(bodies(bench)) == ["one", "three", "two"])


def test_a_truncated_file_is_read_from_its_start(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "cart.log"
    append(log, "a longer line\n")
    with following(bench, tmp_path):
        eventually(lambda: len(bodies(bench)) == 1)
        os.truncate(log, 0)
        append(log, "two\n")
        eventually(lambda: bodies(bench) == ["a longer line", "two"])
        log.write_text("another content that is longer than what was\n")
        eventually(lambda: len(bodies(bench)) == 3)


def test_nothing_is_lost_while_the_journal_is_full(bench: Bench, tmp_path: Path) -> None:
    bench.journal.error = Overloaded("full")
    append(tmp_path / "cart.log", "one\n")
    with following(bench, tmp_path):
        time.sleep(0.05)
    assert bodies(bench) == []
    bench.journal.error = None
    with following(bench, tmp_path):
        eventually(lambda: bodies(bench) == ["one"])


def test_lines_of_a_stack_trace_join_their_first(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "cart.log"
    append(log, "2026-01-01 00:00:00 ERROR boom\n  at a\n  at b\n2026-01-01 00:00:01 INFO ok\n")
    with following(bench, tmp_path, starts=r"\d{4}-"):
        eventually(lambda: len(bodies(bench)) == 1)
        append(log, "  more\n2026-01-01 00:00:02 INFO last\n")
        eventually(lambda: len(bodies(bench)) == 2)
        eventually(lambda: len(bodies(bench)) == 3)  # quiet for a while: nothing joins the last one any more
    first, second, _ = bench.rows(FrameKind.LOGS)
    assert first["body"] == "2026-01-01 00:00:00 ERROR boom\n  at a\n  at b"
    assert (first["severity"], first["time_ns"]) == (17, to_ns(datetime(2026, 1, 1, tzinfo=UTC)))
    assert second["body"].endswith("ok\n  more")


def test_old_lines_are_left_alone_where_that_is_wished(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "cart.log"
    append(log, "old\n")
    with following(bench, tmp_path, from_start=False):
        time.sleep(0.05)
        append(log, "new\n")
        append(tmp_path / "other.log", "other\n")
        eventually(lambda: sorted(bodies(bench)) == ["new", "other"])


def test_damaged_positions_cost_a_second_reading_and_no_line(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "positions.json").write_text('[{"inode": 7}]')
    append(tmp_path / "cart.log", "one\n")
    with following(bench, tmp_path):
        eventually(lambda: bodies(bench) == ["one"])
    assert "is damaged" in caplog.text


def read(*entries: bytes, zone: str = "UTC") -> list[dict[str, Any]]:
    lines = Lines()
    TextReader(zone, NOW_NS, LATEST_NS).read(entries, lines, service="cart", path="/x.log")
    batch, outcome = lines.batch(NOW_NS, LATEST_NS)
    assert outcome.stored == len(entries)
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows


@pytest.mark.parametrize(
    ("entry", "moment"),
    [
        (b"2026-01-02T03:04:05.5Z x", datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)),
        (b"[2026-01-02 03:04:05,123] ERROR x", datetime(2026, 1, 2, 3, 4, 5, 123_000, tzinfo=UTC)),
        (b"2026/01/02 03:04:05 +0200 x", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        (b'1.2.3.4 - - [02/Jan/2026:03:04:05 +0100] "GET / HTTP/1.1" 200', datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        (b"Sep 20 03:04:05 host app[1]: x", datetime(2026, 9, 20, 3, 4, 5, tzinfo=UTC)),
        (b'{"time":"2026-01-02T03:04:05Z","msg":"x"}', datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_the_time_is_found_in_the_usual_forms(entry: bytes, moment: datetime) -> None:
    assert read(entry)[0]["time_ns"] == to_ns(moment)


@pytest.mark.parametrize(
    "entry", [b"no time", b"2026-99-02 03:04:05", b"2099-01-01T00:00:00Z far", b'{"time":"2099-01-01"}', b'{"a":']
)
def test_an_entry_without_a_possible_time_happened_now(entry: bytes) -> None:
    assert read(entry)[0]["time_ns"] == NOW_NS


def test_a_containers_line_loses_its_wrapping() -> None:
    (row,) = read(b"2026-01-02T03:04:05.5Z stderr F level=error no")
    assert (row["body"], row["severity"]) == ("level=error no", 17)
    assert orjson.loads(row["attributes"])["stream"] == "stderr"


def test_a_pattern_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="starts"):
        TailedFiles(path="x", starts="(")
    with pytest.raises(ConfigError, match="zone"):
        TailedFiles(path="x", zone="Moon/Dark")
    with pytest.raises(ConfigError, match="path"):
        TailedFiles(path="")
