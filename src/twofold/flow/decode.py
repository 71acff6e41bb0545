"""From a journal frame to the items that stages accept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from twofold.errors import Corrupt, DecodeError
from twofold.records.codec import from_json
from twofold.records.columns import Links, Logs, Predictions, Samples, Spans
from twofold.records.entity import Edge, Entity
from twofold.records.frame import Frame, FrameKind
from twofold.records.time import to_ns
from twofold.store.journal.codec import decode_events, decode_exemplars, decode_handed, decode_payload, decode_series

_BATCHES = {
    FrameKind.SAMPLES: (Samples, "time_ns"),
    FrameKind.LOGS: (Logs, "time_ns"),
    FrameKind.SPANS: (Spans, "start_ns"),
    FrameKind.LINKS: (Links, "start_ns"),
    FrameKind.PREDICTIONS: (Predictions, "time_ns"),
}
_TIMELESS: dict[FrameKind, Callable[[Frame], Sequence[object]]] = {
    FrameKind.TICK: lambda _frame: [],
    FrameKind.SERIES: decode_series,
    FrameKind.EXEMPLARS: decode_exemplars,
    FrameKind.HANDED: lambda frame: [decode_handed(frame)],
}


def decode(frame: Frame) -> tuple[Sequence[object], int]:
    """Items of a frame, and the newest event time among them (0 without any, as in definitions).

    Raises:
        Corrupt: The payload is not what the frame's kind says.
    """
    try:
        return _decode(frame)
    except (DecodeError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise Corrupt(f"a {frame.kind.name} frame cannot be decoded: {error}", kind=frame.kind.name) from error


def _decode(frame: Frame) -> tuple[Sequence[object], int]:
    if frame.kind in _BATCHES:
        wrapper, column = _BATCHES[frame.kind]
        data = decode_payload(frame)
        newest = pc.max(data.column(data.schema.get_field_index(column))).as_py() if data.num_rows else 0
        return [wrapper(data=data, tenant=frame.tenant, lane=frame.lane)], int(newest or 0)
    if frame.kind in _TIMELESS:
        return _TIMELESS[frame.kind](frame), 0
    if frame.kind is FrameKind.EVENTS:
        events = decode_events(frame)
        return events, max((to_ns(event.time) for event in events), default=0)
    content: Any = orjson.loads(frame.payload)
    entities = [from_json(Entity, one) for one in content["entities"]]
    return [*entities, *(from_json(Edge, one) for one in content["edges"])], 0
