"""Sids for the receivers: a cache before the catalog, and the definitions that the journal does not hold yet.

A definition must be durable no later than the first sample that uses it. Two requests may meet a
new series at once, and the catalog calls it new only to one of them; so a definition stays
*pending*, and goes with every request that uses it, until one append succeeded.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

import numpy as np

from twofold.aiops.ingest.rows import OVERSIZE, REFUSED, Ints
from twofold.errors import InputError, TooLarge
from twofold.records.series import Series, SeriesKind
from twofold.store.catalog import Catalog

Key = tuple[str, tuple[tuple[str, str], ...]]

CACHE_LIMIT: Final = 4_000_000  # keys a tenant; the order of labels makes keys differ, so a sender could make many


class SeriesIndex:
    """Resolves labels to sids. Thread-safe.

    Args:
        catalog: Gives out sids; enforces the tenant's limit.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[str, dict[Key, int]] = {}
        self._pending: dict[str, dict[int, Series]] = {}
        self._lock = threading.Lock()

    def resolve(
        self,
        metric: str,
        labels: Mapping[str, str],
        *,
        entity: str,
        tenant: str,
        unit: str = "",
        kind: SeriesKind = SeriesKind.GAUGE,
    ) -> int:
        """The sid, or `REFUSED` when the tenant's limit is reached, or `OVERSIZE` when the labels are too long."""
        known = self._known.setdefault(tenant, {})
        key = (metric, tuple(labels.items()))
        sid = known.get(key)
        return self._register(known, key, entity, tenant, unit, kind) if sid is None else sid

    def _register(self, known: dict[Key, int], key: Key, entity: str, tenant: str, unit: str, kind: SeriesKind) -> int:
        metric, labels = key[0], dict(sorted(key[1]))
        with self._lock:  # pending must hold a new sid before any other thread can see it as known
            try:
                sid, new = self._catalog.register(metric, labels, entity=entity, tenant=tenant, unit=unit, kind=kind)
            except TooLarge:
                return REFUSED
            except InputError:
                return OVERSIZE
            if new:
                series = Series(
                    sid=sid, metric=metric, labels=labels, entity=entity, unit=unit, kind=kind, tenant=tenant
                )
                self._pending.setdefault(tenant, {})[sid] = series
            if len(known) >= CACHE_LIMIT:
                known.clear()
            known[key] = sid
        return sid

    def pending(self, sids: Ints, tenant: str) -> list[Series]:
        """Definitions among these sids that no append has made durable yet."""
        waiting = self._pending.get(tenant)
        if not waiting:
            return []
        used = np.unique(sids).tolist()
        with self._lock:
            return [waiting[sid] for sid in used if sid in waiting]

    def written(self, definitions: list[Series], tenant: str) -> None:
        """These definitions are durable now."""
        with self._lock:
            waiting = self._pending.get(tenant, {})
            for series in definitions:
                waiting.pop(series.sid, None)
