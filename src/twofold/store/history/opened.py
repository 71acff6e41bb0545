"""Files of lines and spans that searches come back to: their indexes and footers stay in memory.

Indexes are read, not mapped: a mapped file would keep its place on the disk after it was deleted, and end the process
when it is cut off.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from twofold.errors import Corrupt
from twofold.store.disk import translated
from twofold.store.history.index import BODY_AT, Index, extent_of, parsed

log = logging.getLogger(__name__)

Ints = npt.NDArray[np.int64]

_INDEXES: Final = 4096  # files
_KEPT: Final = 128 << 20  # bytes of indexes
_FOOTERS: Final = 4096  # row groups whose places are kept, about 7 KB each


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A file's index, and its bytes."""

    index: Index | None
    size_bytes: int


class Opened:
    """Opens files and keeps what is asked for often. Thread-safe.

    Attributes:
        missing: Files met that have no index, because an earlier version wrote them; they are read as a whole.
        damaged: Files met whose index fails its check; likewise.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._footers: OrderedDict[str, pq.FileMetaData] = OrderedDict()
        self.missing: set[str] = set()
        self.damaged: set[str] = set()

    def index(self, path: str) -> Index | None:
        """A file's index; None without a sound one. Raises `Unavailable`."""
        with self._lock:
            known = self._known.get(path)
            if known is not None:
                self._known.move_to_end(path)
                return known.index
        with translated(f"read {path}"):
            made = self._read(path)
        with self._lock:
            self._known[path] = made
            size = sum(each.size_bytes for each in self._known.values())
            while len(self._known) > 1 and (len(self._known) > _INDEXES or size > _KEPT):
                size -= self._known.popitem(last=False)[1].size_bytes
        return made.index

    def footer(self, path: str) -> pq.FileMetaData:
        """Where a file's row groups stand. Raises `Corrupt` and `Unavailable`."""
        with self._lock:
            if (found := self._footers.get(path)) is not None:
                self._footers.move_to_end(path)
                return found
        with _readable(path):
            made = pq.read_metadata(path)
        with self._lock:
            self._footers[path] = made
            while len(self._footers) > 1 and sum(each.num_row_groups for each in self._footers.values()) > _FOOTERS:
                self._footers.popitem(last=False)
        return made

    @contextmanager
    def reading(self, path: str) -> Iterator[pq.ParquetFile]:
        """A file for the calling thread. Raises `Corrupt` and `Unavailable`."""
        footer = self.footer(path)
        with _readable(path), pa.memory_map(path) as mapped, pq.ParquetFile(mapped, metadata=footer) as file:
            yield file

    def times(self, path: str, column: str) -> tuple[Ints, Ints]:
        """First and last time of each row group, by the footer; all time where it does not say."""
        footer = self.footer(path)
        at = footer.schema.names.index(column)
        found = np.empty((footer.num_row_groups, 2), np.int64)
        for number in range(footer.num_row_groups):
            stated = footer.row_group(number).column(at).statistics
            found[number] = (stated.min, stated.max) if stated and stated.has_min_max else (-(2**63), 2**63 - 1)
        return found[:, 0], found[:, 1]

    def _read(self, path: str) -> _Known:
        """The checksum is compared each time: the file's own leaves the index out."""
        with open(path, "rb") as file:  # noqa: PTH123 - a name as the readers have it
            head = file.read(BODY_AT)
            extent = extent_of(head)
            if extent is None:
                self.missing.add(path)
                return _Known(None, 0)
            data = head + file.read(extent[1] - BODY_AT)
        try:
            index = parsed(memoryview(data))
        except Corrupt as error:
            self.damaged.add(path)
            log.warning("the index of %s is left out, all its rows are read: %s", path, error)
            return _Known(None, 0)
        return _Known(index, len(data))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        with translated(f"read {path}"):
            yield
    except pa.ArrowException as error:
        raise Corrupt(f"{path} cannot be read: {error}; restore it from a backup", path=path) from error
