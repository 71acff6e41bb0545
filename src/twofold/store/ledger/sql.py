"""The ledger on SQL: SQLite on one machine, PostgreSQL beyond, one code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from twofold.errors import Conflict, Corrupt, DecodeError, InputError, NotFound
from twofold.records import codec
from twofold.records.time import to_ns
from twofold.store.ledger import Change, Merge
from twofold.store.ledger.engine import Connections
from twofold.store.ledger.migrations import migrate
from twofold.store.ledger.tables import CHANGES, Spec, column_value, spec_of

R = TypeVar("R")
BUSY_TIMEOUT_S: Final = 10.0
_CHUNK: Final = 400  # parameters a statement: SQLite's limit is 32,766, older builds 999


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where the ledger stands."""

    url: str = ""
    """SQLAlchemy URL; empty means the file `ledger.sqlite` in the data folder."""
    busy_timeout_s: float = BUSY_TIMEOUT_S
    """How long a write waits for another process before it answers 503."""


def open_ledger(location: str | Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> SqlLedger:
    """The ledger at a file or SQLAlchemy URL, its tables brought up to this version first.

    Raises:
        ConfigError: The URL names a database that is not supported, or a newer version wrote it.
        Unavailable: The database does not answer.
    """
    connections = Connections(location, busy_timeout_s=busy_timeout_s)
    with connections.write() as connection:
        migrate(connection)
    return SqlLedger(connections)


class SqlLedger:
    """Typed records in SQL tables (`tables.SPECS`), every write with a line in the change feed.

    Suits up to some thousand writes a second in batches; single writes cost one fsync each.
    Writes are serialised over all threads and processes; reads never wait for them.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def put(self, *records: object, merge: Merge | None = None) -> None:
        """See `Ledger.put`. A record equal to the stored one writes nothing."""
        groups: dict[type[Any], list[Any]] = defaultdict(list)
        for record in records:
            groups[type(record)].append(record)
        if not groups:
            return
        rows = [(spec_of(kind), _rows(spec_of(kind), group)) for kind, group in groups.items()]
        with self._connections.write() as connection:
            for spec, group in rows:
                merged = _merged(connection, spec, group, groups[spec.kind], merge) if merge else group
                _write(connection, spec, merged)

    def get(self, kind: type[R], key: str, *, tenant: str) -> R:
        """See `Ledger.get`."""
        with self._connections.read() as connection:
            return _record(kind, _body(connection, spec_of(kind), key, tenant))

    def find(
        self,
        kind: type[R],
        *,
        tenant: str,
        where: dict[str, Any] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        after: str = "",
        newest_first: bool = True,
    ) -> Sequence[R]:
        """See `Ledger.find`. Raises `InputError` when `after` or a column of `where` does not exist."""
        spec = spec_of(kind)
        table = spec.table
        query = sa.select(table.c.body).where(*_conditions(spec, tenant, where, since, until)).limit(limit)
        with self._connections.read() as connection:
            if after:
                query = query.where(_beyond(connection, spec, after, tenant, newest_first=newest_first))
            order = sa.desc if newest_first else sa.asc
            found = connection.execute(query.order_by(order(table.c.at_us), order(table.c.id))).scalars().all()
        return [_record(kind, body) for body in found]

    def count(
        self,
        kind: type[object],
        *,
        tenant: str,
        where: dict[str, Any] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """See `Ledger.count`."""
        spec = spec_of(kind)
        query = sa.select(sa.func.count()).select_from(spec.table)
        with self._connections.read() as connection:
            return int(connection.execute(query.where(*_conditions(spec, tenant, where, since, until))).scalar_one())

    def update(self, kind: type[R], key: str, change: Callable[[R], R], *, tenant: str) -> R:
        """See `Ledger.update`. Raises `Conflict` for an append-only table or a changed id."""
        spec = spec_of(kind)
        if spec.append_only:
            raise Conflict(f"{spec.name} is append-only; append a successor instead of changing {key!r}")
        with self._connections.write() as connection:
            record = change(_record(kind, _body(connection, spec, key, tenant)))
            rows = _rows(spec, [record])
            if (tenant, key) not in rows:
                raise Conflict(f"an update of {spec.name} {key!r} must keep its id and tenant")
            _write(connection, spec, rows)
        return record

    def append_next(self, kind: type[R], build: Callable[[R | None], R], *, tenant: str, where: dict[str, Any]) -> R:
        """See `Ledger.append_next`. Newest is the greatest `seq` where the type has one, else the newest time."""
        spec = spec_of(kind)
        table = spec.table
        rank = [table.c.seq.desc()] if "seq" in spec.keys else [table.c.at_us.desc(), table.c.id.desc()]
        query = sa.select(table.c.body).where(*_conditions(spec, tenant, where)).order_by(*rank).limit(1)
        with self._connections.write() as connection:
            body = connection.execute(query).scalar()
            record = build(None if body is None else _record(kind, body))
            rows = _rows(spec, [record])
            if _stored(connection, spec, rows):
                raise Conflict(f"{spec.name} already holds {next(iter(rows))[1]!r}; a successor needs an id of its own")
            _write(connection, spec, rows)
        return record

    def changes(self, after: int, limit: int = 1000) -> Sequence[Change]:
        """See `Ledger.changes`."""
        query = sa.select(CHANGES).where(CHANGES.c.seq > after).order_by(CHANGES.c.seq).limit(limit)
        with self._connections.read() as connection:
            return [
                Change(seq=row.seq, table=row.record_table, id=row.record_id, tenant=row.tenant)
                for row in connection.execute(query)
            ]

    def head(self) -> int:
        """See `Ledger.head`."""
        with self._connections.read() as connection:
            return int(connection.execute(sa.select(sa.func.max(CHANGES.c.seq))).scalar() or 0)

    def close(self) -> None:
        """See `Ledger.close`."""
        self._connections.close()


_Key = tuple[str, str]


def _record(kind: type[R], body: str) -> R:
    try:
        return codec.decode(kind, body)
    except DecodeError as error:
        raise Corrupt(f"stored {kind.__name__} cannot be read: {error.message}", **error.facts) from error


def _rows(spec: Spec, records: Iterable[Any]) -> dict[_Key, dict[str, Any]]:
    """Column values by (tenant, id); of two records with one id the last counts, unless append-only.

    Raises:
        Conflict: Two different records of an append-only type share an id.
    """
    rows: dict[_Key, dict[str, Any]] = {}
    for record in records:
        body = codec.encode(record)
        row = spec.columns(record) | {"body": body}
        key = (row["tenant"], row["id"])
        if spec.append_only and key in rows and rows[key]["body"] != body:
            raise Conflict(f"two different records of append-only {spec.name} share the id {key[1]!r}")
        rows[key] = row
    return rows


def _stored(connection: sa.Connection, spec: Spec, rows: Iterable[_Key]) -> dict[_Key, str]:
    """Bodies that already stand under these keys."""
    table = spec.table
    found: dict[_Key, str] = {}
    for tenant, ids in _chunks(rows):
        query = sa.select(table.c.id, table.c.body).where(table.c.tenant == tenant, table.c.id.in_(ids))
        found |= {(tenant, row.id): row.body for row in connection.execute(query)}
    return found


def _merged(
    connection: sa.Connection, spec: Spec, rows: dict[_Key, dict[str, Any]], records: Sequence[Any], merge: Merge
) -> dict[_Key, dict[str, Any]]:
    """The rows after each record met the stored one of its id."""
    if spec.append_only:
        return rows
    stored = _stored(connection, spec, rows)
    latest = {(record.tenant, spec.key(record)): record for record in records}
    present = {key: _record(spec.kind, body) for key, body in stored.items()}
    return _rows(spec, (merge(record, present.get(key)) for key, record in latest.items()))


def _write(connection: sa.Connection, spec: Spec, rows: dict[_Key, dict[str, Any]]) -> None:
    """Insert what is new, replace what differs, note both in the change feed."""
    table = spec.table
    stored = _stored(connection, spec, rows)
    changed = [row for key, row in rows.items() if stored.get(key, "") != row["body"]]
    replaced = [row for row in changed if (row["tenant"], row["id"]) in stored]
    if spec.append_only and replaced:
        raise Conflict(f"append-only {spec.name} already holds another record under {replaced[0]['id']!r}")
    for tenant, ids in _chunks((row["tenant"], row["id"]) for row in replaced):
        connection.execute(table.delete().where(table.c.tenant == tenant, table.c.id.in_(ids)))
        noted = (CHANGES.c.tenant == tenant, CHANGES.c.record_table == spec.name, CHANGES.c.record_id.in_(ids))
        connection.execute(CHANGES.delete().where(*noted))
    if changed:
        connection.execute(table.insert(), changed)
        notes = [{"record_table": spec.name, "record_id": row["id"], "tenant": row["tenant"]} for row in changed]
        connection.execute(CHANGES.insert(), notes)


def _body(connection: sa.Connection, spec: Spec, key: str, tenant: str) -> str:
    table = spec.table
    query = sa.select(table.c.body).where(table.c.tenant == tenant, table.c.id == key)
    body = connection.execute(query).scalar()
    if body is None:
        raise NotFound(f"no {spec.kind.__name__} {key!r}", kind=spec.kind.__name__, id=key)
    return str(body)


def _conditions(
    spec: Spec,
    tenant: str,
    where: dict[str, Any] | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[sa.ColumnElement[bool]]:
    table = spec.table
    yield table.c.tenant == tenant
    for name, value in (where or {}).items():
        if name != "id" and name not in spec.keys:
            raise InputError(
                f"{spec.name} cannot be filtered by {name!r}, only by id, {', '.join(spec.keys)}", reason="no_column"
            )
        if isinstance(value, (list, tuple, set, frozenset)):
            yield table.c[name].in_([column_value(item) for item in value])
        else:
            yield table.c[name] == column_value(value)
    if since is not None:
        yield table.c.at_us >= to_ns(since) // 1000
    if until is not None:
        yield table.c.at_us < to_ns(until) // 1000


def _beyond(
    connection: sa.Connection, spec: Spec, after: str, tenant: str, *, newest_first: bool
) -> sa.ColumnElement[bool]:
    """Only what stands behind the record `after` in the table's order."""
    table = spec.table
    query = sa.select(table.c.at_us).where(table.c.tenant == tenant, table.c.id == after)
    moment = connection.execute(query).scalar()
    if moment is None:
        raise InputError(
            f"no {spec.kind.__name__} {after!r} to go on after; start from the first page", reason="cursor"
        )
    here, there = sa.tuple_(table.c.at_us, table.c.id), sa.tuple_(sa.literal(moment), sa.literal(after))
    return here < there if newest_first else here > there


def _chunks(keys: Iterable[_Key]) -> Iterator[tuple[str, list[str]]]:
    """Ids by tenant, few enough for one statement."""
    ids: dict[str, list[str]] = defaultdict(list)
    for tenant, key in keys:
        ids[tenant].append(key)
    for tenant, every in ids.items():
        for start in range(0, len(every), _CHUNK):
            yield tenant, every[start : start + _CHUNK]
