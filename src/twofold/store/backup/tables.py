"""The history's part of a backup: one version of each table, whose files nobody deletes until they are copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path, PurePath

from twofold.store.backup.bucket import LOG, Bucket
from twofold.store.history import Table
from twofold.store.history.delta_table import DeltaFiles
from twofold.store.history.fileset import FileSet
from twofold.store.history.layout import LAYOUTS
from twofold.store.history.pins import Pins
from twofold.store.history.place import S3Place
from twofold.store.s3 import S3Config


def open_table(root: Path, table: Table, storage: S3Config | None) -> DeltaFiles:
    """A table of a history, for its list of files alone. Raises `Corrupt` and `Unavailable`."""
    place = S3Place(storage, table.value, root / table.value, cache_bytes=0) if storage else None
    return DeltaFiles(root / table.value, LAYOUTS[table], place)


class HeldTables(AbstractContextManager["HeldTables"]):
    """The newest version of every table of a history, and everything that is pinned.

    Args:
        root: The history's folder on this machine.
        storage: Where the tables stand, when not in that folder.

    Raises:
        Corrupt: A table's log cannot be read.
        Unavailable: The storage does not answer.
    """

    def __init__(self, root: Path, storage: S3Config | None = None) -> None:
        self._root = root
        self._bucket = Bucket(storage) if storage else None
        self._pins = Pins(root / "pins")
        self._held: dict[Table, FileSet] = {}
        self._notes: list[Path] = []
        for table in Table:
            if any(self._log(table)):
                files = open_table(root, table, storage).files()
                self._notes.append(self._pins.hold(table, files))
                self._held[table] = files

    def _log(self, table: Table) -> Iterator[PurePath]:
        """Entries of a table's log, relative to the data folder."""
        home = PurePath(self._root.name, table.value, LOG)
        if self._bucket is not None:
            return (path for path, _ in self._bucket.list(home.as_posix()))
        folder = self._root / table.value / LOG
        names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
        return (home / name for name in names)

    def versions(self) -> Mapping[str, str]:
        """Which version of each table is held."""
        return {
            f"history/{table}": f"version {files.version}, {len(files)} files" for table, files in self._held.items()
        }

    def files(self) -> Iterator[PurePath]:
        """The log up to each held version, its files, and those of pinned versions; relative to the data folder."""
        for table, files in self._held.items():
            yield from (each for each in self._log(table) if _until(each, files.version))
            for path in sorted({*files.paths, *self._pins.files(table)}):
                yield PurePath(self._root.name, table.value, path)
        yield from (each.relative_to(self._root.parent) for each in self._pins.notes())

    def __exit__(self, *_: object) -> None:
        for note in self._notes:
            note.unlink(missing_ok=True)


def _until(entry: PurePath, version: int) -> bool:
    """Whether a file of the log says nothing past a version. The hint at the newest checkpoint is left out."""
    number = entry.name.partition(".")[0]
    return number.isdigit() and int(number) <= version and not entry.name.endswith((".torn", ".tmp"))
