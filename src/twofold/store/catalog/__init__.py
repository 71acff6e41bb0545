"""Series definitions: labels to sid and back. The only place that gives out sids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from twofold.records.series import Origin, Series, SeriesKind


class Catalog(Protocol):
    """All known series of all tenants, in memory, rebuilt at start from disk and journal.

    sids are deterministic in (tenant, metric, labels); a collision is detected at registration and reassigned.
    """

    def register(
        self,
        metric: str,
        labels: Mapping[str, str],
        *,
        entity: str,
        tenant: str,
        unit: str = "",
        kind: SeriesKind = SeriesKind.GAUGE,
        origin: Origin = Origin.METRIC,
    ) -> tuple[int, bool]:
        """The sid of these labels, and whether it is new. Thread-safe.

        Raises:
            TooLarge: The tenant's series limit is reached (`reason="cardinality"`).
        """
        ...

    def restore(self, series: Sequence[Series]) -> None:
        """Take definitions as they were given out (from the journal or disk)."""
        ...

    def get(self, sid: int, *, tenant: str) -> Series:
        """The definition. Raises `NotFound`."""
        ...

    def find(
        self,
        *,
        tenant: str,
        entity: str = "",
        metric: str = "",
        labels: Mapping[str, str] | None = None,
        limit: int = 1000,
    ) -> Sequence[Series]:
        """Definitions that match every given condition."""
        ...

    def metrics(self, *, tenant: str) -> Sequence[str]:
        """Names of all metrics that have a series, in the order of registration."""
        ...

    def labels(self, metric: str, *, tenant: str, after: int = 0) -> Sequence[tuple[int, Mapping[str, str]]]:
        """The sid and labels of a metric's series, in the order of registration, without what else is known of them.

        `after` leaves out so many of the first: who holds those asks for what came since.
        """
        ...

    def count(self, *, tenant: str) -> int:
        """Number of series."""
        ...

    def save(self) -> None:
        """Write new definitions to disk, synced. Called before journal frames that hold them are released."""
        ...
