"""Matches server spans with the parent spans that other services reported, within and across batches.

A child often arrives before its parent: the parent ends later and comes from another sender. So
spans wait, both as parents and as children, for a bounded time and number.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twofold.errors import Corrupt
from twofold.flow.stage import State
from twofold.stats.codes import NOWHERE, first_with, id_keys

SERVER, CONSUMER = 2, 5

Rows = npt.NDArray[np.int64]

WAITING: Final = pa.schema(
    [
        pa.field("span_id", pa.string()),
        pa.field("parent_id", pa.string()),  # empty unless the span is a child that looks for its parent
        pa.field("entity", pa.string()),
        pa.field("peer", pa.string()),
        pa.field("kind", pa.int8()),
        pa.field("end_ns", pa.int64()),
    ]
)


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
        self._new: list[pa.RecordBatch] = []

    def add(self, data: pa.RecordBatch) -> None:
        """Take spans of schema `columns.SPANS`."""
        kind = data.column("kind")
        child = pc.or_(pc.equal(kind, SERVER), pc.equal(kind, CONSUMER))
        end_ns = pc.add(data.column("start_ns"), data.column("duration_ns"))
        columns = [
            data.column("span_id"),
            pc.if_else(child, data.column("parent_id"), ""),
            data.column("entity").dictionary_decode(),
            data.column("peer").dictionary_decode(),
            kind,
            end_ns,
        ]
        self._new.append(pa.record_batch(columns, schema=WAITING))

    def join(self, watermark_ns: int) -> list[Call]:
        """Calls found among the spans since the last join and those that still wait. A child is matched once.

        Spans that ended `keep_ns` before the watermark are let go.
        """
        if not self._new:
            return []
        spans = pa.concat_batches([self._known, *self._new])
        self._new = []
        parents, children = _matched(spans.column("span_id"), spans.column("parent_id"))
        calls = _count(spans, parents, children)
        parent_id = spans.column("parent_id")
        if len(children):
            matched = np.zeros(spans.num_rows, np.bool_)
            matched[children] = True
            parent_id = pc.if_else(pa.array(matched), "", parent_id)
        self._known = self._trim(spans.set_column(1, WAITING.field("parent_id"), parent_id), watermark_ns)
        return calls

    def _trim(self, spans: pa.RecordBatch, watermark_ns: int) -> pa.RecordBatch:
        end_ns = spans.column("end_ns").to_numpy()
        keep = end_ns > watermark_ns - self._keep_ns
        if keep.sum() > self._limit:
            keep &= end_ns >= np.partition(end_ns, -self._limit)[-self._limit]
        return spans.filter(pa.array(keep))

    def snapshot(self) -> dict[str, bytes]:
        """The waiting spans as Arrow IPC: one batch that has been joined, then those that have not."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, WAITING) as writer:
            for batch in (self._known, *self._new):
                writer.write_batch(batch)
        return {"parents": sink.getvalue().to_pybytes()}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            with pa.ipc.open_stream(bytes(state["parents"])) as reader:
                known, *new = list(reader)
        except (KeyError, TypeError, ValueError, pa.ArrowInvalid) as error:
            raise Corrupt(f"waiting spans do not fit this version: {error!r}; replay the journal") from error
        if reader.schema != WAITING:
            raise Corrupt(f"waiting spans have columns {reader.schema.names}, not {WAITING.names}")
        self._known, self._new = known, new


def _none() -> pa.RecordBatch:
    return pa.record_batch([pa.array([], field.type) for field in WAITING], schema=WAITING)


def _matched(span_id: pa.Array, parent_id: pa.Array) -> tuple[Rows, Rows]:
    """Rows of parents, and of their children; of spans with one id the first is the parent."""
    keys, wanted = id_keys(span_id), id_keys(parent_id)
    if keys is not None and wanted is not None:
        children = np.flatnonzero(wanted)
        at = first_with(keys, wanted[children])
    else:
        children = np.flatnonzero(pc.not_equal(parent_id, "").to_numpy(zero_copy_only=False))
        place = pc.index_in(parent_id.take(pa.array(children)), value_set=span_id)
        at = pc.fill_null(place, NOWHERE).to_numpy()
    found = at != NOWHERE
    return at[found], children[found]


def _count(spans: pa.RecordBatch, parent: Rows, child: Rows) -> list[Call]:
    """Calls between different entities, in a fixed order."""
    if not len(child):
        return []
    parents, children = spans.take(pa.array(parent)), spans.take(pa.array(child))
    queued = pc.equal(children.column("kind"), CONSUMER)
    # a consumer that names its queue reads from there; the producer's edge to the queue stands already
    direct = pc.or_(pc.invert(queued), pc.equal(children.column("peer"), ""))
    table = pa.table(
        {
            "caller": parents.column("entity"),
            "callee": children.column("entity"),
            "peer": pc.if_else(queued, "", parents.column("peer")),
            "queued": queued,
            "end_ns": children.column("end_ns"),
        }
    ).filter(pc.and_(direct, pc.not_equal(parents.column("entity"), children.column("entity"))))
    counted = table.group_by(["caller", "callee", "peer", "queued"], use_threads=False).aggregate(
        [("end_ns", "count"), ("end_ns", "max")]
    )
    rows = counted.select(["caller", "callee", "peer", "queued", "end_ns_count", "end_ns_max"]).to_pylist()
    return sorted(Call(*row.values()) for row in rows)
