"""Connections of the ledger: one SQLAlchemy engine over SQLite or PostgreSQL, and what their errors mean to us."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError

from twofold.errors import ConfigError, Corrupt, InputError, StorageFull, TwofoldError, Unavailable
from twofold.store.failpoints import reach

WRITE_LOCK: Final = 0x74776F66  # "twof": one writer at a time, so that the change feed's order is the order of commits
_SQLITE: Final = {"SQLITE_FULL": StorageFull, "SQLITE_CORRUPT": Corrupt, "SQLITE_NOTADB": Corrupt}
_SQLITE_AWAY: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY")
_POSTGRES_FULL: Final = {"53100"}
_POSTGRES_AWAY: Final = ("08", "40", "53", "55", "57", "58")


class Connections:
    """Read and write transactions of one database.

    Every write takes the one write lock first: `BEGIN IMMEDIATE` in SQLite, a transaction-wide
    advisory lock in PostgreSQL.

    Args:
        location: File of a SQLite database, or a SQLAlchemy URL (`postgresql+psycopg://…`).
        busy_timeout_s: How long a write waits for another process before `Unavailable`.

    Raises:
        ConfigError: The URL names a database that is not supported.
    """

    def __init__(self, location: str | Path, *, busy_timeout_s: float) -> None:
        url = _url(location)
        self.sqlite = url.get_backend_name() == "sqlite"
        self._writer = threading.Lock() if self.sqlite else nullcontext()
        timeout_ms = int(busy_timeout_s * 1000)
        if self.sqlite:
            self.engine = sa.create_engine(url, pool_size=8, max_overflow=56)
            _prepare_sqlite(self.engine, timeout_ms)
        else:
            options = f"-c lock_timeout={timeout_ms} -c synchronous_commit=on"
            self.engine = sa.create_engine(url, pool_pre_ping=True, connect_args={"options": options})

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A read transaction."""
        with mapped(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """The one write transaction; durable when the block ends, undone when it raises."""
        with mapped(), self._writer, self.engine.connect() as connection:
            connection.execution_options(twofold_write=True)
            with connection.begin():
                if not self.sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITE_LOCK)))
                yield connection
                reach("ledger.write")
            reach("ledger.write")

    def close(self) -> None:
        """Release every connection."""
        self.engine.dispose()


def _url(location: str | Path) -> sa.URL:
    if isinstance(location, Path) or "://" not in location:
        return sa.URL.create("sqlite", database=str(location))
    url = sa.make_url(location)
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigError(
            f"the ledger runs on sqlite or postgresql+psycopg, not on {url.get_backend_name()!r}; change its URL"
        )
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _prepare_sqlite(engine: sa.Engine, timeout_ms: int) -> None:
    """Durable, many readers, one writer; and SQLAlchemy, not the driver, begins transactions."""

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={timeout_ms}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    def begun(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("twofold_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begun)


@contextmanager
def mapped() -> Iterator[None]:
    """Turn a database's errors into ours; what is a mistake of our own SQL stays as it is."""
    try:
        yield
    except DBAPIError as error:
        raise _meaning(error) or error from error
    except sa.exc.TimeoutError as error:
        raise Unavailable(f"the ledger has no free connection: {error}") from error


def _meaning(error: DBAPIError) -> TwofoldError | None:
    name = str(getattr(error.orig, "sqlite_errorname", "") or "")
    state = str(getattr(error.orig, "sqlstate", "") or "")
    text = f"the ledger's database answered: {error.orig}"
    if state in _POSTGRES_FULL or name == "SQLITE_FULL":
        return StorageFull(f"{text}; free space on its disk, reads go on")
    if kind := _SQLITE.get(name):
        return kind(text)
    if name.startswith(_SQLITE_AWAY) or state.startswith(_POSTGRES_AWAY):
        return Unavailable(text)
    if isinstance(error, DataError):
        return InputError(text, reason="unfit_record")
    if not name and not state and isinstance(error, (OperationalError, InterfaceError)):
        return Unavailable(text)
    return None
