"""Looks into every file of a data folder that nobody works on, and says what is wrong with which.

Checks what readers would check (frames, lines, pages, keys), but all of it and at once.
"""

from __future__ import annotations

import io
import itertools
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from twofold.errors import Corrupt, TwofoldError
from twofold.records.access import Audit
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.lines import Lines
from twofold.store.history import Table
from twofold.store.history.delta_table import DeltaFiles
from twofold.store.history.index import is_whole as index_is_whole
from twofold.store.history.layout import LAYOUTS
from twofold.store.history.pins import Pins
from twofold.store.journal.commits import read_positions
from twofold.store.journal.partition import SUFFIX
from twofold.store.journal.recovery import damages
from twofold.store.ledger.audit import check_chain
from twofold.store.ledger.engine import Connections
from twofold.store.ledger.sql import SqlLedger
from twofold.store.ledger.tables import spec_of

_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with one file."""

    path: str
    what: str


def check_home(home: Path) -> Iterator[Problem]:
    """Everything that is wrong. Changes nothing that is whole, but needs the folder for itself."""
    for name, check in (
        ("journal", _journal),
        ("catalog", _catalog),
        ("history", _history),
        ("blobs", _blobs),
    ):
        if (home / name).is_dir():
            yield from check(home, home / name)
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
    lines.read()
    if lines.damaged:
        yield _problem(home, root / "series.jsonl", f"{lines.damaged} lines fail their check")


def _history(home: Path, root: Path) -> Iterator[Problem]:
    pins = Pins(root / "pins")
    for table in Table:
        folder = root / table.value
        if not (folder / "_delta_log").is_dir():
            continue
        try:
            named = {str(path): int(rows) for path, rows in _named(folder, table)}
            pinned = pins.files(table)
        except (TwofoldError, ValueError, KeyError) as error:
            yield _problem(home, folder / "_delta_log", str(error))
            continue
        for path in sorted({*named, *pinned}):
            if wrong := _parquet(folder / path, named.get(path)):
                yield _problem(home, folder / path, wrong)


def _named(folder: Path, table: Table) -> Iterator[tuple[str, int]]:
    files = DeltaFiles(folder, LAYOUTS[table]).files()
    yield from zip(files.paths, files.rows, strict=True)


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


def _blobs(home: Path, root: Path) -> Iterator[Problem]:
    blobs = FileBlobs(root)
    for key in blobs.keys(""):
        try:
            data = blobs.get(key)
            if key.startswith("checkpoints/"):
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    if broken := archive.testzip():
                        yield _problem(home, root / key, f"its part {broken} fails its check")
        except (TwofoldError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            yield _problem(home, root / key, str(error))


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
