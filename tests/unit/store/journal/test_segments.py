"""The segment engine's own facts: shared syncs, a device that fails, torn tails, damage."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.telemetry import blank_frame
from twofold.errors import ConfigError, Conflict, Corrupt, StorageFull, Unavailable
from twofold.records.frame import Position
from twofold.store.journal import after_damage, batches, partition
from twofold.store.journal.segments import JournalConfig, SegmentJournal

START = Position(0, 0)


def payloads(journal: SegmentJournal, start: Position = START) -> list[bytes]:
    return [frame.payload for _, frame in batches(journal, 0, start)]


def segments(root: Path) -> list[Path]:
    return sorted((root / "p0").glob("*.log"))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SegmentJournal]:
    opened = SegmentJournal(tmp_path, config=JournalConfig(segment_bytes=4000, tail_bytes=0))
    yield opened
    opened.close()


def failing(number: int, after: int = 0) -> Callable[[int, list[memoryview], int], int]:
    """A `pwritev` that fails with `number` after so many good calls."""
    calls = iter(range(after))
    real = os.pwritev

    def call(fd: int, buffers: list[memoryview], offset: int) -> int:
        if next(calls, None) is None:
            raise OSError(number, os.strerror(number))
        return real(fd, buffers, offset)

    return call


def test_calls_that_wait_share_one_sync(journal: SegmentJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = []

    def slow(fd: int) -> None:
        syncs.append(fd)
        time.sleep(0.02)

    monkeypatch.setattr(partition, "sync_data", slow)
    threads = [threading.Thread(target=journal.append, args=([blank_frame(b"x")],)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(payloads(journal)) == 40
    assert len(syncs) < 20


def test_a_frame_is_not_seen_before_it_is_synced(journal: SegmentJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(partition, "sync_data", lambda _: seen.append(payloads(journal)))
    journal.append([blank_frame(b"x")])
    assert seen == [[]]
    assert payloads(journal) == [b"x"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_without_space_nothing_of_the_call_is_kept_and_later_calls_go_on(
    journal: SegmentJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    journal.append([blank_frame(b"before")])
    size = segments(tmp_path)[-1].stat().st_size
    with monkeypatch.context() as broken:
        broken.setattr(os, "pwritev", failing(number))
        for _ in range(3):
            with pytest.raises(StorageFull, match="no space"):
                journal.append([blank_frame(b"lost"), blank_frame(b"lost too")])
    assert segments(tmp_path)[-1].stat().st_size == size
    assert payloads(journal) == [b"before"]
    journal.append([blank_frame(b"after")])
    assert payloads(journal) == [b"before", b"after"]


def test_a_write_that_the_system_cuts_short_goes_on_where_it_stopped(
    journal: SegmentJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwritev

    def short(fd: int, buffers: list[memoryview], offset: int) -> int:
        return real(fd, [buffers[0][:7]], offset)

    monkeypatch.setattr(os, "pwritev", short)
    sent = [b"%d" % number * 40 for number in range(5)]
    journal.append([blank_frame(each) for each in sent])
    assert payloads(journal) == sent


def test_space_that_ends_within_a_call_takes_back_what_was_written(
    journal: SegmentJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(partition, "_IOV_MAX", 2)
        broken.setattr(os, "pwritev", failing(errno.ENOSPC, after=3))
        with pytest.raises(StorageFull):
            journal.append([blank_frame(b"x" * 50)] * 10)
    assert payloads(journal) == []
    journal.append([blank_frame(b"y")])
    assert payloads(journal) == [b"y"]


def test_after_a_failed_sync_the_journal_only_reads_and_never_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = SegmentJournal(tmp_path)
    journal.append([blank_frame(b"durable")])
    syncs = []

    def fail(fd: int) -> None:
        syncs.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(partition, "sync_data", fail)
        with pytest.raises(Unavailable, match="restart"):
            journal.append([blank_frame(b"unknown")])
    for _ in range(3):
        with pytest.raises(Unavailable):
            journal.append([blank_frame(b"refused")])
    assert len(syncs) == 1
    assert payloads(journal) == [b"durable"]
    journal.close()


def test_a_failed_sync_fails_every_call_that_shared_it(
    journal: SegmentJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        time.sleep(0.05)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(partition, "sync_data", fail)
    outcomes: list[str] = []

    def send() -> None:
        try:
            journal.append([blank_frame(b"x")])
        except Unavailable as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 10
    assert payloads(journal) == []


def test_one_process_at_a_time(journal: SegmentJournal, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="another process"):
        SegmentJournal(tmp_path)
    journal.close()
    SegmentJournal(tmp_path).close()


def test_partitions_may_grow_and_not_shrink(tmp_path: Path) -> None:
    SegmentJournal(tmp_path, 1).close()
    SegmentJournal(tmp_path, 3).close()
    for fewer in (2, 0):
        with pytest.raises(ConfigError, match="holds 3"):
            SegmentJournal(tmp_path, fewer)
    SegmentJournal(tmp_path, 3).close()


def test_a_new_journal_stands_behind_every_position_of_a_lost_one(tmp_path: Path) -> None:
    lost = SegmentJournal(tmp_path / "lost")
    (end,) = lost.append([blank_frame(bytes(50_000))])
    lost.close()
    new = SegmentJournal(tmp_path / "new")
    assert new.end(0) > end
    new.close()


def test_every_cut_of_the_newest_segment_keeps_the_whole_frames_before_it(tmp_path: Path) -> None:
    first = SegmentJournal(tmp_path)
    ends = [first.append([blank_frame(b"frame %d" % number)])[0].offset for number in range(4)]
    first.close()
    whole = segments(tmp_path)[0].read_bytes()
    for cut in range(len(whole)):
        segments(tmp_path)[0].write_bytes(whole[:cut])
        journal = SegmentJournal(tmp_path)
        kept = [b"frame %d" % number for number, end in enumerate(ends) if end <= cut]
        assert payloads(journal) == kept
        journal.append([blank_frame(b"next")])
        assert payloads(journal) == [*kept, b"next"]
        journal.close()


@pytest.mark.parametrize("tail", [bytes(5000), b"\xf2TWF" * 20, b"\xf2TWF\xff\xff\xff\xff" + bytes(100)])
def test_what_a_power_cut_left_behind_the_last_frame_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    first = SegmentJournal(tmp_path)
    first.append([blank_frame(b"good")])
    first.close()
    whole = segments(tmp_path)[0].read_bytes()
    segments(tmp_path)[0].write_bytes(whole + tail)
    journal = SegmentJournal(tmp_path)
    assert payloads(journal) == [b"good"]
    journal.close()
    assert segments(tmp_path)[0].read_bytes() == whole


def damaged(root: Path, flip: Callable[[list[Path]], tuple[Path, int]]) -> SegmentJournal:
    """A journal of twelve frames in three segments, one byte of it changed."""
    config = JournalConfig(segment_bytes=1200, tail_bytes=0)
    journal = SegmentJournal(root, config=config)
    for number in range(12):
        journal.append([blank_frame(b"%02d" % number * 150)])
    journal.close()
    path, at = flip(segments(root))
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    return SegmentJournal(root, config=config)


def read_past_damage(journal: SegmentJournal) -> tuple[list[int], list[Corrupt]]:
    found: list[int] = []
    errors: list[Corrupt] = []
    at = START
    while True:
        try:
            batch = journal.read(0, at)
        except Corrupt as error:
            errors.append(error)
            at = after_damage(error)
            continue
        if not batch:
            return found, errors
        found += [int(frame.payload[:2]) for _, frame in batch]
        at = batch[-1][0]


@pytest.mark.parametrize("segment", [0, 1, 2])
@pytest.mark.parametrize("at", [0, 5, 9, 13, 20, 200, 330, 340, 345, 700])
def test_a_damaged_frame_is_named_and_set_aside_and_the_rest_is_read(tmp_path: Path, segment: int, at: int) -> None:
    journal = damaged(tmp_path, lambda paths: (paths[segment], at))
    found, errors = read_past_damage(journal)
    assert len(found) == 11
    assert found == sorted(found)
    (error,) = errors
    assert error.facts["size_bytes"] == journal.damaged_bytes() > 0
    (aside,) = (tmp_path / "quarantine").iterdir()
    assert len(aside.read_bytes()) == error.facts["size_bytes"]
    assert read_past_damage(journal)[0] == found, "each reader is told"
    assert journal.damaged_bytes() == error.facts["size_bytes"], "and the damage is counted once"
    journal.close()


def test_damage_at_the_end_of_the_newest_segment_looks_like_a_torn_tail(tmp_path: Path) -> None:
    journal = damaged(tmp_path, lambda paths: (paths[-1], -1))
    assert read_past_damage(journal) == (list(range(11)), [])
    journal.close()


def test_a_segment_that_is_gone_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    config = JournalConfig(segment_bytes=1200, tail_bytes=0)
    journal = SegmentJournal(tmp_path, config=config)
    for number in range(12):
        journal.append([blank_frame(b"%02d" % number * 150)])
    segments(tmp_path)[1].unlink()
    found, errors = read_past_damage(journal)
    assert found == [0, 1, 2, 3, 8, 9, 10, 11]
    assert "missing" in errors[0].message
    journal.close()


def test_unreadable_commits_mean_reading_again_from_the_oldest(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path)
    (end,) = journal.append([blank_frame(b"x")])
    journal.commit("history", 0, end)
    journal.close()
    (tmp_path / "p0" / "committed.json").write_bytes(b'{"history": [')
    again = SegmentJournal(tmp_path)
    assert payloads(again, again.committed("history", 0)) == [b"x"]
    again.close()


def test_frames_in_memory_are_bounded_and_older_ones_come_from_the_disk(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, config=JournalConfig(tail_bytes=5000))
    sent = [b"%03d" % number * 100 for number in range(60)]
    for each in sent:
        journal.append([blank_frame(each)])
    assert payloads(journal) == sent
    tail = journal._partitions[0]._tail
    assert 0 < len(tail._frames) < 20
    assert payloads(journal, journal.read(0, START, limit=55)[-1][0]) == sent[55:]
    journal.close()


def test_a_single_frame_may_be_larger_than_a_segment_and_a_read(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, config=JournalConfig(segment_bytes=1000, tail_bytes=0))
    sent = [os.urandom(3 << 20), b"small", os.urandom(2 << 20)]
    for each in sent:
        journal.append([blank_frame(each)])
    assert payloads(journal) == sent
    journal.close()
