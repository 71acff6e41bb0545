"""Where a pipeline's output goes: derived samples back into the journal, records into the ledger."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa

from twofold.errors import Conflict, InputError, Permanent
from twofold.records.alert import Alert
from twofold.records.columns import DerivedSamples
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge, Entity
from twofold.records.event import Event
from twofold.records.finding import Finding
from twofold.records.forecast import Forecast
from twofold.records.frame import Frame, FrameKind, Lane, Source
from twofold.records.incident import Incident, TimelineEntry
from twofold.records.merge import merge
from twofold.records.series import Series
from twofold.records.shadow import ShadowFinding, ShadowPage, ShadowTime
from twofold.records.slo import SloStatus
from twofold.store.journal import Journal
from twofold.store.journal.codec import encode_batch, encode_series
from twofold.store.ledger import Ledger

log = logging.getLogger(__name__)

KEPT: Final = (
    Finding,
    Forecast,
    SloStatus,
    Alert,
    Incident,
    TimelineEntry,
    Diagnosis,
    Event,
    Entity,
    Edge,
    ShadowFinding,
    ShadowPage,
    ShadowTime,
)
"""Record types that the ledger keeps; other items only pass between stages."""

Follow = Callable[[Sequence[object], str, Lane], None]
"""Told what was written, after it is durable."""


class LedgerSink:
    """Writes one batch of stage output. What people wrote into a record meanwhile survives (`records.merge`).

    Order matters for a crash in between: samples first (their replay is dropped by window), then records
    (same ids again), then followers (their own idempotency keys).

    A record that the ledger refuses for good is counted and left out, and so is a follower's refusal: neither may hold
    back everybody else's results.

    Args:
        partition: Where derived frames go: the partition whose stages made them, since history keeps one mark of
            derived windows a partition.
        follow: Called with the written records, for joints and proposals.

    Attributes:
        refused: Records left out, by type, and refusals of followers under `follow`.
    """

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        *,
        partition: int = 0,
        follow: Sequence[Follow] = (),
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._partition = partition
        self._follow = tuple(follow)
        self.refused: Counter[str] = Counter()

    def write(self, made: Sequence[object], *, tenant: str, lane: Lane) -> None:
        """See `flow.runner.Sink`."""
        frames = _derived_frames(made, tenant=tenant, lane=lane, partition=self._partition)
        if frames:
            self._journal.append(frames)
        latest: dict[tuple[type, str], object] = {}
        for item in made:
            if isinstance(item, KEPT):
                latest[type(item), _key(item)] = item
        records = self._put(list(latest.values()))
        for follow in self._follow:
            try:
                follow(records, tenant, lane)
            except Permanent:
                self.refused["follow"] += 1
                log.exception("a follower of the pipeline refused its records")

    def _put(self, records: list[object]) -> list[object]:
        """Write all in one transaction, or one by one without those that the ledger will never take."""
        if not records:
            return []
        try:
            self._ledger.put(*records, merge=merge)
        except (Conflict, InputError):
            return [record for record in records if self._put_one(record)]
        return records

    def _put_one(self, record: object) -> bool:
        try:
            self._ledger.put(record, merge=merge)
        except (Conflict, InputError):
            self.refused[type(record).__name__] += 1
            log.exception("the ledger refuses a %s", type(record).__name__)
            return False
        return True


def _key(record: object) -> str:
    if isinstance(record, Edge):
        return f"{record.source}>{record.relation}>{record.target}"
    return str(record.id)  # type: ignore[attr-defined]  # every kept record but an edge has an id


def _derived_frames(made: Sequence[object], *, tenant: str, lane: Lane, partition: int) -> list[Frame]:
    series = [item for item in made if isinstance(item, Series)]
    windows: dict[int, list[pa.RecordBatch]] = {}
    for item in made:
        if isinstance(item, DerivedSamples) and item.data.num_rows:
            windows.setdefault(item.window_ns, []).append(item.data)
    frames: list[Frame] = []
    if series:
        payload = encode_series(series)
        frames.append(
            Frame(
                kind=FrameKind.SERIES,
                payload=payload,
                time_ns=min(windows, default=0),
                rows=len(series),
                tenant=tenant,
                lane=lane,
                source=Source.DERIVED,
                partition=partition,
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
                partition=partition,
            )
            for batch in table.to_batches()
        )
    return frames
