"""The spans of one trace, by its id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twofold.records.columns import SPANS
from twofold.store.history.grams import id_hashes
from twofold.store.history.hot import Piece
from twofold.store.history.index import TraceIndex
from twofold.store.history.opened import Opened

TRACE: Final = pa.schema(
    [each.with_type(each.type.value_type) if pa.types.is_dictionary(each.type) else each for each in SPANS]
)
"""Columns of an answer."""


class TraceReader:
    """Looks in the hot window, then in the row groups that the files' indexes name. Thread-safe."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def read(self, files: Sequence[str], hot: Sequence[Piece], trace_id: str, start_ns: int, end_ns: int) -> pa.Table:
        """Its spans that start in [start_ns, end_ns), by start and id."""
        parts = [pa.Table.from_batches([piece.data for piece in hot], SPANS)] if hot else []
        found = [_of(part, trace_id, start_ns, end_ns) for part in parts]
        (wanted,) = id_hashes(pa.array([trace_id]))
        for path in files:
            found += [_of(part, trace_id, start_ns, end_ns) for part in self._groups(path, trace_id, wanted)]
        spans = pa.concat_tables(found) if found else TRACE.empty_table()
        return spans.sort_by([("start_ns", "ascending"), ("span_id", "ascending")])

    def _groups(self, path: str, trace_id: str, wanted: np.uint32) -> Sequence[pa.Table]:
        index = self._opened.index(path)
        groups = index.groups_of(wanted) if isinstance(index, TraceIndex) else None
        if groups is not None and not groups:
            return []
        with self._opened.reading(path) as file:
            if groups is None:
                groups = _searched(file, trace_id)
            return [file.read_row_group(each, columns=TRACE.names, use_threads=False) for each in groups]


def _searched(file: pq.ParquetFile, trace_id: str) -> list[int]:
    """Row groups that hold spans of it, of a file without an index."""
    return [
        group
        for group in range(file.num_row_groups)
        if pc.any(pc.equal(file.read_row_group(group, columns=["trace_id"])["trace_id"], trace_id)).as_py()
    ]


def _of(rows: pa.Table, trace_id: str, start_ns: int, end_ns: int) -> pa.Table:
    chosen = rows.filter(pc.equal(rows["trace_id"], trace_id))
    begin = chosen["start_ns"]
    inside = pc.and_(pc.greater_equal(begin, start_ns), pc.less(begin, end_ns))
    return chosen.filter(inside).cast(TRACE)
