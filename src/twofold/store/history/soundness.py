"""Whether a file still holds the bytes that were written. Its name carries their CRC-32.

DuckDB checks nothing that it reads: of flipped bits in a Parquet file, it gives six in ten back as wrong values. So
a file is read through once before its first use in a process, and again after a day.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from twofold.store.disk import make_folder, translate
from twofold.store.history.index import BODY_AT, extent_of
from twofold.store.history.place import Place

log = logging.getLogger(__name__)

AGAIN_S: Final = 86_400.0
_CHUNK: Final = 1 << 20
_NAME: Final = re.compile(r"-[0-9a-f]{8}-([0-9a-f]{8})\.parquet$")


def crc_of(path: Path) -> int:
    """CRC-32 of a file but for its index, which has one of its own. Raises `OSError`."""
    with path.open("rb") as file:
        head = file.read(BODY_AT)
        crc = zlib.crc32(head)
        file.seek((extent_of(head) or (0, len(head)))[1])
        while data := file.read(_CHUNK):
            crc = zlib.crc32(data, crc)
    return crc


def crc_in(name: str) -> int | None:
    """The checksum that a file's name carries; None for files of before names did.

    >>> crc_in("495000/00000000000000000017-ab12cd34-0000ffff.parquet")
    65535
    """
    match = _NAME.search(name)
    return int(match[1], 16) if match else None


class Soundness:
    """Which files of one table can be trusted. Thread-safe.

    Args:
        place: Of the table.
        quarantine: Where damaged files are kept beside.
    """

    def __init__(self, place: Place, quarantine: Path) -> None:
        self._place = place
        self._quarantine = quarantine
        self._lock = threading.Lock()
        self._sound: dict[str, float] = {}
        self.damaged: set[str] = set()

    def trust(self, path: str) -> None:
        """This process has just written it."""
        with self._lock:
            self._sound[path] = time.monotonic()

    def damaged_of(self, paths: Iterable[str]) -> set[str]:
        """Those that are not what was written, or are gone. Raises `Unavailable` when one cannot be read at all."""
        return {path for path in paths if not self._is_sound(path)}

    def _is_sound(self, path: str) -> bool:
        with self._lock:
            if path in self.damaged:
                return False
            checked = self._sound.get(path)
        if checked is not None and time.monotonic() - checked < AGAIN_S:
            return True
        whole = self._matches(path) or (self._place.again(path) and self._matches(path))
        with self._lock:
            if whole:
                self._sound[path] = time.monotonic()
                return True
            new = path not in self.damaged
            self.damaged.add(path)
            self._sound.pop(path, None)
        if new:
            log.error("%s is damaged or gone: its rows are left out, all else can be read", path)
            self._keep(path)
        return False

    def _matches(self, path: str) -> bool:
        expected = crc_in(path)
        try:
            file = self._place.local(path)
            return file.exists() if expected is None else crc_of(file) == expected
        except FileNotFoundError:
            return False
        except OSError as error:
            raise translate(error, f"read {path}") from error

    def _keep(self, path: str) -> None:
        """A second name for the bytes, so that they outlive their place in the table."""
        with suppress(OSError):  # a copy for people; without one the answer is the same
            make_folder(self._quarantine)
            os.link(self._place.local(path), self._quarantine / path.replace("/", "-"))
