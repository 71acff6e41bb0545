"""Samples by series and time, from files and hot window: the query behind every chart and backtest."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.records.columns import SAMPLES
from twofold.store.history.blocks import Blocks
from twofold.store.history.hot import Piece, samples_of
from twofold.store.history.sorting import last_of_each

Ints = npt.NDArray[np.int64]

STEPS: Final = pa.schema(
    [
        pa.field("sid", pa.int64(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("min", pa.float64(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("max", pa.float64(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
    ]
)
"""Columns of samples by step."""
_PLACED: Final = pa.schema([*SAMPLES, pa.field("place", pa.int64(), nullable=False)])
_LISTED: Final = 64  # more series than this are joined, not listed


class _Part(NamedTuple):
    """Rows, with the number of the file that they come from."""

    sid: Ints
    time_ns: Ints
    value: npt.NDArray[np.float64]
    place: Ints


class SampleReader:
    """Reads sample files: row groups that are asked for again by themselves, and kept, all else with DuckDB.

    Thread-safe.
    """

    def __init__(self, threads: int, kept_bytes: int) -> None:
        self._blocks = Blocks(kept_bytes, threads)
        self._database = duckdb.connect(":memory:", config={"threads": threads})
        self._database.execute("SET parquet_metadata_cache = true")
        self._lock = threading.Lock()

    def read(self, files: Sequence[str], hot: Sequence[Piece], sids: Ints, start_ns: int, end_ns: int) -> pa.Table:
        """Samples of the sorted sids in [start_ns, end_ns) by (sid, time_ns), of equal ones the last.

        `files` stand oldest first; the hot rows are newer than all of them.
        """
        parts = self._stored(files, sids, start_ns, end_ns)
        for batch in samples_of(hot, pa.array(sids), start_ns, end_ns):
            sid, time_ns, value = (column.to_numpy() for column in batch.columns)
            parts.append(_Part(sid, time_ns, value, np.full(len(sid), len(files))))
        if not parts:
            return SAMPLES.empty_table()
        columns = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        sid, time_ns, value, place = columns
        sid, time_ns, index = last_of_each(sid, time_ns, place)
        return pa.table([sid, time_ns, value if index is None else value.take(index)], schema=SAMPLES)

    def close(self) -> None:
        """Release memory."""
        self._blocks.close()
        self._database.close()

    def _stored(self, files: Sequence[str], sids: Ints, start_ns: int, end_ns: int) -> list[_Part]:
        """Rows of the files: by row groups that are kept or worth it, else by one scan."""
        groups = self._blocks.groups(files, sids, start_ns, end_ns)
        if self._blocks.worth(groups, len(sids)):
            found = self._blocks.read(groups, sids, start_ns, end_ns)
            return [_Part(*rows, np.full(len(rows.sid), group.place)) for group, rows in found]
        return [_Part(*(column.to_numpy() for column in self._scan(files, sids, start_ns, end_ns).columns))]

    def _scan(self, files: Sequence[str], sids: Ints, start_ns: int, end_ns: int) -> pa.Table:
        paths = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
        few = len(sids) <= _LISTED
        wanted = f"sid IN ({', '.join(map(str, sids.tolist()))})" if few else f"sid BETWEEN {sids[0]} AND {sids[-1]}"
        source = f"read_parquet([{paths}], hive_partitioning=false) {'' if few else 'SEMI JOIN wanted USING (sid)'}"
        bound = f"{wanted} AND time_ns >= {start_ns} AND time_ns < {end_ns}"
        # numbers, and paths that we made and quoted
        sql = f"SELECT sid, time_ns, value, file_index::BIGINT AS place FROM {source} WHERE {bound}"  # noqa: S608
        with self._lock:
            cursor = self._database.cursor()
        with cursor:
            if not few:
                cursor.register("wanted", pa.table({"sid": sids}))
            return cursor.sql(sql).to_arrow_table().cast(_PLACED)


def by_step(samples: pa.Table, step_ns: int) -> pa.Table:
    """One row per sid and step of sorted samples; NaN values are left out."""
    sid, time_ns, value = (column.to_numpy() for column in samples.columns)
    real = ~np.isnan(value)
    if not real.all():
        sid, time_ns, value = sid[real], time_ns[real], value[real]
    if not len(sid):
        return STEPS.empty_table()
    step = time_ns // step_ns * step_ns
    starts = np.flatnonzero(np.append(True, (sid[1:] != sid[:-1]) | (step[1:] != step[:-1])))
    count = np.diff(np.append(starts, len(sid)))
    columns = [
        sid[starts],
        step[starts],
        np.minimum.reduceat(value, starts),
        np.add.reduceat(value, starts) / count,
        np.maximum.reduceat(value, starts),
        count,
    ]
    return pa.table(columns, schema=STEPS)
