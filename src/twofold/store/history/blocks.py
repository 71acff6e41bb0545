"""Row groups of sample files, decoded: the few that charts and rules ask for again and again stay in memory.

A file is sorted by series and time, so of a decoded row group two searches find the rows of a series. Decoding one
costs some milliseconds, more than a scan that looks for one series only; asking a kept one costs microseconds. So they
are worth it when most of a row group is wanted, or when it is wanted again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from twofold.errors import Corrupt
from twofold.store.disk import translated

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FOOTERS: Final = 4096  # files whose footers are kept
_APART: Final = 3  # row groups from which on threads share the work
_MANY: Final = 64  # row groups from which on a scan does it, which decodes less of each
_DENSE: Final = 4  # series of a row group from which on most of the work is for rows that are wanted
_ASKED_BYTES: Final = 1 << 20  # of what is kept, for each row group that is remembered as asked for
_ROW_BYTES: Final = 16
_FEW: Final = 32  # series that are looked for one by one
_ALL: Final = (np.iinfo(np.int64).min, np.iinfo(np.int64).max)


class Group(NamedTuple):
    """One row group of one of the files that are read.

    Attributes:
        place: Number of the file.
        number: Within the file.
        rows: That it holds.
    """

    place: int
    path: str
    number: int
    rows: int


class Rows(NamedTuple):
    """Samples of one row group."""

    sid: Ints
    time_ns: Ints
    value: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A decoded row group.

    Attributes:
        sids: Distinct, ascending, shape (S,).
        starts: Where the run of each begins, and the end, shape (S + 1,).
        time_ns: Ascending within a run, shape (N,).
    """

    sids: Ints
    starts: Ints
    time_ns: Ints
    value: Floats

    @property
    def size_bytes(self) -> int:
        """Memory that it holds."""
        return self.sids.nbytes + self.starts.nbytes + self.time_ns.nbytes + self.value.nbytes

    def of(self, sids: Ints, start_ns: int, end_ns: int) -> Iterator[Rows]:
        """Rows of the sorted sids in [start_ns, end_ns), in order."""
        at = np.searchsorted(self.sids, sids)
        there = at < len(self.sids)
        at = at[there][self.sids[at[there]] == sids[there]]
        if len(at) <= _FEW:
            for run in at.tolist():
                yield from self._run(run, start_ns, end_ns)
            return
        low, count = self.starts[at], self.starts[at + 1] - self.starts[at]
        sid = np.repeat(self.sids[at], count)
        if low[-1] + count[-1] - low[0] == len(sid):
            run = slice(int(low[0]), int(low[0]) + len(sid))
            time_ns, value = self.time_ns[run], self.value[run]
        else:
            index = np.repeat(low - np.append(0, np.cumsum(count)[:-1]), count) + np.arange(len(sid))
            time_ns, value = self.time_ns[index], self.value[index]
        inside = (time_ns >= start_ns) & (time_ns < end_ns)
        yield Rows(sid, time_ns, value) if inside.all() else Rows(sid[inside], time_ns[inside], value[inside])

    def _run(self, run: int, start_ns: int, end_ns: int) -> Iterator[Rows]:
        begin, end = self.starts[run : run + 2].tolist()
        low, high = (begin + np.searchsorted(self.time_ns[begin:end], (start_ns, end_ns))).tolist()
        if low < high:
            rows = slice(low, high)
            yield Rows(np.full(high - low, self.sids[run]), self.time_ns[rows], self.value[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _Footer:
    """What a file says of its row groups, each shape (G,)."""

    metadata: pq.FileMetaData
    first_sid: Ints
    last_sid: Ints
    first_ns: Ints
    last_ns: Ints

    def holding(self, sids: Ints, start_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
        """Number and rows of each row group that may hold rows of the sorted sids in [start_ns, end_ns)."""
        chosen = (self.last_ns >= start_ns) & (self.first_ns < end_ns)
        chosen &= np.searchsorted(sids, self.first_sid) < np.searchsorted(sids, self.last_sid, "right")
        return ((number, self.metadata.row_group(number).num_rows) for number in np.flatnonzero(chosen).tolist())


class Blocks:
    """Reads sample files by row groups. Thread-safe.

    Args:
        most_bytes: Decoded row groups that are kept.
        threads: That decode at the same time.
    """

    def __init__(self, most_bytes: int, threads: int) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._footers: OrderedDict[str, _Footer] = OrderedDict()
        self._blocks: OrderedDict[tuple[str, int], Block] = OrderedDict()
        self._asked: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blocks")
        self.size_bytes = 0

    def groups(self, files: Sequence[str], sids: Ints, start_ns: int, end_ns: int) -> list[Group]:
        """Row groups that may hold rows of the sorted sids in [start_ns, end_ns), in the files' order.

        Raises:
            Corrupt: A file is no Parquet file.
            Unavailable: A file cannot be read.
        """
        return [
            Group(place, path, number, rows)
            for place, path in enumerate(files)
            for number, rows in self._footer(path).holding(sids, start_ns, end_ns)
        ]

    def worth(self, groups: Sequence[Group], series: int) -> bool:
        """Whether to decode them for so many series; if not, they are when they are asked for soon again."""
        keys = [(group.path, group.number) for group in groups]
        with self._lock:
            again = all(key in self._blocks or key in self._asked for key in keys)
            for key in keys[: self._most // _ASKED_BYTES]:
                self._asked[key] = None
                self._asked.move_to_end(key)
            while len(self._asked) > self._most // _ASKED_BYTES:
                self._asked.popitem(last=False)
        return len(groups) <= _MANY and (again or series >= _DENSE * len(groups))

    def read(self, groups: Sequence[Group], sids: Ints, start_ns: int, end_ns: int) -> list[tuple[Group, Rows]]:
        """Rows of the sorted sids in [start_ns, end_ns), in the order of the groups. Raises as `groups`."""
        keep = 2 * _ROW_BYTES * sum(group.rows for group in groups) <= self._most

        def found(group: Group) -> list[tuple[Group, Rows]]:
            return [(group, rows) for rows in self._block(group, keep=keep).of(sids, start_ns, end_ns)]

        parts = map(found, groups) if len(groups) < _APART else self._pool.map(found, groups)
        return [each for part in parts for each in part]

    def close(self) -> None:
        """Release memory and threads."""
        self._pool.shutdown()
        with self._lock:
            self._blocks.clear()
            self._footers.clear()
            self._asked.clear()
            self.size_bytes = 0

    def _footer(self, path: str) -> _Footer:
        with self._lock:
            if (known := self._footers.get(path)) is not None:
                self._footers.move_to_end(path)
                return known
        with _readable(path):
            metadata = pq.read_metadata(path)
            places = {metadata.schema.column(at).name: at for at in range(metadata.num_columns)}
            sid, time_ns = (_ranges(metadata, places[name]) for name in ("sid", "time_ns"))
        made = _Footer(metadata, sid[:, 0], sid[:, 1], time_ns[:, 0], time_ns[:, 1])
        with self._lock:
            self._footers[path] = made
            if len(self._footers) > _FOOTERS:
                self._footers.popitem(last=False)
        return made

    def _block(self, group: Group, *, keep: bool) -> Block:
        key = (group.path, group.number)
        with self._lock:
            if (known := self._blocks.get(key)) is not None:
                self._blocks.move_to_end(key)
                return known
        metadata = self._footer(group.path).metadata
        # not mapped: a file that is cut while it is read ends no process
        with _readable(group.path), pq.ParquetFile(group.path, metadata=metadata) as file:
            rows = file.read_row_group(group.number, columns=["sid", "time_ns", "value"], use_threads=False)
        made = _decoded(*(column.to_numpy() for column in rows.columns))
        if keep:
            self._keep(key, made)
        return made

    def _keep(self, key: tuple[str, int], block: Block) -> None:
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = block
                self.size_bytes += block.size_bytes
            while self.size_bytes > self._most:
                _, gone = self._blocks.popitem(last=False)
                self.size_bytes -= gone.size_bytes


def _decoded(sid: Ints, time_ns: Ints, value: Floats) -> Block:
    """A block of columns that stand in the order of the files."""
    change = sid[1:] != sid[:-1]
    starts = np.concatenate([[0], np.flatnonzero(change) + 1, [len(sid)]])
    return Block(sid[starts[:-1]], starts, time_ns, value)


def _ranges(metadata: pq.FileMetaData, column: int) -> Ints:
    """Lowest and highest value of a column in each row group, shape (G, 2); all numbers where they are not stated."""
    stated = [metadata.row_group(number).column(column).statistics for number in range(metadata.num_row_groups)]
    ranges = [(each.min, each.max) if each is not None and each.has_min_max else _ALL for each in stated]
    return np.array(ranges, np.int64).reshape(-1, 2)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        with translated(f"read {path}"):
            yield
    except (pa.ArrowException, KeyError) as error:
        raise Corrupt(f"{path} is no file of samples: {error}; restore it from a backup", path=path) from error
