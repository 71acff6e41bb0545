"""Small makers of telemetry for the tests of detection and topology, and a catalog in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from twofold.aiops.detect.words import labels_text
from twofold.errors import NotFound, TooLarge
from twofold.records.columns import LOGS, SPANS, DerivedSamples, Logs, Samples, Spans, samples_batch
from twofold.records.series import Origin, Series, SeriesKind
from twofold.records.time import SECOND_NS

START_NS = 1_767_225_600 * SECOND_NS  # 2026-01-01, a multiple of every window


class MemoryCatalog:
    """Series definitions in a dict, with sids from a hash."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self.series: dict[int, Series] = {}
        self.limit = limit

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
        key = json.dumps([tenant, metric, sorted(labels.items())])
        sid = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
        if sid in self.series:
            return sid, False
        if len(self.series) >= self.limit:
            raise TooLarge(f"{self.limit} series", reason="cardinality")
        self.series[sid] = Series(
            sid=sid,
            metric=metric,
            labels=dict(labels),
            entity=entity,
            unit=unit,
            kind=kind,
            origin=origin,
            tenant=tenant,
        )
        return sid, True

    def restore(self, series: Sequence[Series]) -> None:
        self.series.update({each.sid: each for each in series})

    def get(self, sid: int, *, tenant: str) -> Series:
        try:
            return self.series[sid]
        except KeyError:
            raise NotFound(f"no series {sid:016x} of tenant {tenant}") from None

    def find(
        self,
        *,
        tenant: str,
        entity: str = "",
        metric: str = "",
        labels: Mapping[str, str] | None = None,
        limit: int = 1000,
    ) -> Sequence[Series]:
        del tenant
        wanted = dict(labels or {}).items()
        hits = (s for s in self.series.values() if entity in ("", s.entity) and metric in ("", s.metric))
        return [s for s in hits if wanted <= dict(s.labels).items()][:limit]

    def labels(self, metric: str, *, tenant: str, after: int = 0) -> Sequence[tuple[int, Mapping[str, str]]]:
        found = [
            (sid, each.labels) for sid, each in self.series.items() if (each.metric, each.tenant) == (metric, tenant)
        ]
        return found[after:]

    def metrics(self, *, tenant: str) -> Sequence[str]:
        return list(dict.fromkeys(each.metric for each in self.series.values() if each.tenant == tenant))

    def count(self, *, tenant: str) -> int:
        del tenant
        return len(self.series)

    def save(self) -> None:
        return None


def span(
    entity: str,
    span_id: str,
    *,
    at_s: float,
    ms: float = 10.0,
    kind: int = 2,
    parent: str = "",
    name: str = "GET /",
    peer: str = "",
    error: bool = False,
    attributes: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """One row of spans that starts `at_s` seconds after `START_NS`; its trace id is its span id, filled up."""
    return {
        "trace_id": span_id.rjust(32, "0"),
        "span_id": span_id,
        "parent_id": parent,
        "entity": entity,
        "name": name,
        "kind": kind,
        "start_ns": START_NS + int(at_s * SECOND_NS),
        "duration_ns": int(ms * 1_000_000),
        "error": error,
        "peer": peer,
        "attributes": json.dumps(dict(attributes or {})),
    }


def line(
    entity: str,
    body: str,
    *,
    at_s: float,
    severity: int = 17,
    trace: str = "",
    attributes: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """One row of logs."""
    return {
        "time_ns": START_NS + int(at_s * SECOND_NS),
        "entity": entity,
        "severity": severity,
        "body": body,
        "trace_id": trace,
        "span_id": "",
        "attributes": json.dumps(dict(attributes or {})),
    }


def spans(*rows: dict[str, object]) -> Spans:
    """Rows as one batch."""
    return Spans(data=_batch(rows, SPANS))


def logs(*rows: dict[str, object]) -> Logs:
    """Rows as one batch."""
    return Logs(data=_batch(rows, LOGS))


def _batch(rows: Sequence[dict[str, object]], schema: pa.Schema) -> pa.RecordBatch:
    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        if pa.types.is_dictionary(field.type):
            columns.append(pa.array(values, pa.string()).dictionary_encode())
        else:
            columns.append(pa.array(values, field.type))
    return pa.record_batch(columns, schema=schema)


def samples(sid: int | Sequence[int], at_s: Sequence[float], value: Sequence[float]) -> Samples:
    """Samples of one or several series."""
    sids = np.broadcast_to(np.asarray(sid, np.int64), (len(at_s),))
    time_ns = np.array([ns(each) for each in at_s], np.int64)
    return Samples(data=samples_batch(np.ascontiguousarray(sids), time_ns, np.asarray(value, np.float64)))


def values_of(made: Sequence[object], catalog: MemoryCatalog) -> dict[tuple[str, str, str], list[tuple[float, float]]]:
    """(entity, metric, what tells it apart) to its (seconds after `START_NS`, value) from derived samples."""
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for item in made:
        if isinstance(item, DerivedSamples):
            for sid, time_ns, value in zip(*(column.tolist() for column in item.columns()), strict=True):
                series = catalog.series[sid]
                key = (series.entity, series.metric, labels_text(series.labels))
                found.setdefault(key, []).append(((time_ns - START_NS) / SECOND_NS, value))
    return found


def ns(at_s: float) -> int:
    """Nanoseconds of a second after `START_NS`."""
    return START_NS + int(at_s * SECOND_NS)
