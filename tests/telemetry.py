"""Frames and batches for tests of the stores."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from twofold.records.columns import LOGS, samples_batch
from twofold.records.frame import Frame, FrameKind, Lane, Position, Source
from twofold.store.journal.codec import encode_batch

SECOND = 1_000_000_000
NOON = 1_767_268_800 * SECOND  # 2026-01-01T12:00:00Z, the start of a window of six hours
Row = tuple[int, int, float]


def samples(rows: Iterable[Row]) -> pa.RecordBatch:
    """A batch of (sid, time_ns, value)."""
    sid, time_ns, value = zip(*rows, strict=True)
    return samples_batch(np.array(sid, np.int64), np.array(time_ns, np.int64), np.array(value, np.float64))


def samples_frame(
    rows: Sequence[Row],
    *,
    tenant: str = "main",
    lane: Lane = Lane.LIVE,
    source: Source = Source.RECEIVED,
    time_ns: int = NOON,
    partition: int = 0,
) -> Frame:
    """A frame of (sid, time_ns, value)."""
    return Frame(
        kind=FrameKind.SAMPLES,
        payload=encode_batch(samples(rows)),
        time_ns=time_ns,
        rows=len(rows),
        tenant=tenant,
        lane=lane,
        source=source,
        partition=partition,
    )


def logs_frame(bodies: Sequence[str], *, time_ns: int = NOON, tenant: str = "main", partition: int = 0) -> Frame:
    """A frame of log lines, one a second."""
    count = len(bodies)
    batch = pa.record_batch(
        [
            pa.array([time_ns + index * SECOND for index in range(count)]),
            pa.array(["service:cart"] * count).dictionary_encode(),
            pa.array([9] * count, pa.int8()),
            pa.array(bodies),
            pa.array([""] * count),
            pa.array([""] * count),
            pa.array(["{}"] * count),
        ],
        schema=LOGS,
    )
    return Frame(
        kind=FrameKind.LOGS,
        payload=encode_batch(batch),
        time_ns=time_ns,
        rows=count,
        tenant=tenant,
        partition=partition,
    )


def blank_frame(payload: bytes, *, partition: int = 0, rows: int = 1) -> Frame:
    """A frame whose payload the journal never looks into."""
    return Frame(kind=FrameKind.EVENTS, payload=payload, time_ns=NOON, rows=rows, partition=partition)


class Numbered:
    """Gives frames the positions that a journal would."""

    def __init__(self) -> None:
        self._numbers = itertools.count(100, 100)

    def __call__(self, *frames: Frame) -> list[tuple[Position, Frame]]:
        return [(Position(0, next(self._numbers)), frame) for frame in frames]
