"""SQL state: every row-wise record that must not be lost, behind one small protocol.

A record type has a table of its own (see `tables`): key columns for what is filtered, the whole
record as JSON. Tables marked append-only (releases, audit, verdicts, timeline) refuse changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

R = TypeVar("R")
Merge = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The newest write of one record, for those who follow the ledger (live pages, the data plane).

    The feed keeps one line a record: a later write moves it to the end. So the feed stays as small
    as the ledger, and who reads it from any point on meets every record that changed since.
    """

    seq: int
    table: str
    id: str
    tenant: str


class Ledger(Protocol):
    """Typed records in SQL, shared by several processes. Every write is durable when the call returns."""

    def put(self, *records: object, merge: Merge | None = None) -> None:
        """Insert or replace records by (tenant, id), all in one transaction.

        Into an append-only table: inserts; the same id again is ignored when equal.
        With `merge`, what is written is `merge(record, stored)`, in the same transaction: nobody's
        change in between is lost. `stored` is None for a new record; append-only tables are not merged.

        Raises:
            Conflict: Another record stands under an append-only id.
        """
        ...

    def get(self, kind: type[R], key: str, *, tenant: str) -> R:
        """The record. Raises `NotFound`."""
        ...

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
        """Records by key columns (a list value means any of) and time in [since, until), in the order of time.

        `after`: id of the last record of the previous page.
        """
        ...

    def count(
        self,
        kind: type[object],
        *,
        tenant: str,
        where: dict[str, Any] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """How many records match; `since` and `until` as in `find`."""
        ...

    def update(self, kind: type[R], key: str, change: Callable[[R], R], *, tenant: str) -> R:
        """Read, change and write one record in one serialised transaction; returns the new record.

        `change` may raise to abort. Raises `NotFound`.
        """
        ...

    def append_next(self, kind: type[R], build: Callable[[R | None], R], *, tenant: str, where: dict[str, Any]) -> R:
        """Append the successor of the newest matching record, serialised: for chains with a `seq` (releases, audit)."""
        ...

    def changes(self, after: int, limit: int = 1000) -> Sequence[Change]:
        """Writes after sequence number `after`, oldest first; cheap when there are none."""
        ...

    def head(self) -> int:
        """Sequence number of the newest write."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...
