"""Telemetry tables: samples, logs, spans, predictions; written from the journal, read with the hot window as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import pyarrow as pa

from twofold.records.frame import Frame, Position

FIRST_NS: Final = -(2**63)
LAST_NS: Final = 2**63 - 1
"""Bounds of all time."""


class Table(StrEnum):
    """The tables of the history; schemas in `records.columns`, plus `tenant` and `lane`."""

    SAMPLES = "samples"
    LOGS = "logs"
    SPANS = "spans"
    PREDICTIONS = "predictions"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatus:
    """Size of one table."""

    rows: int
    files: int
    size_bytes: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineQuery:
    """Which log lines are asked for: the newest in [start_ns, end_ns) that fit all that is given.

    Attributes:
        text: That the body holds, upper and lower case alike by Unicode's simple mapping.
        severity: Least SeverityNumber.
        most: Lines of the answer.
    """

    start_ns: int
    end_ns: int
    text: str = ""
    entity: str = ""
    severity: int = 0
    trace_id: str = ""
    most: int = 200


class History(Protocol):
    """Versioned telemetry tables behind a hot window in memory."""

    def append(self, partition: int, frames: Sequence[tuple[Position, Frame]]) -> None:
        """Take frames in journal order into the hot window; frames already written (by position) are skipped.

        Derived frames are kept once per window: one whose `time_ns` is not past the partition's
        derived high-water mark is skipped and counted as duplicate.
        """
        ...

    def flush(self) -> Mapping[int, Position]:
        """Write the hot window to the tables, synced, exactly once; returns per partition what may be committed."""
        ...

    def samples(self, sids: Sequence[int], start_ns: int, end_ns: int, *, tenant: str, step_ns: int = 0) -> pa.Table:
        """Samples of the series in [start_ns, end_ns), sorted by (sid, time_ns), one per (sid, time_ns).

        With `step_ns` > 0: one row per sid and step, columns sid, time_ns (start of the step), min, mean, max, count.
        """
        ...

    def query(
        self,
        sql: str,
        *,
        tenant: str,
        parameters: Mapping[str, object] | None = None,
        start_ns: int = FIRST_NS,
        end_ns: int = LAST_NS,
        tables: Mapping[str, pa.Table] | None = None,
    ) -> pa.Table:
        """Read-only SQL over the views `samples`, `logs`, `spans`, `predictions`, limited to the tenant, as of now.

        The views show rows of [start_ns, end_ns) only; a narrow range spares opening most files. `tables` are
        further ones that the statement may read, by name.

        Raises:
            InputError: No single SELECT, or one that fails.
            TooLarge: Past the bounds of time, rows or memory.
        """
        ...

    def lines(self, asked: LineQuery, *, tenant: str) -> pa.Table:
        """Log lines, newest first: columns time_ns, entity, severity, body, trace_id, span_id.

        Raises:
            TooLarge: Past the bound of time.
        """
        ...

    def trace(self, trace_id: str, *, tenant: str, start_ns: int = FIRST_NS, end_ns: int = LAST_NS) -> pa.Table:
        """The spans of a trace that start in [start_ns, end_ns), by start and id; columns of spans."""
        ...

    def pin(self, table: Table) -> str:
        """A reference to the table as it stands (`delta:<table>@<version>`), kept readable until released."""
        ...

    def pinned(self, reference: str, sql: str, *, tenant: str) -> pa.Table:
        """`query` over one pinned table version."""
        ...

    def release(self, reference: str) -> None:
        """Let a pinned version go; its files may be deleted then."""
        ...

    def status(self) -> Mapping[Table, TableStatus]:
        """Sizes of the tables."""
        ...

    def compact(self) -> int:
        """Rewrite small files of past time windows sorted; returns files removed."""
        ...

    def newest_ns(self) -> int:
        """Newest event time of all rows in files, by what the files state; 0 without any."""
        ...

    def expire(self, table: Table, before_ns: int) -> int:
        """Let files go whose rows are all older than `before_ns`, but for pinned versions; returns their rows."""
        ...

    def close(self) -> None:
        """Flush and release."""
        ...
