"""Points a second from HTTP to fsynced, detected and in the history, through a real `twofold up` on this machine.

    python -m benchmarks.ingest [--series 10000,100000] [--seconds 30] [--quick] [--json]

The sender runs on the same cores, and its share is told. Keys per number of series: points_per_s (accepted
and acknowledged), detected_per_s (through the stages, until the last point), cpu_ns_per_point (both
processes of Twofold), sender_ns_per_point, ack_p99_ms, rss_mb (highest sum of both processes),
written_bytes_per_point (to the device: journal, files, their compaction, checkpoints),
bytes_per_point (history on disk), compacted_bytes_per_point, compact_ns_per_point.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import psutil

from benchmarks.load import STEP_S, Load, Watcher, prepare
from twofold.store.history import Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig

CLIENTS: Final = 16
IDLE: Final = 0.15  # of a core
WARM_STEPS: Final = 3  # series are registered and kernels compiled before the clock starts
PAST_S: Final = 40 * 86_400  # the stream begins so long ago, and runs much faster than time


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
    for name in next(iter(found.values())):
        print(f"{name:28}" + "".join(f"{row[name]:>16,.1f}" for row in found.values()))
    print(f"{'series':28}" + "".join(f"{int(series):>16,}" for series in found))


def measure(series: int, seconds: float) -> dict[str, float]:
    """One run over a fresh data folder."""
    with tempfile.TemporaryDirectory(prefix="twofold-bench-") as folder:
        with _server(Path(folder)) as (url, child, token):
            http = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
            load = Load(f"{url}/v1/metrics", "otlp", prepare("otlp", series), clients=CLIENTS)
            first_ns = time.time_ns() - PAST_S * 10**9
            load.run(first_ns, steps=WARM_STEPS)
            _drained(http, token, WARM_STEPS * series)
            _calm(child)
            cpu_s, written, began = _cpu_s(child), _written(child), time.perf_counter()
            with Watcher(lambda: sum(process.memory_info().rss for process in _family(child))) as rss:
                steps, sent = load.run(first_ns + WARM_STEPS * STEP_S * 10**9, seconds=seconds)
                sent_s = time.perf_counter() - began
                _drained(http, token, WARM_STEPS * series + sent.points)
                all_s = time.perf_counter() - began
            cpu_s, written = _cpu_s(child) - cpu_s, _written(child) - written
            http.close()
            child.send_signal(signal.SIGTERM)
            child.wait(120)
        points = sent.points
        stored = (WARM_STEPS + steps) * series
        return {
            "points_per_s": points / sent_s,
            "detected_per_s": points / all_s,
            "cpu_ns_per_point": cpu_s / points * 1e9,
            "sender_ns_per_point": sent.cpu_s / points * 1e9,
            "ack_p99_ms": float(np.percentile(sent.acks_s, 99)) * 1e3,
            "refused": sent.refused,
            "rss_mb": rss.highest / 1e6,
            "written_bytes_per_point": written / points,
            **_compacted(Path(folder) / "history", stored),
        }


def _compacted(folder: Path, rows: int) -> dict[str, float]:
    """Sizes of the table of samples before and after all is compacted. Raises `SystemExit` when rows are lost."""
    history = DeltaHistory(
        folder, config=HistoryConfig(compact=CompactConfig(settle_s=0.0, small_files=2, small_rows=1 << 40))
    )
    before = history.status()[Table.SAMPLES]
    if before.rows < rows:
        raise SystemExit(f"{rows} points were acknowledged, {before.rows} stand in the history")
    began = time.process_time()
    history.compact()
    took = time.process_time() - began
    after = history.status()[Table.SAMPLES]
    history.close()
    return {
        "bytes_per_point": before.size_bytes / before.rows,
        "compacted_bytes_per_point": after.size_bytes / after.rows,
        "compact_ns_per_point": took / before.rows * 1e9,
        "files": before.files,
        "files_compacted": after.files,
    }


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


def _calm(child: subprocess.Popen[bytes], limit_s: float = 180.0) -> None:
    """Wait until nothing is compiled in the background any more: two seconds in a row almost idle."""
    deadline, quiet, used = time.monotonic() + limit_s, 0, _cpu_s(child)
    while quiet < 2 and time.monotonic() < deadline:  # noqa: PLR2004 - in a row
        time.sleep(1.0)
        before, used = used, _cpu_s(child)
        quiet = quiet + 1 if used - before < IDLE else 0


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "twofold.json"  # JSON is YAML
    limits = {"clean": {"past_s": 10.0 * PAST_S}}
    http = {"port": port, "otlp_port": 0, "otlp_grpc_port": 0}
    settings.write_text(json.dumps({"http": http, "ingest": limits}))
    arguments = ["up", "--data", str(folder), "--config", str(settings)]
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


def _written(child: subprocess.Popen[bytes]) -> float:
    return sum(process.io_counters().write_bytes for process in _family(child))


def _cpu_s(child: subprocess.Popen[bytes]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _family(child))


if __name__ == "__main__":
    main()
