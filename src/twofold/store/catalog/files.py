"""The catalog in memory with a file behind it; definitions are kept packed, 90 bytes a series beside its labels.

A definition lives as the bytes of two JSON texts: its identity (metric, labels) and the rest.
Registration compares bytes; a `Series` is built when somebody asks for it.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import orjson

from twofold.errors import Corrupt, InputError, NotFound, TooLarge
from twofold.records.series import Origin, Series, SeriesKind
from twofold.store.catalog.crowd import Crowd, crowd_of
from twofold.store.catalog.lines import Line, Lines
from twofold.store.catalog.packed import Packed

HASH_BITS: Final = 43
METRIC_BITS: Final = 20
MAX_IDENTITY_BYTES: Final = 16 << 10
_SAVED_AT_ONCE: Final = 50_000
_METRICS: Final = 10_000  # whose hash is remembered
_NONE: Final = array("i")


class FileCatalog:
    """Definitions of all tenants, saved as lines of one file.

    One process registers; others may open the same folder to read what is saved.

    Args:
        root: The folder; made when absent.
        limit_per_tenant: Most series of one tenant.
        limit_per_metric: Most series of one metric of a tenant; 0 for no such limit.
        lazy: Read what is saved when it is first asked for.
    """

    def __init__(
        self, root: Path, *, limit_per_tenant: int = 200_000, limit_per_metric: int = 0, lazy: bool = False
    ) -> None:
        self._limit = limit_per_tenant
        self._limit_per_metric = limit_per_metric
        self._lock = threading.RLock()
        self._by_name: dict[str, _Tenant] = {}
        self._unread = True
        self._unsaved: dict[str, array[int]] = {}
        self._lines = Lines(root / "series.jsonl")
        if not lazy:
            self.refresh()

    @property
    def _tenants(self) -> dict[str, _Tenant]:
        if self._unread:
            self.refresh()
        return self._by_name

    def refresh(self) -> None:
        """Take what another process has saved since."""
        with self._lock:
            for tenant, sid, identity, rest in self._lines.read():
                _named(self._by_name, tenant).add(sid, identity, rest)
            self._unread = False

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
        """See `Catalog.register`. Metric and labels are the identity; of the rest the first registration counts.

        Raises:
            InputError: Metric and labels are larger than 16 KiB together (`reason="labels_size"`).
            TooLarge: A limit is reached; the message and the facts name the metric and the label that fill it
                (`reason` is "cardinality" or "metric_cardinality"). Known series are found all the same.
        """
        identity = _identity(metric, labels)
        if len(identity) > MAX_IDENTITY_BYTES:
            raise InputError(
                f"metric and labels of {len(identity)} bytes, limit {MAX_IDENTITY_BYTES}; shorten label values",
                reason="labels_size",
            )
        with self._lock:
            known = self._tenant(tenant)
            sid = known.find(metric, identity)
            if sid in known.packed:
                return sid, False
            self._check_limits(known, metric)
            self._add(tenant, sid, identity, _text([entity, unit, kind.value, origin.value]))
            return sid, True

    def _check_limits(self, known: _Tenant, metric: str) -> None:
        """Raise `TooLarge` where one more series of the metric passes a limit."""
        if 0 < self._limit_per_metric <= known.size(metric):
            crowd = known.crowd(metric)
            reason, limit, what = "metric_cardinality", self._limit_per_metric, "that metric"
        elif len(known.packed) >= self._limit:
            crowd = known.crowd()
            reason, limit, what = "cardinality", self._limit, f"tenant {known.name}"
        else:
            return
        raise TooLarge(
            f"{what} may have {limit} series and has them: {crowd}; drop the label by a relabel rule or raise it",
            reason=reason,
            limit=limit,
            metric=crowd.metric,
            label=crowd.label,
        )

    def restore(self, series: Sequence[Series]) -> None:
        """See `Catalog.restore`.

        Raises:
            Corrupt: A sid stands for other labels already.
        """
        with self._lock:
            for each in series:
                identity = _identity(each.metric, each.labels)
                held = self._tenant(each.tenant).packed.identity(each.sid)
                if held is None:
                    rest = _text([each.entity, each.unit, each.kind.value, each.origin.value])
                    self._add(each.tenant, each.sid, identity, rest)
                elif held != identity:
                    raise Corrupt(
                        f"sid {each.sid:016x} is given to {each.metric} and to {held.decode()}",
                        sid=each.sid,
                    )

    def get(self, sid: int, *, tenant: str) -> Series:
        """See `Catalog.get`."""
        known = self._tenants.get(tenant)
        found = known.packed.get(sid) if known else None
        if found is None:
            raise NotFound(f"no series {sid:016x}", sid=sid)
        return _unpack(sid, *found, tenant)

    def find(
        self,
        *,
        tenant: str,
        entity: str = "",
        metric: str = "",
        labels: Mapping[str, str] | None = None,
        limit: int = 1000,
    ) -> Sequence[Series]:
        """See `Catalog.find`; in the order of registration."""
        known = self._tenants.get(tenant)
        if known is None:
            return []
        with self._lock:
            sids: Iterable[int] = known.candidates(entity, metric)
        wanted = (labels or {}).items()
        series = (_unpack(sid, *known.packed[sid], tenant) for sid in sids)
        matching = (
            each
            for each in series
            if (not entity or each.entity == entity)
            and (not metric or each.metric == metric)
            and wanted <= each.labels.items()
        )
        return list(itertools.islice(matching, max(0, limit)))

    def metrics(self, *, tenant: str) -> Sequence[str]:
        """See `Catalog.metrics`."""
        known = self._tenants.get(tenant)
        with self._lock:
            return known.metrics() if known else []

    def labels(self, metric: str, *, tenant: str, after: int = 0) -> Sequence[tuple[int, Mapping[str, str]]]:
        """See `Catalog.labels`."""
        known = self._tenants.get(tenant)
        if known is None or known.size(metric) <= after:
            return []
        with self._lock:
            found = [(sid, known.packed[sid][0]) for sid in known.sids(metric, after)]
        return [(sid, orjson.loads(identity)[1]) for sid, identity in found]

    def count(self, *, tenant: str) -> int:
        """See `Catalog.count`."""
        known = self._tenants.get(tenant)
        return len(known.packed) if known else 0

    def damaged_lines(self) -> int:
        """Lines of the file that fail their check and were left out."""
        return self._lines.damaged

    def save(self) -> None:
        """See `Catalog.save`. Raises `StorageFull`; what could not be written is tried again next time."""
        with self._lock:
            for tenant, sids in self._unsaved.items():
                packed = self._tenants[tenant].packed
                while sids:
                    some = sids[:_SAVED_AT_ONCE]
                    self._lines.append([Line(tenant, sid, *packed[sid]) for sid in some])
                    del sids[: len(some)]

    def _tenant(self, name: str) -> _Tenant:
        return _named(self._tenants, name)

    def _add(self, tenant: str, sid: int, identity: bytes, rest: bytes) -> None:
        self._tenant(tenant).add(sid, identity, rest)
        self._unsaved.setdefault(tenant, array("q")).append(sid)


def _named(tenants: dict[str, _Tenant], name: str) -> _Tenant:
    known = tenants.get(name)
    if known is None:
        known = tenants[name] = _Tenant(name)
    return known


class _Tenant:
    """One tenant's definitions and where to look for them."""

    __slots__ = ("_crowds", "_entities", "_entity_of", "_metrics", "_moved", "name", "packed")

    def __init__(self, name: str) -> None:
        self.name = name
        self._crowds: dict[str, tuple[int, Crowd]] = {}
        self.packed = Packed()
        self._entity_of: dict[bytes, str] = {}
        self._entities: dict[str, array[int]] = {}  # rows of `packed`, half as large as sids
        self._metrics: dict[str, array[int]] = {}
        self._moved: dict[bytes, int] = {}  # identities whose own hash was taken by another

    def find(self, metric: str, identity: bytes) -> int:
        """The sid of this identity, known or to be given."""
        if identity in self._moved:
            return self._moved[identity]
        attempt = 0
        while True:
            sid = series_id(metric, self.name, identity, attempt)
            held = self.packed.identity(sid)
            if held is None or held == identity:
                return sid
            attempt += 1

    def add(self, sid: int, identity: bytes, rest: bytes) -> None:
        """Take a definition under its sid."""
        metric, entity = orjson.loads(identity)[0], self._entity_of.get(rest)
        if entity is None:
            entity = self._entity_of[rest] = orjson.loads(rest)[0]
        self.packed.add(sid, identity, rest)
        row = len(self.packed) - 1
        self._metrics.setdefault(metric, array("i")).append(row)
        self._entities.setdefault(entity, array("i")).append(row)
        if sid != series_id(metric, self.name, identity):
            self._moved[identity] = sid

    def size(self, metric: str) -> int:
        """Series of a metric."""
        return len(self._metrics.get(metric, _NONE))

    def sids(self, metric: str, after: int) -> list[int]:
        """Of a metric's series but so many of the first."""
        return [self.packed.sid(row) for row in self._metrics.get(metric, _NONE)[after:]]

    def crowd(self, metric: str = "") -> Crowd:
        """What fills a metric, or the largest metric; looked up at refusals 1, 2, 4, 8 and so on."""
        refusals, found = self._crowds.get(metric, (0, None))
        if found is None or refusals & (refusals + 1) == 0:
            name = metric or max(self._metrics, key=self.size, default="")
            newest = (self.packed[self.packed.sid(row)][0] for row in reversed(self._metrics.get(name, _NONE)))
            found = crowd_of(name, self.size(name), newest)
        self._crowds[metric] = (refusals + 1, found)
        return found

    def metrics(self) -> list[str]:
        """All metric names."""
        return list(self._metrics)

    def candidates(self, entity: str, metric: str) -> list[int]:
        """Sids to look through: the shortest list that holds every match."""
        lists: list[array[int]] = []
        if entity:
            lists.append(self._entities.get(entity, _NONE))
        if metric:
            lists.append(self._metrics.get(metric, _NONE))
        return [self.packed.sid(row) for row in min(lists, key=len)] if lists else list(self.packed)


def series_id(metric: str, tenant: str, identity: bytes, attempt: int = 0) -> int:
    """A sid: 20 bits of the metric's hash, so that its series stand together, and 43 of the labels'.

    `attempt` counts up while another series holds the id.
    """
    return _high(metric) << HASH_BITS | _hash(b"%d\n%b\n%b" % (attempt, tenant.encode(), identity), HASH_BITS)


@lru_cache(_METRICS)
def _high(metric: str) -> int:
    return _hash(metric.encode(), METRIC_BITS)


def _hash(data: bytes, bits: int) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> (64 - bits)


def _identity(metric: str, labels: Mapping[str, str]) -> bytes:
    try:
        return _text([metric, dict(labels)])
    except orjson.JSONEncodeError as error:
        raise InputError(f"labels of {metric!r} are no text: {error}", reason="labels") from error


def _text(value: object) -> bytes:
    """JSON of its own size: what `orjson` returns stands in a buffer of kilobytes for as long as it lives."""
    return bytes(memoryview(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)))


def _unpack(sid: int, identity: bytes, rest: bytes, tenant: str) -> Series:
    metric, labels = orjson.loads(identity)
    entity, unit, kind, origin = orjson.loads(rest)
    return Series(
        sid=sid,
        metric=metric,
        labels=labels,
        entity=entity,
        unit=unit,
        kind=SeriesKind(kind),
        origin=Origin(origin),
        tenant=tenant,
    )
