"""Where a pipeline's output goes: derived samples back into the journal, records into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Final

import orjson
import pyarrow as pa

from twofold.records.alert import Alert
from twofold.records.columns import DerivedSamples
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge, Entity
from twofold.records.event import Event
from twofold.records.finding import Finding
from twofold.records.frame import Frame, FrameKind, Lane, Source
from twofold.records.incident import Incident, TimelineEntry
from twofold.records.merge import merge
from twofold.records.series import Series
from twofold.store.journal import Journal
from twofold.store.journal.codec import encode_batch
from twofold.store.ledger import Ledger

KEPT: Final = (Finding, Alert, Incident, TimelineEntry, Diagnosis, Event, Entity, Edge)
"""Record types that the ledger keeps; other items only pass between stages."""

Follow = Callable[[Sequence[object], str, Lane], None]
"""Told what was written, after it is durable."""


class LedgerSink:
    """Writes one batch of stage output. What people wrote into a record meanwhile survives (`records.merge`).

    Order matters for a crash in between: samples first (their replay is dropped by window), then records
    (same ids again), then followers (their own idempotency keys).

    Args:
        follow: Called with the written records, for joints and proposals.
    """

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        *,
        follow: Sequence[Follow] = (),
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._follow = tuple(follow)

    def write(self, made: Sequence[object], *, tenant: str, lane: Lane) -> None:
        """See `flow.runner.Sink`."""
        frames = _derived_frames(made, tenant=tenant, lane=lane)
        if frames:
            self._journal.append(frames)
        latest: dict[tuple[type, str], object] = {}
        for item in made:
            if isinstance(item, KEPT):
                latest[type(item), _key(item)] = item
        records = list(latest.values())
        if records:
            self._ledger.put(*records, merge=merge)
        for follow in self._follow:
            follow(records, tenant, lane)


def _key(record: object) -> str:
    if isinstance(record, Edge):
        return f"{record.source}>{record.relation}>{record.target}"
    return str(record.id)  # type: ignore[attr-defined]  # every kept record but an edge has an id


def _derived_frames(made: Sequence[object], *, tenant: str, lane: Lane) -> list[Frame]:
    series = [item for item in made if isinstance(item, Series)]
    windows: dict[int, list[pa.RecordBatch]] = {}
    for item in made:
        if isinstance(item, DerivedSamples) and item.data.num_rows:
            windows.setdefault(item.window_ns, []).append(item.data)
    frames: list[Frame] = []
    if series:
        payload = orjson.dumps([asdict(one) for one in series])
        frames.append(
            Frame(
                kind=FrameKind.SERIES,
                payload=payload,
                time_ns=min(windows, default=0),
                rows=len(series),
                tenant=tenant,
                lane=lane,
                source=Source.DERIVED,
            )
        )
    for window_ns, batches in sorted(windows.items()):
        table = pa.Table.from_batches(batches).combine_chunks()
        frames.extend(
            Frame(
                kind=FrameKind.SAMPLES,
                payload=encode_batch(batch),
                time_ns=window_ns,
                rows=batch.num_rows,
                tenant=tenant,
                lane=lane,
                source=Source.DERIVED,
            )
            for batch in table.to_batches()
        )
    return [replace(frame, partition=0) for frame in frames]
