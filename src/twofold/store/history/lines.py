"""Log lines that hold a text, newest first: only row groups that may hold it are read, and no more than are needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twofold.errors import TooLarge
from twofold.records.columns import LOGS
from twofold.store.history import LineQuery
from twofold.store.history.grams import Probe, data_of, entity_number, folded, needle_of, trace_number
from twofold.store.history.hot import Piece
from twofold.store.history.index import LineIndex, whole
from twofold.store.history.opened import Opened

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

LINES: Final = pa.schema(
    [pa.field(each.name, pa.string()) if each.name == "entity" else each for each in LOGS if each.name != "attributes"]
)
"""Columns of an answer."""
_GATHERED: Final = 4096  # rows of small frames that are looked at together
_COMPILED: Final = 1 << 18  # bytes for which loading the compiler pays
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
    """

    def __init__(self, opened: Opened, *, seconds: float) -> None:
        self._opened = opened
        self._seconds = seconds

    def read(self, files: Sequence[str], hot: Sequence[Piece], asked: LineQuery) -> pa.Table:
        """The newest lines; of one time, those in no order.

        Raises:
            TooLarge: Past the bound of time.
        """
        until = time.monotonic() + self._seconds
        look = _Look(asked)
        sources = [*self._groups(files, asked, look.probe), *_gathered(hot)]
        found, times, least = [], np.empty(0, np.int64), asked.start_ns
        for source in sorted(sources, key=lambda each: each.last_ns, reverse=True):
            if source.last_ns < least:
                break
            if time.monotonic() > until:
                raise TooLarge(
                    f"the search took longer than {self._seconds:g} s; ask for less time or more of the text",
                    reason="query_time",
                )
            lines = look.hot(source.pieces) if source.pieces else self._stored(source, look)
            if not lines.num_rows:
                continue
            found.append(lines)
            times = np.append(times, lines["time_ns"].to_numpy())
            if len(times) >= asked.most:
                times = np.partition(times, len(times) - asked.most)[len(times) - asked.most :]
                least = int(times[0]) + 1  # an equal one would not be newer
        if not found:
            return LINES.empty_table()
        return _newest(pa.concat_tables(found), asked.most)

    def _stored(self, source: _Source, look: _Look) -> pa.Table:
        with self._opened.reading(source.path) as file:

            def read(columns: Sequence[str]) -> pa.Table:
                return file.read_row_group(source.group, columns=list(columns), use_threads=False)

            return look.at(read)

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

    def hot(self, pieces: Sequence[Piece]) -> pa.Table:
        """Rows of frames."""
        rows = pa.Table.from_batches([piece.data for piece in pieces], LOGS)
        return self.at(rows.select)

    def at(self, read: Any) -> pa.Table:
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
    if "numba" not in sys.modules and len(data) < _COMPILED:
        found: Bools = pc.match_substring(pc.ascii_lower(lower), needle.decode()).to_numpy(zero_copy_only=False)
        return found
    from twofold.store.history.compiled import holding as compiled  # noqa: PLC0415 - few lines need no compiler

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


def _newest(lines: pa.Table, most: int) -> pa.Table:
    order = np.argsort(-lines["time_ns"].to_numpy(), kind="stable")[:most]
    return lines.take(pa.array(order))
