"""The groups that spans are counted in, and the series of each: who answered what, who called whom."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.register import NO_SID, Registrar
from twofold.aiops.detect.windows import NEVER
from twofold.errors import Corrupt
from twofold.flow.stage import Mine
from twofold.records.columns import DerivedSamples, samples_batch
from twofold.records.frame import Lane
from twofold.records.series import Origin, Series, SeriesKind
from twofold.records.time import SECOND_NS
from twofold.store.catalog import Catalog

OTHER: Final = "(other)"

Metric = tuple[str, str, SeriesKind]
"""Name, unit and kind of a group's series."""
METRICS: Final[Sequence[Metric]] = (
    ("span.rate", "1/s", SeriesKind.RATE),
    ("span.error_ratio", "1", SeriesKind.GAUGE),
    ("span.duration.p50", "s", SeriesKind.GAUGE),
    ("span.duration.p95", "s", SeriesKind.GAUGE),
    ("span.duration.p99", "s", SeriesKind.GAUGE),
)
TOTAL, NAMELESS, OPERATION = range(3)
RATE, ERROR_RATIO, DURATIONS = 0, 1, (2, 3, 4)
QUANTILES: Final = (0.50, 0.95, 0.99)


class Group(NamedTuple):
    """What a span is counted under.

    Attributes:
        entity: Who reported it.
        kind: `server`, `consumer` or `client`.
        operation: Empty for the total of the entity and kind.
        callee: Target of a client span, else empty.
    """

    entity: str
    kind: str
    operation: str = ""
    callee: str = ""

    @property
    def nameless(self) -> bool:
        """Client spans whose target is not known: they wait for a join and have no series."""
        return self.kind == "client" and not self.callee

    def labels(self) -> dict[str, str]:
        """Labels of the group's series; what does not apply is left out. The entity makes them unlike any other's."""
        named = {"entity": self.entity, "kind": self.kind, "operation": self.operation, "callee": self.callee}
        return {key: value for key, value in sorted(named.items()) if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """Bounds of the number of series.

    Attributes:
        max_members: Operations, and callees, told apart per entity; further ones are counted together as `(other)`.
        idle_s: A group without a span for this long gets no more zero rates.
    """

    max_members: int = 40
    idle_s: float = 1800.0


class Groups:
    """Numbers the groups, registers their series when first needed, and knows when each was last seen.

    A total or an edge always has series; a single operation only where its service has more than
    one: otherwise it would repeat the total.

    Args:
        metrics: The series of each group.
        name: Names its part of a checkpoint.
    """

    def __init__(
        self,
        catalog: Catalog,
        tenant: str,
        config: GroupConfig,
        *,
        metrics: Sequence[Metric] = METRICS,
        name: str = "groups",
    ) -> None:
        self._metrics, self._name = tuple(metrics), name
        self._registrar = Registrar(catalog, tenant, Origin.SPAN)
        self._tenant = tenant
        self._config = config
        self._index: dict[Group, int] = {}
        self.all: list[Group] = []
        self._marks = bytearray()
        self._members: Counter[tuple[str, str, bool]] = Counter()
        self._sids: npt.NDArray[np.int64] = np.empty((0, len(self._metrics)), np.int64)
        self.seen_ns: npt.NDArray[np.int64] = np.empty(0, np.int64)

    @property
    def refused(self) -> int:
        """Series that the catalog did not take."""
        return self._registrar.refused

    def __len__(self) -> int:
        return len(self.all)

    def nameless(self, group: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each of these groups waits for a join."""
        found: npt.NDArray[np.bool_] = np.array(self._marks, np.uint8)[group] == NAMELESS
        return found

    def total(self, group: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each of these groups is a total or an edge, not a single operation, nor waits for a join."""
        found: npt.NDArray[np.bool_] = np.array(self._marks, np.uint8)[group] == TOTAL
        return found

    def number(self, group: Group) -> int:
        """The group's number, new or known. Past the limit of its entity, the number of `(other)`."""
        known = self._index.get(group)
        if known is not None:
            return known
        member = group.operation or group.callee
        if member and member != OTHER:
            family = (group.entity, group.kind, bool(group.callee))
            if self._members[family] >= self._config.max_members:
                return self.number(group._replace(**{"callee" if group.callee else "operation": OTHER}))
            self._members[family] += 1
        return self._append(group)

    def known(self, group: Group) -> int:
        """The group's number, or -1."""
        return self._index.get(group, -1)

    def _append(self, group: Group) -> int:
        number = len(self.all)
        self._index[group] = number
        self.all.append(group)
        self._marks.append(_mark(group))
        if number >= len(self.seen_ns):
            room = max(64, number)
            self.seen_ns = np.concatenate([self.seen_ns, np.full(room, NEVER)])
            self._sids = np.concatenate([self._sids, np.zeros((room, len(self._metrics)), np.int64)])
        return number

    def active(self, start_ns: int) -> npt.NDArray[np.int64]:
        """Numbers of the groups whose series are written in the window, ascending."""
        live = self.seen_ns[: len(self)] > start_ns - int(self._config.idle_s * SECOND_NS)
        return np.array([n for n in np.flatnonzero(live).tolist() if self._told(self.all[n])], np.int64)

    def _told(self, group: Group) -> bool:
        if group.operation:
            return self._members[group.entity, group.kind, False] > 1
        return not group.nameless

    def sids(self, numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[Series]]:
        """Sids of the groups' series, shape (groups, metrics), and the definitions given out by this call.

        A series that the catalog refuses for its limit has `NO_SID` and is counted in `refused`.
        """
        new: list[Series] = []
        for number in numbers.tolist():
            if self._sids[number, 0] == 0:
                new.extend(self._register(number))
        return self._sids[numbers], new

    def samples(self, values: npt.NDArray[np.float64], start_ns: int, end_ns: int, lane: Lane) -> list[object]:
        """Definitions of new series, then one batch of samples at the end of a window.

        Args:
            values: Shape (groups, metrics); what is not finite is left out, and so is a group not seen for long.
            start_ns: Start of the window.
            end_ns: Its end, the time of the samples.
            lane: Lane of the samples.
        """
        active = self.active(start_ns)
        sids, new = self.sids(active)
        cell = np.isfinite(values[active]) & (sids != NO_SID)
        sid = sids[cell]
        made: list[object] = list(new)
        if len(sid):
            data = samples_batch(sid, np.full(len(sid), end_ns), values[active][cell])
            made.append(DerivedSamples(data=data, tenant=self._tenant, lane=lane, window_ns=end_ns))
        return made

    def _register(self, number: int) -> list[Series]:
        group, new = self.all[number], list[Series]()
        labels = group.labels()
        for column, (metric, unit, kind) in enumerate(self._metrics):
            sid = self._registrar.register(metric, labels, new, entity=group.entity, unit=unit, kind=kind)
            self._sids[number, column] = sid
        return new

    def snapshot(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """Groups, their sids and times."""
        return {
            self._name: json.dumps([list(group) for group in self.all]).encode(),
            f"{self._name}_sids": self._sids[: len(self)].copy(),
            f"{self._name}_seen_ns": self.seen_ns[: len(self)].copy(),
        }

    def restore(self, state: Any) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            groups = [Group(*each) for each in json.loads(bytes(state[self._name]))]
            sids = np.array(state[f"{self._name}_sids"], np.int64).reshape(len(groups), len(self._metrics))
            seen_ns = np.array(state[f"{self._name}_seen_ns"], np.int64).reshape(len(groups))
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"span groups do not fit this version: {error!r}; replay the journal") from error
        self._index, self.all = {group: n for n, group in enumerate(groups)}, groups
        self._sids, self.seen_ns = sids, seen_ns
        self._marks = bytearray(map(_mark, groups))
        named = (g for g in groups if (g.operation or g.callee) not in ("", OTHER))
        self._members = Counter((g.entity, g.kind, bool(g.callee)) for g in named)

    def keep(self, mine: Mine) -> npt.NDArray[np.bool_]:
        """Which groups are the partition's; the others get no more zero rates.

        Neither do calls of what reports elsewhere, until one names it: some were named by the span that answered,
        which is no longer seen.
        """
        own = np.array([mine.entity(group.entity) for group in self.all], np.bool_)
        sure = own & np.array([not group.callee or mine.entity(group.callee) for group in self.all], np.bool_)
        self.seen_ns[: len(self)][~sure] = NEVER
        return own


def _mark(group: Group) -> int:
    if group.nameless:
        return NAMELESS
    return OPERATION if group.operation else TOTAL
