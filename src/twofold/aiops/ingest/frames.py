"""Decoded telemetry to the journal's frames, spread over its partitions.

Everything goes by its entity, so that what an entity sends stands in one partition, in the order of its arrival.
What only makes sense together goes to the first partition: alerts from outside, exemplars, and of all spans what tells
who called whom. Changes go to all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.aiops.ingest.rows import Rows
from twofold.flow.homes import FIRST, Homes, partition_of
from twofold.records.columns import LINKS, samples_batch
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import Event, EventKind
from twofold.records.example import Exemplar
from twofold.records.frame import Frame, FrameKind, Lane
from twofold.records.series import Series
from twofold.store.journal.codec import encode_batch, encode_events, encode_exemplars, encode_series

MAX_SAMPLES: Final = 500_000  # rows of a frame: 12 MB of columns
MAX_LINES: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where and when a request came in; every frame of it carries this."""

    tenant: str
    lane: Lane
    time_ns: int


def sample_frames(rows: Rows, definitions: Sequence[Series], origin: Origin, homes: Homes) -> list[Frame]:
    """A frame of new definitions, then frames of samples, for each partition that gets any."""
    if homes.partitions == 1:
        return _samples(rows.sid, rows.time_ns, rows.value, definitions, origin, FIRST)
    frames: list[Frame] = []
    target = homes.of(rows.sid, origin.tenant)
    defined = homes.of(np.array([series.sid for series in definitions], np.int64), origin.tenant).tolist()
    for partition in range(homes.partitions):
        mine = target == partition
        own = [series for series, home in zip(definitions, defined, strict=True) if home == partition]
        frames += _samples(rows.sid[mine], rows.time_ns[mine], rows.value[mine], own, origin, partition)
    return frames


def _samples(
    sid: npt.NDArray[np.int64],
    time_ns: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    definitions: Sequence[Series],
    origin: Origin,
    partition: int,
) -> list[Frame]:
    frames = []
    if definitions:
        frames.append(_frame(FrameKind.SERIES, encode_series(definitions), len(definitions), origin, partition))
    return frames + _batch(FrameKind.SAMPLES, samples_batch(sid, time_ns, value), origin, partition)


def batch_frames(kind: FrameKind, batch: pa.RecordBatch, origin: Origin, partitions: int) -> list[Frame]:
    """A frame of lines, spans or predictions for each partition that gets any, by entity (that of the model)."""
    if not batch.num_rows:
        return []
    if partitions == 1:
        return _batch(kind, batch, origin, FIRST)
    keys = batch.column("model" if kind is FrameKind.PREDICTIONS else "entity")
    names = keys.dictionary.to_pylist()
    if kind is FrameKind.PREDICTIONS:
        names = [entity_id(EntityKind.MODEL, name) for name in names]
    home = np.array([partition_of(name, partitions) for name in names])
    target = home[keys.indices.to_numpy()]
    frames = _batch(FrameKind.LINKS, batch.select(LINKS.names), origin, FIRST) if kind is FrameKind.SPANS else []
    for partition in np.unique(target).tolist():
        part = batch.filter(pa.array(target == partition))
        frames += _batch(kind, part, origin, partition)
    return frames


def event_frames(events: Iterable[Event], origin: Origin, partitions: int) -> list[Frame]:
    """A frame of events for the first partition, and one of changes for every other: they excuse what callers see."""
    homes: dict[int, list[Event]] = {}
    for event in events:
        for partition in range(partitions if event.kind is EventKind.CHANGE else 1):
            homes.setdefault(partition, []).append(event)
    return [
        _frame(FrameKind.EVENTS, encode_events(found), len(found), origin, partition)
        for partition, found in sorted(homes.items())
    ]


def exemplar_frames(exemplars: Iterable[Exemplar], origin: Origin) -> list[Frame]:
    """A frame of exemplars, if there are any."""
    found = list(exemplars)
    return [_frame(FrameKind.EXEMPLARS, encode_exemplars(found), len(found), origin, FIRST)] if found else []


def tick_frames(origin: Origin, partitions: int) -> list[Frame]:
    """The receivers' clock, to every partition."""
    return [_frame(FrameKind.TICK, b"", 0, origin, partition) for partition in range(partitions)]


def _batch(kind: FrameKind, batch: pa.RecordBatch, origin: Origin, partition: int) -> list[Frame]:
    """Frames of a size that a consumer can hold a few of."""
    step = MAX_SAMPLES if kind is FrameKind.SAMPLES else MAX_LINES
    parts = (batch.slice(start, step) for start in range(0, batch.num_rows, step))
    return [_frame(kind, encode_batch(part), part.num_rows, origin, partition, part) for part in parts]


def _frame(
    kind: FrameKind, payload: bytes, rows: int, origin: Origin, partition: int, data: pa.RecordBatch | None = None
) -> Frame:
    return Frame(
        kind=kind,
        payload=payload,
        time_ns=origin.time_ns,
        rows=rows,
        tenant=origin.tenant,
        lane=origin.lane,
        partition=partition,
        data=data,
    )
