"""Points a second from HTTP to fsynced, detected and in the history, through a real `twofold up` on this machine.

    python -m benchmarks.ingest [--series 10000,100000] [--seconds 30] [--quick] [--json]

The client runs on the same cores. Keys per number of series: points_per_s (accepted and acknowledged),
detected_per_s (through the stages, until the last point), cpu_ns_per_point (both processes of Twofold),
ack_p99_ms, rss_mb, bytes_per_point (journal and history on disk).
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import psutil
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

PER_REQUEST: Final = 5000
CLIENTS: Final = 4
STEP_S: Final = 10
MARK: Final = 0x1122334455667788
"""Stands for the time in a prepared request; its eight bytes are found and overwritten for each step."""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", default="10000,100000", help="numbers of series, comma-separated")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each is sent")
    parser.add_argument("--quick", action="store_true", help="10,000 series for 8 s")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args()
    counts = [10_000] if given.quick else [int(n) for n in given.series.split(",")]
    found = {str(n): measure(n, 8.0 if given.quick else given.seconds) for n in counts}
    if given.json:
        print(json.dumps(found))
        return
    names = list(next(iter(found.values())))
    print(f"{'series':>9}  " + "  ".join(f"{name:>16}" for name in names))
    for series, row in found.items():
        print(f"{series:>9}  " + "  ".join(f"{row[name]:>16,.1f}" for name in names))


def measure(series: int, seconds: float) -> dict[str, float]:
    """One run over a fresh data folder."""
    requests = prepare(series)
    with tempfile.TemporaryDirectory(prefix="twofold-bench-") as folder, _server(Path(folder)) as (url, child, token):
        http = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        first_ns = time.time_ns() - 24 * 3600 * 10**9
        step = _send(http, requests, first_ns, 3, [])  # series are registered and kernels warm before the clock starts
        time.sleep(20.0 if seconds > 10 else 5.0)  # noqa: PLR2004 - compiled in the background
        _drained(http, token, step * series)
        cpu_before, began = _cpu_s(child), time.perf_counter()
        acks: list[float] = []
        while time.perf_counter() - began < seconds:
            step += _send(http, requests, first_ns + step * STEP_S * 10**9, 1, acks)
        sent_s = time.perf_counter() - began
        points = (step - 3) * series
        _drained(http, token, step * series)
        all_s = time.perf_counter() - began
        cpu_s = _cpu_s(child) - cpu_before
        rss = sum(p.memory_info().rss for p in _family(child))
        time.sleep(1.0)
        child.send_signal(signal.SIGTERM)
        child.wait(60)
        size = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
        http.close()
    return {
        "points_per_s": points / sent_s,
        "detected_per_s": points / all_s,
        "cpu_ns_per_point": cpu_s / points * 1e9,
        "ack_p99_ms": float(np.percentile(acks, 99)) * 1e3,
        "rss_mb": rss / 1e6,
        "bytes_per_point": size / (step * series),
    }


def prepare(series: int) -> list[tuple[bytearray, np.ndarray[Any, Any]]]:
    """Requests of at most `PER_REQUEST` gauges each, with the places where their times stand."""
    rng = np.random.default_rng(1)
    found = []
    for first in range(0, series, PER_REQUEST):
        message = ExportMetricsServiceRequest()
        resource = message.resource_metrics.add()
        name = resource.resource.attributes.add()
        name.key, name.value.string_value = "service.name", f"service-{first // PER_REQUEST % 50}"
        metric = resource.scope_metrics.add().metrics.add()
        metric.name = "bench.value"
        for number, value in enumerate(rng.normal(100.0, 5.0, min(PER_REQUEST, series - first)), first):
            point = metric.gauge.data_points.add()
            point.time_unix_nano = MARK
            point.as_double = value
            label = point.attributes.add()
            label.key, label.value.string_value = "instance", f"instance-{number}"
        body = bytearray(message.SerializeToString())
        found.append((body, _marks(body)))
    return found


def _marks(body: bytearray) -> np.ndarray[Any, Any]:
    pattern = MARK.to_bytes(8, "little")
    places, at = [], bytes(body).find(pattern)
    whole = bytes(body)
    while at >= 0:
        places.append(at)
        at = whole.find(pattern, at + 8)
    return np.array(places)


def _send(
    http: httpx.Client,
    requests: Sequence[tuple[bytearray, np.ndarray[Any, Any]]],
    time_ns: int,
    steps: int,
    acks: list[float],
) -> int:
    """Send every series once a step; appends each answer's time. Returns the number of steps."""
    lock = threading.Lock()

    def post(request: tuple[bytearray, np.ndarray[Any, Any]]) -> None:
        body, _ = request
        began = time.perf_counter()
        while True:
            answer = http.post("/v1/metrics", content=bytes(body), headers={"content-type": "application/x-protobuf"})
            if answer.status_code not in (429, 503):
                break
            time.sleep(float(answer.headers.get("retry-after", 1)))
        answer.raise_for_status()
        with lock:
            acks.append(time.perf_counter() - began)

    for step in range(steps):
        stamp = np.frombuffer((time_ns + step * STEP_S * 10**9).to_bytes(8, "little"), np.uint8)
        for body, marks in requests:
            np.frombuffer(body, np.uint8)[marks[:, None] + np.arange(8)] = stamp
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(post, requests))
    return steps


def _drained(http: httpx.Client, token: str, rows: int, limit_s: float = 600.0) -> None:
    """Wait until the stages have seen so many rows."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        text = http.get("/metrics", headers={"authorization": f"Bearer {token}"}).text
        seen = [line for line in text.splitlines() if line.startswith("twofold_pipeline_rows_total")]
        if sum(float(line.rsplit(" ", 1)[1]) for line in seen) >= rows:
            return
        time.sleep(0.1)
    raise SystemExit(f"the stages did not see {rows} rows within {limit_s:.0f} s")


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["up", "--data", str(folder), "--port", str(port), "--otlp-port", "0"]
    with (folder / "up.log").open("wb") as log:
        child = subprocess.Popen([sys.executable, "-m", "twofold", *arguments], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and child.poll() is None:
                with suppress(httpx.HTTPError):
                    if httpx.get(f"{url}/readyz", trust_env=False).is_success:
                        break
                time.sleep(0.2)
            token = json.loads((folder / "client.json").read_text())["token"]
            yield url, child, token
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait(60)


def _family(child: subprocess.Popen[bytes]) -> list[psutil.Process]:
    parent = psutil.Process(child.pid)
    return [parent, *parent.children(recursive=True)]


def _cpu_s(child: subprocess.Popen[bytes]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _family(child))


if __name__ == "__main__":
    main()
