"""The history on this machine: Delta tables behind a hot window, read by DuckDB."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from twofold.errors import Corrupt, Permanent, TwofoldError
from twofold.records.frame import Frame, FrameKind, Position, Source
from twofold.store.disk import make_folder, translated
from twofold.store.history import FIRST_NS, LAST_NS, LineQuery, Table, TableStatus
from twofold.store.history.compact import CompactConfig, Compactor
from twofold.store.history.delta_table import DeltaFiles, NewFile
from twofold.store.history.fileset import FileSet
from twofold.store.history.hot import Hot, Piece, rows_of
from twofold.store.history.layout import HOUR_NS, LAYOUTS
from twofold.store.history.lines import LineReader
from twofold.store.history.opened import Opened
from twofold.store.history.pins import Pins, parse
from twofold.store.history.place import S3Place
from twofold.store.history.reader import STEPS, SampleReader, by_step
from twofold.store.history.sorting import arrange
from twofold.store.history.sql import SqlLimits, View, run
from twofold.store.history.traces import TraceReader
from twofold.store.journal.codec import decode_payload
from twofold.store.s3 import S3Config

log = logging.getLogger(__name__)

TABLES: Final = {
    FrameKind.SAMPLES: Table.SAMPLES,
    FrameKind.LOGS: Table.LOGS,
    FrameKind.SPANS: Table.SPANS,
    FrameKind.PREDICTIONS: Table.PREDICTIONS,
}
"""Where the rows of a frame go; other kinds have no rows here."""
MIXED_HOUR: Final = -1
"""The window of rows of many windows, when one flush meets more than it makes files for."""
_AT_ONCE: Final = 2000  # series of one read by steps; bounds memory
_DerivedKey = tuple[int, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryConfig:
    """How the history keeps rows.

    Attributes:
        window_hours: Rows of one window of event time go to the same files and are compacted together.
        windows_per_flush: Most windows that one flush makes files for; older ones share one file.
        threads: Threads for reading samples.
        blocks_bytes: Most bytes of decoded samples of files that are kept in memory for the next question.
        sql: Bounds of `query`.
        pinned_sql: Bounds of `pinned`, which feeds training.
        compact: How small files become large ones.
        s3: Where the tables stand; in the folder by default.
        cache_bytes: Most bytes of files of S3 that are kept here.
    """

    window_hours: int = 6
    windows_per_flush: int = 32
    threads: int = 2
    blocks_bytes: int = 64 << 20
    sql: SqlLimits = field(default_factory=SqlLimits)
    pinned_sql: SqlLimits = field(default_factory=lambda: SqlLimits(seconds=300.0, rows=20_000_000, memory_mb=2048))
    compact: CompactConfig = field(default_factory=CompactConfig)
    s3: S3Config = field(default_factory=S3Config)
    cache_bytes: int = 20 << 30


class DeltaHistory:
    """Telemetry tables in one folder.

    One process appends; others may read what is flushed, pin and compact. A flush commits rows together
    with the journal position behind them, so a replay after a crash is recognised and left out.

    Args:
        root: The folder; made when absent.

    Attributes:
        counts: Rows since start: `taken` from the journal = `stored` + those in the hot window + `duplicate`;
            `replayed` stood here before, `unreadable` stand in frames that cannot be decoded.

    Raises:
        Corrupt: A table's log is unreadable.
    """

    def __init__(self, root: Path, *, config: HistoryConfig | None = None) -> None:
        self._config = config or HistoryConfig()
        with translated(f"open the history in {root}"):
            make_folder(root)
        self._pins = Pins(root / "pins")
        self._tables = {table: self._open(root / table.value, table) for table in Table}
        self._hot = {table: Hot(LAYOUTS[table]) for table in Table}
        self._reader = SampleReader(self._config.threads, self._config.blocks_bytes)
        self._opened = Opened()
        self._lines = LineReader(self._opened, seconds=self._config.sql.seconds, threads=self._config.threads)
        self._traces = TraceReader(self._opened)
        self._compactor = Compactor(
            root, self._tables, self._pins, self._config.compact, window_hours=self._config.window_hours
        )
        self._lock = threading.RLock()  # over hot windows and what follows from frames
        self._flush_lock = threading.Lock()
        self._seen: dict[int, Position] = {}
        self._written: dict[tuple[Table, int], int] = {}
        self._derived: dict[_DerivedKey, int] = {}
        self._derived_written: dict[_DerivedKey, int] = {}
        self._failure: Exception | None = None
        self.counts: Counter[str] = Counter()

    def _open(self, folder: Path, table: Table) -> DeltaFiles:
        place = None
        if self._config.s3.url:
            place = S3Place(self._config.s3, table.value, folder, cache_bytes=self._config.cache_bytes // len(Table))
        return DeltaFiles(folder, LAYOUTS[table], place)

    # Writing

    def append(self, partition: int, frames: Sequence[tuple[Position, Frame]]) -> None:
        """See `History.append`. A frame that cannot be decoded is counted, logged and left out."""
        for position, frame in frames:
            table = TABLES.get(frame.kind)
            batch = self._decode(frame) if table else None
            with self._lock:
                if not self._is_new(partition, position):
                    self.counts["replayed"] += frame.rows
                    continue
                self._seen[partition] = position
                if table and batch is not None:
                    self._take(table, partition, position, frame, batch)

    def _is_new(self, partition: int, position: Position) -> bool:
        seen = self._seen.get(partition)
        return seen is None or _number(position) > _number(seen)

    def _decode(self, frame: Frame) -> pa.RecordBatch | None:
        try:
            return decode_payload(frame)
        except Corrupt:
            self.counts["unreadable"] += frame.rows
            log.exception("a %s frame of %d rows is left out", frame.kind.name, frame.rows)
            return None

    def _take(self, table: Table, partition: int, position: Position, frame: Frame, batch: pa.RecordBatch) -> None:
        if _number(position) <= self._written_to(table, partition):
            self.counts["replayed"] += batch.num_rows
            return
        self.counts["taken"] += batch.num_rows
        if frame.source is Source.DERIVED and table is Table.SAMPLES:
            key = (partition, frame.tenant, int(frame.lane))
            if frame.time_ns <= self._derived_until(key):
                self.counts["duplicate"] += batch.num_rows
                return
            self._derived[key] = frame.time_ns
        self._hot[table].add(batch, tenant=frame.tenant, lane=int(frame.lane))

    def _written_to(self, table: Table, partition: int) -> int:
        key = (table, partition)
        if key not in self._written:
            self._written[key] = self._tables[table].transaction(f"journal-p{partition}")
        return self._written[key]

    def _derived_until(self, key: _DerivedKey) -> int:
        if key not in self._derived:
            found = self._tables[Table.SAMPLES].transaction(_derived_name(key))
            self._derived[key] = self._derived_written[key] = found
        return self._derived[key]

    def flush(self) -> Mapping[int, Position]:
        """See `History.flush`.

        Raises:
            StorageFull: No space; the rows stay in the hot window and the journal.
            Unavailable: A table could not be written, likewise.
        """
        with self._flush_lock:
            if self._failure is not None:
                raise self._failure
            with self._lock:
                until = dict(self._seen)
                derived = {key: at for key, at in self._derived.items() if at != self._derived_written.get(key)}
                pieces = {table: hot.begin() for table, hot in self._hot.items()}
            for table, found in pieces.items():
                if found:
                    self._flush_table(table, found, until, derived if table is Table.SAMPLES else {})
            self._derived_written |= derived
            return until

    def _flush_table(
        self, table: Table, pieces: Sequence[Piece], until: Mapping[int, Position], derived: Mapping[_DerivedKey, int]
    ) -> None:
        files, layout = self._tables[table], LAYOUTS[table]
        new: list[NewFile] = []
        try:
            for tenant in sorted({piece.tenant for piece in pieces}):
                own = [piece for piece in pieces if piece.tenant == tenant]
                rows = arrange(rows_of(own, layout), layout)
                new += [files.write(part, tenant=tenant, hour=hour) for hour, part in self._windows(table, rows)]
        except BaseException:
            files.discard(new)
            raise
        reached = {
            partition: _number(at)
            for partition, at in until.items()
            if _number(at) > self._written_to(table, partition)
        }
        numbers = {f"journal-p{partition}": number for partition, number in reached.items()}
        numbers |= {_derived_name(key): at for key, at in derived.items()}
        with self._lock, files.lock:  # readers take hot window and version together, under the same locks
            try:
                files.commit(new, transactions=numbers)
            except TwofoldError as error:
                if isinstance(error, Permanent) or "committed" in error.facts:
                    self._failure = error  # going on could write rows twice; a restart finds out where the table stands
                raise
            self._hot[table].done()
            self._written |= {(table, partition): number for partition, number in reached.items()}
        taken, stored = sum(piece.data.num_rows for piece in pieces), sum(each.rows for each in new)
        self.counts["stored"] += stored
        self.counts["duplicate"] += taken - stored

    def _windows(self, table: Table, rows: pa.Table) -> list[tuple[int, pa.Table]]:
        """Rows by window, each still sorted."""
        span = self._config.window_hours
        times = rows[LAYOUTS[table].time].to_numpy()
        first, last = (int(at) // (HOUR_NS * span) * span for at in (times.min(), times.max()))
        if first == last:
            return [(first, rows)]
        hours = times // (HOUR_NS * span) * span
        distinct = np.unique(hours)
        own = distinct[-self._config.windows_per_flush :]
        parts = [(int(hour), rows.filter(pa.array(hours == hour))) for hour in own.tolist()]
        if len(own) < len(distinct):
            parts.append((MIXED_HOUR, rows.filter(pa.array(hours < own[0]))))
        return parts

    # Reading

    def samples(self, sids: Sequence[int], start_ns: int, end_ns: int, *, tenant: str, step_ns: int = 0) -> pa.Table:
        """See `History.samples`. Steps start at multiples of `step_ns`; NaN values count in no step."""
        wanted = np.unique(np.array(sids, np.int64))
        if step_ns <= 0:
            return self._samples(wanted, start_ns, end_ns, tenant)
        parts = [
            by_step(self._samples(wanted[at : at + _AT_ONCE], start_ns, end_ns, tenant), step_ns)
            for at in range(0, len(wanted), _AT_ONCE)
        ]
        return pa.concat_tables(parts) if parts else STEPS.empty_table()

    def _samples(self, sids: np.ndarray, start_ns: int, end_ns: int, tenant: str) -> pa.Table:
        if not len(sids) or end_ns <= start_ns:
            return LAYOUTS[Table.SAMPLES].incoming.empty_table()
        files, hot = self._now(Table.SAMPLES, tenant, start_ns, end_ns)
        chosen = files.holding(tenant=tenant, start_ns=start_ns, end_ns=end_ns, sids=sids)
        chosen = self._tables[Table.SAMPLES].whole(chosen)
        paths = [self._tables[Table.SAMPLES].path(path) for path in chosen.paths]
        return self._reader.read(paths, hot, sids, start_ns, end_ns)

    def _now(self, table: Table, tenant: str, start_ns: int, end_ns: int) -> tuple[FileSet, list[Piece]]:
        """Files and hot rows of one moment: no row is in both, none in neither."""
        with self._lock:
            return self._tables[table].files(), self._hot[table].pieces(tenant, start_ns, end_ns)

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
        """See `History.query`; bounds are `HistoryConfig.sql`."""
        views = {
            table.value: self._view(table, *self._now(table, tenant, start_ns, end_ns), tenant, start_ns, end_ns)
            for table in Table
            if table.value in sql.lower()
        }
        return run(sql, views, parameters=parameters, limits=self._config.sql, tables=tables)

    def _view(
        self, table: Table, files: FileSet, hot: Sequence[Piece], tenant: str, start_ns: int, end_ns: int
    ) -> View:
        chosen = self._tables[table].whole(files.holding(tenant=tenant, start_ns=start_ns, end_ns=end_ns))
        apart = chosen.apart() if table is Table.SAMPLES else np.ones(len(chosen), bool)
        if table is Table.SAMPLES and hot:
            apart &= chosen.last_ns < min(piece.first_ns for piece in hot)
        path = self._tables[table].path
        return View(
            layout=LAYOUTS[table],
            tenant=tenant,
            start_ns=start_ns,
            end_ns=end_ns,
            apart=[path(each) for each in chosen.paths[apart]],
            files=[path(each) for each in chosen.paths[~apart]],
            hot=rows_of(hot, LAYOUTS[table]) if hot or not len(chosen) else None,
            unique=table is Table.SAMPLES,
        )

    def lines(self, asked: LineQuery, *, tenant: str) -> pa.Table:
        """See `History.lines`; the bound is that of `HistoryConfig.sql`."""
        return self._lines.read(*self._holding(Table.LOGS, tenant, asked.start_ns, asked.end_ns), asked)

    def trace(self, trace_id: str, *, tenant: str, start_ns: int = FIRST_NS, end_ns: int = LAST_NS) -> pa.Table:
        """See `History.trace`."""
        files, hot = self._holding(Table.SPANS, tenant, start_ns, end_ns)
        return self._traces.read(files, hot, trace_id, start_ns, end_ns)

    def _holding(self, table: Table, tenant: str, start_ns: int, end_ns: int) -> tuple[list[str], list[Piece]]:
        """Sound files and hot rows that may hold a tenant's rows of [start_ns, end_ns)."""
        files, hot = self._now(table, tenant, start_ns, end_ns)
        chosen = self._tables[table].whole(files.holding(tenant=tenant, start_ns=start_ns, end_ns=end_ns))
        return [self._tables[table].path(each) for each in chosen.paths], hot

    def pin(self, table: Table) -> str:
        """See `History.pin`. The hot window is flushed first, so that the version holds all rows taken so far."""
        if self._hot[table].rows:
            self.flush()
        return self._pins.add(table, self._tables[table].files())

    def pinned(self, reference: str, sql: str, *, tenant: str) -> pa.Table:
        """See `History.pinned`. Raises `NotFound` for a version that is not pinned, else as `query`."""
        table, version = parse(reference)
        files = self._pins.get(table, version)
        if len(self._tables[table].whole(files)) < len(files):
            raise Corrupt(f"files of {reference} are damaged or gone; restore them from a backup", reference=reference)
        view = self._view(table, files, [], tenant, FIRST_NS, LAST_NS)
        return run(sql, {table.value: view}, limits=self._config.pinned_sql)

    def release(self, reference: str) -> None:
        """Let a pinned version go; its files may be deleted."""
        self._pins.release(*parse(reference))

    def status(self) -> Mapping[Table, TableStatus]:
        """See `History.status`; rows of the hot window count, its bytes do not."""
        found = {}
        for table, files in self._tables.items():
            with self._lock:
                now, hot = files.files(), self._hot[table].rows
            found[table] = TableStatus(
                rows=int(now.rows.sum()) + hot,
                files=len(now),
                size_bytes=int(now.size_bytes.sum()),
                version=now.version,
            )
        return found

    def compact(self) -> int:
        """See `History.compact`. Another process may append meanwhile; a second one at the same time does nothing."""
        return self._compactor.run()

    def damaged_files(self) -> int:
        """Files that this process met, and that are not what was written."""
        return sum(len(files.soundness.damaged) for files in self._tables.values())

    def unindexed_files(self) -> int:
        """Files that searches of this process read as a whole: of an earlier version, or with a damaged index."""
        return len(self._opened.missing | self._opened.damaged)

    def newest_ns(self) -> int:
        """See `History.newest_ns`."""
        found = (files.files() for files in self._tables.values())
        return max((int(each.last_ns.max()) for each in found if len(each)), default=0)

    def expire(self, table: Table, before_ns: int) -> int:
        """See `History.expire`. 0 when another process compacts; the files leave the disk with a later compaction."""
        return self._compactor.expire(table, before_ns)

    def close(self) -> None:
        """See `History.close`."""
        try:
            if any(hot.rows for hot in self._hot.values()):
                self.flush()
        finally:
            self._reader.close()
            self._lines.close()


def _number(position: Position) -> int:
    return position.segment + position.offset


def _derived_name(key: _DerivedKey) -> str:
    partition, tenant, lane = key
    return f"derived-p{partition}-{lane}-{tenant}"
