"""What senders of metrics do, cheap enough to stand on the cores that are measured.

A request is encoded once. For each step its times and values are overwritten where they stand, so the
bytes on the wire are what an exporter sends and the sender's own share stays small.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

import cramjam
import numpy as np
import numpy.typing as npt
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from twofold.aiops.ingest.prometheus.message import WriteRequest

PER_REQUEST: Final = 5000
STEP_S: Final = 10
SERVICES: Final = 50
METRICS: Final = 50
CALLED_BACK: Final = 0.9
AHEAD: Final = 1  # steps that one connection may be before another
_TIME_MARK: Final = 1_700_000_000_123_000_000
_VALUE_MARK: Final = 1.2345678987654321e-300
_VARINT: Final = 6  # bytes of a time in milliseconds of this century
_SNAPPY: Final = "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
_NOISE: Final = np.random.default_rng(1).normal(0.0, 0.5, 1 << 22)

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


class Request:
    """One request of at most `PER_REQUEST` gauges that wander about their means, two decimals."""

    def __init__(self, protocol: str, first: int, series: int, steps: int) -> None:
        self.count = series * steps
        self.steps = steps
        self.packed = protocol == "write"
        self._body = bytearray((_write if self.packed else _otlp)(first, series, steps))
        self._values = _field(self._body, np.array(_VALUE_MARK).tobytes(), self.count)
        mark = _varint(_TIME_MARK // 10**6) if self.packed else np.frombuffer(np.int64(_TIME_MARK).tobytes(), np.uint8)
        self._times = _field(self._body, mark.tobytes(), self.count).reshape(steps, series, -1)
        self._mean = np.random.default_rng(first).uniform(20.0, 100.0, series)
        self._away = np.zeros(series)
        self._draw = np.random.default_rng(first + 1)

    def _step(self) -> Floats:
        """The series' next values."""
        at = int(self._draw.integers(0, len(_NOISE) - len(self._away)))
        self._away *= CALLED_BACK
        self._away += _NOISE[at : at + len(self._away)]
        return np.rint((self._mean + self._away) * 100.0) / 100.0

    def body(self, time_ns: int) -> bytes | bytearray:
        """The request at this time, with new values."""
        values = np.concatenate([self._step() for _ in range(self.steps)])
        self._values[:] = values.view(np.uint8).reshape(self.count, 8)
        for number, times in enumerate(self._times):
            at_ns = time_ns + number * STEP_S * 10**9
            times[:] = _varint(at_ns // 10**6) if self.packed else np.array([at_ns], np.int64).view(np.uint8)
        return bytes(cramjam.snappy.compress_raw(self._body)) if self.packed else self._body


def prepare(protocol: str, series: int) -> list[Request]:
    """Requests that together send each series once, or few series some steps at once, as `otlp` or `write`."""
    steps = max(1, PER_REQUEST // series)
    firsts = range(0, series, PER_REQUEST)
    return [Request(protocol, first, min(PER_REQUEST, series - first), steps) for first in firsts]


def _otlp(first: int, series: int, steps: int) -> bytes:
    message = ExportMetricsServiceRequest()
    resource = message.resource_metrics.add()
    name = resource.resource.attributes.add()
    name.key, name.value.string_value = "service.name", f"service-{first // PER_REQUEST % SERVICES}"
    metric = resource.scope_metrics.add().metrics.add()
    metric.name = f"bench.value{first // PER_REQUEST % METRICS:02d}"
    for number in [*range(first, first + series)] * steps:
        point = metric.gauge.data_points.add()
        point.time_unix_nano = _TIME_MARK
        point.as_double = _VALUE_MARK
        label = point.attributes.add()
        label.key, label.value.string_value = "instance", f"instance-{number:07d}"
    body: bytes = message.SerializeToString()
    return body


def _write(first: int, series: int, steps: int) -> bytes:
    message = WriteRequest()
    for number in [*range(first, first + series)] * steps:
        each = message.timeseries.add()
        for key, value in (
            ("__name__", f"bench_value{first // PER_REQUEST % METRICS:02d}"),
            ("instance", f"instance-{number:07d}"),
            ("job", f"service-{first // PER_REQUEST % SERVICES:02d}"),
        ):
            each.labels.add(name=key, value=value)
        each.samples.add(value=_VALUE_MARK, timestamp=_TIME_MARK // 10**6)
    body: bytes = message.SerializeToString()
    return body


def _varint(number: int) -> Bytes:
    septets = [number >> 7 * n & 0x7F | 0x80 for n in range(_VARINT)]
    septets[-1] &= 0x7F
    return np.array(septets, np.uint8)


def _field(body: bytearray, mark: bytes, count: int) -> Bytes:
    """The places where the mark stands, as one array of (count, size) over the body: all points have one length."""
    first = body.find(mark)
    stride = body.find(mark, first + len(mark)) - first if count > 1 else 0
    places = np.ndarray((count, len(mark)), np.uint8, body, first, (stride, 1))
    if first < 0 or not (places == np.frombuffer(mark, np.uint8)).all():
        raise SystemExit("the points of a prepared request differ in length")
    return places


@dataclass(slots=True)
class Sent:
    """What a load did."""

    points: int = 0
    refused: int = 0
    acks_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


class Load:
    """Keeps sending all series, a step after a step, over some connections; each series stays on one of them.

    Args:
        url: Where requests go.
        clients: Connections, each with a thread; no more than requests.
        head: Header lines to send besides.

    Attributes:
        reached_ns: The stream's own time of now.
    """

    def __init__(self, url: str, protocol: str, requests: list[Request], *, clients: int = 4, head: str = "") -> None:
        self._parts = urlsplit(url)
        extra = (
            "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n" if protocol == "write" else ""
        )
        self._head = (
            f"POST {self._parts.path} HTTP/1.1\r\nHost: {self._parts.netloc}\r\n"
            f"Content-Type: application/x-protobuf\r\n{extra}{head}"
        )
        self._steps = requests[0].steps
        self.reached_ns = 0
        self._shares = [requests[n::clients] for n in range(min(clients, len(requests)))]

    def run(self, first_ns: int, *, steps: int = 0, seconds: float = 0.0, pace_s: float = 0.0) -> tuple[int, Sent]:
        """Send `steps` steps or a few more, or for `seconds`; with `pace_s` no more than a request in that time.

        Returns:
            How many steps every series was sent, and what was sent.
        """
        turns = _Turns(len(self._shares), -(-steps // self._steps))
        request_ns = self._steps * STEP_S * 10**9
        begun = time.monotonic()
        sent = [Sent() for _ in self._shares]
        failures: list[BaseException] = []

        def send(number: int) -> None:
            try:
                with self._connect() as connection:
                    for step in turns.of(number):
                        time.sleep(max(0.0, begun + step * pace_s - time.monotonic()))
                        self.reached_ns = first_ns + step * request_ns
                        for request in self._shares[number]:
                            self._post(connection, request, first_ns + step * request_ns, sent[number])
                        if seconds and time.monotonic() - begun >= seconds:
                            turns.finish()
            except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                failures.append(error)
                turns.finish(at_once=True)
            sent[number].cpu_s = time.thread_time()

        threads = [threading.Thread(target=send, args=(number,)) for number in range(len(sent))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        total = Sent()
        for each in sent:
            total.points += each.points
            total.refused += each.refused
            total.acks_s += each.acks_s
            total.cpu_s += each.cpu_s
        return turns.done * self._steps, total

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((self._parts.hostname or "", self._parts.port or 80), timeout=120.0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _post(self, connection: socket.socket, request: Request, time_ns: int, sent: Sent) -> None:
        body = request.body(time_ns)
        head = f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode()
        began = time.perf_counter()
        while True:
            connection.sendall(head)
            connection.sendall(body)
            status, text = _answer(connection)
            if status not in (429, 503):
                break
            sent.refused += 1
            time.sleep(0.2)
        if status >= 300:  # noqa: PLR2004 - success and nothing else
            raise SystemExit(f"the server answered {status}: {text[:300]!r}")
        sent.acks_s.append(time.perf_counter() - began)
        sent.points += request.count


class _Turns:
    """Steps of several connections. None runs far ahead, since event time is one for all; all end with one step."""

    def __init__(self, connections: int, steps: int) -> None:
        self._moved = threading.Condition()
        self._begun, self._done = [0] * connections, [0] * connections
        self._last = steps or 1 << 60

    @property
    def done(self) -> int:
        """Steps that every connection has sent."""
        return min(self._done)

    def of(self, number: int) -> Iterator[int]:
        """The steps of one connection, each when it may begin."""
        step = 0
        while True:
            with self._moved:
                self._moved.wait_for(lambda: step <= min(self._done) + AHEAD or step >= self._last)  # noqa: B023 - waits here
                if step >= self._last:
                    return
                self._begun[number] = step + 1
            yield step
            step += 1
            with self._moved:
                self._done[number] = step
                self._moved.notify_all()

    def finish(self, *, at_once: bool = False) -> None:
        """Begin no step that no other has begun; or none at all."""
        with self._moved:
            self._last = 0 if at_once else min(self._last, max(self._begun))
            self._moved.notify_all()


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise SystemExit("the server closed the connection")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split(b" ", 2)[1]), body


class Watcher:
    """Samples something while a block runs.

    >>> with Watcher(lambda: 1.0) as seen: pass
    >>> seen.highest
    1.0
    """

    def __init__(self, look: Callable[[], float], every_s: float = 0.25) -> None:
        self._look, self._every_s = look, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.highest = 0.0

    def _watch(self) -> None:
        while True:
            with suppress(OSError, LookupError):
                self.highest = max(self.highest, self._look())
            if self._stop.wait(self._every_s):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
