"""The history's part of a backup: one version of each table, whose files nobody deletes until they are copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from twofold.store.history import Table
from twofold.store.history.delta_table import DeltaFiles
from twofold.store.history.fileset import FileSet
from twofold.store.history.layout import LAYOUTS
from twofold.store.history.pins import Pins


class HeldTables(AbstractContextManager["HeldTables"]):
    """The newest version of every table of a history, and everything that is pinned. Raises `Corrupt`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pins = Pins(root / "pins")
        self._held: dict[Table, FileSet] = {}
        self._notes: list[Path] = []
        for table in Table:
            if (root / table.value / "_delta_log").is_dir():
                files = DeltaFiles(root / table.value, LAYOUTS[table]).files()
                self._notes.append(self._pins.hold(table, files))
                self._held[table] = files

    def versions(self) -> Mapping[str, str]:
        """Which version of each table is held."""
        return {
            f"history/{table}": f"version {files.version}, {len(files)} files" for table, files in self._held.items()
        }

    def files(self) -> Iterator[Path]:
        """The log up to each held version, its files, and those of pinned versions."""
        for table, files in self._held.items():
            folder = self._root / table.value
            yield from (each for each in sorted((folder / "_delta_log").iterdir()) if _until(each, files.version))
            for path in sorted({*files.paths, *self._pins.files(table)}):
                yield folder / path
        yield from self._pins.notes()

    def __exit__(self, *_: object) -> None:
        for note in self._notes:
            note.unlink(missing_ok=True)


def _until(entry: Path, version: int) -> bool:
    """Whether a file of the log says nothing past a version. The hint at the newest checkpoint is left out."""
    number = entry.name.partition(".")[0]
    return number.isdigit() and int(number) <= version and not entry.name.endswith((".torn", ".tmp"))
