"""Puts a backup back into a folder of its own, and into a bucket where one is configured, and checks one without."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path, PurePath

from twofold.errors import Conflict, Corrupt, NotFound
from twofold.store.backup import Progress, silent
from twofold.store.backup.bucket import Bucket, Uploads, away
from twofold.store.backup.checks import Problem, check_home
from twofold.store.backup.manifest import Entry, Manifest
from twofold.store.backup.vessel import Reader
from twofold.store.disk import TEMPORARY, make_folder, sync_file, sync_folder, translated
from twofold.store.s3 import S3Config


def restore(source: Path, home: Path, *, storage: S3Config | None = None, progress: Progress = silent) -> Manifest:
    """Write a backup's files to `home`, which appears only when all of them are whole and durable.

    With `storage`, history and blobs go there and not into the folder; they need not have stood there before.

    Raises:
        Conflict: `home`, or the storage, holds something.
        NotFound, Corrupt: There is no backup, or a file of it is not what it was; nothing is restored.
        StorageFull, Unavailable: It could not be written; nothing is left.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise Conflict(f"{home} is not empty; restore into a new folder", home=str(home))
    bucket = Bucket(storage) if storage else None
    if bucket is not None:
        bucket.check_empty()
    with translated(f"restore {source} to {home}"):
        make_folder(home.parent)
        partial = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{home.name}-", dir=home.parent))
        try:
            with Uploads(bucket) if bucket else nullcontext() as uploads:
                manifest = _copy(source, partial, uploads, progress)
                if home.exists():
                    home.rmdir()
                partial.rename(home)
                sync_folder(home.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return manifest


def verify(
    source: Path, *, storage: S3Config | None = None, progress: Progress = silent
) -> tuple[Manifest | None, list[Problem]]:
    """Everything that is wrong with a backup, or with a data folder that nobody works on (which has no manifest).

    `storage` is where history and blobs of a data folder stand, when not in it; a backup has them in itself.

    Raises:
        NotFound: Nothing stands there.
        Corrupt: No backup, or one whose list of files is damaged.
    """
    if (source / "ledger.sqlite").exists() and not (source / "manifest.json").exists():
        return None, list(check_home(source, storage))
    with Reader(source) as reader, tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=source.parent) as folder:
        problems = list(_differences(reader, Path(folder), progress))
        problems += check_home(Path(folder))
        return reader.manifest, problems


def _copy(source: Path, home: Path, uploads: Uploads | None, progress: Progress) -> Manifest:
    with Reader(source) as reader:
        done = 0

        def chunks(entry: Entry) -> Iterator[bytes]:
            nonlocal done
            for chunk in reader.chunks(entry):
                done += len(chunk)
                yield chunk
                progress(done, reader.manifest.size)

        for entry in sorted(reader.manifest.files, key=Uploads.order):
            if uploads is not None and away(PurePath(entry.path)):
                uploads.send(PurePath(entry.path), chunks(entry))
                continue
            target = home / entry.path
            make_folder(target.parent)
            with target.open("xb") as file:
                file.writelines(chunks(entry))
            sync_file(target)
        for folder in (home, *(each for each in home.rglob("*") if each.is_dir())):
            sync_folder(folder)
        return reader.manifest


def _differences(reader: Reader, folder: Path, progress: Progress) -> Iterator[Problem]:
    """Files that are not what the manifest says; what is whole is copied aside, to be looked into."""
    done = 0
    for entry in reader.manifest.files:
        target = folder / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("wb") as file:
                for chunk in reader.chunks(entry):
                    done += len(chunk)
                    file.write(chunk)
                    progress(done, reader.manifest.size)
        except (Corrupt, NotFound) as error:
            target.unlink()
            yield Problem(path=entry.path, what=error.message)
    listed = {entry.path for entry in reader.manifest.files}
    for name in sorted(reader.names() - listed):
        yield Problem(path=name, what="is not in the manifest")
