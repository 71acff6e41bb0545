"""Log lines that hold a text, newest first: only row groups that may hold it are read, and no more than are needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twofold.errors import TooLarge
from twofold.records.columns import LOGS
from twofold.store.history import LineQuery
from twofold.store.history.grams import Probe, data_of, entity_number, folded, has_compiler, needle_of, trace_number
from twofold.store.history.hot import Piece
from twofold.store.history.index import LineIndex, whole
from twofold.store.history.opened import Opened

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Columns = Callable[[Sequence[str]], pa.Table]
"""Gives columns of some rows by their names."""

LINES: Final = pa.schema(
    [pa.field(each.name, pa.string()) if each.name == "entity" else each for each in LOGS if each.name != "attributes"]
)
"""Columns of an answer."""
_GATHERED: Final = 4096  # rows of small frames that are looked at together
_APART: Final = 4  # looks from which on threads share them
_WAVE: Final = 64
_COMMON: Final = b" etaoinsrhldcumpfgwybvk01234567890-./:=,_\"'"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Rows that are looked at together: a row group of a file, or frames in memory (`path` is empty)."""

    first_ns: int
    last_ns: int
    path: str = ""
    group: int = 0
    pieces: Sequence[Piece] = ()


class LineReader:
    """Searches lines in files and in the hot window. Thread-safe.

    Args:
        seconds: Longest search.
        threads: That read at the same time once a search is wide.
    """

    def __init__(self, opened: Opened, *, seconds: float, threads: int) -> None:
        self._opened = opened
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lines")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def read(self, files: Sequence[str], hot: Sequence[Piece], asked: LineQuery) -> pa.Table:
        """The newest lines; of one time, those in no order.

        Raises:
            Corrupt, Unavailable: A file cannot be read.
            TooLarge: Past the bound of time.
        """
        look = _Look(asked)
        sources = [*self._groups(files, asked, look.probe), *_gathered(hot)]
        sources.sort(key=lambda each: each.last_ns, reverse=True)
        newest = _Newest(asked)
        with _Reading(self._opened) as reading:
            for some in self._waves(sources, newest):
                for lines in self._looked(look, [reading.columns(source) for source in some]):
                    newest.add(lines)
        return newest.table()

    def _looked(self, look: _Look, rows: Sequence[Columns]) -> list[pa.Table]:
        if len(rows) < _APART:
            return [look.at(each) for each in rows]
        begun = [self._pool.submit(look.at, each) for each in rows]
        wait(begun)  # after an error too: files are closed then
        return [each.result() for each in begun]

    def _waves(self, sources: Sequence[_Source], newest: _Newest) -> Iterator[Sequence[_Source]]:
        """What is looked at next, ever more at once, until no older line can be among the newest."""
        until = time.monotonic() + self._seconds
        at, size = 0, 1
        while at < len(sources) and sources[at].last_ns >= newest.least_ns:
            if time.monotonic() > until:
                raise TooLarge(
                    f"the search took longer than {self._seconds:g} s; ask for less time or more of the text",
                    reason="query_time",
                )
            yield sources[at : at + size]
            at, size = at + size, min(2 * size, _WAVE)

    def _groups(self, files: Sequence[str], asked: LineQuery, probe: Probe) -> Iterator[_Source]:
        for path in files:
            index = self._opened.index(path)
            if isinstance(index, LineIndex):
                first, last = index.first_ns, index.last_ns
                inside = (last >= asked.start_ns) & (first < asked.end_ns) & (index.severity >= asked.severity)
                chosen = probe.passes(index.words, index.begin, np.flatnonzero(inside))
            else:
                first, last = self._opened.times(path, "time_ns")
                chosen = np.flatnonzero((last >= asked.start_ns) & (first < asked.end_ns))
            for group in chosen.tolist():
                yield _Source(first_ns=int(first[group]), last_ns=int(last[group]), path=path, group=group)


class _Newest:
    """The newest lines so far.

    Attributes:
        least_ns: Older ones are none of them.
    """

    def __init__(self, asked: LineQuery) -> None:
        self._most = asked.most
        self._found: list[pa.Table] = []
        self._times: Ints = np.empty(0, np.int64)
        self.least_ns = asked.start_ns

    def add(self, lines: pa.Table) -> None:
        """Take lines of anywhere."""
        if not lines.num_rows:
            return
        self._found.append(lines)
        times = np.append(self._times, lines["time_ns"].to_numpy())
        if len(times) >= self._most:
            times = np.partition(times, len(times) - self._most)[len(times) - self._most :]
            self.least_ns = int(times[0]) + 1  # one of the same time would not be newer
        self._times = times

    def table(self) -> pa.Table:
        """Newest first."""
        if not self._found:
            return LINES.empty_table()
        lines = pa.concat_tables(self._found)
        order = np.argsort(-lines["time_ns"].to_numpy(), kind="stable")[: self._most]
        return lines.take(pa.array(order))


class _Reading:
    """Files that one search reads: each is opened once a thread."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._stack = ExitStack()
        self._files: dict[tuple[int, str], pq.ParquetFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def columns(self, source: _Source) -> Columns:
        """How to read a source's rows."""
        if source.pieces:
            rows = pa.Table.from_batches([piece.data for piece in source.pieces], LOGS)
            return lambda names: rows.select(list(names))
        return lambda names: self._file(source.path).read_row_group(source.group, list(names), use_threads=False)

    def _file(self, path: str) -> pq.ParquetFile:
        key = (threading.get_ident(), path)
        if key not in self._files:
            self._files[key] = self._stack.enter_context(self._opened.reading(path))
        return self._files[key]


class _Look:
    """What is asked, ready to be compared with rows."""

    def __init__(self, asked: LineQuery) -> None:
        self._asked = asked
        self._needle = needle_of(asked.text)
        others = [entity_number(asked.entity)] if asked.entity else []
        if asked.trace_id:
            others.append(trace_number(asked.trace_id))
        self.probe = Probe(self._needle, others)
        self._columns = ["time_ns"]
        for name, wanted in (
            ("severity", asked.severity > 0),
            ("entity", asked.entity),
            ("trace_id", asked.trace_id),
            ("body", asked.text),
        ):
            if wanted:
                self._columns.append(name)
        self._rest = [name for name in LINES.names if name not in self._columns]

    def at(self, read: Columns) -> pa.Table:
        """Matching rows, at most as many as are asked for; `read` gives columns."""
        rows = read(self._columns)
        index = np.flatnonzero(self._fits(rows))
        if not len(index):
            return LINES.empty_table()
        if len(index) > self._asked.most:
            times = rows["time_ns"].to_numpy()[index]
            index = index[np.argsort(times, kind="stable")[-self._asked.most :]]
        taken = {name: column for part in (rows, read(self._rest)) for name, column in _taken(part, index).items()}
        return pa.table([taken[name] for name in LINES.names], schema=LINES)

    def _fits(self, rows: pa.Table) -> Bools:
        asked, times = self._asked, rows["time_ns"].to_numpy()
        fits: Bools = (times >= asked.start_ns) & (times < asked.end_ns)
        if asked.severity:
            fits &= rows["severity"].to_numpy() >= asked.severity
        for name, wanted in (("entity", asked.entity), ("trace_id", asked.trace_id)):
            if wanted and fits.any():
                fits &= pc.equal(whole(rows[name]), wanted).to_numpy(zero_copy_only=False)
        if asked.text and fits.any():
            fits &= holding(whole(rows["body"]), self._needle)
        return fits


def holding(texts: pa.Array, needle: bytes) -> Bools:
    """Which texts hold the needle, in lower case."""
    lower = folded(texts)
    data, begin = data_of(lower)
    if not has_compiler():
        found: Bools = pc.match_substring(pc.ascii_lower(lower), needle.decode()).to_numpy(zero_copy_only=False)
        return found
    from twofold.store.history.compiled import holding as compiled  # noqa: PLC0415 - see `has_compiler`

    value = np.frombuffer(needle, np.uint8)
    case = np.where((value >= ord("a")) & (value <= ord("z")), 0x20, 0).astype(np.uint8)
    order = np.argsort([_COMMON.find(byte) % 256 for byte in needle], kind="stable")
    fits = np.zeros(len(texts), bool)
    compiled(data, begin, case, value, int(order[-1]), int(order[-2:][0]), fits)
    return fits


def _gathered(pieces: Sequence[Piece]) -> Iterator[_Source]:
    """Small frames together: each look costs as much as some thousand rows."""
    waiting: list[Piece] = []
    rows = 0
    for number, piece in enumerate(pieces, 1):
        waiting.append(piece)
        rows += piece.data.num_rows
        if rows >= _GATHERED or number == len(pieces):
            first, last = min(each.first_ns for each in waiting), max(each.last_ns for each in waiting)
            yield _Source(first_ns=first, last_ns=last, pieces=waiting)
            waiting, rows = [], 0


def _taken(rows: pa.Table, index: Ints) -> Mapping[str, pa.Array]:
    places = pa.array(index)
    return {name: whole(rows[name].take(places)) for name in rows.column_names}
