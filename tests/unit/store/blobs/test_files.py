"""Blobs on files: what a crash, a full disk and a flipped bit do to them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from twofold.errors import Corrupt, StorageFull, Unavailable
from twofold.store.blobs.files import FileBlobs


def test_changed_bytes_are_never_handed_out(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    key = blobs.add(b"model")
    (tmp_path / f"{key}.blob").write_bytes(b"modem")
    with pytest.raises(Corrupt, match=key):
        blobs.get(key)


def test_a_put_that_fails_leaves_the_old_bytes_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = FileBlobs(tmp_path)
    blobs.put("checkpoint", b"old")
    with monkeypatch.context() as broken:

        def fail(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        broken.setattr(os, "fsync", fail)
        with pytest.raises(StorageFull):
            blobs.put("checkpoint", b"new")
    assert blobs.get("checkpoint") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.named"]


def test_other_errors_of_the_device_are_not_called_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = FileBlobs(tmp_path)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unavailable, match="Input/output"):
        blobs.put("checkpoint", b"new")


def test_what_a_killed_process_left_half_written_goes_after_an_hour(tmp_path: Path) -> None:
    FileBlobs(tmp_path).put("a/b", b"x")
    old, young = tmp_path / "a" / ".tmp-old", tmp_path / "a" / ".tmp-young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    blobs = FileBlobs(tmp_path)
    assert not old.exists()
    assert young.exists()
    assert blobs.keys("") == ["a/b"]


def test_a_flipped_bit_in_a_named_blob_is_told(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    blobs.put("cursor", b"1024")
    path = tmp_path / "cursor.named"
    for at in range(path.stat().st_size):
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        with pytest.raises(Corrupt, match="cursor"):
            blobs.get("cursor")
        data[at] ^= 1
        path.write_bytes(data)
    assert blobs.get("cursor") == b"1024"


def test_named_blobs_of_before_there_was_a_check_are_read_replaced_and_deleted(tmp_path: Path) -> None:
    (tmp_path / "cursor.blob").write_bytes(b"7")
    blobs = FileBlobs(tmp_path)
    assert blobs.get("cursor") == b"7"
    assert blobs.exists("cursor")
    blobs.put("cursor", b"8")
    assert (blobs.get("cursor"), blobs.keys("")) == (b"8", ["cursor"])
    assert [path.name for path in tmp_path.iterdir()] == ["cursor.named"]
    (tmp_path / "cursor.blob").write_bytes(b"7")  # a crash came before it went
    blobs.delete("cursor")
    assert not blobs.exists("cursor")
