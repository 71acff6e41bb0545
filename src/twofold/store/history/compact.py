"""Small files of a window become large sorted ones, a bounded number of rows at a time.

Reads and writes beside the process that appends: the log takes both, since a compaction changes no
row. Files leave the disk an hour after they left the table, and never while a pin holds them.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from twofold.errors import Conflict
from twofold.store.disk import FolderLock, make_folder
from twofold.store.failpoints import reach
from twofold.store.history import Table
from twofold.store.history.delta_table import DeltaFiles, NewFile
from twofold.store.history.fileset import FileSet, sequence_of
from twofold.store.history.layout import HOUR_NS, LAYOUTS, Layout
from twofold.store.history.pins import Pins
from twofold.store.history.sorting import arrange

log = logging.getLogger(__name__)

_UNPACKED: Final = 8  # times what their files have, lines and spans take in memory
_SAMPLE: Final = 100_000  # rows looked at to cut a window into equal parts


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactConfig:
    """When and how files are rewritten.

    Attributes:
        rows: Most rows of a rewritten file; of samples as many stand in memory, at 75 bytes each.
        step_bytes: Most bytes of rows in memory, where they stand twice; of lines and spans a file holds fewer for it.
        settle_s: Rows may come so much later than the newest; a window is past when that is over.
        small_rows: A file below this is small.
        small_files: So many small files of a window that is not past are merged into one.
        kept_hours: Files that left the table stay so long, for readers that opened them before.
        threads: Threads of DuckDB.
    """

    rows: int = 2_000_000
    step_bytes: int = 96 << 20
    settle_s: float = 900.0
    small_rows: int = 1_500_000
    small_files: int = 16
    kept_hours: int = 1
    threads: int = 1


class Compactor:
    """Compaction and clean-up of all tables of a folder; one at a time among processes."""

    def __init__(
        self, root: Path, tables: Mapping[Table, DeltaFiles], pins: Pins, config: CompactConfig, *, window_hours: int
    ) -> None:
        self._root = root
        self._tables = tables
        self._pins = pins
        self._config = config
        self._window_ns = window_hours * HOUR_NS

    def run(self) -> int:
        """Rewrite what is due; returns files that left the tables. 0 when another process is at it."""
        return self._alone(lambda: sum(self._run(table, files) for table, files in self._tables.items()))

    def expire(self, table: Table, before_ns: int) -> int:
        """Take files out of a table whose rows are all older; returns rows. 0 when another process is at it."""
        files = self._tables[table]

        def out() -> int:
            now = files.files()
            past = now.pick(now.last_ns < before_ns)
            if len(past):
                files.commit([], old=past, change=True)
                log.info("%s: %d files are past their time", table, len(past))
            return int(past.rows.sum())

        return self._alone(out)

    def _alone(self, work: Callable[[], int]) -> int:
        folder = self._root / "compaction"
        make_folder(folder)
        try:
            lock = FolderLock(folder)
        except Conflict:
            return 0
        try:
            return work()
        finally:
            lock.release()

    def _run(self, table: Table, files: DeltaFiles) -> int:
        removed = 0
        for group in self._due(files.files()):
            due = files.whole(group)
            if len(due) < len(group):  # their bytes stand in quarantine; other readers of the table must not meet them
                lost = group.pick(~np.isin(group.paths, due.paths))
                files.commit([], old=lost, change=True)
                removed += len(lost)
                if len(due) < 2:  # noqa: PLR2004 - nothing to merge
                    continue
            new: list[NewFile] = []
            try:
                new.extend(self._rewritten(table, files, due))
                reach("history.compact")
                files.commit(new, old=due)
                reach("history.compact")
            except BaseException:
                files.discard(new)
                raise
            removed += len(due)
            log.info("%s: %d files became %d", table, len(due), len(new))
        if removed:
            files.tidy()
        held = self._pins.files(table)
        files.remove([path for path in files.unneeded(self._config.kept_hours) if path not in held])
        return removed

    def _due(self, files: FileSet) -> Iterator[FileSet]:
        """Groups of files to be rewritten as one."""
        if not len(files):
            return
        settled_ns = int(files.last_ns.max()) - int(self._config.settle_s * 1e9)
        for tenant in sorted(set(files.tenant)):
            for hour in np.unique(files.hour[files.tenant == tenant]):
                group = files.pick((files.tenant == tenant) & (files.hour == hour))
                past = hour >= 0 and hour * HOUR_NS + self._window_ns <= settled_ns
                due = _in_order(files, self._fragments(group) if past else self._newest_small(group))
                if len(due) > 1:
                    yield due

    def _fragments(self, group: FileSet) -> FileSet:
        """All files of a past window, unless rows still come, or it stands as it would after a rewrite."""
        quiet = time.time_ns() - sequence_of(group.paths[-1]) >= self._config.settle_s * 1e9
        expected = -(-int(group.rows.sum()) // max(1, self._most(group) // 2))
        done = len(group) <= expected and group.parted()
        return group.first(0) if done or not (quiet or len(group) >= self._config.small_files) else group

    def _newest_small(self, group: FileSet) -> FileSet:
        """The run of small files at the end, once it is long; order of writing decides between equal rows."""
        most = self._most(group)
        small = self._config.small_rows if most == self._config.rows else min(self._config.small_rows, most // 2)
        large = np.flatnonzero(group.rows >= small)
        run = group.pick(np.arange(large[-1] + 1 if len(large) else 0, len(group)))
        return run if len(run) >= self._config.small_files else run.first(0)

    def _most(self, group: FileSet) -> int:
        """Rows of a rewritten file: as many as one step takes into memory. Samples are narrow, so there it is all."""
        if group.last_sid.any():
            return self._config.rows
        row_bytes = max(1, _UNPACKED * int(group.size_bytes.sum()) // max(1, int(group.rows.sum())))
        return max(1, min(self._config.rows, self._config.step_bytes // row_bytes))

    def _rewritten(self, table: Table, files: DeltaFiles, due: FileSet) -> Iterator[NewFile]:
        layout = LAYOUTS[table]
        source = _Source(layout, [files.path(path) for path in due.paths], due)
        with duckdb.connect(":memory:", config={"threads": self._config.threads}) as database:
            for low, high in source.cuts(database, int(due.rows.sum()), self._most(due)):
                rows = arrange(source.between(database, low, high), layout)
                if rows.num_rows:
                    yield files.write(
                        rows,
                        tenant=str(due.tenant[0]),
                        hour=int(due.hour[0]),
                        sequence=sequence_of(due.paths[-1]),
                        change=False,
                    )


def _in_order(files: FileSet, due: FileSet) -> FileSet:
    """As many of the newest of these files as may stand together where the newest of them stands.

    A file of mixed windows holds rows of the same times as files of one window do, and of equal rows the one counts
    that was written last: so no file may pass one of the other kind that was written after it and reaches its times.
    """
    if not len(due):
        return due
    others = files.pick((files.tenant == due.tenant[0]) & ((files.hour < 0) != (due.hour[0] < 0)))
    written = np.array([sequence_of(path) for path in others.paths], np.int64)
    own = [sequence_of(path) for path in due.paths]
    for at in range(len(due) - 2, -1, -1):
        passed = (written > own[at]) & (written < own[-1])
        if (passed & (others.first_ns <= due.last_ns[at]) & (others.last_ns >= due.first_ns[at])).any():
            return due.pick(np.arange(at + 1, len(due)))
    return due


class _Source:
    """Files that are read as one, oldest first. Its SQL holds our own names, numbers and quoted paths."""

    def __init__(self, layout: Layout, paths: Sequence[str], about: FileSet) -> None:
        self._quoted = ["'" + path.replace("'", "''") + "'" for path in paths]
        by_sid = layout.order[0] != layout.time
        self._range = (about.first_sid, about.last_sid) if by_sid else (about.first_ns, about.last_ns)
        self._names = ", ".join(f'"{name}"' for name in layout.stored().names)
        self._key = layout.order[0]

    def _files(self, quoted: Sequence[str] | None = None) -> str:
        return f"read_parquet([{', '.join(quoted or self._quoted)}], hive_partitioning=false)"

    def cuts(self, database: duckdb.DuckDBPyConnection, rows: int, limit: int) -> list[tuple[int, int]]:
        """Ranges of the leading column with about equally many rows, each below the limit."""
        parts = -(-rows // limit)
        inner: list[int] = []
        if parts > 1:
            sql = f"SELECT {self._key} FROM {self._files()} USING SAMPLE reservoir({_SAMPLE} ROWS) REPEATABLE (1)"  # noqa: S608  # see the class
            values = np.sort(database.sql(sql).to_arrow_table()[0].to_numpy())
            inner = sorted({int(values[len(values) * part // parts]) for part in range(1, parts)})
        return list(itertools.pairwise([-(2**63), *inner, 2**63 - 1]))

    def between(self, database: duckdb.DuckDBPyConnection, low: int, high: int) -> pa.Table:
        """Rows whose leading column is in [low, high), in the order of files; files without any are not opened."""
        first, last = self._range
        files = self._files([self._quoted[at] for at in np.flatnonzero((last >= low) & (first < high)).tolist()])
        bound = f"{self._key} >= {low} AND {self._key} < {high}"
        return database.sql(f"SELECT {self._names} FROM {files} WHERE {bound}").to_arrow_table()  # noqa: S608  # see the class
