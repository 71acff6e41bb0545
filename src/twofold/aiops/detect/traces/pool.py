"""Spans that wait until the visits they are part of are over, within and across batches.

A visit is told when its first span has ended and the grace is past: calls end before the request that made them and
leave the same process, so they are there by then. What is still missing a parent waits on, bounded in time and number.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.aiops.detect.groups import Group, Groups
from twofold.aiops.detect.windows import NEVER
from twofold.errors import ConfigError, Corrupt
from twofold.flow.stage import Mine, State
from twofold.records.time import SECOND_NS
from twofold.stats.codes import first_of_each, id_numbers
from twofold.stats.traces.columns import (
    CLIENT,
    CONSUMER,
    DUPLICATE,
    NOT_FOUND,
    PRODUCER,
    SERVER,
    Int64s,
    Links,
    Rows,
    Waits,
    trace_halves,
)
from twofold.stats.traces.links import link
from twofold.stats.traces.waits import waits

KINDS: Final = {SERVER: "server", CONSUMER: "consumer"}
OTHER: Final = "(other)"
NOTHING: Final = (1 << 63) - 1
_MOST_NAMES: Final = 1 << 17
_SEVERAL: Final = -1
"""An address behind which more than one service answers, or a service's own name."""
_TYPES: Final = dict(
    zip(
        Rows._fields,
        (np.int64,) * 4 + (np.int32,) * 3 + (np.int8,) * 3 + (np.int64,) * 2,
        strict=True,
    )
)

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolConfig:
    """Bounds of what waits.

    Attributes:
        keep_s: A span without its parent waits this long after its end.
        caller_s: A visit waits this long for the span of its caller, to which it gives its name.
        fold_s: A span that arrives later than this after its window closed is dropped.
        max_spans: Spans held; further ones are dropped and counted.
    """

    keep_s: float = 30.0
    caller_s: float = 10.0
    fold_s: float = 30.0
    max_spans: int = 2_000_000

    def __post_init__(self) -> None:
        if min(self.keep_s, self.caller_s, self.fold_s, self.max_spans) <= 0:
            raise ConfigError(f"every bound of the waiting spans must be above 0: {self}")


class Visits(NamedTuple):
    """The visits of a window, one entry each, by row.

    Attributes:
        row: Row in `Closed.rows`, ascending.
        group, total: Numbers of the groups of its operation and of its service.
        duration_ns, own_ns: How long it took, and how long of that no call was under way.
    """

    row: Int64s
    group: Int64s
    total: Int64s
    duration_ns: Int64s
    own_ns: Int64s
    error: Bools


class Closed(NamedTuple):
    """What is over.

    Attributes:
        waits: Calls of these visits by callee; `waits.top` is a row.
        loose: (entity, callee) numbers of calls that came too late for their visit, or whose visit never came.
    """

    rows: Rows
    visits: Visits
    waits: Waits
    loose: Int64s


class Pool:
    """Takes spans, gives visits.

    Args:
        groups: Numbers operations and services; its bound on operations holds here too.

    Attributes:
        closed_ns: Spans that ended before were looked at.
        names: Entities and peers by number; 0 is none.
        dropped: Spans not used, by reason.
    """

    def __init__(self, groups: Groups, config: PoolConfig) -> None:
        self._groups, self._config = groups, config
        self._waiting = _none()
        self._new: list[Rows] = []
        self._held = 0
        self._answers: npt.NDArray[np.int32] = np.zeros(2, np.int32)  # of each name the service behind it
        self.closed_ns = NEVER
        self._numbers: dict[str, int] = {"": 0, OTHER: 1}
        self.names: list[str] = ["", OTHER]
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._held

    def take(self, data: pa.RecordBatch) -> None:
        """Spans of schema `columns.SPANS`."""
        start_ns = data.column("start_ns").to_numpy()
        end_ns = start_ns + np.maximum(data.column("duration_ns").to_numpy(), 0)
        kind = data.column("kind").to_numpy()
        high, low = trace_halves(data.column("trace_id"))
        rows = Rows(
            span=id_numbers(data.column("span_id")),
            parent=id_numbers(data.column("parent_id")),
            high=high,
            low=low,
            entity=self._number(data.column("entity")),
            name=self._operations(data, kind),
            peer=self._number(data.column("peer")),
            kind=kind,
            error=data.column("error").to_numpy(zero_copy_only=False).astype(np.int8),
            told=np.zeros(len(kind), np.int8),
            start_ns=start_ns,
            end_ns=end_ns,
        )
        late = end_ns < self.closed_ns - int(self._config.fold_s * SECOND_NS)
        if late.any():
            self.dropped["late"] += int(late.sum())
            rows = _pick(rows, ~late)
        room = self._config.max_spans - self._held
        if len(rows.span) > room:
            self.dropped["full"] += len(rows.span) - room
            rows = _pick(rows, slice(0, room))
        self._new.append(rows)
        self._held += len(rows.span)

    def _number(self, column: pa.DictionaryArray) -> npt.NDArray[np.int32]:
        known = np.array([self.number(name) for name in column.dictionary.to_pylist()], np.int32)
        found: npt.NDArray[np.int32] = known[column.indices.to_numpy()]
        return found

    def number(self, name: str) -> int:
        """Of an entity; of `(other)` when there are too many."""
        known = self._numbers.get(name)
        if known is None:
            if len(self.names) >= _MOST_NAMES:
                return self._numbers[OTHER]
            known = self._numbers[name] = len(self.names)
            self.names.append(name)
        return known

    def _operations(self, data: pa.RecordBatch, kind: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
        """Group of the operation of each span that may begin a visit; `NOT_FOUND` for the others."""
        found = np.full(len(kind), NOT_FOUND, np.int32)
        at = np.flatnonzero((kind == SERVER) | (kind == CONSUMER))
        if not len(at):
            return found
        entity, name = data.column("entity"), data.column("name")
        codes = entity.indices.to_numpy()[at].astype(np.int64) * len(name.dictionary) + name.indices.to_numpy()[at]
        code = codes * 2 + (kind[at] == CONSUMER)
        first, inverse = first_of_each(code, len(entity.dictionary) * len(name.dictionary) * 2)
        numbers = [
            self._groups.number(Group(entity[i].as_py(), KINDS[int(kind[i])], name[i].as_py()))
            for i in at[first].tolist()
        ]
        found[at] = np.array(numbers, np.int32)[inverse]
        return found

    def next_ns(self, width_ns: int) -> int:
        """End of the next window to close: that of the oldest span, or the next one for those that came late."""
        first_ns = min((int(rows.end_ns.min()) for rows in self._new if len(rows.span)), default=NOTHING)
        if first_ns == NOTHING:
            return NOTHING
        return max(first_ns, self.closed_ns) // width_ns * width_ns + width_ns

    def close(self, limit_ns: int) -> Closed | None:
        """The visits of spans that ended before the limit; None when nothing did."""
        self.closed_ns = max(self.closed_ns, limit_ns)
        rows = _together([self._waiting, *self._new])
        ended = rows.end_ns < limit_ns
        later = _pick(rows, ~ended)
        rows = _pick(rows, ended)
        self._new = [later]
        if not len(rows.span):
            self._waiting, self._held = _none(), len(later.span)
            return None
        peer = rows.peer.copy()
        found = link(rows)
        self._rename(rows, peer)
        told, total_ns = waits(rows, found)
        here = np.arange(len(rows.span))
        begins = (found.top == here) & (rows.told == 0) & (rows.name >= 0)
        visits = self._visits(rows, np.flatnonzero(begins), total_ns)
        loose = self._keep(rows, found, limit_ns)
        self._held = len(self._waiting.span) + len(later.span)
        return Closed(rows, visits, told, loose)

    def _rename(self, rows: Rows, peer: Int64s) -> None:
        """Learn which service answers to an address, and give calls whose answer is not there its name."""
        self._answers = np.concatenate([self._answers, np.zeros(len(self.names) - len(self._answers), np.int32)])
        reports = np.zeros(len(self.names), np.bool_)
        reports[rows.entity] = True
        self._answers[reports] = _SEVERAL  # a name that reports spans itself is no mere address
        named = (peer > 0) & (rows.peer != peer)
        address, service = peer[named], rows.peer[named]
        known = self._answers[address]
        self._answers[address[known == 0]] = service[known == 0]
        self._answers[address[(known > 0) & (known != service)]] = _SEVERAL
        answers = self._answers[rows.peer]
        known = (rows.peer > 0) & (rows.peer == peer) & (answers > 0)
        rows.peer[known] = answers[known]

    def _visits(self, rows: Rows, row: Int64s, total_ns: Int64s) -> Visits:
        duration_ns = rows.end_ns[row] - rows.start_ns[row]
        group = rows.name[row].astype(np.int64)
        kinds = sorted(set(group.tolist()))
        totals = np.zeros(max(kinds, default=0) + 1, np.int64)
        for each in kinds:
            who = self._groups.all[each]
            totals[each] = self._groups.number(Group(who.entity, who.kind))
        own_ns = np.maximum(duration_ns - total_ns[row], 0)
        return Visits(row, group, totals[group], duration_ns, own_ns, rows.error[row] != 0)

    def _keep(self, rows: Rows, found: Links, limit_ns: int) -> Int64s:
        """Decide what waits on; gives calls that belong to no visit any more."""
        here = np.arange(len(rows.span))
        serves = (rows.kind == SERVER) | (rows.kind == CONSUMER)
        out = (rows.kind == CLIENT) | (rows.kind == PRODUCER)
        age_ns = limit_ns - rows.end_ns
        lost = found.top == NOT_FOUND
        waits_on = lost & (age_ns <= int(self._config.keep_s * SECOND_NS))
        alone = (found.top == here) & (rows.parent != 0) & (found.across < 0) & (found.above < 0) & serves
        waits_on |= alone & (age_ns <= int(self._config.caller_s * SECOND_NS))
        under = (found.top == here) & (found.across >= 0)
        caller = np.maximum(found.across, 0)
        waits_on |= under & lost[caller] & waits_on[caller] & ~out[caller]
        self.dropped["orphan"] += int((lost & ~waits_on).sum())
        self.dropped["duplicate"] += int((found.top == DUPLICATE).sum())
        after = (found.top >= 0) & (found.top != here) & (rows.told[np.maximum(found.top, 0)] == 1)
        loose = out & (after | (lost & ~waits_on))
        rows.told[serves & (found.top == here)] = 1
        self._waiting = _pick(rows, waits_on)
        pairs = rows.entity[loose].astype(np.int64) * _MOST_NAMES + rows.peer[loose]
        return np.unique(pairs)

    def is_loose(self, loose: Int64s, entity: str, callee: str) -> bool:
        """Whether such a call is among those without a visit."""
        pair = self._numbers.get(entity, 0) * _MOST_NAMES + self._numbers.get(callee, 0)
        at = int(np.searchsorted(loose, pair))
        return at < len(loose) and int(loose[at]) == pair

    def snapshot(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """The waiting spans as Arrow IPC, first those that were looked at, and the names."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, _SCHEMA) as writer:
            for rows in (self._waiting, _together([_none(), *self._new])):
                writer.write_batch(pa.record_batch([pa.array(column) for column in rows], schema=_SCHEMA))
        told = {"names": self.names, "closed_ns": self.closed_ns, "dropped": self.dropped}
        return {
            "pool": sink.getvalue().to_pybytes(),
            "pool_names": json.dumps(told).encode(),
            "pool_answers": self._answers.copy(),
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            with pa.ipc.open_stream(bytes(state["pool"])) as reader:
                batches = list(reader)
            if reader.schema != _SCHEMA:
                raise Corrupt(f"waiting spans have columns {reader.schema.names}, not {_SCHEMA.names}")
            waiting, new = (Rows(*(column.to_numpy().copy() for column in batch.columns)) for batch in batches)
            told = json.loads(bytes(state["pool_names"]))
            names, closed_ns = [str(name) for name in told["names"]], int(told["closed_ns"])
            answers = np.array(state["pool_answers"], np.int32).reshape(-1)
            dropped = Counter({str(reason): int(count) for reason, count in told["dropped"].items()})
        except (KeyError, TypeError, ValueError, AttributeError, pa.ArrowInvalid) as error:
            raise Corrupt(f"waiting spans do not fit this version: {error!r}; replay the journal") from error
        self._waiting, self._new, self._answers = waiting, [new], answers
        self._held = len(waiting.span) + len(new.span)
        self.closed_ns, self.dropped, self.names = closed_ns, dropped, names
        self._numbers = {name: number for number, name in enumerate(names)}

    def keep(self, mine: Mine) -> None:
        """Forget waiting spans of entities that are another partition's."""
        own = np.array([mine.entity(name) for name in self.names], np.bool_)
        self._waiting, *self._new = (_pick(rows, own[rows.entity]) for rows in (self._waiting, *self._new))
        self._held = sum(len(rows.span) for rows in (self._waiting, *self._new))

    def elsewhere(self, mine: Mine) -> npt.NDArray[np.bool_]:
        """Which names report spans of their own, in another partition."""
        reports = np.zeros(len(self.names), np.bool_)
        reports[: len(self._answers)] = self._answers[: len(self.names)] == _SEVERAL
        return np.array([answers and not mine.entity(name) for name, answers in zip(self.names, reports, strict=True)])


_SCHEMA: Final = pa.schema([pa.field(name, pa.from_numpy_dtype(kind)) for name, kind in _TYPES.items()])


def _none() -> Rows:
    return Rows(*(np.empty(0, kind) for kind in _TYPES.values()))


def _pick(rows: Rows, which: Bools | slice) -> Rows:
    return Rows(*(column[which] for column in rows))


def _together(parts: list[Rows]) -> Rows:
    return Rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
