"""Matches server spans with the parent spans that other services reported, within and across batches.

A child often arrives before its parent: the parent ends later and comes from another sender. So
spans wait, both as parents and as children, for a bounded time and number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.errors import Corrupt
from twofold.flow.stage import State
from twofold.stats.codes import NOWHERE, first_with, id_numbers

SERVER, CONSUMER = 2, 5
MAX_NAMES: Final = 1 << 16
"""Names kept beyond those of waiting spans."""

Ints = npt.NDArray[np.int64]

OLD_WAITING: Final = pa.schema(
    [
        pa.field("span_id", pa.string()),
        pa.field("parent_id", pa.string()),
        pa.field("entity", pa.string()),
        pa.field("peer", pa.string()),
        pa.field("kind", pa.int8()),
        pa.field("end_ns", pa.int64()),
    ]
)
"""What was kept before ids and names were numbers."""


class Waiting(NamedTuple):
    """Columns of spans.

    Attributes:
        span: Its id as a number.
        parent: Its parent's id; 0 unless the span is a child that looks for its parent.
        entity, peer: Numbers of names.
    """

    span: Ints
    parent: Ints
    entity: Ints
    peer: Ints
    kind: Ints
    end_ns: Ints


class Call(NamedTuple):
    """Spans of one service that were answered by another.

    Attributes:
        peer: The name by which the caller's span knows its target, or empty.
        queued: Handed over through a queue.
        time_ns: End of the newest.
    """

    caller: str
    callee: str
    peer: str
    queued: bool
    spans: int
    time_ns: int


class Parents:
    """Spans that wait for their parent or child.

    Args:
        keep_ns: How long one waits, in event time.
        limit: Most spans kept; the oldest go first.
    """

    def __init__(self, keep_ns: int, limit: int) -> None:
        self._keep_ns = keep_ns
        self._limit = limit
        self._known = _none()
        self._new: list[Waiting] = []
        self._names: dict[str, int] = {"": 0}

    def add(self, data: pa.RecordBatch) -> None:
        """Take spans of schema `columns.SPANS`."""
        kind = data.column("kind").to_numpy().astype(np.int64)
        child = (kind == SERVER) | (kind == CONSUMER)
        parent = np.where(child, id_numbers(data.column("parent_id")), 0)
        entity, peer = (self._numbers(data.column(name)) for name in ("entity", "peer"))
        end_ns = data.column("start_ns").to_numpy() + data.column("duration_ns").to_numpy()
        self._new.append(Waiting(id_numbers(data.column("span_id")), parent, entity, peer, kind, end_ns))

    def _numbers(self, column: pa.DictionaryArray) -> Ints:
        names = self._names
        known = [names.setdefault(name, len(names)) for name in column.dictionary.to_pylist()]
        found: Ints = np.array(known, np.int64)[column.indices.to_numpy()]
        return found

    def join(self, watermark_ns: int) -> list[Call]:
        """Calls found among the spans since the last join and those that still wait. A child is matched once.

        Spans that ended `keep_ns` before the watermark are let go.
        """
        if not self._new:
            return []
        spans = _together([self._known, *self._new])
        self._new = []
        children = np.flatnonzero(spans.parent)
        at = first_with(spans.span, spans.parent[children])
        parents, children = at[at != NOWHERE], children[at != NOWHERE]
        calls = self._count(spans, parents, children)
        spans.parent[children] = 0
        self._known = self._trim(spans, watermark_ns)
        if len(self._names) > MAX_NAMES:
            self._forget_names()
        return calls

    def _count(self, spans: Waiting, parent: Ints, child: Ints) -> list[Call]:
        """Calls between different entities, in a fixed order."""
        caller, callee = spans.entity[parent], spans.entity[child]
        queued = spans.kind[child] == CONSUMER
        peer = np.where(queued, 0, spans.peer[parent])
        # a consumer that names its queue reads from there; the producer's edge to the queue stands already
        told = (~queued | (spans.peer[child] == 0)) & (caller != callee)
        many = len(self._names)
        code = (((caller * many + callee) * many + peer) * 2 + queued)[told]
        distinct, number, counts = np.unique(code, return_inverse=True, return_counts=True)
        newest = np.full(len(distinct), np.iinfo(np.int64).min)
        np.maximum.at(newest, number, spans.end_ns[child[told]])
        names = list(self._names)
        calls = []
        for each, count, time_ns in zip(distinct.tolist(), counts.tolist(), newest.tolist(), strict=True):
            pair, peer_number = divmod(each >> 1, many)
            from_, to = divmod(pair, many)
            calls.append(Call(names[from_], names[to], names[peer_number], bool(each & 1), count, time_ns))
        return sorted(calls)

    def _trim(self, spans: Waiting, watermark_ns: int) -> Waiting:
        keep = spans.end_ns > watermark_ns - self._keep_ns
        if keep.sum() > self._limit:
            keep &= spans.end_ns >= np.partition(spans.end_ns, -self._limit)[-self._limit]
        return Waiting(*(column[keep] for column in spans))

    def _forget_names(self) -> None:
        names, known = list(self._names), self._known
        used = np.unique(np.concatenate([[0], known.entity, known.peer]))
        self._names = {names[each]: number for number, each in enumerate(used.tolist())}
        place = np.zeros(len(names), np.int64)
        place[used] = np.arange(len(used))
        self._known = known._replace(entity=place[known.entity], peer=place[known.peer])

    def snapshot(self) -> dict[str, bytes]:
        """The waiting spans as Arrow IPC: one batch that has been joined, then those that have not; and the names."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, WAITING) as writer:
            for spans in (self._known, *self._new):
                writer.write_batch(pa.record_batch([pa.array(column) for column in spans], schema=WAITING))
        return {"parents": sink.getvalue().to_pybytes(), "parents_names": json.dumps(list(self._names)).encode()}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave, in this version or the one before. Raises `Corrupt`."""
        try:
            with pa.ipc.open_stream(bytes(state["parents"])) as reader:
                batches = list(reader)
            names = json.loads(bytes(state["parents_names"])) if "parents_names" in state else [""]
            if reader.schema == OLD_WAITING:
                self._names = {"": 0}
                known, *new = (self._converted(batch) for batch in batches)
            elif reader.schema == WAITING:
                known, *new = (Waiting(*(column.to_numpy().copy() for column in batch.columns)) for batch in batches)
                self._names = {str(name): number for number, name in enumerate(names)}
            else:
                raise Corrupt(f"waiting spans have columns {reader.schema.names}, not {WAITING.names}")
        except (KeyError, TypeError, ValueError, pa.ArrowInvalid) as error:
            raise Corrupt(f"waiting spans do not fit this version: {error!r}; replay the journal") from error
        self._known, self._new = known, new

    def _converted(self, batch: pa.RecordBatch) -> Waiting:
        entity, peer = (self._numbers(batch.column(name).dictionary_encode()) for name in ("entity", "peer"))
        span, parent = (id_numbers(batch.column(name)) for name in ("span_id", "parent_id"))
        kind, end_ns = (batch.column(name).to_numpy().astype(np.int64) for name in ("kind", "end_ns"))
        return Waiting(span, parent, entity, peer, kind, end_ns)


WAITING: Final = pa.schema([pa.field(name, pa.int64()) for name in Waiting._fields])


def _none() -> Waiting:
    return Waiting(*(np.empty(0, np.int64) for _ in Waiting._fields))


def _together(parts: Iterable[Waiting]) -> Waiting:
    return Waiting(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
