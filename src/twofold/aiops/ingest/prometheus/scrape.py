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
from twofold.aiops.ingest.prometheus.remote_write import MILLISECOND_NS, NAME, RemoteWrite, exemplars_of, rows_of
from twofold.aiops.ingest.rows import STALE
from twofold.errors import TwofoldError
from twofold.flow.outgoing import Outgoing, OutgoingConfig, origin
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.frame import Lane

# What Prometheus 3 asks for, less its protobuf format.
ACCEPT: Final = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
MAX_SCRAPE_BYTES: Final = 32 << 20
_Key = tuple[str | tuple[str, str], ...]

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
        self._last: dict[tuple[str, str], dict[_Key, exposition.Sample]] = {}
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
        """Scrape once and store what came, with what is known of the scrape; returns 200, or 502 when it was down.

        As Prometheus does, every scrape writes `up`, `scrape_duration_seconds`, `scrape_samples_scraped` and
        `scrape_series_added`; and series that the scrape before had and this one lacks are marked as ended, all of
        them when the target is down. Samples with a time of their own are not marked.

        Raises:
            Transient: The samples could not be stored.
        """
        now_ns = self._now_ns()
        started = time.perf_counter()
        found = exposition.Exposition()
        up = 1.0
        try:
            body, media = client.get(target.url, headers_of(target))
            found = exposition.parse(body, media)
        except TwofoldError as error:
            log.info("scrape of %s failed: %s", target.url, error)
            up = 0.0
        seconds = time.perf_counter() - started
        series: dict[_Key, exposition.Sample] = {
            (sample.name, *sorted(sample.labels.items())): sample for sample in found.samples
        }
        before = self._last.get((target.job, target.url), {})
        own = {
            "up": up,
            "scrape_duration_seconds": seconds,
            "scrape_samples_scraped": float(len(found.samples)),
            "scrape_series_added": float(len(series.keys() - before.keys())),
        }
        found.samples += [
            exposition.Sample(before[key].name, before[key].labels, STALE, None)
            for key in before.keys() - series.keys()
            if before[key].time_ns is None
        ]
        found.samples += [exposition.Sample(name, {}, value, None) for name, value in own.items()]
        request = write_request(found, target, now_ns)
        where = self._intake.origin(DEFAULT_TENANT, Lane.LIVE)
        exemplars = exemplars_of(request, where.tenant, self._intake.latest_ns(where))
        self._intake.samples(rows_of(request, self._intake.index, found.types, where.tenant), where, exemplars)
        self._last[target.job, target.url] = series  # once stored, so no end is forgotten
        if self._capture is not None:
            self._capture.record(RemoteWrite.path, RemoteWrite.media[0], request.SerializeToString(), now_ns)
        return 200 if up else 502


def headers_of(target: ScrapeTarget) -> dict[str, str]:
    """What a scrape sends along: the formats it reads, and how long it waits."""
    known = {"accept": ACCEPT, "user-agent": "twofold", "x-prometheus-scrape-timeout-seconds": f"{target.timeout_s:g}"}
    return known | dict(target.headers)


def write_request(found: exposition.Exposition, target: ScrapeTarget, now_ns: int) -> Any:
    """A scrape as the remote-write request that Prometheus would send: target labels win, own ones get `exported_`."""
    request = WriteRequest()
    for name, type_name in found.types.items():
        number = TYPES.index(type_name) if type_name in TYPES else 0
        request.metadata.add(metric_family_name=name, type=number)
    fixed = {"job": target.job, "instance": target.instance, **target.labels}
    for sample in found.samples:
        if target.honor_labels:
            labels = fixed | dict(sample.labels)
        else:
            labels = {f"exported_{key}" if key in fixed else key: value for key, value in sample.labels.items()} | fixed
        series = request.timeseries.add()
        for key, value in sorted((labels | {NAME: sample.name}).items()):
            series.labels.add(name=key, value=value)
        time_ns = now_ns if sample.time_ns is None else sample.time_ns
        series.samples.add(value=sample.value, timestamp=time_ns // MILLISECOND_NS)
        if (pointed := sample.exemplar) is not None:
            at_ns = now_ns if pointed.time_ns is None else pointed.time_ns
            exemplar = series.exemplars.add(value=pointed.value, timestamp=at_ns // MILLISECOND_NS)
            for key, value in pointed.labels.items():
                exemplar.labels.add(name=key, value=value)
    return request
