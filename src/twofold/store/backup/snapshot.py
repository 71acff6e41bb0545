"""Takes a backup of a data folder, also while Twofold runs on it.

The order makes it consistent. What notes how far somebody has come is copied before what it refers to, so after a
restore some work is done again, which changes nothing, and none is left out:

1. committed positions of the journal; its segments are held open
2. checkpoints and cursors (named blobs)
3. table versions of the history are held
4. ledger and workflows, each by SQLite's own backup
5. content blobs, to which the ledger refers
6. the journal as it is now, which reaches past every position of 2 and 3
7. files of the held table versions, the catalog, all else

What stands in S3-compatible storage is fetched and takes its place in the same tree.
"""

from __future__ import annotations

import io
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import IO, Final

from twofold import __version__
from twofold.errors import Corrupt, NotFound, Unavailable
from twofold.store.backup import Progress, silent
from twofold.store.backup.bucket import AWAY, Bucket, away
from twofold.store.backup.manifest import Entry, Manifest
from twofold.store.backup.segments import HeldSegments
from twofold.store.backup.tables import HeldTables
from twofold.store.backup.vessel import Writer, create, finish
from twofold.store.disk import TEMPORARY, translated
from twofold.store.s3 import S3Config

log = logging.getLogger(__name__)

LEFT_OUT: Final = frozenset({"lock", "worker.lock", "client.json"})
"""Names that mean something only to running processes."""
_SQLITE: Final = b"SQLite format 3\0"
_ATTEMPTS: Final = 3
_OWN: Final = frozenset({"journal", "history", "blobs"})


def back_up(home: Path, target: Path, *, storage: S3Config | None = None, progress: Progress = silent) -> Manifest:
    """Copy a data folder to a folder, or to one file when `target` ends in `.tar`.

    `storage` is where its history and blobs stand, when not in the folder.

    Raises:
        NotFound: No data folder.
        Conflict: `target` is there already.
        StorageFull, Unavailable: It could not be written, or the storage not read; nothing is left.
        Corrupt: The history of the folder cannot be opened.
    """
    if not (home / "ledger.sqlite").exists() and not (home / "journal").exists():
        raise NotFound(f"{home} holds no data of Twofold", home=str(home))
    for attempt in range(_ATTEMPTS):
        try:
            with translated(f"back up {home}"):
                return _Snapshot(home, storage, progress).write(target)
        except Unavailable as error:
            if "errno" in error.facts or attempt == _ATTEMPTS - 1:
                raise
            log.info("%s", error)
    raise AssertionError("the loop returns or raises")


class _Snapshot:
    def __init__(self, home: Path, storage: S3Config | None, progress: Progress) -> None:
        self._home = home
        self._storage = storage
        self._bucket = Bucket(storage) if storage else None
        self._aside = Path()
        self._progress = progress
        self._total = sum(size for path, size in _files(home) if not self._away(path))
        if self._bucket is not None:
            self._total += sum(size for part in AWAY for _, size in self._bucket.list(part))
        self._done = 0
        self._entries: list[Entry] = []
        self._facts: dict[str, str] = {}

    def write(self, target: Path) -> Manifest:
        with ExitStack() as held, create(target) as writer:
            self._aside = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=target.parent)))
            segments = held.enter_context(HeldSegments(self._home / "journal"))
            for path, data in segments.commits():
                self._bytes(writer, path, data)
            self._blobs(writer, content=False)
            tables = held.enter_context(HeldTables(self._home / "history", self._storage))
            for path, _ in _files(self._home):
                if path.parts[0] not in _OWN and _is_sqlite(self._home / path):
                    self._sqlite(writer, path)
            self._blobs(writer, content=True)
            for path, file, size in segments.files():
                self._add(writer, path.relative_to(self._home), file, size)
            for each in tables.files():
                self._copy(writer, each)
            for path, _ in _files(self._home):
                if path.parts[0] not in _OWN and not _is_sqlite(self._home / path):
                    self._copy(writer, path)
            self._facts |= tables.versions()
            manifest = Manifest(
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                product=__version__,
                files=self._entries,
                facts=self._facts,
            )
            finish(writer, manifest)
        self._progress(self._total, self._total)
        return manifest

    def _away(self, path: PurePath) -> bool:
        return self._bucket is not None and away(path)

    def _blobs(self, writer: Writer, *, content: bool) -> None:
        for path, _ in _files(self._home, "blobs") if self._bucket is None else self._bucket.list("blobs"):
            if (path.parts[1] == "sha256") is content:
                self._copy(writer, path)

    def _copy(self, writer: Writer, path: PurePath) -> None:
        """A file that is only ever replaced as a whole, or grows; one that went meanwhile was not needed."""
        try:
            if self._bucket is not None and away(path):
                with self._bucket.open(path) as (source, size):
                    self._add(writer, path, source, size)
                return
            with (self._home / path).open("rb") as file:
                self._add(writer, path, file, os.fstat(file.fileno()).st_size)
        except FileNotFoundError:
            log.debug("%s went during the backup", path)

    def _sqlite(self, writer: Writer, path: Path) -> None:
        """One consistent state of a database that others may be writing to."""
        copy = self._aside / path.name
        try:
            with (
                closing(sqlite3.connect(f"{(self._home / path).absolute().as_uri()}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(copy)) as aim,
            ):
                source.backup(aim)
        except sqlite3.DatabaseError as error:
            raise Corrupt(f"{path} cannot be read: {error}", path=str(path)) from error
        with copy.open("rb") as file:
            self._add(writer, path, file, copy.stat().st_size)
        copy.unlink()

    def _bytes(self, writer: Writer, path: Path, data: bytes) -> None:
        self._add(writer, path.relative_to(self._home), io.BytesIO(data), len(data))

    def _add(self, writer: Writer, path: PurePath, file: IO[bytes], size: int) -> None:
        self._entries.append(writer.add(path.as_posix(), file, size))
        self._done += size
        self._progress(min(self._done, self._total), self._total)


def _files(home: Path, below: str = "") -> Iterator[tuple[Path, int]]:
    """What is kept of a folder, relative to it, with sizes: no locks, nothing half-written, no SQLite logs."""
    for folder, folders, names in os.walk(home / below):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            logs = name.endswith(("-wal", "-shm", "-journal"))
            if name in LEFT_OUT or name.startswith(TEMPORARY) or logs or path.is_symlink():
                continue
            try:
                yield path.relative_to(home), path.stat().st_size
            except FileNotFoundError:
                continue


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False
