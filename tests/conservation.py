"""Promise P5, for flow and fault tests: received = stored + duplicate + rejected{reason} + dropped{reason}."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from twofold.store.history import History, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Rows of one kind, from the sender's to the store's view."""

    received: int
    stored: int
    duplicate: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """Fail with the whole equation when it does not hold."""
        counted = self.stored + self.duplicate + sum(self.rejected.values()) + sum(self.dropped.values())
        assert self.received == counted, f"{self.received} received, {counted} accounted for: {self}"


def stored_rows(history: History, table: Table) -> int:
    """Rows of a table, of all tenants, hot window included."""
    return history.status()[table].rows
