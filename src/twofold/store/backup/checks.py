"""Looks into every file of a data folder that nobody works on, and says what is wrong with which.

Checks what readers would check (frames, lines, pages, keys), but all of it and at once.
"""

from __future__ import annotations

import collections
import io
import itertools
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from twofold.errors import Corrupt, TwofoldError, Unavailable
from twofold.records.access import Audit
from twofold.store.backup.bucket import LOG, Bucket
from twofold.store.backup.tables import open_table
from twofold.store.blobs.files import FileBlobs
from twofold.store.blobs.s3 import S3Blobs
from twofold.store.catalog.lines import Lines
from twofold.store.disk import TEMPORARY
from twofold.store.history import Table
from twofold.store.history.index import is_whole as index_is_whole
from twofold.store.history.pins import Pins
from twofold.store.journal.commits import read_positions
from twofold.store.journal.partition import SUFFIX
from twofold.store.journal.recovery import damages
from twofold.store.ledger.audit import check_chain
from twofold.store.ledger.engine import Connections
from twofold.store.ledger.sql import SqlLedger
from twofold.store.ledger.tables import spec_of
from twofold.store.s3 import S3Config

_PAGE: Final = 10_000
_ZIP: Final = b"PK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with one file."""

    path: str
    what: str


def check_home(home: Path, storage: S3Config | None = None) -> Iterator[Problem]:
    """Everything that is wrong. Changes nothing that is whole, but needs the folder for itself.

    With `storage` history and blobs stand there, and each of their files is fetched. Raises `Unavailable`.
    """
    for name, check in (("journal", _journal), ("catalog", _catalog)):
        if (home / name).is_dir():
            yield from check(home, home / name)
    if (home / "history").is_dir():
        yield from _history(home, home / "history", storage)
    if storage is not None:
        yield from _blobs(home, S3Blobs(storage))
    elif (home / "blobs").is_dir():
        yield from _blobs(home, FileBlobs(home / "blobs"))
    for path in sorted(home.glob("*.sqlite")):
        yield from _sqlite(home, path)
    if (home / "ledger.sqlite").exists():
        yield from _audit(home / "ledger.sqlite")


def _journal(home: Path, root: Path) -> Iterator[Problem]:
    for partition in sorted(root.glob("p[0-9]*")):
        segments = sorted(partition.glob(f"*{SUFFIX}"))
        for path in segments:
            for start, stop, torn in damages(path):
                if not (torn and path == segments[-1]):  # a torn tail was never acknowledged
                    yield _problem(home, path, f"{stop - start} bytes at offset {start} hold no intact frame")
        for older, newer in itertools.pairwise(segments):
            if int(older.stem) + older.stat().st_size != int(newer.stem):
                yield _problem(home, newer, f"does not follow from {older.name}: a part of the journal is missing")
        try:
            read_positions(partition / "committed.json")
        except FileNotFoundError:
            pass
        except Corrupt as error:
            yield _problem(home, partition / "committed.json", error.message)


def _catalog(home: Path, root: Path) -> Iterator[Problem]:
    lines = Lines(root / "series.jsonl")
    collections.deque(lines.read(), maxlen=0)
    if lines.damaged:
        yield _problem(home, root / "series.jsonl", f"{lines.damaged} lines fail their check")


def _history(home: Path, root: Path, storage: S3Config | None) -> Iterator[Problem]:
    pins, bucket = Pins(root / "pins"), Bucket(storage) if storage else None
    for table in Table:
        folder = root / table.value
        if not folder.is_dir():
            continue
        if bucket is None and not (folder / LOG).is_dir():
            what = "has no log here; if it stands in S3-compatible storage, name the settings by --config"
            yield _problem(home, folder, what)
            continue
        try:
            files = open_table(root, table, storage).files()
            named = {str(path): int(rows) for path, rows in zip(files.paths, files.rows, strict=True)}
            pinned = pins.files(table)
        except Unavailable:
            raise
        except (TwofoldError, ValueError, KeyError) as error:
            yield _problem(home, folder / LOG, str(error))
            continue
        for path in sorted({*named, *pinned}):
            rows = named.get(path)
            wrong = _parquet(folder / path, rows) if bucket is None else _fetched(bucket, folder, path, rows)
            if wrong:
                yield _problem(home, folder / path, wrong)


def _fetched(bucket: Bucket, folder: Path, path: str, rows: int | None) -> str:
    """What is wrong with a file of the storage. A copy of it here proves nothing, so it is fetched."""
    with tempfile.NamedTemporaryFile(prefix=TEMPORARY, dir=folder) as aside:
        try:
            with bucket.open(PurePath(folder.parent.name, folder.name, path)) as (source, _):
                shutil.copyfileobj(source, aside)
        except FileNotFoundError:
            return "is missing"
        aside.flush()
        return _parquet(Path(aside.name), rows)


def _parquet(path: Path, rows: int | None) -> str:
    try:
        found = 0
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches():
                found += batch.num_rows
        if not index_is_whole(path):
            return "its index fails its check: searches read the whole file"
    except FileNotFoundError:
        return "is missing"
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read: {error}"
    return f"holds {found} rows, must hold {rows}" if rows is not None and found != rows else ""


def _blobs(home: Path, blobs: FileBlobs | S3Blobs) -> Iterator[Problem]:
    for key in blobs.keys(""):
        try:
            data = blobs.get(key)
            if key.startswith("checkpoints/") and data.startswith(_ZIP):  # of before blobs carried a check
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    if broken := archive.testzip():
                        yield _problem(home, home / "blobs" / key, f"its part {broken} fails its check")
        except Unavailable:
            raise
        except (TwofoldError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            yield _problem(home, home / "blobs" / key, str(error))


def _sqlite(home: Path, path: Path) -> Iterator[Problem]:
    try:
        with closing(sqlite3.connect(path)) as database:
            for (answer,) in database.execute("PRAGMA integrity_check"):
                if answer != "ok":
                    yield _problem(home, path, answer)
    except sqlite3.DatabaseError as error:
        yield _problem(home, path, str(error))


def _audit(path: Path) -> Iterator[Problem]:
    """The chain of each tenant's audit entries."""
    connections = Connections(path, busy_timeout_s=1.0)
    try:
        ledger = SqlLedger(connections)
        with closing(sqlite3.connect(path)) as database:
            name = spec_of(Audit).name
            tenants = [row[0] for row in database.execute(f"SELECT DISTINCT tenant FROM {name}")]  # noqa: S608 - our own name
        for tenant in tenants:
            _check_chain(ledger, tenant)
    except (TwofoldError, sqlite3.DatabaseError) as error:
        yield Problem(path=path.name, what=f"audit: {error}")
    finally:
        connections.close()


def _check_chain(ledger: SqlLedger, tenant: str) -> None:
    previous, after = None, ""
    while page := ledger.find(Audit, tenant=tenant, limit=_PAGE, after=after, newest_first=False):
        previous = check_chain(page, previous) if previous else check_chain(page)
        after = page[-1].id


def _problem(home: Path, path: Path, what: str) -> Problem:
    return Problem(path=path.relative_to(home).as_posix(), what=what)
