"""What all systems that are pulled from share: questions over HTTP that are asked again, windows, requests to send."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode

import orjson

from twofold.aiops.ingest.otlp.message import PROTOBUF
from twofold.aiops.ingest.prometheus.message import TYPES, WriteRequest
from twofold.aiops.ingest.prometheus.remote_write import NAME, RemoteWrite
from twofold.errors import ConfigError, DecodeError, Transient
from twofold.flow.outgoing import Outgoing, OutgoingConfig, origin

SAMPLES_TOGETHER: Final = 100_000
ANSWER_BYTES: Final = 256 << 20
TIMEOUT_S: Final = 60.0
TRIES: Final = 6
SECOND_MS: Final = 1000

log = logging.getLogger(__name__)


class Window(NamedTuple):
    """A span of time, its start not in it."""

    start_ms: int
    end_ms: int

    @property
    def middle_ms(self) -> int:
        """Where to cut it."""
        return (self.start_ms + self.end_ms) // 2


class Request(NamedTuple):
    """One request for a receiver of ours, its body not compressed, and the items in it."""

    path: str
    media: str
    body: bytes
    items: int


class Source(Protocol):
    """A system that is pulled from."""

    def requests(self, window: Window) -> Iterator[Request]:
        """Everything of a window, as requests for our receivers.

        Raises:
            Transient: The system did not answer, also after several tries.
            Permanent: It refused.
        """
        ...

    def close(self) -> None:
        """Release connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PullConfig:
    """Whom to ask, and how.

    Attributes:
        url: Base address, without `/api/v1`.
        headers: Sent with every question, such as `Authorization` or `X-Scope-OrgID`.
        match: What to read: a PromQL selector, or a LogQL query; empty reads everything.
        step_s: Read one value a step instead of every sample; 0 reads every sample.

    Raises:
        ConfigError: A step below 0.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    match: str = ""
    step_s: float = 0.0

    def __post_init__(self) -> None:
        if self.step_s < 0:
            raise ConfigError(f"step is {self.step_s} s; it must not be below 0", setting="step")


class Asker:
    """GETs of one system. A question that finds it busy or gone is asked again for about a minute."""

    def __init__(self, config: PullConfig, sleep: Callable[[float], None] = time.sleep) -> None:
        self._base = config.url.rstrip("/")
        self._headers = dict(config.headers)
        self._sleep = sleep
        limits = OutgoingConfig(timeout_s=TIMEOUT_S, response_bytes=ANSWER_BYTES)
        self._client = Outgoing((origin(config.url),), limits)  # the caller named this address

    def text(self, path: str, parameters: Mapping[str, str] | None = None, **headers: str) -> bytes:
        """The body of an answer. Raises as `Source.requests`, and `TooLarge` for a body past 256 MiB."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        for again in range(TRIES):
            try:
                return self._client.request("GET", f"{self._base}{path}{query}", headers=self._headers | headers)[1]
            except Transient as error:
                if again == TRIES - 1:
                    raise
                log.warning("%s; asked again in %d s", error, 2**again)
                self._sleep(2.0**again)
        raise AssertionError("unreachable: the last try returns or raises")

    def json(self, path: str, parameters: Mapping[str, str] | None = None, **headers: str) -> Any:
        """The `data` of an answer in Prometheus's envelope. Raises `DecodeError` when it is none."""
        body = self.text(path, parameters, **headers)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise DecodeError(f"{self._base}{path} answered no JSON: {body[:80]!r}", reason="decode") from error
        if not isinstance(value, dict) or value.get("status") != "success":
            raise DecodeError(f"{self._base}{path} answered {body[:200]!r}", reason="decode")
        return value.get("data")

    def close(self) -> None:
        """Release connections."""
        self._client.close()


class Pulled(NamedTuple):
    """Samples of one series."""

    labels: Mapping[str, str]
    times_ms: list[int]
    values: list[float]


def write_requests(found: Iterable[Pulled], types: Mapping[str, str]) -> Iterator[Request]:
    """Series as remote-write requests of at most `SAMPLES_TOGETHER` samples, with the types of their families."""
    message, count = _begun(types), 0
    for series in found:
        for start in range(0, len(series.values), SAMPLES_TOGETHER):
            times = series.times_ms[start : start + SAMPLES_TOGETHER]
            if count and count + len(times) > SAMPLES_TOGETHER:
                yield Request(RemoteWrite.path, PROTOBUF, message.SerializeToString(), count)
                message, count = _begun(types), 0
            added = message.timeseries.add()
            for name in sorted(series.labels):
                added.labels.add(name=name, value=series.labels[name])
            for time_ms, value in zip(times, series.values[start:], strict=False):
                added.samples.add(timestamp=time_ms, value=value)
            count += len(times)
    if count:
        yield Request(RemoteWrite.path, PROTOBUF, message.SerializeToString(), count)


def _begun(types: Mapping[str, str]) -> Any:
    message = WriteRequest()
    for name, kind in types.items():
        if kind in TYPES:
            message.metadata.add(metric_family_name=name, type=TYPES.index(kind))
    return message


def windows(start_ms: int, end_ms: int, width_ms: int) -> Iterator[Window]:
    """Windows that cover a span, the oldest first; cut at multiples of their width, so that a resumed run cuts alike.

    >>> [tuple(each) for each in windows(5, 25, 10)]
    [(5, 10), (10, 20), (20, 25)]
    """
    at = start_ms
    while at < end_ms:
        end = min(end_ms, (at // width_ms + 1) * width_ms)
        yield Window(at, end)
        at = end


def has_name(labels: Mapping[str, str]) -> bool:
    """Whether these are the labels of a series that can be written: results of functions have lost their name."""
    return bool(labels.get(NAME))
