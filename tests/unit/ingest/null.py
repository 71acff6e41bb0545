"""Stores that keep everything in memory, and a running set of receivers over them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pyarrow as pa
from starlette.applications import Starlette

from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.ingest import Ingest
from twofold.errors import NotFound, TooLarge
from twofold.records.frame import Frame, FrameKind, Position
from twofold.records.series import Origin, Series, SeriesKind

NOW_NS = 1_790_000_000_000_000_000


class NullJournal:
    """Keeps frames; `error` is raised instead while it is set."""

    def __init__(self, partitions: int = 1) -> None:
        self.frames: list[Frame] = []
        self.calls: list[list[FrameKind]] = []
        self.error: Exception | None = None
        self._partitions = partitions

    def append(self, frames: Sequence[Frame]) -> Sequence[Position]:
        if self.error is not None:
            raise self.error
        self.calls.append([frame.kind for frame in frames])
        self.frames += frames
        return [Position(0, number) for number in range(len(frames))]

    def partitions(self) -> range:
        return range(self._partitions)

    def read(self, partition: int, start: Position, limit: int = 256) -> Sequence[tuple[Position, Frame]]:
        found = [(Position(0, number + 1), frame) for number, frame in enumerate(self.frames)]
        return [each for each in found if each[1].partition == partition and each[0] > start][:limit]

    def wait(self, partition: int, start: Position, timeout_s: float) -> bool:  # noqa: ARG002 - the port's signature
        return bool(self.read(partition, start))

    def commit(self, consumer: str, partition: int, position: Position) -> None:
        """Nothing is ever deleted."""

    def committed(self, consumer: str, partition: int) -> Position:  # noqa: ARG002 - the port's signature
        return Position(0, 0)

    def close(self) -> None:
        """Nothing to release."""


class NullCatalog:
    """Sids by counting, with a limit."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self.series: dict[tuple[str, str, tuple[tuple[str, str], ...]], Series] = {}
        self._next = itertools.count(1)

    def register(
        self,
        metric: str,
        labels: Mapping[str, str],
        *,
        entity: str,
        tenant: str,
        unit: str = "",
        kind: SeriesKind = SeriesKind.GAUGE,
        origin: Origin = Origin.METRIC,
    ) -> tuple[int, bool]:
        key = (tenant, metric, tuple(sorted(labels.items())))
        if key in self.series:
            return self.series[key].sid, False
        if len(self.series) >= self.limit:
            raise TooLarge("too many series", reason="cardinality")
        series = Series(
            sid=next(self._next),
            metric=metric,
            labels=dict(labels),
            entity=entity,
            unit=unit,
            kind=kind,
            origin=origin,
            tenant=tenant,
        )
        self.series[key] = series
        return series.sid, True

    def restore(self, series: Sequence[Series]) -> None:
        for each in series:
            self.series[each.tenant, each.metric, tuple(sorted(each.labels.items()))] = each

    def get(self, sid: int, *, tenant: str) -> Series:
        for each in self.series.values():
            if each.sid == sid and each.tenant == tenant:
                return each
        raise NotFound(f"no series {sid}")

    def find(
        self,
        *,
        tenant: str,
        entity: str = "",
        metric: str = "",
        labels: Mapping[str, str] | None = None,
        limit: int = 1000,
    ) -> Sequence[Series]:
        wanted = (labels or {}).items()
        return [
            each
            for each in self.series.values()
            if each.tenant == tenant
            and entity in {"", each.entity}
            and metric in {"", each.metric}
            and wanted <= each.labels.items()
        ][:limit]

    def labels(self, metric: str, *, tenant: str, after: int = 0) -> Sequence[tuple[int, Mapping[str, str]]]:
        found = self.find(tenant=tenant, metric=metric, limit=self.limit)
        return [(each.sid, each.labels) for each in found[after:]]

    def metrics(self, *, tenant: str) -> Sequence[str]:
        return list(dict.fromkeys(each.metric for each in self.series.values() if each.tenant == tenant))

    def count(self, *, tenant: str) -> int:
        return sum(each.tenant == tenant for each in self.series.values())

    def save(self) -> None:
        """Nothing on disk."""


class Client:
    """Calls an ASGI application; each call on an event loop of its own, from any thread."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def post(self, path: str, method: str = "POST", **request: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **request)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, call()).result()


@dataclass(slots=True)
class Bench:
    """Receivers over stores in memory, behind a client."""

    config: IngestConfig = field(default_factory=lambda: IngestConfig(walker=False))
    journal: NullJournal = field(default_factory=NullJournal)
    catalog: NullCatalog = field(default_factory=NullCatalog)
    counts: Counts = field(default_factory=Counts)
    now_ns: int = NOW_NS
    capture: Any = None
    ingest: Ingest = field(init=False)
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.ingest = Ingest(
            self.journal, self.catalog, self.counts, self.config, self.capture, now_ns=lambda: self.now_ns
        )
        self.client = Client(Starlette(routes=self.ingest.routes()))

    def frames(self, kind: FrameKind) -> list[Frame]:
        return [frame for frame in self.journal.frames if frame.kind is kind]

    def rows(self, kind: FrameKind) -> list[dict[str, Any]]:
        """Rows of all frames of a kind."""
        found: list[dict[str, Any]] = []
        for frame in self.frames(kind):
            if kind in {FrameKind.EVENTS, FrameKind.SERIES, FrameKind.EXEMPLARS}:
                found += orjson.loads(frame.payload)
            else:
                with pa.ipc.open_stream(frame.payload) as stream:
                    found += stream.read_all().to_pylist()
        return found

    def samples(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[int, float]]]:
        """(time, value) of every stored sample by metric and labels, through the SERIES frames alone."""
        series = {each["sid"]: each for each in self.rows(FrameKind.SERIES)}
        found: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[int, float]]] = {}
        for row in self.rows(FrameKind.SAMPLES):
            of = series[row["sid"]]
            key = (of["metric"], tuple(sorted(of["labels"].items())))
            found.setdefault(key, []).append((row["time_ns"], row["value"]))
        return found
