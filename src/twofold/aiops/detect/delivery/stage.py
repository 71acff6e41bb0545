"""CI and CD are telemetry: what pipelines and deployments say becomes series, which the panel judges like any other.

Stands beside the stages that derive series from spans and logs, before the panel. It takes the events of every
receiver (GitHub, GitLab, Argo CD, CDEvents, `/v1/changes`), so that the figures mean the same wherever they come from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

import numpy as np

from twofold.aiops.detect.delivery.book import Book, Point
from twofold.aiops.detect.delivery.reading import Run, commit_of, deploy_of, place_of, run_of
from twofold.errors import Corrupt, DecodeError, TooLarge
from twofold.flow.stage import State
from twofold.records.codec import from_json, to_json
from twofold.records.columns import DerivedSamples, samples_batch
from twofold.records.entity import DEFAULT_TENANT, Entity, EntityKind
from twofold.records.event import Event, EventKind
from twofold.records.frame import Lane
from twofold.records.series import Origin, Series, SeriesKind
from twofold.records.time import SECOND_NS, to_datetime, to_ns
from twofold.store.catalog import Catalog

GRID_NS: Final = 5 * SECOND_NS
_SEEN: Final = 5000
_CRITICAL: Final = frozenset({"critical", "error", "page"})
Sample = tuple[int, int, float]


class Delivery:
    """Makes series of pipelines and of deployments.

    | series | of | value |
    |---|---|---|
    | `ci.pipeline.duration`, `ci.pipeline.queued` | `job:<repository>/<pipeline>` | seconds of a run, one point a run |
    | `ci.pipeline.failed_ratio` | the same | of the last 20 runs; cancelled ones do not count |
    | `deploy.lead_time` | the service | seconds from the commit to the end of its deployment |
    | `deploy.frequency` | the service | successful deployments a day, over the last week |
    | `deploy.change_failure_ratio` | the service | of the last 20 deployments: failed, rolled back, or hurt |
    | `deploy.recovery_time` | the service | seconds from a failed deployment to the next that works |

    A deployment hurts when within an hour a critical alert from outside falls on what was deployed.

    Suits teams of any size: a point a run, so a busy repository has a rhythm within a day. A pipeline that runs once
    a week says nothing for months.

    Args:
        catalog: Gives out sids.
        lane: Lane of the derived samples.

    Attributes:
        refused: Series that the catalog did not take.
    """

    name: ClassVar[str] = "delivery"
    accepts: ClassVar[tuple[type, ...]] = (Event,)

    def __init__(self, catalog: Catalog, *, tenant: str = DEFAULT_TENANT, lane: Lane = Lane.LIVE) -> None:
        self._catalog, self._tenant, self._lane = catalog, tenant, lane
        self._book = Book()
        self._waiting: list[Event] = []
        self._seen: dict[str, None] = {}
        self._told_ns = 0
        self._sids: dict[tuple[str, str, str], int] = {}
        self.refused = 0

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Keep what tells of delivery until event time has passed it; makes nothing."""
        for item in items:
            if isinstance(item, Event) and item.id not in self._seen and _tells(item):
                self._seen[item.id] = None
                self._waiting.append(item)
        while len(self._seen) > _SEEN:
            del self._seen[next(iter(self._seen))]
        return ()

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Work off what lies before the watermark, in event time; figures come out every five seconds at most."""
        end_ns = watermark_ns // GRID_NS * GRID_NS
        if end_ns <= self._told_ns:
            return ()
        self._told_ns = end_ns
        ready = sorted((one for one in self._waiting if to_ns(one.time) <= end_ns), key=lambda one: (one.time, one.id))
        if not ready:
            return ()
        self._waiting = [one for one in self._waiting if to_ns(one.time) > end_ns]
        made: list[object] = []
        samples: list[Sample] = []
        for event in ready:
            for item in self._take(event):
                (samples if isinstance(item, tuple) else made).append(item)  # type: ignore[arg-type]  # by its kind
        if samples:
            sid, time_ns, value = zip(*samples, strict=True)
            data = samples_batch(np.array(sid, np.int64), np.array(time_ns, np.int64), np.array(value, np.float64))
            made.append(DerivedSamples(data=data, tenant=self._tenant, lane=self._lane, window_ns=end_ns))
        return made

    def _take(self, event: Event) -> Iterator[object]:
        """Definitions of new series and entities, and samples."""
        at_ns = to_ns(event.time)
        if (commit := commit_of(event)) is not None:
            self._book.committed(*commit)
        if (run := run_of(event)) is not None:
            yield from self._ran(run, event, at_ns)
        elif (deploy := deploy_of(event)) is not None:
            labels = {"entity": deploy.entity, "environment": deploy.environment}
            for point in self._book.deployed(deploy, at_ns):
                yield from self._point(deploy.entity, labels, point, at_ns)
        elif event.kind is EventKind.EXTERNAL_ALERT:
            yield from self._troubled(event, at_ns)

    def _ran(self, run: Run, event: Event, at_ns: int) -> Iterator[object]:
        if not run.ended:
            self._book.begun(run, at_ns)
            return
        labels = {"repository": run.repository, "pipeline": run.pipeline}
        yield Entity(
            id=run.entity,
            kind=EntityKind.JOB,
            name=run.entity.partition(":")[2],
            tenant=self._tenant,
            attributes={**labels, "of": event.entity},
            last_seen=to_datetime(at_ns),
        )
        for point in self._book.ran(run, at_ns):
            yield from self._point(run.entity, labels, point, at_ns)

    def _troubled(self, event: Event, at_ns: int) -> Iterator[object]:
        for place in [key for key in self._book.deploys if key.startswith(place_of(event.entity, ""))]:
            labels = {"entity": event.entity, "environment": place.partition("\x1f")[2]}
            for point in self._book.troubled(place, at_ns):
                yield from self._point(event.entity, labels, point, at_ns)

    def _point(self, entity: str, labels: Mapping[str, str], point: Point, at_ns: int) -> Iterator[object]:
        key = (entity, point.metric, labels.get("environment", ""))
        sid = self._sids.get(key)
        if sid is None:
            try:
                sid, _ = self._catalog.register(
                    point.metric, labels, entity=entity, tenant=self._tenant, unit=point.unit, origin=Origin.EVENT
                )
            except TooLarge:
                self.refused += 1
                return
            self._sids[key] = sid
            yield Series(
                sid=sid,
                metric=point.metric,
                labels=labels,
                entity=entity,
                unit=point.unit,
                kind=SeriesKind.GAUGE,
                origin=Origin.EVENT,
                tenant=self._tenant,
            )
        yield sid, at_ns, point.value

    def snapshot(self) -> State:
        """The book, what waits, what was seen, and sids."""
        known = {
            "book": self._book.to_json(),
            "waiting": to_json(self._waiting),
            "seen": list(self._seen),
            "told_ns": self._told_ns,
            "sids": [[*key, sid] for key, sid in self._sids.items()],
        }
        return {"delivery": json.dumps(known).encode()}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            known = json.loads(bytes(state["delivery"]))
            book = Book.from_json(known["book"])
            waiting = [from_json(Event, one) for one in known["waiting"]]
            seen = dict.fromkeys(map(str, known["seen"]))
            told_ns = int(known["told_ns"])
            sids = {(str(one[0]), str(one[1]), str(one[2])): int(one[3]) for one in known["sids"]}
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, DecodeError) as error:
            raise Corrupt(f"state of delivery does not fit this version: {error!r}; replay the journal") from error
        self._book, self._waiting, self._seen = book, waiting, seen
        self._told_ns, self._sids = told_ns, sids


def _tells(event: Event) -> bool:
    """Whether an event says anything of delivery."""
    if event.kind is EventKind.EXTERNAL_ALERT:
        return event.state == "firing" and event.attributes.get("severity", "critical").lower() in _CRITICAL
    return run_of(event) is not None or deploy_of(event) is not None or commit_of(event) is not None
