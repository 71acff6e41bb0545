"""Promises P1 and P5 under SIGKILL: what was acknowledged is there, once, whatever kills the process."""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conservation import Account, stored_rows
from twofold.flow.recorder import Recorder, RecorderConfig
from twofold.records.frame import Position
from twofold.store.catalog.files import FileCatalog
from twofold.store.history import Table
from twofold.store.history.delta import DeltaHistory
from twofold.store.journal import batches
from twofold.store.journal.codec import decode_payload
from twofold.store.journal.segments import JournalConfig, SegmentJournal

CONFIG = JournalConfig(segment_bytes=60_000, tail_bytes=10_000, consumers=("history",))
START_S = 180.0
CHILD = """
import sys, threading
from pathlib import Path
from tests.fault.test_ingest_kill import CONFIG
from tests.telemetry import logs_frame
from twofold.store.journal.segments import SegmentJournal

root, name, recording = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "record"
journal = SegmentJournal(root / "journal", config=CONFIG)
out = threading.Lock()

def send(who):
    number = 0
    while True:
        ids = [f"{name}-{who}-{number}-{row}" for row in range(3)]
        journal.append([logs_frame(ids[:2]), logs_frame(ids[2:])])
        with out:
            sys.stdout.write(" ".join(ids) + "\\n")
            sys.stdout.flush()
        number += 1

for who in range(3):
    threading.Thread(target=send, args=(who,), daemon=True).start()
if recording:
    from twofold.flow.recorder import Recorder, RecorderConfig
    from twofold.store.catalog.files import FileCatalog
    from twofold.store.history.delta import DeltaHistory
    history, catalog = DeltaHistory(root / "history"), FileCatalog(root / "catalog")
    Recorder(journal, history, catalog, RecorderConfig(flush_s=0.05)).start()
threading.Event().wait()
"""


def run_until_killed(root: Path, name: str, mode: str, after_s: float) -> set[str]:
    """Let a child append, kill it some time after its first acknowledgement; returns what it was acknowledged."""
    command = [sys.executable, "-c", CHILD, str(root), name, mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        fd, data = child.stdout.fileno(), b""
        deadline = None
        try:
            while deadline is None or time.monotonic() < deadline:
                ready, _, _ = select.select([fd], [], [], 0.01 if deadline else START_S)
                assert ready or deadline, "the child appended nothing"
                if ready:
                    piece = os.read(fd, 1 << 16)
                    assert piece, "the child died by itself"
                    data += piece
                    deadline = deadline or time.monotonic() + after_s
        finally:
            child.kill()  # or the end of the block would wait for it
        data += child.stdout.read()
    whole = data[: data.rfind(b"\n") + 1]  # a line cut off by the kill was acknowledged, but we do not know what
    return set(whole.decode().split())


def journalled(root: Path) -> Counter[str]:
    """Bodies of all frames in the journal."""
    journal = SegmentJournal(root / "journal", config=CONFIG)
    try:
        found: Counter[str] = Counter()
        for _, frame in batches(journal, 0, Position(0, 0)):
            found.update(decode_payload(frame)["body"].to_pylist())
        return found
    finally:
        journal.close()


def in_history(root: Path) -> Counter[str]:
    """Bodies in the history after everything in the journal was replayed, and the account of that replay."""
    journal = SegmentJournal(root / "journal", config=CONFIG)
    history = DeltaHistory(root / "history")
    try:
        before = stored_rows(history, Table.LOGS)
        received = sum(frame.rows for _, frame in batches(journal, 0, journal.committed("history", 0)))
        recorder = Recorder(journal, history, FileCatalog(root / "catalog"), RecorderConfig())
        recorder.drain()
        recorder.flush()
        stored = stored_rows(history, Table.LOGS)
        Account(received=received, stored=stored - before, duplicate=history.counts["replayed"]).check()
        bodies = Counter(history.query("SELECT body FROM logs", tenant="main")["body"].to_pylist())
        assert sum(bodies.values()) == stored
        return bodies
    finally:
        history.close()
        journal.close()


def kill_the_journal(root: Path, kills: int, seed: int) -> None:
    moments = random.Random(seed)  # noqa: S311  # moments to kill at, repeatable
    acknowledged: set[str] = set()
    for number in range(kills):
        acknowledged |= run_until_killed(root, f"k{number}", "journal", moments.uniform(0, 0.25))
    found = journalled(root)
    assert acknowledged <= set(found), "an acknowledged frame is gone"
    assert set(found.values()) == {1}, "a frame stands twice"


def kill_the_recorder(root: Path, kills: int, seed: int) -> None:
    moments = random.Random(seed)  # noqa: S311  # moments to kill at, repeatable
    acknowledged: set[str] = set()
    for number in range(kills):
        acknowledged |= run_until_killed(root, f"k{number}", "record", moments.uniform(0.1, 1.5))
        if number % 4 == 3:
            found = in_history(root)
            assert acknowledged <= set(found), "an acknowledged row is gone"
            assert set(found.values()) == {1}, "a row stands twice"
    found = in_history(root)
    assert acknowledged <= set(found)
    assert set(found.values()) == {1}


def test_acknowledged_frames_survive_sigkill_at_any_moment(tmp_path: Path) -> None:
    kill_the_journal(tmp_path, kills=16, seed=1)


def test_rows_stand_in_the_history_exactly_once_after_sigkill_at_any_moment(tmp_path: Path) -> None:
    kill_the_recorder(tmp_path, kills=8, seed=2)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_acknowledged_frames_survive_many_kills(tmp_path: Path) -> None:
    kill_the_journal(tmp_path, kills=200, seed=3)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_rows_stand_in_the_history_exactly_once_after_many_kills(tmp_path: Path) -> None:
    kill_the_recorder(tmp_path, kills=70, seed=4)
