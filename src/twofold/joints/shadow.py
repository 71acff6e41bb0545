"""A shadow sees what the live detector sees, and its claims are kept apart: what would it have paged?

Belongs to joint 1, as a stage of the live pipeline. Inside it are the detector and the grouping as they stand; what
they make leaves it as `ShadowFinding` and `ShadowPage`, which no other stage takes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np
import pyarrow as pa

from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.panel import Panel
from twofold.errors import Corrupt
from twofold.flow.stage import Mine, State
from twofold.joints.config import ShadowConfig
from twofold.records.columns import Samples
from twofold.records.entity import DEFAULT_TENANT, Edge
from twofold.records.event import Event
from twofold.records.finding import Finding
from twofold.records.incident import Incident
from twofold.records.shadow import ShadowFinding, ShadowPage, ShadowTime
from twofold.records.time import SECOND_NS, to_datetime
from twofold.stats.series.rows import RowIndex
from twofold.store.catalog import Catalog

_PANEL: Final = "panel."
_GROUPS: Final = "correlate."
_ROWS: Final = ("rows", "sids", "entity")
_DAY_NS: Final = 86_400 * SECOND_NS
HOLE_NS: Final = 300 * SECOND_NS
"""A hole in the telemetry counts as judged for so long at most."""
_TELL_NS: Final = 60 * SECOND_NS


class Shadow:
    """Runs a released version of the detector beside the live one.

    It begins with what the live version has learnt, where its rows have the same layout, and from nothing otherwise;
    from then on its state is its own. Another version under it begins anew.

    Args:
        config: Settings of the version.
        detector: Its `name@version`.
        run: Number of the release that made it a shadow: time judged counts for this run alone.
        partition: Which part of the journal it sees; each tells its own time.
        correlate: Settings of grouping, as live.
        edges: The topology so far.
        limits: What it may cost.

    Attributes:
        dropped: Samples of series beyond the limit, findings beyond the limit of a day.
    """

    name: ClassVar[str] = "shadow"
    accepts: ClassVar[tuple[type, ...]] = (Samples, Finding, Event, Edge)

    def __init__(
        self,
        catalog: Catalog,
        config: PanelConfig | None = None,
        *,
        detector: str = "panel@0",
        run: int = 0,
        partition: int = 0,
        correlate: CorrelateConfig | None = None,
        edges: Sequence[Edge] = (),
        limits: ShadowConfig | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        self.detector, self.run, self.partition = detector, run, partition
        self.dropped: Counter[str] = Counter()
        self._catalog, self._config, self._tenant = catalog, config, tenant
        self._settings, self._edges = correlate, tuple(edges)
        self._limits = limits or ShadowConfig()
        self._begin()

    def _begin(self) -> None:
        self._panel = Panel(self._catalog, self._config, detector=self.detector, tenant=self._tenant)
        self._correlate = Correlate(self._settings)
        self._correlate.process(self._edges)
        self._index = RowIndex()
        self._day, self._made = 0, 0
        self._begin_time()

    def _begin_time(self) -> None:
        self._began_ns = self._heard_ns = self._told_ns = self._judged_ns = 0
        self._points = self._judged_points = 0

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Judge and learn samples; group what it finds with what other detectors found."""
        name = self.detector.partition("@")[0]
        seen = [self._seen(item) for item in items if isinstance(item, Samples)]
        self._points += sum(item.data.num_rows for item in seen)
        found = self._panel.process(seen)
        others = [
            item
            for item in items
            if isinstance(item, Event | Edge) or (isinstance(item, Finding) and item.detector.partition("@")[0] != name)
        ]
        self._correlate.process([*others, *found])
        return list(self._findings(found))

    def _seen(self, samples: Samples) -> Samples:
        """What it sees of a batch: the series that were met first."""
        rows = self._index.rows(samples.columns()[0])
        if len(self._index) <= self._limits.most_series:
            return samples
        kept = rows < self._limits.most_series
        if kept.all():
            return samples
        self.dropped["beyond_most_series"] += int((~kept).sum())
        return replace(samples, data=samples.data.filter(pa.array(kept)))

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Timers of the detector and of grouping."""
        found = self._panel.advance(watermark_ns)
        self._correlate.process(found)
        if watermark_ns // _DAY_NS != self._day:
            self._day, self._made = watermark_ns // _DAY_NS, 0
        made = self._correlate.advance(watermark_ns)
        pages = (self._page(item) for item in made if isinstance(item, Incident))
        return [*self._findings(found), *pages, *self._time(watermark_ns)]

    def _time(self, watermark_ns: int) -> Iterator[ShadowTime]:
        """What it has judged, each minute: event time goes on without samples, but earns nothing."""
        if self._points == self._judged_points:
            return
        self._judged_points = self._points
        self._began_ns = self._began_ns or watermark_ns
        self._judged_ns += min(watermark_ns - (self._heard_ns or watermark_ns), HOLE_NS)
        self._heard_ns = watermark_ns
        if watermark_ns - self._told_ns < _TELL_NS:
            return
        self._told_ns = watermark_ns
        yield ShadowTime(
            id=f"{self.detector}#{self.run}/{self.partition}",
            run=f"{self.detector}#{self.run}",
            detector=self.detector,
            began=to_datetime(self._began_ns),
            seen=to_datetime(watermark_ns),
            judged_s=self._judged_ns / SECOND_NS,
            points=self._points,
            tenant=self._tenant,
        )

    def _findings(self, items: Sequence[object]) -> Iterator[ShadowFinding]:
        for item in items:
            if not isinstance(item, Finding):
                continue
            if self._made >= self._limits.most_findings:
                self.dropped["beyond_most_findings"] += 1
                continue
            self._made += 1
            yield ShadowFinding(
                id=f"{self.detector}/{item.id}",
                detector=self.detector,
                entity=item.entity,
                series=item.series,
                metric=item.metric,
                onset=item.onset,
                state=item.state,
                finding=item,
                tenant=self._tenant,
            )

    def _page(self, incident: Incident) -> ShadowPage:
        return ShadowPage(
            id=f"{self.detector}/{incident.id}",
            detector=self.detector,
            title=incident.title,
            state=incident.state,
            severity=incident.severity,
            start=incident.start,
            detected=incident.detected,
            last_seen=incident.last_seen,
            end=incident.end,
            entities=incident.entities,
            alerts=len(incident.alerts),
            merged_into=f"{self.detector}/{incident.merged_into}" if incident.merged_into else "",
            tenant=self._tenant,
        )

    def snapshot(self) -> State:
        """Its own detector and grouping, with the version that they are of."""
        known = {
            "detector": self.detector,
            "run": self.run,
            "day": self._day,
            "made": self._made,
            "times": [self._began_ns, self._heard_ns, self._told_ns, self._judged_ns],
            "points": [self._points, self._judged_points],
        }
        return {
            "shadow": json.dumps(known).encode(),
            "index": self._index.sids.copy(),
            **{_PANEL + name: value for name, value in self._panel.snapshot().items()},
            **{_GROUPS + name: value for name, value in self._correlate.snapshot().items()},
        }

    def seed(self, states: Mapping[str, State]) -> None:
        """Begin with what the live detector has learnt; a state of another layout leaves it empty."""
        learnt = states.get(Panel.name)
        if learnt is None:
            return
        most = self._limits.most_series
        try:
            self._panel.restore(_first(learnt, most) if len(learnt["sids"]) > most else learnt)
            self._index = RowIndex(np.array(learnt["sids"], np.int64))
        except (Corrupt, KeyError, ValueError):
            self._begin()

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave, unless it is another version's. Raises `Corrupt`."""
        try:
            known = json.loads(bytes(state["shadow"]))
            if (known["detector"], known.get("run", self.run)) != (self.detector, self.run):
                return
            day, made = int(known["day"]), int(known["made"])
            times = [int(one) for one in known.get("times", [0, 0, 0, 0])]
            points = [int(one) for one in known.get("points", [0, 0])]
            index = RowIndex(np.array(state["index"], np.int64))
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"state of the shadow does not fit this version: {error!r}; replay the journal") from error
        self._panel.restore(_below(state, _PANEL))
        self._correlate.restore(_below(state, _GROUPS))
        self._index, self._day, self._made = index, day, made
        self._began_ns, self._heard_ns, self._told_ns, self._judged_ns = times
        self._points, self._judged_points = points

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`. What it has grouped stays in the first partition; elsewhere it groups its own."""
        self._panel.keep(mine)
        self._index = RowIndex(self._index.sids[mine.sids(self._index.sids)])
        if not mine.first:
            self._begin_time()  # what it began with a copy of is told by the one that it is split from
            self._correlate = Correlate(self._settings)
            self._correlate.process(self._edges)


def _first(state: State, most: int) -> State:
    """A panel's state cut to the series that it met first."""
    known, silences = (json.loads(bytes(state[name])) for name in ("panel", "absence"))
    known["told"] = [one for one in known["told"] if one[0] < most]
    known["lasting"] = [one for one in known["lasting"] if one["row"] < most]
    known["unheard"] = [one for one in known["unheard"] if one[0] < most]
    silences["open"] = [one for one in silences["open"] if one["row"] < most]
    cut = {name: np.asarray(state[name])[:most] for name in _ROWS}
    return {**state, **cut, "panel": json.dumps(known).encode(), "absence": json.dumps(silences).encode()}


def _below(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
