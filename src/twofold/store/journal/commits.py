"""What each consumer of a partition needs no more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

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
            stored = orjson.loads(path.read_bytes())
            self._positions |= {str(name): Position(int(at[0]), int(at[1])) for name, at in stored.items()}
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, AttributeError, IndexError):
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
            replace_file(self._path, orjson.dumps({name: list(at) for name, at in changed.items()}))
            self._positions = changed

    def lowest(self) -> int:
        """Sequence number that every consumer has passed."""
        with self._lock:
            return min((at.segment + at.offset for at in self._positions.values()), default=0)
