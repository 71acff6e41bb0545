"""Log lines and spans a second from HTTP to fsynced, through the stages and in the history, by a real `twofold up`.

    python -m benchmarks.signals [--seconds 30] [--clients 4] [--rate N] [--only log_lines|spans] [--quick] [--json]

The sender runs on the same cores. Lines and spans carry the present time, ids are new in every request, bodies
and attributes repeat after 200,000. Spans are traces of ten over five services and two databases. Keys:
log_lines_per_s, spans_per_s (through the stages, until the last one), cpu_us_per_line, cpu_us_per_span (both
processes of Twofold), bytes_per_line, bytes_per_span (history on disk, before compaction), and for both (`line_`,
`span_`) accepted_per_s, sender_us, ack_p99_ms, rss_mb (highest sum of both processes), written_bytes (to the device).
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import numpy as np
import numpy.typing as npt
import psutil
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from benchmarks.load import Watcher
from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.known import Known
from twofold.aiops.ingest.otlp.logs import ShortLogs
from twofold.aiops.ingest.otlp.traces import ShortSpans
from twofold.store.catalog.files import FileCatalog
from twofold.store.history import Table
from twofold.store.history.delta import DeltaHistory

Ints = npt.NDArray[np.int64]
Value = str | int

PER_REQUEST: Final = 5000
REQUESTS: Final = 40
WARM_S: Final = 240.0
PROCESSES: Final = 2  # that stay
DRAIN_S: Final = 600.0
SERVER: Final = 2
START, END, TRACE, SPAN, PARENT = (bytes([0xF0 + n]) * 8 for n in range(5))
"""Stand in prepared requests for times and ids; found and overwritten for each request."""
HOPS: Final[tuple[tuple[str, int, str, int, dict[str, Value]], ...]] = (
    # service, kind, name, parent in the trace, the peer's attributes
    ("gateway", 2, "POST /checkout", -1, {"url.path": "/checkout"}),
    ("gateway", 3, "POST", 0, {"url.full": "http://checkout.shop.svc/api", "server.address": "checkout.shop.svc"}),
    ("checkout", 2, "POST /api", 1, {"http.route": "/api"}),
    ("checkout", 3, "SELECT orders", 2, {"db.system": "postgresql", "server.address": "orders-db"}),
    ("checkout", 3, "POST", 2, {"server.address": "payment.shop.svc", "url.full": "http://payment.shop.svc/charge"}),
    ("payment", 2, "POST /charge", 4, {"http.route": "/charge"}),
    ("payment", 3, "GET", 5, {"db.system": "redis", "server.address": "cards"}),
    ("checkout", 3, "POST", 2, {"http.request.method": "POST"}),  # names no peer: only the join finds it
    ("stock", 2, "POST /reserve", 7, {"http.route": "/reserve"}),
    ("mailer", 2, "POST /mail", 2, {"http.route": "/mail"}),
)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each signal is sent")
    parser.add_argument("--clients", type=int, default=4, help="connections")
    parser.add_argument("--rate", type=float, default=0.0, help="at most so many lines, and spans, a second")
    parser.add_argument("--only", choices=("log_lines", "spans"))
    parser.add_argument("--quick", action="store_true", help="8 s")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args()
    seconds = 8.0 if given.quick else given.seconds
    found: dict[str, float] = {}
    compiled()
    for kind in KINDS:
        if given.only in (None, kind.many):
            found |= measure(kind, seconds, given.clients, given.rate)
    if given.json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        print(f"{key:28}{value:>16,.2f}")


class Prepared:
    """One request whose times and ids are new each time it is sent.

    Args:
        trace: Of each row, which trace it is in.
        parent: Of each row that has one, the row of its parent.
    """

    def __init__(self, body: bytes, trace: Ints, parent: Ints) -> None:
        self.body = bytearray(body)
        self.count = len(trace)
        self._trace, self._parent = trace, parent
        self._places = {mark: _places(self.body, mark) for mark in (START, END, TRACE, SPAN, PARENT)}

    def renew(self, chance: np.random.Generator) -> None:
        """Times of the last 50 ms, ids that were never sent."""
        begin_ns = time.time_ns() - chance.integers(0, 50_000_000, self.count)
        ids = chance.integers(1, 1 << 62, self.count)
        self._fill(START, begin_ns)
        self._fill(END, begin_ns + chance.lognormal(15.0, 1.0, self.count).astype(np.int64))
        self._fill(SPAN, ids)
        self._fill(PARENT, ids[self._parent])
        self._fill(TRACE, chance.integers(1, 1 << 62, (self.count, 2))[self._trace].ravel())

    def _fill(self, mark: bytes, values: Ints) -> None:
        places = self._places[mark]
        if len(places):
            np.frombuffer(self.body, np.uint8)[places[:, None] + np.arange(8)] = values.view(np.uint8).reshape(-1, 8)


def _places(body: bytearray, mark: bytes) -> npt.NDArray[np.int64]:
    found, at = [], body.find(mark)
    while at >= 0:
        found.append(at)
        at = body.find(mark, at + 8)
    return np.array(found, np.int64)


def attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    """As OTLP has them."""
    return [
        KeyValue(key=key, value=AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value))
        for key, value in values.items()
    ]


def log_request(number: int) -> Prepared:
    """Lines of one service as a collector sends them: four attributes, one line in fifty an error."""
    chance = random.Random(number)  # noqa: S311 - repeatable on purpose, nothing secret
    message = ExportLogsServiceRequest()
    found = message.resource_logs.add()
    found.resource.attributes.extend(attributes(_resource(f"service-{number % 20}", number)))
    inner = found.scope_logs.add()
    inner.scope.name = "app"
    route: dict[str, Value] = {"http.request.method": "GET", "http.route": "/api/v1/orders/{id}", "code.lineno": 231}
    for line in range(PER_REQUEST):
        failed = line % 50 == 0
        status = 503 if failed else 200
        record = inner.log_records.add(
            time_unix_nano=int.from_bytes(START, "little"),
            observed_time_unix_nano=int.from_bytes(END, "little"),
            severity_number=17 if failed else 9,
            severity_text="ERROR" if failed else "INFO",
            trace_id=TRACE * 2,
            span_id=SPAN,
            flags=1,
        )
        said = f"GET /api/v1/orders/{chance.randrange(10**6)} {status} took {chance.random() * 100:.2f} ms"
        record.body.string_value = f"{said} for user u{chance.randrange(10**4)}"
        record.attributes.extend(attributes(route | {"http.response.status_code": status}))
    return Prepared(message.SerializeToString(), np.arange(PER_REQUEST), np.empty(0, np.int64))


def span_request(number: int) -> Prepared:
    """Whole traces over five services, grouped by service as a collector sends them; one in fifty fails."""
    message = ExportTraceServiceRequest()
    order = sorted(
        ((trace, hop) for trace in range(PER_REQUEST // len(HOPS)) for hop in range(len(HOPS))),
        key=lambda each: HOPS[each[1]][0],
    )
    row_of = {each: row for row, each in enumerate(order)}
    parents = [row_of[trace, HOPS[hop][3]] for trace, hop in order if HOPS[hop][3] >= 0]
    last = ""
    for trace, hop in order:
        service, kind, name, parent, told = HOPS[hop]
        if service != last:
            last = service
            found = message.resource_spans.add()
            found.resource.attributes.extend(attributes(_resource(service, number)))
            inner = found.scope_spans.add()
        failed = (trace + number) % 50 == 0 and kind == SERVER
        status = 503 if failed else 200
        made = inner.spans.add(
            trace_id=TRACE * 2,
            span_id=SPAN,
            parent_span_id=PARENT if parent >= 0 else b"",
            name=name,
            kind=kind,
            start_time_unix_nano=int.from_bytes(START, "little"),
            end_time_unix_nano=int.from_bytes(END, "little"),
            flags=0x101,
        )
        made.attributes.extend(attributes(told | {"http.response.status_code": status, "n": trace}))
        if failed:
            made.status.code = 2
    return Prepared(message.SerializeToString(), np.array([trace for trace, _ in order]), np.array(parents))


def _resource(service: str, number: int) -> dict[str, Value]:
    return {
        "service.name": service,
        "service.version": "1.4.2",
        "host.name": f"node-{number % 7}",
        "k8s.pod.name": f"{service}-{number % 20}-x7f",
    }


@dataclass(slots=True)
class Sent:
    """What one connection did."""

    rows: int = 0
    acks_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


def send(url: str, path: str, requests: Sequence[Prepared], seconds: float, clients: int, rate: float = 0.0) -> Sent:
    """Keep sending over some connections for so long; each request stays on one of them."""
    begun = time.monotonic()
    until = begun + seconds
    found = [Sent() for _ in range(clients)]
    failures: list[BaseException] = []

    def run(number: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120.0)
        chance = np.random.default_rng()
        try:
            for request in itertools.cycle(requests[number::clients]):
                due = begun + found[number].rows * clients / rate if rate else begun
                time.sleep(max(0.0, due - time.monotonic()))
                if time.monotonic() >= until:
                    break
                request.renew(chance)
                _post(connection, path, request, found[number])
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            failures.append(error)
        found[number].cpu_s = time.thread_time()
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return Sent(
        sum(each.rows for each in found),
        [ack for each in found for ack in each.acks_s],
        sum(each.cpu_s for each in found),
    )


def _post(connection: http.client.HTTPConnection, path: str, request: Prepared, sent: Sent) -> None:
    began = time.perf_counter()
    while True:
        connection.request("POST", path, request.body, {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (429, 503):
            break
        time.sleep(0.2)
    if answer.status != HTTPStatus.OK or text:
        raise SystemExit(f"the server answered {answer.status}: {text[:300]!r}")
    sent.acks_s.append(time.perf_counter() - began)
    sent.rows += request.count


def compiled() -> None:
    """Leave compiled kernels where the server finds them, so that it is warm soon after it starts."""
    with tempfile.TemporaryDirectory() as folder:
        naming = Naming(FileCatalog(Path(folder), limit_per_tenant=1))
        for way in (Known("otlp"), Known("write"), Known("write2"), ShortLogs(naming), ShortSpans(naming)):
            way.compile()


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, psutil.Popen, str]]:
    """Address, process and token of a Twofold over a fresh folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["up", "--data", str(folder), "--port", str(port), "--otlp-port", "0", "--otlp-grpc-port", "0"]
    with (folder / "up.log").open("wb") as log:
        child = psutil.Popen([sys.executable, "-m", "twofold", *arguments], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + WARM_S
            while time.monotonic() < deadline and child.poll() is None:
                with suppress(httpx.HTTPError):
                    if httpx.get(f"{url}/readyz", trust_env=False).is_success:
                        break
                time.sleep(0.2)
            yield url, child, json.loads((folder / "client.json").read_text())["token"]
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait(60)


def _family(child: psutil.Popen) -> list[psutil.Process]:
    return [child, *child.children(recursive=True)]


def _written(child: psutil.Popen) -> float:
    return float(sum(process.io_counters().write_bytes for process in _family(child)))


def _cpu_s(child: psutil.Popen) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in _family(child)))


def _drained(client: httpx.Client, token: str, rows: int) -> None:
    """Wait until the stages have seen so many rows."""
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline:
        text = client.get("/metrics", headers={"authorization": f"Bearer {token}"}).text
        seen = [line for line in text.splitlines() if line.startswith("twofold_pipeline_rows_total")]
        if sum(float(line.rsplit(" ", 1)[1]) for line in seen) >= rows:
            return
        time.sleep(0.1)
    raise SystemExit(f"the stages did not see {rows} rows within {DRAIN_S:.0f} s")


def _warm(client: httpx.Client, token: str) -> None:
    """Wait until the server's decoders are compiled."""
    deadline = time.monotonic() + WARM_S
    while time.monotonic() < deadline:
        text = client.get("/metrics", headers={"authorization": f"Bearer {token}"}).text
        if "twofold_ingest_cold_kernels 0.0" in text:
            return
        time.sleep(0.5)
    raise SystemExit(f"the server's decoders were not compiled within {WARM_S:.0f} s")


def _settled(child: psutil.Popen) -> None:
    """Wait until the first start's own chores, in processes that end by themselves, are over."""
    deadline = time.monotonic() + WARM_S
    while len(_family(child)) > PROCESSES and time.monotonic() < deadline:
        time.sleep(0.5)


def measure(kind: Kind, seconds: float, clients: int, rate: float) -> dict[str, float]:
    """One run over a fresh data folder."""
    requests = [kind.make(number) for number in range(REQUESTS)]
    with tempfile.TemporaryDirectory(prefix="twofold-bench-") as folder:
        with server(Path(folder)) as (url, child, token):
            client = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
            first = send(url, kind.path, requests, 1.0, clients)
            _warm(client, token)
            _settled(child)
            first_rows = first.rows + send(url, kind.path, requests, 1.0, clients).rows
            _drained(client, token, first_rows)
            cpu_s, written, began = _cpu_s(child), _written(child), time.perf_counter()
            with Watcher(lambda: sum(process.memory_info().rss for process in _family(child))) as rss:
                sent = send(url, kind.path, requests, seconds, clients, rate)
                sent_s = time.perf_counter() - began
                _drained(client, token, first_rows + sent.rows)
                all_s = time.perf_counter() - began
            cpu_s, written = _cpu_s(child) - cpu_s, _written(child) - written
            client.close()
            child.send_signal(signal.SIGTERM)
            child.wait(300)
        history = DeltaHistory(Path(folder) / "history")
        stored = history.status()[kind.table]
        history.close()
    if stored.rows != first_rows + sent.rows:
        raise SystemExit(f"{first_rows + sent.rows} rows were acknowledged, {stored.rows} stand in the history")
    one, many = kind.one, kind.many
    return {
        f"{many}_per_s": sent.rows / all_s,
        f"cpu_us_per_{one}": cpu_s / sent.rows * 1e6,
        f"bytes_per_{one}": stored.size_bytes / stored.rows,
        f"{one}_accepted_per_s": sent.rows / sent_s,
        f"{one}_sender_us": sent.cpu_s / sent.rows * 1e6,
        f"{one}_ack_p99_ms": float(np.percentile(sent.acks_s, 99)) * 1e3,
        f"{one}_rss_mb": rss.highest / 1e6,
        f"{one}_written_bytes": written / sent.rows,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One signal."""

    one: str
    many: str
    path: str
    make: Callable[[int], Prepared]
    table: Table


KINDS: Final = (
    Kind(one="line", many="log_lines", path="/v1/logs", make=log_request, table=Table.LOGS),
    Kind(one="span", many="spans", path="/v1/traces", make=span_request, table=Table.SPANS),
)


if __name__ == "__main__":
    main()
