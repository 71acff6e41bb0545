"""Snapshots are immutable, named by content, and come back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.unit.mlops.toys import START
from twofold.errors import Corrupt, InputError, NotFound
from twofold.mlops.data.snapshot import materialise, snapshot_files, snapshot_table
from twofold.store.blobs.files import FileBlobs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "points"
    (where / "sub").mkdir(parents=True)
    (where / "one.csv").write_text("a,b\n1,x\n2,y\n")
    pyarrow.parquet.write_table(pa.table({"c": [1.5]}), where / "sub" / "two.parquet")
    (where / "notes.txt").write_text("read me")
    (where / ".hidden").write_text("no")
    return where


def test_same_content_same_id_wherever_and_whenever(folder: Path, blobs: FileBlobs, tmp_path: Path) -> None:
    first = snapshot_files("points", folder, blobs, now=START)
    moved = folder.rename(tmp_path / "elsewhere")
    assert snapshot_files("points", moved, blobs, now=START).id == first.id
    (moved / "one.csv").write_text("a,b\n1,x\n2,z\n")
    assert snapshot_files("points", moved, blobs, now=START).id != first.id


def test_rows_and_schema_come_from_the_files_that_have_them(folder: Path, blobs: FileBlobs) -> None:
    version = snapshot_files("points", folder, blobs, now=START)
    assert version.rows == 3
    assert version.schema == {"a": "int64", "b": "string", "c": "double"}


def test_files_come_back_as_they_were_after_the_source_has_changed(
    folder: Path, blobs: FileBlobs, tmp_path: Path
) -> None:
    version = snapshot_files("points", folder, blobs, now=START)
    (folder / "one.csv").write_text("gone")
    back = materialise(version, blobs, tmp_path / "back")
    assert (back / "one.csv").read_text() == "a,b\n1,x\n2,y\n"
    assert sorted(path.name for path in back.rglob("*") if path.is_file()) == ["notes.txt", "one.csv", "two.parquet"]


def test_a_single_file_is_a_dataset(folder: Path, blobs: FileBlobs) -> None:
    assert snapshot_files("points", folder / "one.csv", blobs, now=START).rows == 2


def test_a_table_is_the_same_however_it_is_chunked(blobs: FileBlobs, tmp_path: Path) -> None:
    whole = pa.table({"a": np.arange(6.0)})
    parts = pa.concat_tables([whole.slice(0, 2), whole.slice(2)])
    first = snapshot_table("points", whole, blobs, now=START, source="delta:samples@3")
    assert snapshot_table("points", parts, blobs, now=START).id == first.id
    assert first.source == "delta:samples@3"
    with pa.memory_map(str(materialise(first, blobs, tmp_path) / "data.arrow")) as file:
        assert pa.ipc.open_file(file).read_all().equals(whole)


def test_what_cannot_be_snapshotted_says_why(folder: Path, blobs: FileBlobs, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing stands"):
        snapshot_files("points", tmp_path / "nowhere", blobs, now=START)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file"):
        snapshot_files("points", tmp_path / "empty", blobs, now=START)
    with pytest.raises(InputError, match="no rows"):
        snapshot_table("points", pa.table({"a": pa.array([], pa.float64())}), blobs, now=START)
    (folder / "broken.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"broken\.parquet") as caught:
        snapshot_files("points", folder, blobs, now=START)
    assert caught.value.reason == "unreadable"


def test_a_link_out_of_the_folder_is_refused(folder: Path, blobs: FileBlobs, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="leads out"):
        snapshot_files("points", folder, blobs, now=START)


def test_a_manifest_that_points_outside_is_refused(folder: Path, blobs: FileBlobs, tmp_path: Path) -> None:
    from dataclasses import replace  # noqa: PLC0415 - used once

    version = snapshot_files("points", folder, blobs, now=START)
    inner = blobs.add(b"x").removeprefix("sha256/")
    evil = blobs.add(f'{{"files": [{{"name": "../up", "sha256": "{inner}"}}]}}'.encode())
    with pytest.raises(Corrupt, match="outside"):
        materialise(replace(version, location=evil), blobs, tmp_path / "back")
    with pytest.raises(Corrupt, match="no manifest"):
        materialise(replace(version, location=blobs.add(b"[]")), blobs, tmp_path / "back")
