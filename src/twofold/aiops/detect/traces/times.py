"""Visits to series: how long a service works itself, and for whom it waits."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.groups import Group, GroupConfig, Groups, Metric
from twofold.aiops.detect.traces.pool import Closed, Pool, Visits
from twofold.flow.stage import Mine
from twofold.records.frame import Lane
from twofold.records.series import SeriesKind
from twofold.records.time import SECOND_NS
from twofold.stats.codes import present
from twofold.stats.quantiles import quantiles
from twofold.stats.traces.columns import Int64s
from twofold.store.catalog import Catalog

SELF_TIME: Final = "span.self_time.p95"
WAIT_TIME: Final = "span.wait_time.p95"
OWN: Final[tuple[Metric, ...]] = ((SELF_TIME, "s", SeriesKind.GAUGE),)
WAITED: Final[tuple[Metric, ...]] = ((WAIT_TIME, "s", SeriesKind.GAUGE),)
_TAIL: Final = 0.95


class Asked(NamedTuple):
    """Calls of visits, one entry a visit and callee.

    Attributes:
        visit: Place of the visit in `Visits`.
        callee: Its number; 0 when nobody knows.
    """

    visit: Int64s
    callee: Int64s
    calls: Int64s
    wait_ns: Int64s


def asked(closed: Closed) -> Asked:
    """The calls of visits that are told now."""
    row, top = closed.visits.row, closed.waits.top.astype(np.int64)
    at = np.minimum(np.searchsorted(row, top), max(len(row) - 1, 0))
    known = row[at] == top if len(row) else np.zeros(len(top), np.bool_)
    columns = (at, closed.waits.callee, closed.waits.calls, closed.waits.wait_ns)
    return Asked(*(column[known].astype(np.int64) for column in columns))


def twice(visits: Visits) -> tuple[Int64s, Int64s]:
    """Every visit under its operation and under its service: places in `visits`, and groups."""
    both = np.flatnonzero(visits.group != visits.total)  # an operation without a name is the total
    place = np.concatenate([np.arange(len(visits.group)), both])
    return place, np.concatenate([visits.group, visits.total[both]])


class Times:
    """`span.self_time.p95` per service and operation, `span.wait_time.p95` per service and callee, in seconds.

    The time of a visit is its own while none of its calls is under way; calls made at the same time count once. The
    wait for a callee is that of a whole visit: ten calls of 20 ms one after the other are 200 ms.

    Attributes:
        groups: Operations and services; shared with who gives spans their groups.
    """

    def __init__(self, catalog: Catalog, tenant: str, config: GroupConfig, lane: Lane) -> None:
        self.groups = Groups(catalog, tenant, config, metrics=OWN, name="visits")
        self._callees = Groups(catalog, tenant, config, metrics=WAITED, name="callees")
        self._lane = lane

    @property
    def refused(self) -> int:
        """Series that the catalog did not take."""
        return self.groups.refused + self._callees.refused

    def close(self, visits: Visits, calls: Asked, pool: Pool, window_ns: tuple[int, int]) -> list[object]:
        """New series, and samples at the end of the window."""
        place, group = twice(visits)
        made = self._samples(self.groups, group, visits.own_ns[place], window_ns)
        named = calls.callee > 0
        callee = self._number(visits.total[calls.visit[named]], calls.callee[named], pool)
        return made + self._samples(self._callees, callee, calls.wait_ns[named], window_ns)

    def _number(self, total: Int64s, callee: Int64s, pool: Pool) -> Int64s:
        pairs, inverse = np.unique(total * len(pool.names) + callee, return_inverse=True)
        known = []
        for pair in pairs.tolist():
            whose, whom = divmod(pair, len(pool.names))
            who = self.groups.all[whose]
            known.append(self._callees.number(Group(who.entity, who.kind, callee=pool.names[whom])))
        found: Int64s = np.array(known, np.int64)[inverse]
        return found

    def _samples(self, groups: Groups, group: Int64s, spent_ns: Int64s, window_ns: tuple[int, int]) -> list[object]:
        groups.seen_ns[present(group, len(groups))] = window_ns[0]
        values: npt.NDArray[np.float64] = quantiles(group, spent_ns, len(groups), (_TAIL,)) / SECOND_NS
        return groups.samples(values, *window_ns, self._lane)

    def snapshot(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """Groups and their sids."""
        return {**self.groups.snapshot(), **self._callees.snapshot()}

    def restore(self, state: Any) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        self.groups.restore(state)
        self._callees.restore(state)

    def keep(self, mine: Mine) -> None:
        """Forget when groups of another partition were seen."""
        self.groups.keep(mine)
        self._callees.keep(mine)
