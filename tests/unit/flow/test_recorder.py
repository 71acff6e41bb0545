"""From journal to history: definitions before samples, positions after files, and no memory for a full disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.telemetry import NOON, SECOND, samples_frame
from twofold.errors import StorageFull
from twofold.flow.recorder import CONSUMER, Recorder, RecorderConfig, recall_series
from twofold.records.frame import Frame, FrameKind, Position
from twofold.records.series import Series
from twofold.store.catalog.files import FileCatalog
from twofold.store.history import Table
from twofold.store.history.delta import DeltaHistory
from twofold.store.journal.codec import encode_series
from twofold.store.journal.segments import SegmentJournal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SegmentJournal]:
    opened = SegmentJournal(tmp_path / "journal", partitions=2)
    yield opened
    opened.close()


@pytest.fixture
def catalog(tmp_path: Path) -> FileCatalog:
    return FileCatalog(tmp_path / "catalog")


class Disk(DeltaHistory):
    """The real history on a disk that can be full; notes the order of what happens."""

    def __init__(self, home: Path, journal: SegmentJournal) -> None:
        super().__init__(home / "history")
        self.full = False
        self.seen: list[tuple[str, int, Position]] = []
        self._home, self._journal = home, journal

    def flush(self) -> Mapping[int, Position]:
        saved = FileCatalog(self._home / "catalog").count(tenant="main")
        self.seen.append(("flush", saved, self._journal.committed(CONSUMER, 0)))
        if self.full:
            raise StorageFull("no space left")
        return super().flush()


@pytest.fixture
def history(tmp_path: Path, journal: SegmentJournal) -> Iterator[Disk]:
    opened = Disk(tmp_path, journal)
    yield opened
    opened.full = False
    opened.close()


def _values(history: DeltaHistory, sid: int) -> list[float]:
    table = history.samples([sid], NOON, NOON + 100 * SECOND, tenant="main")
    return [float(value) for value in table["value"].to_pylist()]


def _wait(journal: SegmentJournal, until: Position) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and journal.committed(CONSUMER, 0) < until:
        time.sleep(0.01)


def test_a_flush_saves_definitions_first_and_commits_last(
    journal: SegmentJournal, catalog: FileCatalog, history: Disk
) -> None:
    sid, _ = catalog.register("up", {}, entity="service:a", tenant="main")
    *_, position = journal.append([samples_frame([(sid, NOON, 1.0)])])
    recorder = Recorder(journal, history, catalog)
    assert recorder.drain() == 1
    assert _values(history, sid) == [1.0], "readable before any file"
    begin = journal.committed(CONSUMER, 0)
    assert begin < position
    recorder.flush()
    assert history.seen == [("flush", 1, begin)]
    assert journal.committed(CONSUMER, 0) == position


def test_every_partition_is_taken_and_a_second_drain_takes_nothing(
    journal: SegmentJournal, catalog: FileCatalog, history: Disk
) -> None:
    journal.append([samples_frame([(1, NOON, 1.0)]), samples_frame([(2, NOON, 2.0)], partition=1)])
    recorder = Recorder(journal, history, catalog)
    assert (recorder.drain(), recorder.drain()) == (2, 0)
    assert (_values(history, 1), _values(history, 2)) == ([1.0], [2.0])


def test_after_a_crash_it_goes_on_at_the_committed_position_with_nothing_twice(
    tmp_path: Path, journal: SegmentJournal, catalog: FileCatalog
) -> None:
    """The first recorder flushed one frame and took another: the second takes only that one anew."""
    recorder = Recorder(journal, DeltaHistory(tmp_path / "history"), catalog)
    journal.append([samples_frame([(1, NOON, 1.0)])])
    recorder.drain()
    recorder.flush()
    journal.append([samples_frame([(1, NOON + SECOND, 2.0)])])
    recorder.drain()
    reopened = DeltaHistory(tmp_path / "history")
    again = Recorder(journal, reopened, catalog)
    assert again.drain() == 1
    again.flush()
    assert _values(reopened, 1) == [1.0, 2.0]
    reopened.close()


def test_a_full_disk_fills_no_memory_and_nothing_is_lost(
    journal: SegmentJournal, catalog: FileCatalog, history: Disk
) -> None:
    """Past `flush_rows` no frame is taken until a flush succeeds; the thread lives and tries again."""
    history.full = True
    recorder = Recorder(journal, history, catalog, RecorderConfig(flush_rows=4, frames=2, retry_s=0.02, flush_s=0.05))
    *_, last = journal.append([samples_frame([(1, NOON + n * SECOND, float(n))]) for n in range(20)])
    recorder.start()
    deadline = time.monotonic() + 30
    while recorder.held < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(_values(history, 1)) == 4
    assert recorder.failure is None
    history.full = False
    _wait(journal, last)
    recorder.stop()
    assert _values(history, 1) == [float(n) for n in range(20)]
    assert journal.committed(CONSUMER, 0) == last


def test_stopping_takes_what_is_durable_and_writes_it(
    journal: SegmentJournal, catalog: FileCatalog, history: Disk
) -> None:
    recorder = Recorder(journal, history, catalog, RecorderConfig(flush_s=3600))
    recorder.start()
    *_, last = journal.append([samples_frame([(1, NOON, 1.0)])])
    recorder.stop()
    assert journal.committed(CONSUMER, 0) == last
    assert history.status()[Table.SAMPLES].rows == 1


def test_a_fault_that_nobody_foresaw_is_kept_for_readiness(
    journal: SegmentJournal, catalog: FileCatalog, history: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(*_: object) -> None:
        raise KeyError("a mistake of ours")

    history.append = fault  # type: ignore[method-assign, assignment]  # the fault to inject
    recorder = Recorder(journal, history, catalog)
    recorder.start()
    journal.append([samples_frame([(1, NOON, 1.0)])])
    deadline = time.monotonic() + 30
    while recorder.failure is None and time.monotonic() < deadline:
        time.sleep(0.01)
    recorder.stop()
    assert isinstance(recorder.failure, KeyError)
    assert "no longer written" in caplog.text


def test_definitions_that_a_crash_left_in_the_journal_are_known_at_the_next_start(
    tmp_path: Path, journal: SegmentJournal, catalog: FileCatalog, history: Disk
) -> None:
    """Else the samples that came with them would stand in the history without a name."""
    written, left = (Series(sid=sid, metric=f"m{sid}", entity="service:a") for sid in (7, 8))
    recorder = Recorder(journal, history, catalog)
    journal.append([_definitions(written), samples_frame([(7, NOON, 1.0)])])
    recorder.drain()
    recorder.flush()
    journal.append([_definitions(left, partition=1), samples_frame([(8, NOON, 1.0)], partition=1)])
    fresh = FileCatalog(tmp_path / "fresh")
    assert recall_series(journal, fresh) == 1
    assert fresh.find(tenant="main") == [left]
    assert recall_series(journal, fresh) == 1, "twice is like once"
    assert fresh.count(tenant="main") == 1


def _definitions(*series: Series, partition: int = 0) -> Frame:
    payload = encode_series(series)
    return Frame(kind=FrameKind.SERIES, payload=payload, time_ns=NOON, rows=len(series), partition=partition)
