"""Followed files under SIGKILL and rotation: every line that was written stands in the journal, few of them twice."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from twofold.store.journal import batches
from twofold.store.journal.codec import decode_payload
from twofold.store.journal.segments import SegmentJournal

CHILD = """
import sys, threading
from pathlib import Path
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.files.config import TailedFiles
from twofold.aiops.ingest.files.tail import Tail
from twofold.aiops.ingest.intake import Intake
from twofold.store.catalog.files import FileCatalog
from twofold.store.journal.segments import SegmentJournal

root = Path(sys.argv[1])
intake = Intake(SegmentJournal(root / "journal"), FileCatalog(root / "catalog"), Counts(), IngestConfig())
files = TailedFiles(path=str(root / "app.log*"), interval_s=0.01)
Tail(intake, [files], root / "ingest" / "positions.json").start()
print("up", flush=True)
threading.Event().wait()
"""
LINES = 200


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.long)])
def test_a_follower_that_is_killed_again_and_again_loses_no_line(tmp_path: Path, kills: int) -> None:
    chance = random.Random(7)  # noqa: S311 - repeatable on purpose
    log = tmp_path / "app.log"
    written: list[str] = []
    for life in range(kills):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"up\n"
            end = time.monotonic() + chance.uniform(0.02, 0.3)
            while time.monotonic() < end:
                write(log, written, LINES)
                if chance.random() < 0.2:
                    log.replace(tmp_path / f"app.log.{life}.{len(written)}")
                time.sleep(0.005)
            child.kill()
    write(log, written, 1)
    last = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30
        while not set(written) <= set(stored(tmp_path)):
            assert time.monotonic() < deadline, f"{len(set(written) - set(stored(tmp_path)))} lines are missing"
            time.sleep(0.2)
    finally:
        last.kill()
        last.wait()
        assert last.stdout is not None
        last.stdout.close()
    counts = Counter(stored(tmp_path))
    assert set(counts) == set(written)
    assert max(counts.values()) <= kills + 1
    assert sum(count > 1 for count in counts.values()) < len(written) / 2


def write(log: Path, written: list[str], count: int) -> None:
    """Append lines that never came before."""
    lines = [f"line {len(written) + number}" for number in range(count)]
    with log.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))
    written += lines


def stored(root: Path) -> list[str]:
    """Bodies of all lines in a copy of the journal, which its owner may be writing."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "journal"
        shutil.copytree(root / "journal", copy)
        journal = SegmentJournal(copy)
        try:
            frames = [frame for _, frame in batches(journal, 0, journal.committed("history", 0))]
        finally:
            journal.close()
    return [row["body"] for frame in frames if frame.rows for row in decode_payload(frame).to_pylist()]
