"""A real server with the receivers over a real journal and catalog, on a free port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from twofold.aiops.ingest.capture import Capture
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.ingest import Ingest, create_ingest
from twofold.aiops.ingest.otlp.grpc import Admit, GrpcEndpoint, GrpcListener
from twofold.records.event import Event
from twofold.records.frame import Frame, FrameKind
from twofold.records.series import Series
from twofold.store.catalog.files import FileCatalog
from twofold.store.journal import batches
from twofold.store.journal.codec import decode_events, decode_payload, decode_series
from twofold.store.journal.segments import SegmentJournal

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class Receiving:
    """What a test sees of a running server: its address and what its journal holds."""

    url: str
    journal: SegmentJournal
    counts: Counts
    grpc: GrpcListener
    ingest: Ingest

    def frames(self) -> list[Frame]:
        return [frame for _, frame in batches(self.journal, 0, self.journal.committed("history", 0))]

    def series(self) -> dict[int, Series]:
        found = (decode_series(frame) for frame in self.frames() if frame.kind is FrameKind.SERIES)
        return {series.sid: series for each in found for series in each}

    def samples(self) -> dict[Key, list[tuple[int, float]]]:
        """Samples by metric and labels, as the journal alone tells them."""
        series = self.series()
        found: dict[Key, list[tuple[int, float]]] = {}
        for row in self.rows(FrameKind.SAMPLES):
            of = series[row["sid"]]
            key = (of.metric, tuple(sorted(of.labels.items())))
            found.setdefault(key, []).append((row["time_ns"], row["value"]))
        return found

    def rows(self, kind: FrameKind) -> list[dict[str, Any]]:
        return [row for frame in self.frames() if frame.kind is kind for row in decode_payload(frame).to_pylist()]

    def events(self) -> Sequence[Event]:
        return [event for frame in self.frames() if frame.kind is FrameKind.EVENTS for event in decode_events(frame)]

    def eventually(self, holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, "did not happen in time"
            time.sleep(0.1)


def free_socket() -> socket.socket:
    """A listening socket on a port that nobody else has."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


async def anybody(_path: str, _headers: Mapping[str, str], _address: str) -> str:
    """Every caller is of the tenant main."""
    return "main"


@contextmanager
def receiving(
    folder: Path,
    config: IngestConfig | None = None,
    *,
    admit: Admit = anybody,
    endpoint: GrpcEndpoint | None = None,
    capture: Capture | None = None,
) -> Iterator[Receiving]:
    """Run the receivers behind uvicorn and gRPC in a thread; conservation (P5) is checked at the end."""
    journal = SegmentJournal(folder / "journal")
    counts = Counts()
    ingest = create_ingest(journal, FileCatalog(folder / "catalog"), counts, config or IngestConfig(), capture)
    grpc = ingest.listen_grpc(endpoint or GrpcEndpoint(host="127.0.0.1", port=0), admit)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await ingest.start()
        yield
        await ingest.stop()

    app = Starlette(routes=ingest.routes(), lifespan=lifespan)
    listener = free_socket()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        yield Receiving(f"http://127.0.0.1:{listener.getsockname()[1]}", journal, counts, grpc, ingest)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        journal.close()
    assert not counts.imbalance()
