"""Points a second from HTTP to fsynced, detected and in the history, through a real `twofold up` on this machine.

    python -m benchmarks.ingest [--series 10000,100000] [--seconds 30] [--only panel] [--reader]
        [--quick] [--scale] [--peers] [--json]

The sender runs on the same cores, and its share is told. Keys per number of series: points_per_s (accepted
and acknowledged), detected_per_s (through the stages, until the last point), cpu_ns_per_point (both
processes of Twofold), sender_ns_per_point, ack_p99_ms, rss_mb (highest sum of both processes),
bytes_per_idle_series (resident memory that registering the series took, once settled), written_bytes_per_point (to the
device: journal, files, checkpoints), restart_s (from the start of a second process over what the first left until it
is ready), compacted_bytes_per_point, compact_ns_per_point; with a reader its answers and their p50 and p99.

Every detector is on, unless `--only` names the stages (an empty name: telemetry is stored and nothing else).
`--reader` asks through the REST and the Prometheus API what an open dashboard asks, once a second.
`--scale` takes 1,000 to 1,000,000 series (beyond 200,000 the limit of a tenant is raised); `--peers` sends one
remote-write stream into Twofold, VictoriaMetrics and Prometheus instead (see `benchmarks.peers.compare`).
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import httpx
import numpy as np

from benchmarks.dashboard import Dashboard
from benchmarks.load import STEP_S, Load, Watcher, prepare
from benchmarks.peers import Peer, compacted, twofold
from benchmarks.peers.compare import compare
from benchmarks.peers.process import calm, cpu_s, family, rss_bytes

CLIENTS: Final = 16
WARM_STEPS: Final = 3  # series are registered and kernels compiled before the clock starts
SETTLED_S: Final = 20  # a process that does nothing gives spare memory back within so long
PAST_S: Final = 40 * 86_400  # the stream begins so long ago, and runs much faster than time
SCALE: Final = "1000,10000,100000,1000000"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", default="10000,100000", help="numbers of series, comma-separated")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each is sent")
    parser.add_argument("--only", help="stages that run, comma-separated, in place of all")
    parser.add_argument("--reader", action="store_true", help="one open dashboard reads beside it")
    parser.add_argument("--quick", action="store_true", help="10,000 series for 8 s; with --peers 300 steps")
    parser.add_argument("--scale", action="store_true", help=f"{SCALE} series")
    parser.add_argument("--peers", action="store_true", help="compare with other stores")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args()
    if given.peers:
        found: Mapping[str, Mapping[str, float]] = compare(10_000, 400 if given.quick else 2_000)
    else:
        counts = SCALE if given.scale else "10000" if given.quick else given.series
        seconds = 8.0 if given.quick else given.seconds
        only = None if given.only is None else [name for name in given.only.split(",") if name]
        found = {
            f"{int(n):,} series": measure(int(n), seconds, only=only, reader=given.reader) for n in counts.split(",")
        }
    print(json.dumps(found) if given.json else _table(found))


def _table(found: Mapping[str, Mapping[str, float]]) -> str:
    lines = [f"{'':28}" + "".join(f"{name:>18}" for name in found)]
    names = next(iter(found.values()))
    lines += [f"{name:28}" + "".join(f"{row[name]:>18,.1f}" for row in found.values()) for name in names]
    return "\n".join(lines)


def measure(
    series: int, seconds: float, *, only: Collection[str] | None = None, reader: bool = False
) -> dict[str, float]:
    """One run over a fresh data folder."""
    with tempfile.TemporaryDirectory(prefix="twofold-bench-") as folder:
        with twofold(Path(folder), 2 * series, only=only) as peer:
            found, points = _run(peer, series, seconds, reader=reader)
            peer.process.send_signal(signal.SIGTERM)
            peer.process.wait(120)
        began = time.perf_counter()
        with twofold(Path(folder), 2 * series):
            found["restart_s"] = time.perf_counter() - began
        size, took = compacted(Path(folder) / "history")
    return found | {"compacted_bytes_per_point": size / points, "compact_ns_per_point": took / points * 1e9}


def _run(peer: Peer, series: int, seconds: float, *, reader: bool) -> tuple[dict[str, float], int]:
    """What a run told, and how many points it sent in all."""
    child = peer.process
    calm(child)
    idle = rss_bytes(child)
    url = peer.write.replace("/api/v1/write", "/v1/metrics")
    load = Load(url, "otlp", prepare("otlp", series), clients=CLIENTS, head=peer.head)
    first_ns = time.time_ns() - PAST_S * 10**9
    warm, sent = load.run(first_ns, steps=WARM_STEPS)
    _drained(peer, warm_points := sent.points)
    calm(child)
    known = _settled(child)
    used, written, began = cpu_s(child), _written(child), time.perf_counter()
    with Watcher(lambda: rss_bytes(child)) as rss, Dashboard(peer, load) if reader else nullcontext() as dashboard:
        _, sent = load.run(first_ns + warm * STEP_S * 10**9, seconds=seconds)
        sent_s = time.perf_counter() - began
        _drained(peer, warm_points + sent.points)
        all_s = time.perf_counter() - began
    points = sent.points
    found = {
        "points_per_s": points / sent_s,
        "detected_per_s": points / all_s,
        "cpu_ns_per_point": (cpu_s(child) - used) / points * 1e9,
        "sender_ns_per_point": sent.cpu_s / points * 1e9,
        "ack_p99_ms": float(np.percentile(sent.acks_s, 99)) * 1e3,
        "refused": sent.refused,
        "rss_mb": rss.highest / 1e6,
        "bytes_per_idle_series": (known - idle) / series,
        "written_bytes_per_point": (_written(child) - written) / points,
    }
    return found | (dashboard.told() if dashboard else {}), warm_points + points


def _settled(child: subprocess.Popen[bytes]) -> float:
    """What memory goes down to while nothing happens."""
    lowest = rss_bytes(child)
    for _ in range(SETTLED_S):
        time.sleep(1.0)
        lowest = min(lowest, rss_bytes(child))
    return lowest


def _drained(peer: Peer, rows: int, limit_s: float = 600.0) -> None:
    """Wait until the stages have seen so many rows."""
    url = f"{peer.query.removesuffix('/prometheus')}/metrics"
    deadline = time.monotonic() + limit_s
    with httpx.Client(headers={"authorization": f"Bearer {peer.token}"}, timeout=60.0, trust_env=False) as http:
        while time.monotonic() < deadline:
            seen = [line for line in http.get(url).text.splitlines() if line.startswith("twofold_pipeline_rows_total")]
            if sum(float(line.rsplit(" ", 1)[1]) for line in seen) >= rows:
                return
            time.sleep(0.1)
    raise SystemExit(f"the stages did not see {rows} rows within {limit_s:.0f} s")


def _written(child: subprocess.Popen[bytes]) -> float:
    return float(sum(process.io_counters().write_bytes for process in family(child)))


if __name__ == "__main__":
    main()
