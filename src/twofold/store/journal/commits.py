"""What each consumer of a partition needs no more."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from twofold.errors import Corrupt
from twofold.records.frame import Position
from twofold.store.disk import replace_file

log = logging.getLogger(__name__)

_NOTHING: Final = Position(0, 0)


class Commits:
    """Committed positions in one small file, replaced as a whole.

    An unreadable file counts as no commits: consumers read from the oldest frame again, which they
    must bear anyway.

    Args:
        consumers: Those who count even before their first commit.
    """

    def __init__(self, path: Path, consumers: Sequence[str]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._positions = dict.fromkeys(consumers, _NOTHING)
        try:
            self._positions |= read_positions(path)
        except FileNotFoundError:
            pass
        except Corrupt:
            log.exception("%s is unreadable; every consumer reads from the oldest frame again", path)

    def get(self, consumer: str) -> Position:
        """The committed position, or before everything."""
        with self._lock:
            return self._positions.get(consumer, _NOTHING)

    def set(self, consumer: str, position: Position) -> None:
        """Durably move a consumer forward; a position before the committed one changes nothing. Raises `OSError`."""
        with self._lock:
            if position <= self._positions.get(consumer, _NOTHING):
                return
            changed = self._positions | {consumer: position}
            data = orjson.dumps({name: list(at) for name, at in changed.items()})
            replace_file(self._path, b"%08x " % zlib.crc32(data) + data)
            self._positions = changed

    def lowest(self) -> int:
        """Sequence number that every consumer has passed."""
        with self._lock:
            return min((at.segment + at.offset for at in self._positions.values()), default=0)


def read_positions(path: Path) -> dict[str, Position]:
    """Committed positions by consumer.

    Raises:
        Corrupt: The file fails its check. A file of before it had one is taken as it is.
        FileNotFoundError: Nobody has committed yet.
    """
    data = path.read_bytes()
    try:
        if not data.startswith(b"{"):
            crc, _, data = data.partition(b" ")
            if int(crc, 16) != zlib.crc32(data):
                raise Corrupt(f"{path} fails its check", path=str(path))
        return {str(name): Position(int(at[0]), int(at[1])) for name, at in orjson.loads(data).items()}
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise Corrupt(f"{path} cannot be read: {error}", path=str(path)) from error
