"""The journal's unit: one durable batch of one kind, tenant and lane."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import pyarrow as pa

from twofold.records.entity import DEFAULT_TENANT


class FrameKind(IntEnum):
    """What a frame's payload holds. Numbers are stored: never reuse one."""

    SERIES = 1  # JSON array of series definitions; precedes the first samples that use them
    SAMPLES = 2  # Arrow IPC stream, schema columns.SAMPLES
    LOGS = 3  # Arrow IPC stream, schema columns.LOGS
    SPANS = 4  # Arrow IPC stream, schema columns.SPANS
    EVENTS = 5  # JSON array of events
    PREDICTIONS = 6  # Arrow IPC stream, schema columns.PREDICTIONS
    TICK = 7  # empty: the receivers' clock, so that timers fire when telemetry stops
    TOPOLOGY = 8  # JSON object {"entities": [...], "edges": [...]}: declared, such as a model's lineage
    EXEMPLARS = 9  # JSON array of exemplars: requests that metrics point at, evidence for diagnosis
    LINKS = 10  # Arrow IPC stream, schema columns.LINKS: of spans in all partitions, for the one that links them
    HANDED = 11  # JSON object: what another partition's stages found, for the one that groups


class Lane(IntEnum):
    """Live telemetry, or history sent later: any age accepted, no notices, no actions."""

    LIVE = 0
    BACKFILL = 1


class Source(IntEnum):
    """Received from outside, or derived by a stage (and then skipped by that stage on replay)."""

    RECEIVED = 0
    DERIVED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One durable batch.

    Attributes:
        time_ns: Receive time for received frames (wall clock of the receiver); end of the window for derived ones.
        rows: Rows in the payload, for conservation counts without decoding.
        data: The rows that the payload encodes, while they are in memory anyway: spares consumers that keep up
            from decoding them again. Not part of the frame's value.
    """

    kind: FrameKind
    payload: bytes
    time_ns: int
    rows: int
    tenant: str = DEFAULT_TENANT
    lane: Lane = Lane.LIVE
    source: Source = Source.RECEIVED
    partition: int = 0
    data: pa.RecordBatch | None = field(default=None, compare=False, repr=False)


class Position(NamedTuple):
    """Where a frame stands: (segment, byte offset) in one partition. Ordered."""

    segment: int
    offset: int
