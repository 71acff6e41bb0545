"""From a listener's messages to the journal: what syslog and StatsD make of them, with every message counted."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa

from twofold.aiops.ingest.capture import Capture
from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.entities import labels_entity
from twofold.aiops.ingest.events.notices import event_id
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.intake import Intake, event_outcome
from twofold.aiops.ingest.logs.lines import Lines
from twofold.aiops.ingest.logs.loki import Loki, push_of
from twofold.aiops.ingest.otlp.message import JSON
from twofold.aiops.ingest.rows import Rows
from twofold.aiops.ingest.sockets.aggregate import Aggregates, Point
from twofold.aiops.ingest.sockets.batches import Arrived, Batcher
from twofold.aiops.ingest.sockets.config import StatsdListener, SyslogListener, Transport
from twofold.aiops.ingest.sockets.statsd import Metric, Note, parse
from twofold.aiops.ingest.sockets.syslog import SyslogParser
from twofold.errors import InputError, Transient, TwofoldError
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.frame import FrameKind, Lane
from twofold.records.time import to_datetime

AGAIN_S: Final = 0.2  # between two tries of what a stream holds back

log = logging.getLogger(__name__)


class SyslogInlet:
    """Stores what a syslog listener hears.

    When the journal takes nothing, messages of streams wait and their senders with them; datagrams are rejected
    and counted, for nobody would send them again.
    """

    def __init__(self, config: SyslogListener, intake: Intake, capture: Capture | None) -> None:
        self._config = config
        self._intake = intake
        self._capture = capture
        self._parser = SyslogParser(config.zone)
        self._patient = config.transport is not Transport.UDP
        self._batcher = Batcher(self._store, self.lost, config.queue_messages, f"syslog-{config.port}")
        self.offer = self._batcher.offer

    def start(self) -> None:
        """Begin to store."""
        self._batcher.start()

    def stop(self) -> None:
        """Store what waits. Blocking."""
        self._batcher.stop()

    def lost(self, count: int, reason: str) -> None:
        """Count messages that nobody could keep."""
        self._intake.counts.add(Outcome(Item.LOGS, received=count, dropped=Counter({reason: count})))

    def malformed(self, count: int) -> None:
        """Count messages that were not of the form and kept all the same."""
        self._intake.counts.malformed("syslog", count)

    def _store(self, batch: list[Arrived]) -> None:
        intake = self._intake
        origin = intake.origin(self._config.tenant, Lane.LIVE)
        latest_ns = intake.latest_ns(origin)
        lines = Lines()
        before = self._parser.malformed
        for arrived in batch:
            self._parser.parse(arrived.messages, lines, peer=arrived.peer, now_ns=arrived.time_ns, latest_ns=latest_ns)
        if self._parser.malformed > before:
            self.malformed(self._parser.malformed - before)
        found, outcome = lines.batch(origin.time_ns, latest_ns)
        self._append(found, outcome, origin)

    def _append(self, found: pa.RecordBatch, outcome: Outcome, origin: Origin) -> None:
        """Append until it is done; once only for datagrams, and when the listener stops."""
        while self._patient and not self._batcher.stopping:
            try:
                self._intake.batch(FrameKind.LOGS, found, outcome, origin, again=True)
            except Transient as error:
                log.warning("syslog waits for the journal: %s", error)
                time.sleep(AGAIN_S)
            else:
                break
        else:
            try:
                self._intake.batch(FrameKind.LOGS, found, outcome, origin)
            except TwofoldError as error:
                log.warning("%d syslog messages lost: %s", found.num_rows, error)
                return
        if self._capture is not None:
            self._capture.record(Loki.path, JSON, push_of(found), origin.time_ns)


class StatsdInlet:
    """Adds up what a StatsD listener hears, and stores it at the end of every interval.

    A line counts as a point: received when its interval ends, stored with the samples that it went into.
    """

    def __init__(self, config: StatsdListener, intake: Intake) -> None:
        self._config = config
        self._intake = intake
        self._aggregates = Aggregates(config.max_series, max(1, round(config.forget_s / config.flush_s)))
        self._lock = threading.Lock()
        self._batcher = Batcher(self._store, self.lost, config.queue_messages, f"statsd-{config.port}")
        self.offer = self._batcher.offer

    def start(self) -> None:
        """Begin to add up."""
        self._batcher.start()

    def stop(self) -> None:
        """Add up what waits and end the interval. Blocking."""
        self._batcher.stop()
        self.flush()

    def lost(self, count: int, reason: str) -> None:
        """Count messages that nobody could keep."""
        self._intake.counts.add(Outcome(Item.POINTS, received=count, dropped=Counter({reason: count})))

    def malformed(self, count: int) -> None:
        """Count messages that were cut."""
        self._intake.counts.malformed("statsd", count)

    def flush(self) -> None:
        """End the interval and store its samples. Blocking."""
        origin = self._intake.origin(self._config.tenant, Lane.LIVE)
        with self._lock:
            found = self._aggregates.flush(self._resolve, self._intake.index.drops)
        if not found.sid and not found.rejected and not found.dropped:
            return
        rows = Rows(
            np.array(found.sid, np.int64),
            np.full(len(found.sid), origin.time_ns, np.int64),
            np.array(found.value, np.float64),
            np.array(found.line, np.int32),
            found.lines,
            +found.rejected,
            +found.dropped,
        )
        try:
            self._intake.samples(rows, origin)
        except TwofoldError as error:
            log.warning("%d StatsD lines lost: %s", found.lines, error)

    def _resolve(self, name: str, labels: tuple[tuple[str, str], ...], point: Point) -> int:
        tags = dict(labels)
        return self._intake.index.resolve(
            name + point.suffix,
            tags,
            entity=self._entity(tags),
            tenant=self._config.tenant,
            unit=point.unit,
            kind=point.kind,
        )

    def _entity(self, tags: dict[str, str]) -> str:
        """The tag `service`, `app` or `job`, else `host`, else the service that the listener is set to."""
        if name := tags.get("service") or tags.get("app") or tags.get("job"):
            return entity_id(EntityKind.SERVICE, name)
        if host := tags.get("host"):
            return labels_entity({"instance": host})
        return entity_id(EntityKind.SERVICE, self._config.service)

    def _store(self, batch: list[Arrived]) -> None:
        rejected: Counter[str] = Counter()
        notes: list[Note] = []
        with self._lock:
            for arrived in batch:
                for message in arrived.messages:
                    self._take(message, rejected, notes)
        if rejected:
            self._intake.counts.add(Outcome(Item.POINTS, received=rejected.total(), rejected=rejected))
        if notes:
            self._store_events(notes)

    def _take(self, message: bytes, rejected: Counter[str], notes: list[Note]) -> None:
        for line in message.split(b"\n"):
            if not line or line == b"\r":
                continue
            try:
                found = parse(line.rstrip(b"\r\x00"))
                if isinstance(found, Metric):
                    self._aggregates.take(found)
                else:
                    notes.append(found)
            except InputError as error:
                rejected[error.reason] += 1

    def _store_events(self, notes: Sequence[Note]) -> None:
        origin = self._intake.origin(self._config.tenant, Lane.LIVE)
        latest = to_datetime(self._intake.latest_ns(origin))
        events = [self._event(note, origin, latest) for note in notes]
        try:
            self._intake.events(events, event_outcome(len(events)), origin)
        except TwofoldError as error:
            log.warning("%d StatsD events lost: %s", len(events), error)

    def _event(self, note: Note, origin: Origin, latest: datetime) -> Event:
        """An error or a warning is an alert, anything else a change; a time in the future is its arrival."""
        now = to_datetime(origin.time_ns)
        time = datetime.fromtimestamp(note.time_s, UTC) if note.time_s else now
        alert = note.kind in {"error", "warning"}
        entity = self._entity(note.tags)
        change = note.tags.get("change", "")
        return Event(
            id=event_id(
                origin.tenant, "statsd", entity, note.title, note.text, (time if note.time_s else now).isoformat()
            ),
            kind=EventKind.EXTERNAL_ALERT if alert else EventKind.CHANGE,
            time=time if time <= latest else now,
            entity=entity,
            title=note.title or "event",
            tenant=origin.tenant,
            change=None if alert else ChangeKind(change) if change in set(ChangeKind) else ChangeKind.OTHER,
            version=note.tags.get("version", ""),
            state="firing" if alert else "",
            source="statsd",
            attributes=note.tags | {"text": note.text, "alert_type": note.kind},
        )
