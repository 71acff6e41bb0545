"""Foreign SQL in a box: one statement that only reads, over named views, with bounds on time, rows and memory.

Every statement gets a database of its own, in memory and empty but for the views. It may open the
files of the views and nothing else, and cannot change that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from twofold.errors import InputError, TooLarge
from twofold.store.history.layout import Layout

_BATCH: Final = 65_536
_HOT: Final = "hot_"  # prefix of the registered rows behind a view
_LAST: Final = "QUALIFY row_number() OVER (PARTITION BY sid, time_ns ORDER BY place DESC, row DESC) = 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlLimits:
    """Bounds of one statement.

    Attributes:
        seconds: Longest run; it is interrupted then.
        rows: Most rows of the answer.
        memory_mb: Most memory of the statement; it does not spill to disk.
        threads: Threads of the statement.
    """

    seconds: float = 20.0
    rows: int = 2_000_000
    memory_mb: int = 1024
    threads: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a view shows: files whose rows stand nowhere else, files that may repeat rows, rows in memory.

    At least one of the three is given.

    Attributes:
        unique: For each (sid, time_ns) only the last row is shown, and none that marks the end of a series.
    """

    layout: Layout
    tenant: str
    start_ns: int
    end_ns: int
    apart: Sequence[str] = ()
    files: Sequence[str] = ()
    hot: pa.Table | None = None
    unique: bool = field(default=False)

    def sql(self, name: str) -> str:
        """The view's query. It holds names and numbers of ours and quoted texts."""
        columns = ", ".join(f'"{each}"' for each in self.layout.stored().names)
        shown = f"{columns}, {_text(self.tenant)} AS tenant"
        bound = f"WHERE {self.layout.time} >= {self.start_ns} AND {self.layout.time} < {self.end_ns}"
        parts, rest = [], []
        if self.apart:
            parts.append(f"SELECT {shown} FROM {_read(self.apart)} {bound}")  # noqa: S608  # see above
        if self.files:
            rest.append(f"SELECT {columns}, file_index AS place, 0 AS row FROM {_read(self.files)} {bound}")  # noqa: S608
        if self.hot is not None:
            place = len(self.files)  # behind every file
            rest.append(f"SELECT {columns}, {place} AS place, row FROM {_HOT}{name} {bound}")  # noqa: S608  # see above
        if rest:
            both = f"({' UNION ALL '.join(rest)})"
            parts.append(f"SELECT {shown} FROM {both} {_LAST if self.unique else ''}")  # noqa: S608  # see above
        union = " UNION ALL ".join(parts)
        return f"SELECT * FROM ({union}) WHERE NOT isnan(value)" if self.unique else union  # noqa: S608  # see above


def run(
    sql: str,
    views: Mapping[str, View],
    *,
    parameters: Mapping[str, object] | None = None,
    limits: SqlLimits,
    tables: Mapping[str, pa.Table] | None = None,
) -> pa.Table:
    """The answer of one SELECT over the views and tables.

    Raises:
        InputError: No single SELECT, or one that fails (`reason="sql"`).
        TooLarge: Past the bound of time, rows or memory (`reason="query_time"`, `"query_rows"`, `"query_memory"`).
    """
    with _box(views, tables or {}, limits) as box, _errors(limits):
        _check(box, sql)
        late = threading.Event()
        timer = threading.Timer(limits.seconds, _stop, (late, box))
        timer.daemon = True
        timer.start()
        try:
            relation = box.sql(sql, params=dict(parameters) if parameters else None)
            reader = relation.to_arrow_reader(_BATCH)
            return pa.Table.from_batches(_bounded(reader, limits), reader.schema)
        except (duckdb.Error, pa.ArrowException) as error:
            if late.is_set():
                raise TooLarge(
                    f"the query ran longer than {limits.seconds:g} s; ask for less time or fewer rows",
                    reason="query_time",
                ) from error
            raise
        finally:
            timer.cancel()


def _stop(late: threading.Event, box: duckdb.DuckDBPyConnection) -> None:
    late.set()
    box.interrupt()


def _bounded(reader: pa.RecordBatchReader, limits: SqlLimits) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in reader:
        rows += batch.num_rows
        if rows > limits.rows:
            raise TooLarge(
                f"the answer has more than {limits.rows} rows; aggregate or add a LIMIT", reason="query_rows"
            )
        yield batch


def _check(box: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = box.extract_statements(sql)
    if len(statements) != 1:
        raise InputError(f"{len(statements)} statements, send one SELECT", reason="sql")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise InputError(f"{statements[0].type.name} is not allowed, send one SELECT", reason="sql")


@contextmanager
def _box(
    views: Mapping[str, View], tables: Mapping[str, pa.Table], limits: SqlLimits
) -> Iterator[duckdb.DuckDBPyConnection]:
    settings = {
        "threads": limits.threads,
        "memory_limit": f"{limits.memory_mb}MB",
        "temp_directory": "",
        "python_enable_replacements": "false",
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
    }
    with duckdb.connect(":memory:", config=settings) as box:
        for name, view in views.items():
            _add(box, name, view)
        for name, table in tables.items():
            box.register(name, table)
        files = sorted({path for view in views.values() for path in (*view.apart, *view.files)})
        box.execute(f"SET allowed_paths = [{', '.join(map(_text, files))}]")
        box.execute("SET enable_external_access = false")
        box.execute("SET lock_configuration = true")
        yield box


def _add(box: duckdb.DuckDBPyConnection, name: str, view: View) -> None:
    if view.hot is not None:
        box.register(_HOT + name, view.hot.append_column("row", pa.array(np.arange(view.hot.num_rows))))
    box.execute(f"CREATE VIEW {name} AS {view.sql(name)}")


@contextmanager
def _errors(limits: SqlLimits) -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise TooLarge(
            f"the query needs more than {limits.memory_mb} MB; ask for less time or fewer groups",
            reason="query_memory",
        ) from error
    except (duckdb.Error, pa.ArrowException) as error:
        raise InputError(f"the query failed: {str(error).partition(chr(10))[0]}", reason="sql") from error


def _read(files: Sequence[str]) -> str:
    return f"read_parquet([{', '.join(map(_text, files))}], hive_partitioning=false)"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
