"""A home whose history and blobs stand in a bucket: backed up whole, checked, restored to a bucket or to a folder."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest
import yaml
from typer.testing import CliRunner

from tests.bucket import bucket_of
from tests.fault.home import Acknowledged, Home, settle
from twofold.cli.main import app
from twofold.errors import Conflict, Corrupt, Unavailable
from twofold.store.backup import snapshot
from twofold.store.backup.bucket import Bucket
from twofold.store.backup.restore import restore, verify
from twofold.store.backup.snapshot import back_up
from twofold.store.history import Table
from twofold.store.s3 import S3Config


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, S3Config, Acknowledged, str]:
    """A data folder at rest, its bucket, what was acknowledged there, and the table that is pinned."""
    root = tmp_path_factory.mktemp("home")
    storage = bucket_of(str(root))
    lines: set[str] = set()
    with Home(root, storage) as opened:
        for number in range(8):
            lines |= set(opened.send(f"s{number}"))
            opened.chores(number)
            opened.act(str(number))
        pinned = opened.history.pin(Table.LOGS)
        lines |= set(opened.send("late"))
        opened.recorder.drain()
        opened.recorder.flush()
        opened.blobs.add(b"a model")
    acts = frozenset(str(number) for number in range(8))
    return root, storage, Acknowledged(frozenset(lines), acts), pinned


@pytest.fixture
def taken(home: tuple[Path, S3Config, Acknowledged, str], tmp_path: Path) -> Path:
    target = tmp_path / "backup.tar"
    back_up(home[0], target, storage=home[1])
    return target


def test_it_holds_both_parts_in_one_tree_and_is_whole(taken: Path) -> None:
    manifest, problems = verify(taken)
    assert manifest is not None
    assert not problems
    paths = [entry.path for entry in manifest.files]
    for part in (
        "history/logs/_delta_log/",
        "history/samples/",
        "history/pins/logs@",
        "blobs/sha256/",
        "blobs/",
        "journal/",
    ):
        assert any(path.startswith(part) for path in paths), part
    assert "history/logs" in manifest.facts


@pytest.mark.parametrize("aim", ["another bucket", "a folder"])
def test_it_comes_back_to_a_bucket_or_to_a_folder(
    taken: Path, home: tuple[Path, S3Config, Acknowledged, str], tmp_path: Path, aim: str
) -> None:
    """All that was acknowledged stands once, what was pinned is readable, and work goes on."""
    _, _, expected, pinned = home
    storage = bucket_of(str(tmp_path)) if aim == "another bucket" else None
    again = tmp_path / "again"
    restore(taken, again, storage=storage)
    assert (again / "blobs").exists() is (storage is None)
    with Home(again, storage) as opened:
        assert opened.blobs.keys("sha256/")
        rows = opened.history.pinned(pinned, "FROM logs", tenant="main").num_rows
        assert 0 < rows < len(expected.lines)
    assert settle(again, expected, storage=storage) == len(expected.lines)
    assert verify(again, storage=storage) == (None, [])


def test_an_empty_prefix_alone_is_restored_into(
    taken: Path, home: tuple[Path, S3Config, Acknowledged, str], tmp_path: Path
) -> None:
    with pytest.raises(Conflict, match="restore below a new prefix"):
        restore(taken, tmp_path / "again", storage=home[1])
    assert not (tmp_path / "again").exists()


def test_nothing_is_left_in_the_bucket_when_a_file_of_the_backup_is_damaged(
    home: tuple[Path, S3Config, Acknowledged, str], tmp_path: Path
) -> None:
    target, storage = tmp_path / "backup", bucket_of(str(tmp_path))
    back_up(home[0], target, storage=home[1])
    damaged = max((target / "history" / "logs" / "_delta_log").glob("*.json"))
    damaged.write_bytes(damaged.read_bytes() + b" ")
    with pytest.raises(Corrupt, match="is not what was backed up"):
        restore(target, tmp_path / "again", storage=storage)
    assert not Bucket(storage).list("history")
    assert not Bucket(storage).list("blobs")
    assert not (tmp_path / "again").exists()


def test_a_data_folder_is_checked_together_with_its_bucket(tmp_path: Path) -> None:
    """A lost and a changed object are named; copies here do not hide them. Without the settings that is told."""
    root, storage = tmp_path / "home", bucket_of(str(tmp_path))
    with Home(root, storage) as opened:
        for number in range(8):
            opened.send(f"s{number}")
            opened.chores(number)
        key = opened.blobs.add(b"a model")
    bucket = Bucket(storage)
    assert verify(root, storage=storage) == (None, [])
    (lost, *_) = (path for path, _ in bucket.list("history/logs") if path.suffix == ".parquet")
    (changed,) = (path for path, _ in bucket.list("blobs") if path.name.startswith(key.rpartition("/")[2]))
    bucket.delete([lost, PurePath("blobs/never-there")])
    bucket.write(changed, [b"another model"])
    _, problems = verify(root, storage=storage)
    assert {each.path.partition(".")[0] for each in problems} == {
        lost.as_posix().partition(".")[0],
        changed.as_posix().partition(".")[0],
    }
    _, problems = verify(root)
    assert any("name the settings by --config" in each.what for each in problems)


def test_a_service_that_is_away_leaves_no_backup(
    home: tuple[Path, S3Config, Acknowledged, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_ATTEMPTS", 1)
    away = S3Config(url=home[1].url, endpoint="http://127.0.0.1:9", access_key="x", secret_key="y")  # noqa: S106 - nobody's
    with pytest.raises(Unavailable):
        back_up(home[0], tmp_path / "backup", storage=away)
    assert not list(tmp_path.glob("backup*"))


def test_the_commands_take_the_storage_from_the_settings(
    home: tuple[Path, S3Config, Acknowledged, str], tmp_path: Path
) -> None:
    root, storage, expected, _ = home
    aim = bucket_of(str(tmp_path))

    def settings(place: S3Config) -> str:
        path = tmp_path / f"{place.url.rpartition('-')[2].replace('/', '-')}.yaml"
        names = ("url", "endpoint", "access_key", "secret_key")
        path.write_text(yaml.safe_dump({"storage": {name: getattr(place, name) for name in names}}))
        path.chmod(0o600)
        return str(path)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments])
        assert done.exit_code == 0, done.output
        return done.output

    target, again = str(tmp_path / "backup"), tmp_path / "again"
    assert "backed up to" in run("backup", target, "--data", str(root), "--config", settings(storage))
    assert "are whole" in run("verify", target)
    assert "restored to" in run("restore", target, "--data", str(again), "--config", settings(aim))
    assert "is whole" in run("verify", str(again), "--config", settings(aim))
    assert settle(again, expected, storage=aim) == len(expected.lines)
