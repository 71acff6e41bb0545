"""No space left: nothing acknowledged is lost, readers go on, and it heals by itself when there is space again.

The system's own limit of file size stands for the full disk: the kernel cuts a write short, then refuses.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.telemetry import NOON, Numbered, blank_frame, samples_frame
from twofold.errors import StorageFull
from twofold.records.frame import Position
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.history import Table
from twofold.store.history.delta import DeltaHistory
from twofold.store.journal import batches
from twofold.store.journal.segments import SegmentJournal


@contextlib.contextmanager
def no_file_larger_than(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_journal_refuses_what_does_not_fit_and_goes_on_later(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path)
    acknowledged, refused = [], 0
    with no_file_larger_than(50_000):
        for number in range(100):
            payload = b"%03d" % number * 400
            try:
                journal.append([blank_frame(payload)])
                acknowledged.append(payload)
            except StorageFull:
                refused += 1
                assert len(list(batches(journal, 0, Position(0, 0)))) == len(acknowledged), "reading goes on"
    assert acknowledged
    assert refused
    journal.append([blank_frame(b"space again")])
    journal.close()
    again = SegmentJournal(tmp_path)
    found = [frame.payload for _, frame in batches(again, 0, Position(0, 0))]
    assert found == [*acknowledged, b"space again"]
    again.close()


def test_the_history_keeps_rows_in_memory_and_writes_them_later(tmp_path: Path) -> None:
    history = DeltaHistory(tmp_path)
    values = np.random.default_rng(1).normal(size=20_000)  # do not compress, so the file is larger than the limit
    frames = Numbered()(samples_frame([(1, NOON + at, float(each)) for at, each in enumerate(values)]))
    history.append(0, frames)
    with no_file_larger_than(50_000):
        for _ in range(3):
            with pytest.raises(StorageFull):
                history.flush()
            assert history.samples([1], NOON, NOON + 20_000, tenant="main").num_rows == 20_000
    assert history.flush() == {0: frames[-1][0]}
    assert history.status()[Table.SAMPLES].files == 1
    assert history.samples([1], NOON, NOON + 20_000, tenant="main").num_rows == 20_000
    history.close()


def test_a_blob_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    blobs.put("checkpoint", b"old")
    with no_file_larger_than(10_000):
        for _ in range(3):
            with pytest.raises(StorageFull):
                blobs.put("checkpoint", bytes(20_000))
            assert blobs.get("checkpoint") == b"old"
    blobs.put("checkpoint", bytes(20_000))
    assert blobs.get("checkpoint") == bytes(20_000)
    assert blobs.keys("") == ["checkpoint"]


def test_definitions_that_cannot_be_saved_are_saved_later(tmp_path: Path) -> None:
    catalog = FileCatalog(tmp_path)
    for number in range(300):
        catalog.register("cpu", {"n": str(number)}, entity="service:cart", tenant="main")
    with no_file_larger_than(10_000):
        for _ in range(3):
            with pytest.raises(StorageFull):
                catalog.save()
    catalog.save()
    assert FileCatalog(tmp_path).count(tenant="main") == 300
