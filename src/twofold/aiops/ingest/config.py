"""Settings of the receivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from twofold.aiops.ingest.clean.config import CleanConfig
from twofold.aiops.ingest.events.config import WebhookConfig
from twofold.aiops.ingest.files.config import TailedFiles
from twofold.aiops.ingest.sockets.config import StatsdListener, SyslogListener
from twofold.errors import ConfigError

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeTarget:
    """One Prometheus endpoint to pull from.

    Attributes:
        job: Value of the `job` label, and so the name of the service.
        url: `http(s)://host:port/path` of the text endpoint.
        interval_s: Time between the starts of two scrapes.
        timeout_s: A scrape that takes longer counts as down.
        labels: More labels for every series of the target.
        headers: Sent along, such as `authorization`.
        honor_labels: Where a sample has a label that the target has too, the sample's own counts.

    Raises:
        ConfigError: The address is not http(s), or a time is not positive.
    """

    job: str
    url: str
    interval_s: float = 10.0
    timeout_s: float = 5.0
    labels: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    honor_labels: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"scrape target {self.job!r}: {self.url!r} is not an http(s) address", url=self.url)
        if self.interval_s <= 0 or self.timeout_s <= 0:
            raise ConfigError(f"scrape target {self.job!r}: interval_s and timeout_s must be above 0", job=self.job)

    @property
    def instance(self) -> str:
        """Value of the `instance` label: host and port."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestConfig:
    """Limits and clocks of the receivers.

    Attributes:
        max_body_bytes: Largest request body as sent; 20 MiB is what OTLP recommends.
        max_decoded_bytes: Largest body after decompression.
        max_ratio: Largest decompressed / compressed size, asked only of bodies past 1 MiB decompressed.
        body_timeout_s: A body must be complete within this time.
        in_flight_bytes: Bytes of all requests being read, decoded or written; past it new ones get 429.
        workers: Threads that decode and wait for the journal, of one tenant; as many requests share one sync. More only
            hand the interpreter's lock back and forth, unless a sync takes long.
        future_s: Live telemetry stamped later than this past the receiver's clock is rejected.
        tick_s: Time between two clock frames in the journal, once anything live came in.
        scrape: Prometheus endpoints to pull from.
        syslog, statsd: Socket listeners; none by default.
        files: Log files to follow.
        walker: Decode metrics of known series, log records and spans with compiled kernels once they are warm.
        webhooks: Secrets of those who tell of events, and what they call our entities.
        clean: What is done to telemetry before it is durable.

    Raises:
        ConfigError: A limit is not positive, or two targets share job and address.
    """

    max_body_bytes: int = 20 * MIB
    max_decoded_bytes: int = 32 * MIB
    max_ratio: float = 200.0
    body_timeout_s: float = 10.0
    in_flight_bytes: int = 192 * MIB
    workers: int = 3
    future_s: float = 600.0
    tick_s: float = 1.0
    scrape: tuple[ScrapeTarget, ...] = ()
    syslog: tuple[SyslogListener, ...] = ()
    statsd: tuple[StatsdListener, ...] = ()
    files: tuple[TailedFiles, ...] = ()
    walker: bool = True
    webhooks: WebhookConfig = field(default_factory=WebhookConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)

    def __post_init__(self) -> None:
        for name in (
            "max_body_bytes",
            "max_decoded_bytes",
            "max_ratio",
            "body_timeout_s",
            "in_flight_bytes",
            "workers",
            "future_s",
            "tick_s",
        ):
            if getattr(self, name) <= 0:
                raise ConfigError(f"ingest.{name} is {getattr(self, name)}; it must be above 0", setting=name)
        keys = [(target.job, target.url) for target in self.scrape]
        if len(set(keys)) != len(keys):
            raise ConfigError("ingest.scrape names the same job and address twice", targets=keys)
