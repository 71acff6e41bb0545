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
    NO_SID,
    QUANTILES,
    RATE,
    Group,
    GroupConfig,
    Groups,
)
from twofold.aiops.detect.ratio import Recent
from twofold.aiops.detect.windows import Chunks, Int64s, WindowConfig
from twofold.flow.stage import State
from twofold.records.columns import DerivedSamples, Spans, samples_batch
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.example import Exemplar
from twofold.records.frame import Lane
from twofold.records.time import SECOND_NS
from twofold.store.catalog import Catalog

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
KINDS: Final = {SERVER: "server", CLIENT: "client", PRODUCER: "client", CONSUMER: "consumer"}
NONE: Final = -1

CHUNK: Final = pa.schema(
    [
        pa.field("total", pa.int64()),  # group of the entity and kind; NONE for a client span
        pa.field("detail", pa.int64()),  # group of the operation or edge
        pa.field("end_ns", pa.int64()),
        pa.field("duration_ns", pa.int64()),
        pa.field("error", pa.bool_()),
        pa.field("trace_id", pa.string()),
        pa.field("link", pa.string()),  # a server span's parent; the id of a client span whose peer is not known
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
        self._chunks = Chunks(config.windows, CHUNK)
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
        nameless = ~answers & np.isin(detail, self._groups.nameless)
        link = pc.if_else(pa.array(answers), data.column("parent_id"), data.column("span_id"))
        link = pc.if_else(pa.array(answers | nameless), link, "")
        end_ns = data.column("start_ns").to_numpy() + duration_ns
        columns = [total, detail, end_ns, duration_ns, data.column("error"), data.column("trace_id"), link]
        self._chunks.add(end_ns, pa.record_batch([pa.array(c) for c in columns], schema=CHUNK))

    def _number(self, data: pa.RecordBatch, kind: npt.NDArray[np.int8]) -> tuple[Int64s, Int64s]:
        entity, name, peer = (data.column(c) for c in ("entity", "name", "peer"))
        answers = (kind == SERVER) | (kind == CONSUMER)
        operation = np.where(answers, name.indices.to_numpy(), 0).astype(np.int64)
        callee = np.where(answers, 0, peer.indices.to_numpy()).astype(np.int64)
        code = (entity.indices.to_numpy().astype(np.int64) * len(name.dictionary) + operation) * len(peer.dictionary)
        _, first, inverse = np.unique((code + callee) * 8 + kind, return_index=True, return_inverse=True)
        totals, details = np.empty(len(first), np.int64), np.empty(len(first), np.int64)
        for j, i in enumerate(first.tolist()):
            who, what = entity[i].as_py(), KINDS[int(kind[i])]
            if answers[i]:
                totals[j] = self._groups.number(Group(who, what))
                details[j] = self._groups.number(Group(who, what, name[i].as_py()))
            else:
                totals[j], details[j] = NONE, self._groups.number(Group(who, what, callee=peer[i].as_py()))
        return totals[inverse], details[inverse]

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Close the windows that are complete, oldest first."""
        made: list[object] = []
        for start_ns, chunk in self._chunks.close_until(watermark_ns):
            made.extend(self._close(start_ns, chunk))
        return made

    def _close(self, start_ns: int, chunk: pa.RecordBatch) -> list[object]:
        end_ns = start_ns + self._chunks.width_ns
        total = chunk.column("total").to_numpy()
        detail = self._join(chunk)
        row = np.concatenate([np.flatnonzero(total >= 0), np.arange(len(detail))])
        group = np.concatenate([total[total >= 0], detail])
        self._groups.seen_ns[np.unique(group)] = start_ns
        duration_ns = chunk.column("duration_ns").to_numpy()[row]
        error = chunk.column("error").to_numpy(zero_copy_only=False)[row]
        values = _values(group, duration_ns, len(self._groups), self._chunks.width_ns)
        order = np.lexsort((chunk.column("end_ns").to_numpy()[row], group))
        ratios = self._recent.ratios(group[order], error[order], np.bincount(group, minlength=len(self._groups)))
        values[:, ERROR_RATIO] = np.where(values[:, RATE] > 0, ratios, np.nan)
        active = self._groups.active(start_ns)
        sids, new = self._groups.sids(active)
        cell = np.isfinite(values[active]) & (sids != NO_SID)
        sid = sids[cell]
        data = samples_batch(sid, np.full(len(sid), end_ns), values[active][cell])
        made: list[object] = list(new)
        if len(sid):
            made.append(DerivedSamples(data=data, tenant=self._tenant, lane=self._lane, window_ns=end_ns))
        return made + self._exemplars(chunk, group, row, duration_ns, error, detail)

    def _join(self, chunk: pa.RecordBatch) -> Int64s:
        """Details, with client spans of unknown peer given the edge to the span they are the parent of."""
        detail: Int64s = chunk.column("detail").to_numpy().copy()
        asking = np.flatnonzero(np.isin(detail, self._groups.nameless))
        if not len(asking):
            return detail
        near = pa.concat_batches([chunk, *self._chunks.near()])
        answers = near.filter(pc.and_(pc.greater_equal(near.column("total"), 0), pc.not_equal(near.column("link"), "")))
        at = pc.index_in(chunk.column("link").take(pa.array(asking)), value_set=answers.column("link"))
        found = at.is_valid().to_numpy(zero_copy_only=False)
        asking, at_row = asking[found], at.drop_null().to_numpy()
        callee = answers.column("total").to_numpy()[at_row]
        pairs, inverse = np.unique(np.stack([detail[asking], callee]), axis=1, return_inverse=True)
        edges = [
            self._groups.number(Group(self._groups.all[a].entity, "client", callee=self._groups.all[b].entity))
            for a, b in pairs.T.tolist()
        ]
        detail[asking] = np.array(edges, np.int64)[inverse.ravel()]
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
        told = np.array([not g.operation and not g.nameless for g in self._groups.all], np.bool_)
        picks: set[tuple[int, int]] = set()
        for wanted in (told[group], told[group] & error):
            some = np.flatnonzero(wanted)
            order = some[np.lexsort((duration_ns[some], group[some]))]
            last = np.flatnonzero(np.diff(group[order], append=NONE))
            picks.update(zip(group[order[last]].tolist(), order[last].tolist(), strict=True))
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


def _values(group: Int64s, duration_ns: Int64s, groups: int, width_ns: int) -> npt.NDArray[np.float64]:
    """Rate and durations per group, shape (groups, metrics); NaN where a group has no spans, but rate 0."""
    values = np.full((groups, len(METRICS)), np.nan)
    count = np.bincount(group, minlength=groups)
    values[:, RATE] = count / (width_ns / SECOND_NS)
    some = np.flatnonzero(count)
    ordered = duration_ns[np.lexsort((duration_ns, group))] / SECOND_NS
    begin = (np.cumsum(count) - count)[some]
    for column, quantile in zip(DURATIONS, QUANTILES, strict=True):
        place = quantile * (count[some] - 1)
        low = np.floor(place).astype(np.int64)
        below, above = ordered[begin + low], ordered[begin + np.minimum(low + 1, count[some] - 1)]
        values[some, column] = below + (place - low) * (above - below)
    return values
