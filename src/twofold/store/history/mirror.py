"""A second, checked copy of each file of a table's log: a bit that flips in one is mended from the other.

The log says which rows there are and how far the journal was written, so a wrong digit in it would lose or repeat
rows. Delta writes it without checksums. Copies stand beside the table, where no reader of Delta looks.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from twofold.store.disk import TEMPORARY, make_folder, replace_file

log = logging.getLogger(__name__)

_HEAD: Final = 9  # eight digits of the checksum and a line's end
_TORN: Final = ".torn"


class Mirror:
    """Copies of the entries and checkpoints of one log.

    Args:
        log_folder: The log.
        folder: Where copies stand.
    """

    def __init__(self, log_folder: Path, folder: Path) -> None:
        self._log = log_folder
        self._folder = folder

    def add(self, path: Path) -> None:
        """Copy a file of the log that is whole. Raises `OSError`."""
        data = path.read_bytes()
        make_folder(self._folder)
        replace_file(self._folder / path.name, b"%08x\n" % zlib.crc32(data) + data)

    def mend(self) -> None:
        """Before the log is read: give damaged and missing files their bytes back. Raises `OSError`."""
        self.prune()
        for copy in self._copies():
            data, path = _checked(copy), self._log / copy.name
            if data is None:
                log.warning("%s is a damaged copy and goes", copy)
                copy.unlink()
            elif path.exists():
                self._compare(path, data)
            else:
                log.error("%s was gone and is put back from its copy", path)
                replace_file(path, data)

    def complete(self, paths: Iterable[Path]) -> None:
        """Copy those that have no copy yet: a crash came in between, or a version of before made them."""
        for path in paths:
            if not (self._folder / path.name).exists():
                self.add(path)

    def prune(self) -> None:
        """Forget copies of what the log has folded into a checkpoint and dropped. Raises `OSError`."""
        checkpoints = [_number(path) for path in self._log.glob("*.checkpoint*.parquet")]
        folded = max(checkpoints, default=-1)
        for copy in self._copies():
            if _number(copy) < folded and not (self._log / copy.name).exists():
                copy.unlink(missing_ok=True)

    def _copies(self) -> list[Path]:
        found = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        return [path for path in found if not path.name.startswith(TEMPORARY)]

    def _compare(self, path: Path, data: bytes) -> None:
        found = path.read_bytes()
        if found != data:
            log.error("%s was damaged and is mended from its copy", path)
            with suppress(OSError):  # the damaged bytes are for people; mending goes on
                path.with_name(path.name + _TORN).write_bytes(found)
            replace_file(path, data)


def _checked(copy: Path) -> bytes | None:
    data = copy.read_bytes()
    head, rest = data[:_HEAD], data[_HEAD:]
    return rest if head == b"%08x\n" % zlib.crc32(rest) else None


def _number(path: Path) -> int:
    """Version of a file of the log; -1 for other names."""
    number = path.name.partition(".")[0]
    return int(number) if number.isdigit() else -1
