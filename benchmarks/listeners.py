"""OTLP over gRPC beside OTLP over HTTP: the same requests to the same receivers, journal and decoders.

The server runs in a process of its own, so that its processor time can be read; senders are threads of
this one, each on a connection of its own. Small requests show the cost of the listener, large ones how
little of it remains.

    python benchmarks/listeners.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

SENDERS: Final = 4
SIZES: Final = (10, 5_000)
METHOD: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
Send = Callable[[bytes], None]


def body(points: int) -> bytes:
    """A request with this many gauges of one service."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="bench")))
    data = resource.scope_metrics.add().metrics.add(name="some.metric", unit="1").gauge
    for each in range(points):
        point = data.data_points.add(time_unix_nano=time.time_ns(), as_double=each * 0.5)
        point.attributes.append(KeyValue(key="route", value=AnyValue(string_value=f"/api/v1/thing/{each}")))
    return request.SerializeToString()


def serve(folder: Path, *, grpc: bool) -> None:
    """Run the receivers until standard input closes; ports go to standard output."""
    import uvicorn  # noqa: PLC0415 - only the server needs it
    from starlette.applications import Starlette  # noqa: PLC0415 - the same

    from twofold.aiops.ingest.config import IngestConfig  # noqa: PLC0415 - the same
    from twofold.aiops.ingest.counts import Counts  # noqa: PLC0415 - the same
    from twofold.aiops.ingest.ingest import create_ingest  # noqa: PLC0415 - the same
    from twofold.aiops.ingest.otlp.grpc import GrpcEndpoint  # noqa: PLC0415 - the same
    from twofold.store.catalog.files import FileCatalog  # noqa: PLC0415 - the same
    from twofold.store.journal.segments import SegmentJournal  # noqa: PLC0415 - the same

    async def admit(_path: str, _headers: Any, _address: str) -> str:
        return "main"

    async def run() -> None:
        journal = SegmentJournal(folder / "journal")
        ingest = create_ingest(journal, FileCatalog(folder / "catalog"), Counts(), IngestConfig())
        if grpc:
            ingest.listen_grpc(GrpcEndpoint(host="127.0.0.1", port=0), admit)
        await ingest.start()
        app = Starlette(routes=ingest.routes())
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False, lifespan="off"))
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - the library has no event for it
            await asyncio.sleep(0.01)
        http = server.servers[0].sockets[0].getsockname()[1]
        print(http, ingest.grpc.port if ingest.grpc is not None else 0, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await running
        await ingest.stop()
        journal.close()

    asyncio.run(run())


@contextmanager
def server(*, grpc: bool) -> Iterator[tuple[psutil.Process, int, int]]:
    """The server's process and its two ports."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", folder] + (["--grpc"] if grpc else [])
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
            if running.stdin is None or running.stdout is None:
                raise SystemExit("the server has no pipes")
            http, port = map(int, running.stdout.readline().split())
            yield psutil.Process(running.pid), http, port
            running.stdin.close()
            running.wait(30)


def http_sender(port: int) -> Send:
    """Posts on one connection that is kept open."""
    import http.client  # noqa: PLC0415 - the leanest client there is: the server is what is measured

    connection = http.client.HTTPConnection("127.0.0.1", port)

    def send(message: bytes) -> None:
        connection.request("POST", "/v1/metrics", message, {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
            raise SystemExit(f"HTTP answered {answer.status}")

    return send


def grpc_sender(port: int) -> Send:
    """Calls on one connection."""
    import grpc  # noqa: PLC0415 - only senders need it

    options = (("grpc.use_local_subchannel_pool", 1),)
    method = grpc.insecure_channel(f"127.0.0.1:{port}", options=options).unary_unary(METHOD)

    def send(message: bytes) -> None:
        method(message)

    return send


def measure(process: psutil.Process, make: Callable[[], Send], points: int, seconds: float) -> dict[str, float]:
    """Requests a second, and the server's processor time for each."""
    message = body(points)
    senders = [make() for _ in range(SENDERS)]
    for send in senders:
        send(message)
    counts = [0] * SENDERS
    deadline = time.monotonic() + seconds

    def run(number: int) -> None:
        while time.monotonic() < deadline:
            senders[number](message)
            counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(SENDERS)]
    before, begun = sum(process.cpu_times()[:2]), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent, took = sum(process.cpu_times()[:2]) - before, time.monotonic() - begun
    requests = sum(counts)
    return {
        "requests_per_s": requests / took,
        "points_per_s": requests * points / took,
        "cpu_us_per_request": 1e6 * spent / requests,
        "cpu_us_per_point": 1e6 * spent / requests / points,
    }


def idle(*, grpc: bool) -> dict[str, float]:
    """Memory and threads of a server that nobody calls."""
    with server(grpc=grpc) as (process, _, _):
        time.sleep(15.0)  # kernels are being loaded
        return {"rss_mb": process.memory_info().rss / 1e6, "threads": process.num_threads()}


def run(seconds: float) -> dict[str, Any]:
    """All numbers."""
    found: dict[str, Any] = {}
    with server(grpc=True) as (process, http, grpc):
        time.sleep(15.0)
        for points in SIZES:
            for name, make in (("http", lambda: http_sender(http)), ("grpc", lambda: grpc_sender(grpc))):
                found[f"{name}_{points}"] = measure(process, make, points, seconds)
    with_grpc, without = idle(grpc=True), idle(grpc=False)
    found["idle_rss_mb"] = with_grpc["rss_mb"] - without["rss_mb"]
    found["idle_threads"] = with_grpc["threads"] - without["threads"]
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two seconds a line, else ten")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--grpc", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, grpc=arguments.grpc)
        return
    result = run(2.0 if arguments.quick else 10.0)
    print(f"{'points a request':20}{'requests/s':>12}{'points/s':>14}{'CPU us/request':>16}{'CPU us/point':>14}")
    for points in SIZES:
        for name in ("http", "grpc"):
            row = result[f"{name}_{points}"]
            print(
                f"{f'{points:,} over {name}':20}{row['requests_per_s']:>12,.0f}{row['points_per_s']:>14,.0f}"
                f"{row['cpu_us_per_request']:>16,.0f}{row['cpu_us_per_point']:>14.3f}"
            )
    print(f"listening for gRPC costs {result['idle_rss_mb']:.0f} MB and {result['idle_threads']:.0f} threads, idle")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
