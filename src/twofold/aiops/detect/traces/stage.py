"""Spans to where requests spend their time. Stands beside `red`, before the detector of series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from twofold.aiops.detect.groups import Group, GroupConfig
from twofold.aiops.detect.traces.habits import HabitConfig
from twofold.aiops.detect.traces.pool import Pool, PoolConfig
from twofold.aiops.detect.traces.shapes import Shapes
from twofold.aiops.detect.traces.shares import Shares, told
from twofold.aiops.detect.traces.times import Times, asked
from twofold.aiops.detect.windows import WindowConfig, Windows
from twofold.flow.stage import Mine, State
from twofold.records.columns import Spans
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.event import Event, EventKind
from twofold.records.frame import Lane
from twofold.records.series import Series
from twofold.store.catalog import Catalog

_LATENCY = ("span.duration.", "span.self_time.", "span.wait_time.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TracesConfig:
    """Settings of the stage.

    Attributes:
        windows: Width and lateness of the windows.
        groups: Bounds of the number of series.
        pool: Bounds of the spans that wait.
        habits: When a call that is missing or new is told.
    """

    windows: WindowConfig = field(default_factory=WindowConfig)
    groups: GroupConfig = field(default_factory=GroupConfig)
    pool: PoolConfig = field(default_factory=PoolConfig)
    habits: HabitConfig = field(default_factory=HabitConfig)


class Traces:
    """Where requests spend their time, as `span.self_time.p95` and `span.wait_time.p95`, and calls missing or new.

    Suits services that report server spans and their calls as client spans, or whose callees' spans have theirs as
    parents. Work that goes on while a call is under way counts as waiting. Calls that end after their request, and what
    queues hand over, are not waited for.

    Args:
        catalog: Gives out the sids.
        lane: Lane of the derived samples.
    """

    name: ClassVar[str] = "traces"
    accepts: ClassVar[tuple[type, ...]] = (Spans, Event)

    def __init__(
        self,
        catalog: Catalog,
        config: TracesConfig | None = None,
        *,
        tenant: str = DEFAULT_TENANT,
        lane: Lane = Lane.LIVE,
    ) -> None:
        config = config or TracesConfig()
        self._windows = Windows(config.windows)
        self._times = Times(catalog, tenant, config.groups, lane)
        self._pool = Pool(self._times.groups, config.pool)
        self._shares = Shares()
        self._shapes = Shapes(catalog, tenant, config.habits, lane)

    @property
    def dropped(self) -> Counter[str]:
        """Spans not used, and series that the catalog refused."""
        return self._pool.dropped + Counter(cardinality=self._times.refused + self._shapes.refused)

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Take spans and changes; gives nothing until a window closes."""
        for item in items:
            if isinstance(item, Spans) and item.data.num_rows:
                self._pool.take(item.data)
            elif isinstance(item, Event) and item.kind is EventKind.CHANGE:
                self._shapes.note(item)
        return ()

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Close the windows that are complete, oldest first."""
        limit_ns = self._windows.close_until(watermark_ns)
        made: list[object] = []
        while (end_ns := self._pool.next_ns(self._windows.width_ns)) <= limit_ns:
            made.extend(self._close(end_ns))
        return made

    def _close(self, end_ns: int) -> list[object]:
        closed = self._pool.close(end_ns)
        if closed is None or not len(closed.visits.row):
            return []
        calls = asked(closed)
        made = self._times.close(closed.visits, calls, self._pool, (end_ns - self._windows.width_ns, end_ns))
        self._shares.close(closed.visits, calls, len(self._times.groups), end_ns)
        return made + self._shapes.close(closed, calls, self._times.groups, self._pool, end_ns)

    def explain(self, series: Series, since_ns: int) -> str:
        """Where the time of a service's requests went, for a finding about how long they take; else empty."""
        if not series.metric.startswith(_LATENCY) or series.labels.get("kind") not in ("server", "consumer"):
            return ""
        group = Group(series.entity, series.labels["kind"], series.labels.get("operation", ""))
        return told(*self._shares.parts(self._times.groups.known(group), since_ns, self._pool.names))

    def snapshot(self) -> State:
        """Groups, spans that wait, and where time goes."""
        parts = (self._times, self._pool, self._shares, self._shapes)
        return {key: value for part in parts for key, value in part.snapshot().items()}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        for part in (self._times, self._pool, self._shares, self._shapes):
            part.restore(state)
        self._windows.closed_ns = self._pool.closed_ns

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`. Calls of services that report elsewhere are learnt anew: less is seen of them."""
        self._pool.keep(mine)
        self._times.keep(mine)
        self._shapes.unlearn(self._pool.elsewhere(mine))
