"""Pulls Prometheus endpoints: every target by its own clock, `up` and `scrape_duration_seconds` for each scrape."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from twofold.aiops.ingest.capture import Capture
from twofold.aiops.ingest.config import ScrapeTarget
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.prometheus import exposition
from twofold.aiops.ingest.prometheus.message import TYPES, WriteRequest
from twofold.aiops.ingest.prometheus.remote_write import MILLISECOND_NS, NAME, RemoteWrite, rows_of
from twofold.errors import TwofoldError
from twofold.flow.outgoing import Outgoing, OutgoingConfig, origin
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.frame import Lane

ACCEPT: Final = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
MAX_SCRAPE_BYTES: Final = 32 << 20

log = logging.getLogger(__name__)


class Scraper:
    """Scrapes all targets of the configuration into the live lane of the default tenant.

    A target that does not answer in time, or not in the format, gives `up` 0 and nothing else.
    The addresses come from the configuration, so they may be private.
    """

    def __init__(
        self,
        intake: Intake,
        counts: Counts,
        targets: Sequence[ScrapeTarget],
        capture: Capture | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._intake = intake
        self._counts = counts
        self._targets = targets
        self._capture = capture
        self._now_ns = now_ns
        self._tasks: list[asyncio.Task[None]] = []
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Begin to scrape; needs a running event loop."""
        if self._targets:
            self._pool = ThreadPoolExecutor(len(self._targets), thread_name_prefix="scrape")
            self._tasks = [asyncio.create_task(self._follow(target, self._pool)) for target in self._targets]

    async def stop(self) -> None:
        """End all scrapes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._pool is not None:
            self._pool.shutdown()
        self._tasks = []

    async def _follow(self, target: ScrapeTarget, pool: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        config = OutgoingConfig(timeout_s=target.timeout_s, response_bytes=MAX_SCRAPE_BYTES)
        client = Outgoing((origin(target.url),), config)
        due = loop.time()
        try:
            while True:
                await loop.run_in_executor(pool, self._guarded, target, client)
                due = max(due + target.interval_s, loop.time())
                await asyncio.sleep(due - loop.time())
        finally:
            client.close()

    def _guarded(self, target: ScrapeTarget, client: Outgoing) -> None:
        """One scrape whose samples may find no room: then they are counted as rejected and the next one goes on."""
        started = time.perf_counter()
        try:
            code = self.scrape(target, client)
        except TwofoldError as error:
            log.warning("scrape of %s lost: %s", target.url, error)
            code = 503
        self._counts.request("scrape", code, time.perf_counter() - started)

    def scrape(self, target: ScrapeTarget, client: Outgoing) -> int:
        """Scrape once and store what came, with `up` and the time it took; returns 200, or 502 when it was down.

        Raises:
            Transient: The samples could not be stored.
        """
        now_ns = self._now_ns()
        started = time.perf_counter()
        found = exposition.Exposition()
        up = 1.0
        try:
            _, body = client.request("GET", target.url, headers={"accept": ACCEPT})
            found = exposition.parse(body)
        except TwofoldError as error:
            log.info("scrape of %s failed: %s", target.url, error)
            up = 0.0
        seconds = time.perf_counter() - started
        found.samples += [
            exposition.Sample("up", {}, up, None),
            exposition.Sample("scrape_duration_seconds", {}, seconds, None),
        ]
        request = write_request(found, target, now_ns)
        where = self._intake.origin(DEFAULT_TENANT, Lane.LIVE)
        self._intake.samples(rows_of(request, self._intake.index, found.types, where.tenant), where)
        if self._capture is not None:
            self._capture.record(RemoteWrite.path, RemoteWrite.media[0], request.SerializeToString(), now_ns)
        return 200 if up else 502


def write_request(found: exposition.Exposition, target: ScrapeTarget, now_ns: int) -> Any:
    """A scrape as the remote-write request that Prometheus would send: target labels win, own ones get `exported_`."""
    request = WriteRequest()
    for name, type_name in found.types.items():
        number = TYPES.index(type_name) if type_name in TYPES else 0
        request.metadata.add(metric_family_name=name, type=number)
    fixed = {"job": target.job, "instance": target.instance, **target.labels}
    for sample in found.samples:
        own = {f"exported_{key}" if key in fixed else key: value for key, value in sample.labels.items()}
        series = request.timeseries.add()
        for key, value in sorted((own | fixed | {NAME: sample.name}).items()):
            series.labels.add(name=key, value=value)
        time_ns = now_ns if sample.time_ns is None else sample.time_ns
        series.samples.add(value=sample.value, timestamp=time_ns // MILLISECOND_NS)
    return request
