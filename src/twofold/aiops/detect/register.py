"""Registers the series that stages derive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twofold.errors import TooLarge
from twofold.records.series import Origin, Series, SeriesKind
from twofold.store.catalog import Catalog

NO_SID: Final = -1
"""In the place of the sid of a series that the catalog refused for its limit."""


class Registrar:
    """Gives out sids of one tenant's derived series, and their definitions for those behind.

    Attributes:
        refused: Series beyond the catalog's limit.
    """

    def __init__(self, catalog: Catalog, tenant: str, origin: Origin) -> None:
        self._catalog, self._tenant, self._origin = catalog, tenant, origin
        self.refused = 0

    def register(
        self,
        metric: str,
        labels: Mapping[str, str],
        made: list[Series],
        *,
        entity: str,
        unit: str = "1/s",
        kind: SeriesKind = SeriesKind.RATE,
    ) -> int:
        """The sid, or `NO_SID`; the definition is added to `made`."""
        try:
            sid, _ = self._catalog.register(
                metric, labels, entity=entity, tenant=self._tenant, unit=unit, kind=kind, origin=self._origin
            )
        except TooLarge:
            self.refused += 1
            return NO_SID
        made.append(
            Series(
                sid=sid,
                metric=metric,
                labels=labels,
                entity=entity,
                unit=unit,
                kind=kind,
                origin=self._origin,
                tenant=self._tenant,
            )
        )
        return sid
