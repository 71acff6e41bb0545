"""The narrow end of every receiver: decoded items are screened, made durable and counted, in this order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pyarrow as pa

from twofold.aiops.ingest.clean.lines import LineCleaner
from twofold.aiops.ingest.clean.series import SeriesCleaner
from twofold.aiops.ingest.clean.skew import Clocks, newest_of
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts, Item, Outcome
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.exemplars import Exemplars
from twofold.aiops.ingest.frames import Origin, batch_frames, event_frames, exemplar_frames, sample_frames, tick_frames
from twofold.aiops.ingest.rows import CARDINALITY, Rows
from twofold.aiops.ingest.series import SeriesIndex
from twofold.aiops.ingest.status import reason_of
from twofold.errors import TwofoldError
from twofold.flow.homes import Homes
from twofold.records.event import Event
from twofold.records.frame import Frame, FrameKind, Lane
from twofold.records.time import SECOND_NS
from twofold.store.catalog import Catalog
from twofold.store.journal import Journal

WATCHED: Final = frozenset({FrameKind.LOGS, FrameKind.SPANS})

log = logging.getLogger(__name__)


class Intake:
    """Writes decoded items to the journal. Blocking; callable from many threads.

    Args:
        clock_ns: The wall clock; receivers are the only ones who read it.
    """

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        counts: Counts,
        config: IngestConfig,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.index = SeriesIndex(catalog, SeriesCleaner(config.clean), counts.crowded)
        self.naming = Naming(catalog)
        self.counts = counts
        self.clock_ns = clock_ns
        self._journal = journal
        self._future_s = config.future_s
        self._past_s = config.clean.past_s
        self._clocks = Clocks(config.clean.skew, counts.clock)
        self._lines = LineCleaner(config.clean, counts.scrubbed)
        self._partitions = len(journal.partitions())
        self._homes = Homes(catalog, self._partitions)
        self._live: set[str] = set()

    def origin(self, tenant: str, lane: Lane) -> Origin:
        """Tenant and lane with the present time."""
        return Origin(tenant=tenant, lane=lane, time_ns=self.clock_ns())

    def latest_ns(self, origin: Origin) -> int:
        """Times after this lie too far in the future."""
        return origin.time_ns + int(self._future_s * SECOND_NS)

    def oldest_ns(self, origin: Origin) -> int:
        """Samples before this lie too far in the past; 0 where any age is taken."""
        return origin.time_ns - int(self._past_s * SECOND_NS) if origin.lane is Lane.LIVE else 0

    def samples(self, rows: Rows, origin: Origin, exemplars: Exemplars | None = None) -> Outcome:
        """Screen and store samples, with the definitions of series that the journal does not hold yet.

        Exemplars go into the journal with them, and are counted for themselves.

        Raises:
            Transient: Nothing of the call was stored; it is counted as rejected.
            TooLarge: The same, as it is too large for the journal.
        """
        past_s = self._past_s if origin.lane is Lane.LIVE else 0.0
        kept, outcome = rows.screen(origin.time_ns, self._future_s, past_s, self.index.drops)
        kept.value = self.index.converted(kept.sid, kept.value, origin.tenant)
        if outcome.rejected.keys() & CARDINALITY:
            outcome.notes = self.index.notes(origin.tenant)
        definitions = self.index.pending(rows.sid, origin.tenant)  # also of samples that are dropped: else they pend on
        frames = sample_frames(kept, definitions, origin, self._homes)
        if exemplars is not None:
            frames += exemplar_frames(exemplars.finish(), origin)
        self._append(frames, outcome, origin, also=exemplars.outcome if exemplars is not None else None)
        self.index.written(definitions, origin.tenant)
        if origin.lane is Lane.LIVE and kept.points:
            newest = int(kept.time_ns.argmax())
            self._watch({self.index.entity(int(kept.sid[newest]), origin.tenant): int(kept.time_ns[newest])}, origin)
        return outcome

    def batch(
        self, kind: FrameKind, batch: pa.RecordBatch, outcome: Outcome, origin: Origin, *, again: bool = False
    ) -> Outcome:
        """Clean and store lines, spans or predictions. Raises `Transient` as `samples` does.

        With `again` the caller keeps the batch and comes again with it, so a failure is not counted.
        """
        batch, outcome = self._lines.clean(kind, batch, outcome)
        self._append(batch_frames(kind, batch, origin, self._partitions), outcome, origin, again=again)
        if origin.lane is Lane.LIVE and kind in WATCHED and batch.num_rows:
            self._watch(newest_of(kind, batch), origin)
        return outcome

    def events(self, events: Sequence[Event], outcome: Outcome, origin: Origin) -> Outcome:
        """Store events, each id once. Raises `Transient` as `samples` does."""
        unique = {event.id: event for event in events}
        outcome.stored = outcome.rows = len(unique)
        outcome.duplicate = len(events) - len(unique)
        self._append(event_frames(unique.values(), origin, self._partitions), outcome, origin)
        return outcome

    def tick(self) -> None:
        """A clock frame for every tenant that sent live telemetry since start."""
        for tenant in sorted(self._live):
            self._journal.append(tick_frames(self.origin(tenant, Lane.LIVE), self._partitions))

    def _watch(self, newest: Mapping[str, int], origin: Origin) -> None:
        """Note how far the newest events lie from now; a clock that turns out wrong is an event."""
        for entity, time_ns in newest.items():
            event = self._clocks.note(origin.tenant, entity, time_ns, origin.time_ns)
            if event is not None:
                log.warning("%s", event.title)
                try:
                    self.events([event], event_outcome(1), origin)
                except TwofoldError as error:  # what was sent is stored; that its clock is wrong stands in the metrics
                    log.warning("the event is lost: %s", error)

    def _append(
        self,
        frames: Sequence[Frame],
        outcome: Outcome,
        origin: Origin,
        *,
        again: bool = False,
        also: Outcome | None = None,
    ) -> None:
        outcomes = [outcome] if also is None else [outcome, also]
        if frames:
            try:
                self._journal.append(frames)
            except TwofoldError as error:
                for each in () if again else outcomes:
                    self.counts.add(each.fail(reason_of(error)))
                raise
            if origin.lane is Lane.LIVE:
                self._live.add(origin.tenant)
        for each in outcomes:
            self.counts.add(each)


def event_outcome(received: int) -> Outcome:
    """The outcome of a request with this many events, before any is judged."""
    return Outcome(Item.EVENTS, received)
