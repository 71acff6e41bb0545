"""Spans to rate, errors and durations per service, operation and edge, in bulk.

Stands behind topology and before the detector of series. A window closes on the watermark; per
closed window it gives the definitions of new series, one batch of derived samples, and exemplars.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twofold.aiops.detect.groups import (
    DURATIONS,
    ERROR_RATIO,
    METRICS,
    QUANTILES,
    RATE,
    Group,
    GroupConfig,
    Groups,
)
from twofold.aiops.detect.ratio import Recent
from twofold.aiops.detect.windows import Chunks, Int64s, WindowConfig
from twofold.flow.stage import Mine, State
from twofold.records.columns import Spans
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.example import Exemplar
from twofold.records.frame import Lane
from twofold.records.time import SECOND_NS
from twofold.stats.codes import NOWHERE, first_of_each, first_with, id_numbers, present, stable_order
from twofold.stats.quantiles import quantiles
from twofold.store.catalog import Catalog

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
KINDS: Final = {SERVER: "server", CLIENT: "client", PRODUCER: "client", CONSUMER: "consumer"}
NONE: Final = -1
_DURATION_BITS: Final = 44  # almost five hours; ends further apart are sorted another way

_CODES: Final = 1 << 20  # groups and windows of one batch, told apart in a table

CHUNK: Final = pa.schema(
    [
        pa.field("total", pa.int32()),  # group of the entity and kind; NONE for a client span
        pa.field("detail", pa.int32()),  # group of the operation or edge
        pa.field("end_ns", pa.int64()),
        pa.field("duration_ns", pa.int64()),
        pa.field("error", pa.bool_()),
        pa.field("trace_id", pa.string()),  # empty where the span cannot be an exemplar
        pa.field("link", pa.int64()),  # a server span's parent; the id of a client span whose peer is not known; else 0
    ]
)
OLD_CHUNK: Final = pa.schema(
    [
        pa.field("total", pa.int64()),
        pa.field("detail", pa.int64()),
        *(CHUNK.field(name) for name in ("end_ns", "duration_ns", "error", "trace_id")),
        pa.field("link", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedConfig:
    """Settings of the span series.

    Attributes:
        windows: Width and lateness of the windows.
        groups: Bounds of the number of series.
    """

    windows: WindowConfig = field(default_factory=WindowConfig)
    groups: GroupConfig = field(default_factory=GroupConfig)


class Red:
    """Rate, error ratio and duration quantiles from spans.

    Series, entity = the reporting service: `span.rate` (1/s), `span.error_ratio`, `span.duration.p50`,
    `.p95`, `.p99` (s), with label `kind` (server, consumer, client), and `operation` or `callee`. The
    sample at time t covers the spans that ended in [t - window, t). An active group without spans has
    rate 0 and no other sample; a window without any span at all says nothing, because it looks the
    same when our own input stops. Where requests are few, the error ratio looks back further: see `ratio`.

    A client span without a named peer is joined with the server span that has it as parent.

    Args:
        catalog: Gives out the sids.
        lane: Lane of the derived samples.

    Attributes:
        dropped: Spans that count nowhere, by reason.
    """

    name: ClassVar[str] = "red"
    accepts: ClassVar[tuple[type, ...]] = (Spans,)

    def __init__(
        self,
        catalog: Catalog,
        config: RedConfig | None = None,
        *,
        tenant: str = DEFAULT_TENANT,
        lane: Lane = Lane.LIVE,
    ) -> None:
        config = config or RedConfig()
        self._tenant, self._lane = tenant, lane
        self._chunks = Chunks(config.windows, CHUNK, (OLD_CHUNK, _converted))
        self._groups = Groups(catalog, tenant, config.groups)
        self._recent = Recent()

    @property
    def dropped(self) -> Counter[str]:
        """Spans too late for any window, and series that the catalog refused."""
        return Counter(late=self._chunks.late, cardinality=self._groups.refused)

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Sort spans into groups and windows; gives nothing until a window closes."""
        for item in items:
            if isinstance(item, Spans):
                self._take(item.data)
        return ()

    def _take(self, data: pa.RecordBatch) -> None:
        kind = data.column("kind").to_numpy()
        counted = (kind >= SERVER) & (kind <= CONSUMER)
        if not counted.all():
            data, kind = data.filter(pa.array(counted)), kind[counted]
        if not data.num_rows:
            return
        duration_ns = np.maximum(data.column("duration_ns").to_numpy(), 0)
        total, detail = self._number(data, kind)
        answers = (kind == SERVER) | (kind == CONSUMER)
        nameless = self._groups.nameless(detail)
        link = np.where(answers, id_numbers(data.column("parent_id")), 0)
        if nameless.any():
            link[nameless] = id_numbers(data.column("span_id").filter(pa.array(nameless)))
        end_ns = data.column("start_ns").to_numpy() + duration_ns
        error = data.column("error")
        told = nameless | self._may_be_told(total, detail, end_ns, duration_ns, error.to_numpy(zero_copy_only=False))
        trace_id = pc.if_else(pa.array(told), data.column("trace_id"), "")
        columns = [total.astype(np.int32), detail.astype(np.int32), end_ns, duration_ns, error, trace_id, link]
        self._chunks.add(end_ns, pa.record_batch([pa.array(c) for c in columns], schema=CHUNK))

    def _may_be_told(
        self, total: Int64s, detail: Int64s, end_ns: Int64s, duration_ns: Int64s, error: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """The slowest span of each total, edge and window, and the slowest that failed: no other is an exemplar."""
        start_ns, kept = self._chunks.place(end_ns)
        first_ns = int(start_ns.min())
        windows = (int(start_ns.max()) - first_ns) // self._chunks.width_ns + 1
        if windows * len(self._groups) > _CODES:
            return np.ones(len(total), np.bool_)
        entity, edge = (np.flatnonzero(kept & wanted) for wanted in (total >= 0, self._groups.total(detail)))
        row, group = np.concatenate([entity, edge]), np.concatenate([total[entity], detail[edge]])
        code = group * windows + (start_ns[row] - first_ns) // self._chunks.width_ns
        told = np.zeros(len(total), np.bool_)
        for some in (np.arange(len(row)), np.flatnonzero(error[row])):
            told[row[_slowest(code, duration_ns[row], some, windows * len(self._groups))]] = True
        return told

    def _number(self, data: pa.RecordBatch, kind: npt.NDArray[np.int8]) -> tuple[Int64s, Int64s]:
        entities, names, peers = (data.column(c).dictionary.to_pylist() for c in ("entity", "name", "peer"))
        entity, name, peer = (data.column(c).indices.to_numpy().astype(np.int64) for c in ("entity", "name", "peer"))
        answers = (kind == SERVER) | (kind == CONSUMER)
        code = (entity * len(names) + np.where(answers, name, 0)) * len(peers) + np.where(answers, 0, peer)
        first, inverse = first_of_each(code * 8 + kind, len(entities) * len(names) * len(peers) * 8)
        totals, details = np.empty(len(first), np.int64), np.empty(len(first), np.int64)
        for j, i in enumerate(first.tolist()):
            who, what = entities[entity[i]], KINDS[int(kind[i])]
            if answers[i]:
                totals[j] = self._groups.number(Group(who, what))
                details[j] = self._groups.number(Group(who, what, names[name[i]]))
            else:
                totals[j], details[j] = NONE, self._groups.number(Group(who, what, callee=peers[peer[i]]))
        return totals[inverse], details[inverse]

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Close the windows that are complete, oldest first."""
        made: list[object] = []
        for start_ns, chunk in self._chunks.close_until(watermark_ns):
            made.extend(self._close(start_ns, chunk))
        return made

    def _close(self, start_ns: int, chunk: pa.RecordBatch) -> list[object]:
        end_ns = start_ns + self._chunks.width_ns
        total = chunk.column("total").to_numpy().astype(np.int64)
        detail = self._join(chunk)
        row = np.concatenate([np.flatnonzero(total >= 0), np.arange(len(detail))])
        group = np.concatenate([total[total >= 0], detail])
        self._groups.seen_ns[present(group, len(self._groups))] = start_ns
        duration_ns = chunk.column("duration_ns").to_numpy()[row]
        error = chunk.column("error").to_numpy(zero_copy_only=False)[row]
        values = _values(group, duration_ns, len(self._groups), self._chunks.width_ns)
        order = _in_time(group, chunk.column("end_ns").to_numpy()[row])
        ratios = self._recent.ratios(group[order], error[order], np.bincount(group, minlength=len(self._groups)))
        values[:, ERROR_RATIO] = np.where(values[:, RATE] > 0, ratios, np.nan)
        made = self._groups.samples(values, start_ns, end_ns, self._lane)
        return made + self._exemplars(chunk, group, row, duration_ns, error, detail)

    def _join(self, chunk: pa.RecordBatch) -> Int64s:
        """Details, with client spans of unknown peer given the edge to the span they are the parent of."""
        detail: Int64s = chunk.column("detail").to_numpy().astype(np.int64)
        asking = np.flatnonzero(self._groups.nameless(detail))
        if not len(asking):
            return detail
        near = [chunk, *self._chunks.near()]
        total, link = (np.concatenate([batch.column(c).to_numpy() for batch in near]) for c in ("total", "link"))
        answers = np.flatnonzero((total >= 0) & (link != 0))
        at = first_with(link[answers], chunk.column("link").to_numpy()[asking])
        asking, at = asking[at != NOWHERE], answers[at[at != NOWHERE]]
        groups = len(self._groups)
        pair = detail[asking] * groups + total[at]
        first, inverse = first_of_each(pair, groups * groups)
        edges = [
            self._groups.number(Group(self._groups.all[a].entity, "client", callee=self._groups.all[b].entity))
            for a, b in (divmod(each, groups) for each in pair[first].tolist())
        ]
        detail[asking] = np.array(edges, np.int64)[inverse]
        return detail

    def _exemplars(
        self,
        chunk: pa.RecordBatch,
        group: Int64s,
        row: Int64s,
        duration_ns: Int64s,
        error: npt.NDArray[np.bool_],
        detail: Int64s,
    ) -> list[object]:
        """Per total and edge the slowest span, and the slowest that failed."""
        told = self._groups.total(group)
        picks: set[tuple[int, int]] = set()
        for wanted in (told, told & error):
            slowest = _slowest(group, duration_ns, np.flatnonzero(wanted), len(self._groups))
            picks.update(zip(group[slowest].tolist(), slowest.tolist(), strict=True))
        made: list[object] = []
        for number, i in sorted(picks):
            who, at = self._groups.all[number], int(row[i])
            made.append(
                Exemplar(
                    trace_id=chunk.column("trace_id")[at].as_py(),
                    entity=who.entity,
                    operation=self._groups.all[int(detail[at])].operation,
                    duration_ns=int(duration_ns[i]),
                    error=bool(error[i]),
                    time_ns=chunk.column("end_ns")[at].as_py(),
                    callee=who.callee,
                    kind=who.kind,
                    tenant=self._tenant,
                )
            )
        return made

    def snapshot(self) -> State:
        """Groups with their sids and last outcomes, and the spans of open windows."""
        return {**self._groups.snapshot(), **self._recent.snapshot(), **self._chunks.snapshot()}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        self._groups.restore(state)
        self._recent.restore(state)
        self._chunks.restore(state)

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`."""
        self._chunks.keep("detail", self._groups.keep(mine))


def _values(group: Int64s, duration_ns: Int64s, groups: int, width_ns: int) -> npt.NDArray[np.float64]:
    """Rate and durations per group, shape (groups, metrics); NaN where a group has no spans, but rate 0."""
    values = np.full((groups, len(METRICS)), np.nan)
    values[:, RATE] = np.bincount(group, minlength=groups) / (width_ns / SECOND_NS)
    values[:, DURATIONS] = quantiles(group, duration_ns, groups, QUANTILES) / SECOND_NS
    return values


def _slowest(group: Int64s, duration_ns: Int64s, rows: Int64s, groups: int) -> Int64s:
    """Of each group that these rows have, the row of the longest duration; of equal ones the last."""
    longest = np.full(groups, NONE, np.int64)
    np.maximum.at(longest, group[rows], duration_ns[rows])
    rows = rows[duration_ns[rows] == longest[group[rows]]]
    last: Int64s = np.full(groups, NONE, np.int64)
    last[group[rows]] = rows
    found: Int64s = last[last != NONE]
    return found


def _in_time(group: Int64s, end_ns: Int64s) -> Int64s:
    """Rows by group and then by end; those that end at one time as they came."""
    since = end_ns - (end_ns.min() if len(end_ns) else 0)
    if not len(group) or int(group.max()) >> (63 - _DURATION_BITS) or int(since.max()) >> _DURATION_BITS:
        slow: Int64s = np.lexsort((end_ns, group))
        return slow
    return stable_order(group << _DURATION_BITS | since)


def _converted(old: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of the version before: ids were texts."""
    columns = [old.column(name).cast(CHUNK.field(name).type) for name in CHUNK.names[:-1]]
    return pa.record_batch([*columns, pa.array(id_numbers(old.column("link")))], schema=CHUNK)
