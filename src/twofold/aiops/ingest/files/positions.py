"""How far each followed file was read, on disk."""

from __future__ import annotations

import logging
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from twofold.errors import Unavailable

HEAD_BYTES: Final = 256

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Place:
    """A file by its identity, and how far it was read.

    Attributes:
        inode: Device and inode: what a file is, whatever it is called.
        head_bytes, head: Length and checksum of its first bytes: another file may get the same inode.
    """

    path: str
    inode: tuple[int, int]
    offset: int = 0
    head_bytes: int = 0
    head: int = 0

    def note_head(self, file: BinaryIO) -> None:
        """Remember its first bytes, as many as there are by now."""
        if self.head_bytes < HEAD_BYTES:
            file.seek(0)
            first = file.read(HEAD_BYTES)
            self.head_bytes, self.head = len(first), zlib.crc32(first)

    def is_same(self, file: BinaryIO) -> bool:
        """Whether its first bytes are still those that were read."""
        file.seek(0)
        first = file.read(self.head_bytes)
        return len(first) == self.head_bytes and zlib.crc32(first) == self.head


def _place(saved: dict[str, Any]) -> Place:
    device, inode = saved.pop("inode")
    return Place(inode=(device, inode), **saved)


class Positions:
    """Places of all files, saved with a rename so that a crash leaves the old or the new ones.

    Args:
        path: Where they are kept; None keeps them in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.places: dict[tuple[int, int], Place] = {}
        if path is not None and path.exists():
            try:
                self.places = {place.inode: place for place in map(_place, orjson.loads(path.read_bytes()))}
            except (ValueError, TypeError, KeyError):
                log.exception("%s is damaged; followed files are read from their start again", path)
        self.fresh = path is None or not path.exists()
        """Nothing was ever followed here."""

    def save(self) -> None:
        """Write them, synced. Raises `Unavailable`."""
        self.fresh = False
        if self._path is None:
            return
        body = orjson.dumps(list(self.places.values()))
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise Unavailable(f"positions of followed files cannot be saved: {error}", path=str(self._path)) from error
