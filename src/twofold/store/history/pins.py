"""Pinned table versions: the list of their files, so that neither compaction nor the log's clean-up ends them."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from twofold.errors import InputError, NotFound
from twofold.store.disk import make_folder, replace_file, sync_folder, translated
from twofold.store.history import Table
from twofold.store.history.fileset import ARRAYS, FileSet

_HOLD: Final = ".hold.json"
_HELD_S: Final = 86_400.0
_REFERENCE: Final = re.compile(r"delta:([a-z]+)@(\d{1,18})")


def reference(table: Table, version: int) -> str:
    """How a table version is cited.

    >>> reference(Table.SAMPLES, 12)
    'delta:samples@12'
    """
    return f"delta:{table}@{version}"


def parse(text: str) -> tuple[Table, int]:
    """Inverse of `reference`. Raises `InputError`.

    >>> parse("delta:samples@12")
    (<Table.SAMPLES: 'samples'>, 12)
    """
    match = _REFERENCE.fullmatch(text)
    if match is None or match[1] not in set(Table):
        raise InputError(f"{text!r} is no pinned table; write delta:<{'|'.join(Table)}>@<version>", reason="reference")
    return Table(match[1]), int(match[2])


class Pins:
    """One small file a pinned version. Several processes may share the folder; who pins one version twice shares it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, table: Table, files: FileSet) -> str:
        """Keep a version's files; returns the reference."""
        path = self._path(table, files.version)
        if not path.exists():
            with translated(f"pin version {files.version} of {table}"):
                make_folder(self._folder)
                kept = {name: getattr(files, name).tolist() for name in ARRAYS}
                replace_file(path, orjson.dumps({"version": files.version, **kept}))
        return reference(table, files.version)

    def hold(self, table: Table, files: FileSet) -> Path:
        """Keep a version's files for a while, beside what others pin; the caller deletes the note that it is given.

        One that a killed process left behind counts for a day.
        """
        limit = time.time() - _HELD_S
        for old in self._folder.glob(f"{table}@*{_HOLD}"):
            if old.stat().st_mtime < limit:
                old.unlink(missing_ok=True)
        note = self._folder / f"{table}@{files.version}.{secrets.token_hex(4)}{_HOLD}"
        with translated(f"hold version {files.version} of {table}"):
            make_folder(self._folder)
            replace_file(note, orjson.dumps({"version": files.version, "paths": files.paths.tolist()}))
        return note

    def notes(self) -> list[Path]:
        """The file of each pinned version."""
        return sorted(path for path in self._folder.glob("*@*.json") if not path.name.endswith(_HOLD))

    def get(self, table: Table, version: int) -> FileSet:
        """The pinned version's files. Raises `NotFound`."""
        path = self._path(table, version)
        try:
            kept = orjson.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise NotFound(f"{reference(table, version)} is not pinned", reference=reference(table, version)) from error
        arrays = {name: np.array(kept[name], object if name in ("paths", "tenant") else np.int64) for name in ARRAYS}
        return FileSet(version=version, **arrays)

    def release(self, table: Table, version: int) -> None:
        """Let a version go; no error when it is not pinned."""
        path = self._path(table, version)
        if path.exists():
            with translated(f"release version {version} of {table}"):
                path.unlink(missing_ok=True)
                sync_folder(self._folder)

    def files(self, table: Table) -> set[str]:
        """Files of every pinned version of a table."""
        found: set[str] = set()
        for path in self._folder.glob(f"{table}@*.json"):
            found.update(orjson.loads(path.read_bytes())["paths"])
        return found

    def _path(self, table: Table, version: int) -> Path:
        return self._folder / f"{table}@{version}.json"
