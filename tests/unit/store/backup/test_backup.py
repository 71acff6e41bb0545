"""A backup is checked file by file, says what is wrong with which, and goes only into an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fault.home import Acknowledged, Home, settle
from twofold.errors import Conflict, Corrupt, NotFound, Unsupported
from twofold.records.access import Setting
from twofold.store.backup.checks import check_home
from twofold.store.backup.manifest import Entry, Manifest, decode
from twofold.store.backup.restore import restore, verify
from twofold.store.backup.snapshot import back_up
from twofold.store.history import Table
from twofold.store.ledger.sql import open_ledger


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder at rest, with every kind of file."""
    root = tmp_path_factory.mktemp("home")
    with Home(root) as opened:
        for number in range(40):
            opened.send(f"s{number}")
            opened.chores(number)
            opened.act(str(number))
        opened.history.pin(Table.LOGS)
        opened.blobs.add(b"a model")
    (root / "projects").mkdir()
    (root / "projects" / "one.yaml").write_text("name: one\n")
    (root / "client.json").write_text("{}")
    return root


@pytest.fixture(params=["backup", "backup.tar"])
def taken(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Path:
    target: Path = tmp_path / request.param
    back_up(home, target)
    return target


def test_what_was_backed_up_comes_back(taken: Path, home: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    manifest = restore(taken, again)
    assert {entry.path.partition("/")[0] for entry in manifest.files} == {
        "journal",
        "history",
        "blobs",
        "catalog",
        "ledger.sqlite",
        "projects",
    }
    assert (again / "projects" / "one.yaml").read_text() == "name: one\n"
    with Home(again) as opened:
        pinned = [path.name for path in (again / "history" / "pins").iterdir()]
        assert len(pinned) == 1
        assert opened.history.pinned(f"delta:{pinned[0].removesuffix('.json')}", "FROM logs", tenant="main").num_rows
    expected = settle(shutil.copytree(home, tmp_path / "copy"), expected=Acknowledged())
    assert settle(again, expected=Acknowledged()) == expected
    assert verify(taken) == (manifest, [])


def test_only_an_empty_folder_is_restored_into(taken: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "something").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        restore(taken, full)
    assert [path.name for path in full.iterdir()] == ["something"]
    (tmp_path / "empty").mkdir()
    restore(taken, tmp_path / "empty")


def test_a_backup_is_never_written_over(taken: Path, home: Path) -> None:
    with pytest.raises(Conflict):
        back_up(home, taken)


def test_a_folder_without_data_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        back_up(tmp_path, tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


def test_each_changed_missing_or_added_file_is_named_and_nothing_is_restored(home: Path, tmp_path: Path) -> None:
    taken = tmp_path / "backup"
    manifest = back_up(home, taken)
    paths = [entry.path for entry in manifest.files]
    blob = next(path for path in paths if path.startswith("blobs/sha256/"))
    segment = next(path for path in paths if path.endswith(".log"))
    (taken / blob).write_bytes(b"b model")
    (taken / segment).unlink()
    (taken / "extra").write_text("x")
    _, problems = verify(taken)
    told = {each.path: each.what for each in problems}
    assert "not what was backed up" in told[blob]
    assert "missing" in told[segment]
    assert "not in the manifest" in told["extra"]
    with pytest.raises((Corrupt, NotFound)):
        restore(taken, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup"]


def test_a_home_that_was_damaged_before_it_was_backed_up_is_told(home: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(home, tmp_path / "home")
    parquet = next((broken / "history" / "samples").rglob("*.parquet"))
    segment = min((broken / "journal" / "p0").glob("*.log"))
    for path, at in ((parquet, 20), (segment, 60), (broken / "catalog" / "series.jsonl", 30)):
        data = bytearray(path.read_bytes())
        data[at] ^= 4
        path.write_bytes(data)
    found = {each.path for each in check_home(broken)}
    assert {str(path.relative_to(broken)) for path in (segment, broken / "catalog" / "series.jsonl")} <= found


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda tree: tree["files"].pop(), Corrupt),
        (lambda tree: tree.update(format=2), Unsupported),
        (lambda tree: tree.pop("sha256"), Corrupt),
        (lambda tree: tree.update(files=3), Corrupt),
    ],
)
def test_a_changed_manifest_is_not_trusted(change: Callable[[dict[str, Any]], object], error: type[Exception]) -> None:
    entry = Entry(path="a", size=1, sha256="0")
    tree = json.loads(Manifest(created="2026-01-01", product="1", files=[entry]).encode())
    change(tree)
    with pytest.raises(error):
        decode(json.dumps(tree).encode())


def test_a_manifest_whose_path_is_no_text_is_refused() -> None:
    made = Manifest(created="2026-01-01", product="1", files=[Entry(path=1e308, size=1, sha256="")])  # type: ignore[arg-type]  # as a file may have it
    with pytest.raises(Corrupt, match="must be text"):
        decode(made.encode())


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../b", ""])
def test_a_manifest_that_names_files_outside_is_refused(path: str) -> None:
    data = Manifest(created="2026-01-01", product="1", files=[Entry(path=path, size=0, sha256="")]).encode()
    with pytest.raises(Corrupt, match="outside"):
        decode(data)


def test_an_incomplete_backup_is_none(taken: Path, tmp_path: Path) -> None:
    if taken.is_dir():
        (taken / "manifest.json").unlink()
        (taken / "ledger.sqlite").unlink()
    else:
        os.truncate(taken, taken.stat().st_size // 2)
    with pytest.raises(Corrupt):
        restore(taken, tmp_path / "again")
    with pytest.raises(Corrupt):
        verify(taken)
    assert not (tmp_path / "again").exists()


def twofold(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "twofold", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands_say_what_they_did_and_remedies_stay_off_after_a_restore(home: Path, tmp_path: Path) -> None:
    taken, again = str(tmp_path / "b.tar"), tmp_path / "again"
    made = twofold("backup", taken, "--data", str(home), "-o", "json")
    assert made.returncode == 0, made.stderr
    files = json.loads(made.stdout)["files"]
    assert json.loads(twofold("verify", taken, "-o", "json").stdout) == {"ok": True, "files": files, "problems": []}
    assert twofold("restore", taken, "--data", str(again)).returncode == 0
    refused = twofold("restore", taken, "--data", str(again))
    assert refused.returncode == 6
    assert "not empty" in refused.stderr
    ledger = open_ledger(again / "ledger.sqlite")
    assert ledger.get(Setting, "kill-switch", tenant="main").value == "engaged"
    ledger.close()
    assert "whole" in twofold("verify", str(again)).stdout
    model = next((again / "blobs" / "sha256").iterdir())
    model.write_bytes(b"another model")
    told = twofold("verify", str(again), "-o", "json")
    assert told.returncode == 1
    (problem,) = json.loads(told.stdout)["problems"]
    assert problem["path"] == str(model.relative_to(again).with_suffix(""))
