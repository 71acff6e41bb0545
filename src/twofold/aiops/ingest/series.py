"""Sids for the receivers: a cache before the catalog, and the definitions that the journal does not hold yet.

A definition must be durable no later than the first sample that uses it. Two requests may meet a
new series at once, and the catalog calls it new only to one of them; so a definition stays
*pending*, and goes with every request that uses it, until one append succeeded.

Here rules are applied to a series, once; what comes later knows only its sid.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.ingest.clean.series import Factors, Identity, SeriesCleaner
from twofold.aiops.ingest.rows import CROWDED, OVERSIZE, REFUSED, Ints
from twofold.aiops.ingest.turns import Turns
from twofold.errors import InputError, TooLarge
from twofold.records.series import Series, SeriesKind
from twofold.store.catalog import Catalog
from twofold.store.catalog.intmap import IntMap

Key = tuple[str, tuple[tuple[str, str], ...]]

MAX_NOTES: Final = 5  # metrics of a tenant whose refusals are explained
MAX_ENTITIES: Final = 10_000
CACHE_LIMIT: Final = 4_000_000  # keys a tenant; the order of labels makes keys differ, so a sender could make many


class SeriesIndex:
    """Resolves labels to sids. Thread-safe.

    Args:
        catalog: Gives out sids; enforces the tenant's limit.
        cleaner: Rules for new series; none by default.
        refused: Told of each refused series: the metric and the label that fill the limit.

    Attributes:
        turns: Whoever decodes the validated way holds a turn while it does.
    """

    def __init__(
        self,
        catalog: Catalog,
        cleaner: SeriesCleaner | None = None,
        refused: Callable[[str, str], None] = lambda _metric, _label: None,
    ) -> None:
        self.turns = Turns()
        self._catalog = catalog
        self._cleaner = cleaner or SeriesCleaner()
        self._refused = refused
        self._factors: dict[str, Factors] = {}
        self._entities: dict[str, dict[int, str]] = {}  # of the few series that were asked for
        self._notes: dict[str, dict[str, str]] = {}
        self._known: dict[str, IntMap] = {}  # by hash: 64 bits that are seeded anew in every process
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
        """The sid, or why there is none: `REFUSED`, `CROWDED`, `OVERSIZE`, or `DROPPED` and above."""
        known = self._known.setdefault(tenant, IntMap())
        key = (metric, tuple(labels.items()))
        sid = known.get(hash(key))
        return self._register(known, key, entity, tenant, unit, kind) if sid is None else sid

    def _register(self, known: IntMap, key: Key, entity: str, tenant: str, unit: str, kind: SeriesKind) -> int:
        self.turns.step()
        found = self._cleaner.clean(key[0], dict(sorted(key[1])), entity, unit)
        with self._lock:  # pending must hold a new sid before any other thread can see it as known
            sid = found if isinstance(found, int) else self._new(found, tenant, kind)
            if sid < 0:
                return sid
            if len(known) >= CACHE_LIMIT:
                known.clear()
            known[hash(key)] = sid
        return sid

    def _new(self, found: Identity, tenant: str, kind: SeriesKind) -> int:
        """The sid of a series that was cleaned; `_lock` is held."""
        metric, labels = found.metric, dict(sorted(found.labels.items()))
        try:
            sid, new = self._catalog.register(
                metric, labels, entity=found.entity, tenant=tenant, unit=found.unit, kind=kind
            )
        except TooLarge as error:
            self._note(error, tenant)
            return CROWDED if error.reason == "metric_cardinality" else REFUSED
        except InputError:
            return OVERSIZE
        if new:
            series = Series(
                sid=sid, metric=metric, labels=labels, entity=found.entity, unit=found.unit, kind=kind, tenant=tenant
            )
            self._pending.setdefault(tenant, {})[sid] = series
        if found.factor != 1.0:
            self._factors.setdefault(tenant, Factors()).set(sid, found.factor)
        return sid

    def _note(self, error: TooLarge, tenant: str) -> None:
        """Keep what a refusal says, for the sender and for the metrics."""
        notes = self._notes.setdefault(tenant, {})
        metric, label = (str(error.facts.get(name, "")) for name in ("metric", "label"))
        if metric in notes or len(notes) < MAX_NOTES:
            notes[metric] = error.message
        self._refused(metric, label)

    def entity(self, sid: int, tenant: str) -> str:
        """The entity of a registered series."""
        entities = self._entities.setdefault(tenant, {})
        found = entities.get(sid)
        if found is None:
            if len(entities) >= MAX_ENTITIES:
                entities.clear()
            found = entities[sid] = self._catalog.get(sid, tenant=tenant).entity
        return found

    @property
    def drops(self) -> tuple[str, ...]:
        """Reasons of rules that drop series, by `sid - DROPPED`."""
        return self._cleaner.drops

    def notes(self, tenant: str) -> list[str]:
        """What the tenant's limits were reached by, metric by metric."""
        return list(self._notes.get(tenant, {}).values())

    def converted(self, sids: Ints, values: npt.NDArray[np.float64], tenant: str) -> npt.NDArray[np.float64]:
        """The values in base units, where a series is converted."""
        factors = self._factors.get(tenant)
        return values if factors is None else factors.apply(sids, values)

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
