"""All receivers as one component: routes to mount, tasks to run, and the door for our own serving and joints."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa
from starlette.responses import Response
from starlette.routing import Route

from twofold.aiops.ingest.capture import Capture, Captured
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts, Item, Outcome
from twofold.aiops.ingest.events import cloudevents
from twofold.aiops.ingest.events.changes import Changes
from twofold.aiops.ingest.events.webhooks import WEBHOOKS
from twofold.aiops.ingest.files.tail import Tail
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.intake import Intake, event_outcome
from twofold.aiops.ingest.known import Compiles, compile_in_background
from twofold.aiops.ingest.logs import bulk
from twofold.aiops.ingest.logs.loki import Loki
from twofold.aiops.ingest.otlp.dialects import Logs, Metrics, Traces
from twofold.aiops.ingest.otlp.grpc import Admit, GrpcEndpoint, GrpcListener
from twofold.aiops.ingest.predictions import Predictions, json_of
from twofold.aiops.ingest.prometheus.remote_write import RemoteWrite
from twofold.aiops.ingest.prometheus.scrape import Scraper
from twofold.aiops.ingest.receiver import Dialect, Payload, Receiver, Signed
from twofold.aiops.ingest.sockets.sockets import Sockets
from twofold.errors import NotFound, TwofoldError
from twofold.records.access import Permission
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.event import Event, EventKind
from twofold.records.frame import FrameKind, Lane
from twofold.store.catalog import Catalog
from twofold.store.journal import Journal

DIALECTS: Final[tuple[type[Dialect], ...]] = (
    Metrics,
    Logs,
    Traces,
    RemoteWrite,
    Loki,
    bulk.Bulk,
    *WEBHOOKS,
    Changes,
    Predictions,
)
PERMISSIONS: Final = [
    *(("POST", dialect.path, Permission.SEND) for dialect in DIALECTS),
    *bulk.PERMISSIONS,
    *cloudevents.PERMISSIONS,
]

log = logging.getLogger(__name__)


class Ingest:
    """Everything that comes in, by one journal, one catalog and one set of counts.

    Args:
        folder: Where it keeps how far files were read; None forgets that at the end.
    """

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        counts: Counts,
        config: IngestConfig,
        capture: Capture | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        folder: Path | None = None,
    ) -> None:
        self._config = config
        self._capture = capture
        self._counts = counts
        self.grpc: GrpcListener | None = None
        self._intake = Intake(journal, catalog, counts, config, now_ns)
        self._receiver = Receiver(config, counts, capture, now_ns)
        self._scraper = Scraper(self._intake, counts, config.scrape, capture, now_ns)
        self._tail = Tail(self._intake, config.files, folder / "positions.json" if folder else None, capture)
        self.sockets = Sockets(self._intake, config.syslog, config.statsd, capture, now_ns)
        self._ticker: asyncio.Task[None] | None = None
        self._metrics, self._write = Metrics(self._intake), RemoteWrite(self._intake)
        self._logs, self._traces = Logs(self._intake), Traces(self._intake)
        self._otlp: list[Dialect] = [self._metrics, self._logs, self._traces]
        self._bulk = bulk.Bulk(self._intake)
        logs = (Loki(self._intake), self._bulk)
        webhooks = [kind(self._intake, config.webhooks) for kind in WEBHOOKS]
        others: tuple[Dialect, ...] = (*webhooks, Changes(self._intake), Predictions(self._intake))
        self.dialects: list[Dialect] = [*self._otlp, self._write, *logs, *others]

    def routes(self, *, otlp_only: bool = False) -> list[Route]:
        """A POST route for each receiver and what senders ask besides; `otlp_only` for OTLP's own port."""
        dialects = self._otlp if otlp_only else self.dialects
        found = [
            Route(dialect.path, self._receiver.endpoint(dialect), methods=["POST"], name=dialect.name)
            for dialect in dialects
        ]
        return (
            found if otlp_only else [*found, *bulk.routes(self._receiver.endpoint(self._bulk)), *cloudevents.routes()]
        )

    def listen_grpc(self, endpoint: GrpcEndpoint, admit: Admit) -> GrpcListener:
        """Take OTLP over gRPC too, from `start` to `stop`; `admit` gives the tenant of a caller."""
        dialects = {dialect.path: dialect for dialect in self._otlp}
        self.grpc = GrpcListener(endpoint, admit, self._receiver, dialects, self._config, self._counts)
        return self.grpc

    def permissions(self) -> dict[str, Permission]:
        """What each route asks for; a receiver whose senders sign asks for the signature alone."""
        signed = {each.path for each in self.dialects if isinstance(each, Signed) and each.secured}
        return {
            f"{method} {path}": Permission.PUBLIC if path in signed else permission
            for method, path, permission in PERMISSIONS
        }

    def ways(self) -> tuple[Compiles, ...]:
        """What has kernels to compile."""
        metrics = (self._metrics.known, self._write.known, self._write.version2.known)
        return (*metrics, self._logs.short, self._traces.short)

    async def start(self) -> None:
        """Begin to listen for gRPC, to scrape, to tick, and to compile the short way for known series."""
        if self._config.walker:
            compile_in_background(*self.ways(), note=self._counts.cold)
        if self.grpc is not None:
            await self.grpc.start()
        await self.sockets.start()
        self._tail.start()
        self._scraper.start()
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """End tasks and wait for requests in work. Closes the capture."""
        if self.grpc is not None:
            await self.grpc.stop()
        await self.sockets.stop()
        await asyncio.to_thread(self._tail.stop)
        await self._scraper.stop()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None
        await asyncio.to_thread(self._receiver.close)
        if self._capture is not None:
            self._capture.close()

    def replay(self, request: Captured) -> Response:
        """Take one captured request as if it came in at its own time. Blocking; the answer is the receiver's.

        Raises:
            NotFound: No receiver has its path.
            TwofoldError: As its receiver raises.
        """
        found = [dialect for dialect in self.dialects if dialect.path == request.path]
        if not found:
            raise NotFound(f"no receiver listens at {request.path}", path=request.path)
        origin = Origin(tenant=DEFAULT_TENANT, lane=request.lane, time_ns=request.time_ns)
        payload = Payload(body=request.body, media=request.media, origin=origin, headers=request.headers)
        return found[0].receive(payload)

    def tick(self) -> None:
        """Write clock frames now, for replays whose clock this process turns."""
        self._intake.tick()

    def accept_predictions(self, batch: pa.RecordBatch, tenant: str) -> Outcome:
        """Store predictions of our own serving (schema `PREDICTIONS`). Blocking.

        Raises:
            Transient: Nothing was stored.
        """
        origin = self._intake.origin(tenant, Lane.LIVE)
        rows = batch.num_rows
        outcome = Outcome(Item.PREDICTIONS, rows, rows, rows=rows)
        self._intake.batch(FrameKind.PREDICTIONS, batch, outcome, origin)
        if self._capture is not None:
            self._capture.record(Predictions.path, Predictions.media[0], json_of(batch), origin.time_ns)
        return outcome

    def accept_events(self, events: Sequence[Event], tenant: str, lane: Lane = Lane.LIVE) -> Outcome:
        """Store events of the joints (a promotion is a change). Blocking.

        Raises:
            Transient: Nothing was stored.
        """
        origin = self._intake.origin(tenant, lane)
        outcome = self._intake.events(events, event_outcome(len(events)), origin)
        changes = [_change_json(event) for event in events if event.kind is EventKind.CHANGE]
        if self._capture is not None and changes:
            self._capture.record(Changes.path, Changes.media[0], orjson.dumps(changes), origin.time_ns, lane)
        return outcome

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._config.tick_s)
            try:
                await self._receiver.run(self._intake.tick)
            except TwofoldError as error:
                log.warning("no clock frame in the journal: %s", error)


def _change_json(event: Event) -> dict[str, object]:
    """A change event as the body that `POST /v1/changes` takes."""
    return {
        "kind": event.change.value if event.change else "other",
        "entity": event.entity,
        "version": event.version,
        "title": event.title,
        "time": event.time.isoformat(),
        "source": event.source,
        "link": event.link,
        "id": event.id,
        "attributes": dict(event.attributes),
    }


def create_ingest(
    journal: Journal,
    catalog: Catalog,
    counts: Counts,
    config: IngestConfig,
    capture: Capture | None = None,
    folder: Path | None = None,
) -> Ingest:
    """The receivers over these stores."""
    return Ingest(journal, catalog, counts, config, capture, folder=folder)
