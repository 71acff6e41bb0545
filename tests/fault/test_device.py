"""A device that is full says 503 and heals; one that fails to sync is never trusted again. Both go on reading."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fault.home import Acknowledged, Home, moments, settle
from tests.flow.receiving import Receiving, receiving
from tests.unit.ingest.messages import logs_request
from twofold.aiops.ingest.config import IngestConfig
from twofold.errors import StorageFull, Transient, Unavailable
from twofold.records.frame import FrameKind, Position
from twofold.store import disk
from twofold.store.journal import batches
from twofold.store.journal.segments import SegmentJournal

SIZE_MB = 16
PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={SIZE_MB}m".encode()):
        message = f"no tmpfs mounts here ({os.strerror(ctypes.get_errno())}): full disks are covered by injection only"
        if os.environ.get("TWOFOLD_CI"):
            pytest.fail(message)
        pytest.skip(message)
    yield folder
    libc.umount2(os.fsencode(folder), 2)


def leave(folder: Path, left_bytes: int) -> None:
    """Fill a file system but for some bytes."""
    with (folder / "ballast").open("wb") as file:
        while True:
            space = os.statvfs(folder)
            with contextlib.suppress(OSError):  # others write meanwhile
                os.posix_fallocate(file.fileno(), 0, max(1, space.f_bavail * space.f_bsize - left_bytes))
                return


def post(server: Receiving, name: str) -> httpx.Response:
    body = logs_request(*(f"{name} {row} {os.urandom(400).hex()}" for row in range(10)), time_ns=time.time_ns())
    return httpx.post(f"{server.url}/v1/logs", content=body.SerializeToString(), headers=PROTOBUF)


def fill_and_free(folder: Path, rounds: int, seed: int) -> None:
    """Senders are told to come back while the disk is full; everything they got a 200 for can be read, always."""
    chance = moments(seed)
    accepted, refused = 0, 0
    with receiving(folder, IngestConfig(walker=False)) as server:
        for number in range(rounds):
            leave(folder, chance.randrange(60_000))
            deadline = time.monotonic() + 30
            while (answer := post(server, f"r{number}")).status_code == 200:
                accepted += 1
                assert time.monotonic() < deadline, "the disk does not fill"
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            refused += 1
            assert len(server.rows(FrameKind.LOGS)) == accepted * 10, "reading goes on"
            (folder / "ballast").unlink()
            assert post(server, f"r{number}").status_code == 200, "it heals by itself"
            accepted += 1
        bodies = [row["body"] for row in server.rows(FrameKind.LOGS)]
    assert len(set(bodies)) == len(bodies) == accepted * 10
    assert refused == rounds


def patiently(work: Callable[[], object], until: threading.Event) -> None:
    """As the product's threads do: what a full disk refuses is tried again."""
    while not until.is_set():
        with contextlib.suppress(Transient):
            work()
        until.wait(0.01)


def live_on_a_full_disk(root: Path, rounds: int, seed: int) -> None:
    """All stores on the small disk, each with its own thread, while it is filled and freed."""
    chance, over, sent = moments(seed), threading.Event(), set()
    home = Home(root / "data")

    def record() -> None:
        home.recorder.drain()
        home.recorder.flush()
        home.history.compact()

    steps: tuple[Callable[[], object], ...] = (home.runner.drain, record)
    threads = [threading.Thread(target=patiently, args=(step, over)) for step in steps]
    for thread in threads:
        thread.start()
    try:
        for number in range(rounds):
            leave(root, chance.randrange(200_000))
            full = False
            for row in range(60):
                try:
                    sent |= set(home.send(f"r{number}-{row}"))
                except (StorageFull, Unavailable):
                    full = True
            assert full or number, "the disk never filled"
            found = home.history.query("SELECT count(*) AS n FROM logs", tenant="main")["n"][0].as_py()
            assert found <= len(sent) + 3 * rounds
            (root / "ballast").unlink()
            sent |= set(home.send(f"r{number}-free"))
            time.sleep(0.2)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    home.close()
    shutil.copytree(root / "data", root.parent / "checked")
    settle(root.parent / "checked", Acknowledged(frozenset(sent)), sent=sent)


def test_senders_are_told_to_come_back_while_the_disk_is_full(small_disk: Path) -> None:
    fill_and_free(small_disk, rounds=3, seed=1)


def test_all_stores_go_on_when_there_is_space_again(small_disk: Path) -> None:
    live_on_a_full_disk(small_disk, rounds=3, seed=1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_senders_are_told_to_come_back_each_time_the_disk_is_full(small_disk: Path) -> None:
    fill_and_free(small_disk, rounds=30, seed=2)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(2, 5))
def test_all_stores_go_on_each_time_there_is_space_again(small_disk: Path, seed: int) -> None:
    live_on_a_full_disk(small_disk, rounds=10, seed=seed)


class Failing:
    """A system call that fails from its n-th call on, and how often it was called."""

    def __init__(self, call: Callable[..., Any], at: int, code: int) -> None:
        self._call = call
        self._at = at
        self._code = code
        self.calls = 0

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls >= self._at:
            raise OSError(self._code, os.strerror(self._code))
        return self._call(*arguments)


def sync_fails(root: Path, chance: random.Random, patch: pytest.MonkeyPatch) -> None:
    """`fdatasync` gives EIO once: from then on appends are refused without another try, reading goes on (P1)."""
    acknowledged: list[str] = []
    at = chance.randint(2, 12)
    with receiving(root, IngestConfig(walker=False)) as server:
        failing = Failing(disk.sync_data, at, errno.EIO)
        patch.setattr("twofold.store.journal.partition.sync_data", failing)
        for number in range(at + 5):
            answer = post(server, str(number))
            if answer.status_code == 200:
                acknowledged.append(str(number))
            else:
                assert answer.status_code == 503
        assert failing.calls == at, "a sync that failed is not tried again: the kernel has forgotten what was dirty"
        assert 0 < len(acknowledged) < at
        with pytest.raises(Unavailable, match="restart"):
            server.journal.append(server.frames()[:1])
        assert len(server.rows(FrameKind.LOGS)) == len(acknowledged) * 10
        patch.undo()
    again = SegmentJournal(root / "journal")
    held = [frame for _, frame in batches(again, 0, Position(0, 0)) if frame.kind is FrameKind.LOGS]
    again.close()
    assert len(held) >= len(acknowledged), "an acknowledged frame is gone"


def test_a_sync_that_failed_is_never_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = moments(1)
    for number in range(2):
        sync_fails(tmp_path / str(number), chance, monkeypatch)


def definitions_survive_a_failed_sync(root: Path, chance: random.Random, patch: pytest.MonkeyPatch) -> None:
    """The catalog's file is written anew after a failed sync, not just synced again."""
    with Home(root) as home:
        sent = {line for number in range(chance.randint(1, 5)) for line in home.send(f"a{number}")}
        failing = Failing(disk.sync_data, 1, errno.EIO)
        patch.setattr("twofold.store.catalog.lines.sync_data", failing)
        home.recorder.drain()
        with pytest.raises(Unavailable):
            home.recorder.flush()
        writes: list[int] = []
        patch.undo()
        written = os.pwrite

        def counted(fd: int, data: Any, offset: int) -> int:
            writes.append(len(data))
            return written(fd, data, offset)

        patch.setattr(os, "pwrite", counted)
        home.recorder.flush()
        patch.undo()
        assert sum(writes) > 100, "synced again what the kernel had forgotten"
    settle(root, Acknowledged(frozenset(sent)), sent=sent)


def test_definitions_survive_a_failed_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definitions_survive_a_failed_sync(tmp_path, moments(1), monkeypatch)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_many_failed_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = moments(2)
    for number in range(20):
        sync_fails(tmp_path / f"j{number}", chance, monkeypatch)
    for number in range(10):
        definitions_survive_a_failed_sync(tmp_path / f"c{number}", chance, monkeypatch)
