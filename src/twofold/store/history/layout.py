"""How each table is laid out in files: columns, order, encodings, statistics.

The order makes a query read few row groups: samples by series, the rest by time. Encodings were
measured on real captures: 2.4 to 3 bytes a sample, where the defaults of Parquet take 7.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from twofold.records import columns
from twofold.store.history import Table
from twofold.store.history.index import IndexKind

ROW_GROUP: Final = 131_072
FOUND_GROUP: Final = 4096
"""Rows of a row group where single rows are searched for: one is read in under a millisecond."""
REPEATS: Final = 4
LANE: Final = pa.field("lane", pa.int8(), nullable=False)
HOUR_NS: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One table's files.

    Attributes:
        incoming: Schema of the frames.
        time: The column of event time.
        order: Columns that a file is sorted by.
        ranged: Integer columns whose range each file states, so that readers skip it.
        dictionary: Columns of few values.
        sought: Columns of many values that queries ask for exactly; they get Bloom filters.
        repeated: Columns whose values are listed once in a lasting file if they come again and again within a row
            group, as measurements of few digits do.
        brief: Compression of files that are soon compacted: lz4 takes half the time of zstd and half as much space
            again.
        group: Rows of a row group.
        index: What searches go by.
    """

    incoming: pa.Schema
    time: str
    order: tuple[str, ...]
    ranged: tuple[str, ...]
    dictionary: tuple[str, ...] = ()
    sought: tuple[str, ...] = ()
    delta: tuple[str, ...] = field(default=())
    repeated: tuple[str, ...] = field(default=())
    brief: str = "zstd"
    group: int = ROW_GROUP
    index: IndexKind = IndexKind.NONE

    def stored(self) -> pa.Schema:
        """Schema of a file: plain texts, and the lane; tenant and window stand in the table's log."""
        return pa.schema([*(_plain(each) for each in self.incoming), LANE])

    def declared(self) -> pa.Schema:
        """Schema of the Delta table. Nullable, as other writers of Delta expect it."""
        fields = [
            *self.stored(),
            pa.field("tenant", pa.string()),
            pa.field("hour", pa.int32()),
        ]
        return pa.schema([each.with_nullable(True) for each in fields])

    def options(self, rows: pa.Table, *, lasting: bool) -> Mapping[str, Any]:
        """Arguments of the Parquet writer; a file that is not `lasting` is soon compacted, so less effort is spent."""
        names = self.stored().names
        listed = [*self.dictionary, "lane", *(name for name in self.repeated if lasting and _repeats(rows[name]))]
        plain = [name for name in names if name not in (*listed, *self.delta)]
        flat = [name for name in plain if not pa.types.is_nested(self.stored().field(name).type)]
        return {
            "compression": "zstd" if lasting else self.brief,
            "compression_level": 3 if lasting else 1 if self.brief == "zstd" else None,
            "use_dictionary": listed,
            "column_encoding": dict.fromkeys(self.delta, "DELTA_BINARY_PACKED") | dict.fromkeys(flat, "PLAIN"),
            "bloom_filter_options": {name: {"ndv": self.group // 8, "fpp": 0.01} for name in self.sought} or None,
            "write_page_index": True,
            "write_statistics": list(self.ranged),
            "store_schema": False,
        }


LAYOUTS: Final[Mapping[Table, Layout]] = {
    Table.SAMPLES: Layout(
        incoming=columns.SAMPLES,
        time="time_ns",
        order=("sid", "time_ns"),
        ranged=("time_ns", "sid"),
        dictionary=("sid",),
        delta=("time_ns",),
        repeated=("value",),
        brief="lz4",
    ),
    Table.LOGS: Layout(
        incoming=columns.LOGS,
        time="time_ns",
        order=("time_ns",),
        ranged=("time_ns",),
        dictionary=("entity", "severity"),
        delta=("time_ns",),
        sought=("trace_id",),
        group=FOUND_GROUP,
        index=IndexKind.LINES,
    ),
    Table.SPANS: Layout(
        incoming=columns.SPANS,
        time="start_ns",
        order=("start_ns",),
        ranged=("start_ns",),
        dictionary=("entity", "name", "kind", "peer"),
        delta=("start_ns", "duration_ns"),
        sought=("trace_id",),
        group=FOUND_GROUP,
        index=IndexKind.TRACES,
    ),
    Table.PREDICTIONS: Layout(
        incoming=columns.PREDICTIONS,
        time="time_ns",
        order=("time_ns",),
        ranged=("time_ns",),
        dictionary=("model", "version", "stage", "texts"),
        delta=("time_ns", "latency_ns"),
        sought=("request_id",),
    ),
}


def _repeats(values: pa.ChunkedArray) -> bool:
    """Whether a row group from the middle holds each of its values some times over."""
    some = values.slice(max(0, (len(values) - ROW_GROUP) // 2), ROW_GROUP)
    return len(some.unique()) * REPEATS <= len(some)


def _plain(each: pa.Field) -> pa.Field:
    return each.with_type(each.type.value_type) if pa.types.is_dictionary(each.type) else each
