"""PromQL over our history and over Debian's Prometheus: the same samples, the same queries, the same run.

Ours is the engine with its read and its JSON; Prometheus's is an HTTP request on this machine. Without the
package `prometheus` its column stays empty.

    python benchmarks/promql.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import cramjam
import httpx
import numpy as np

from twofold.aiops.ingest.prometheus.message import WriteRequest
from twofold.api.answers import data_of, success
from twofold.records.columns import samples_batch
from twofold.records.frame import Frame, FrameKind, Position
from twofold.store.catalog.files import FileCatalog
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.journal.codec import encode_batch
from twofold.store.promql import Answer, Engine, HistorySource

GAP_S: Final = 15
HOURS: Final = 6
A_METRIC: Final = 100
NOON_S: Final = 1_767_268_800
ROUNDS: Final = 7
CHUNK: Final = 120  # samples of each series in one remote-write request
QUERIES: Final = {
    "100 series": "m0_total",
    "rate": "rate(m0_total[5m])",
    "sum by (rate)": "sum by (zone) (rate(m0_total[5m]))",
    "max over 1 h": "max_over_time(m0_total[1h])",
    "quantile by": "quantile by (zone) (0.9, m0_total)",
    "ratio, matched": "m0_total / on(zone, host) m1_total",
    "subquery": "max_over_time(rate(m0_total[5m])[30m:1m])",
}
"""Six hours by minute."""


class Metric:
    """Counters that grow by a random step: times (T,), values (series, T)."""

    def __init__(self, number: int, steps: int) -> None:
        draw = np.random.default_rng(number)
        self.name = f"m{number}_total"
        self.labels = [{"zone": f"z{each % 5}", "host": f"h{each}"} for each in range(A_METRIC)]
        self.times_s = NOON_S + GAP_S * np.arange(steps)
        self.values = np.cumsum(draw.integers(0, 50, (A_METRIC, steps)), axis=1).astype(np.float64)


def ours(folder: Path, metrics: list[Metric]) -> HistorySource:
    """Everything in compacted tables."""
    catalog = FileCatalog(folder / "catalog")
    compact = CompactConfig(settle_s=0, small_files=2)
    history = DeltaHistory(folder / "history", config=HistoryConfig(compact=compact))
    for number, metric in enumerate(metrics, 1):
        sids = [catalog.register(metric.name, each, entity="", tenant="main")[0] for each in metric.labels]
        steps = len(metric.times_s)
        batch = samples_batch(
            np.repeat(np.array(sids), steps), np.tile(metric.times_s * 10**9, len(sids)), metric.values.ravel()
        )
        frame = Frame(kind=FrameKind.SAMPLES, payload=encode_batch(batch), time_ns=0, rows=batch.num_rows)
        history.append(0, [(Position(0, number), frame)])
        history.flush()
    history.compact()
    return HistorySource(catalog, history, tenant="main")


@contextmanager
def prometheus(folder: Path, metrics: list[Metric]) -> Iterator[str]:
    """Debian's Prometheus with the same samples; gives its address."""
    folder.mkdir()
    (folder / "prometheus.yml").write_text("global: {}\n")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    program = subprocess.Popen(
        [
            "prometheus",
            "--config.file=prometheus.yml",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver",
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                if httpx.get(f"{url}/-/ready").is_success:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        for at in range(0, len(metrics[0].times_s), CHUNK):
            for metric in metrics:
                send(url, metric, slice(at, at + CHUNK))
        yield url
    finally:
        program.terminate()
        program.wait(30)


def send(url: str, metric: Metric, part: slice) -> None:
    """Remote-write a part of a metric's samples."""
    request = WriteRequest()
    times = (metric.times_s[part] * 1000).tolist()
    for labels, values in zip(metric.labels, metric.values[:, part].tolist(), strict=True):
        series = request.timeseries.add()
        for name, text in sorted((labels | {"__name__": metric.name}).items()):
            series.labels.add(name=name, value=text)
        for time_ms, value in zip(times, values, strict=True):
            series.samples.add(timestamp=time_ms, value=value)
    content = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
    httpx.post(f"{url}/api/v1/write", content=content, timeout=60).raise_for_status()


def told(asked: Callable[[], Answer]) -> bytes:
    """The body of our answer."""
    return success(data_of(asked()))


def body(get: Callable[[], httpx.Response]) -> bytes:
    """The body of Prometheus's answer."""
    return get().raise_for_status().content


def median_ms(of: Callable[[], object]) -> float:
    """After one round to warm up."""
    of()
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        of()
        found.append((time.perf_counter() - started) * 1000)
    return statistics.median(found)


def run(metrics: int) -> dict[str, dict[str, float]]:
    """Milliseconds of every query on both sides."""
    steps = HOURS * 3600 // GAP_S
    made = [Metric(number, steps) for number in range(metrics)]
    start, end = NOON_S, NOON_S + HOURS * 3600 - GAP_S
    engine, found = Engine(), {}
    with tempfile.TemporaryDirectory() as name:
        source = ours(Path(name), made)
        every = "sum by (zone) (last_over_time({__name__=~'m.*'}[5m]))"
        for title, query in QUERIES.items():
            asked = partial(engine.range, source, query, start * 1000, end * 1000, 60_000)
            found[title] = {"ours_ms": median_ms(partial(told, asked))}
        asked = partial(engine.instant, source, every, end * 1000)
        found["all series, 5 min"] = {"ours_ms": median_ms(partial(told, asked))}
        if shutil.which("prometheus"):
            with prometheus(Path(name) / "peer", made) as url, httpx.Client(base_url=f"{url}/api/v1") as client:
                for title, query in QUERIES.items():
                    parameters: dict[str, str | int] = {"query": query, "start": start, "end": end, "step": 60}
                    get = partial(client.get, "/query_range", params=parameters)
                    found[title]["prometheus_ms"] = median_ms(partial(body, get))
                get = partial(client.get, "/query", params={"query": every, "time": end})
                found["all series, 5 min"]["prometheus_ms"] = median_ms(partial(body, get))
    for each in found.values():
        if "prometheus_ms" in each:
            each["ratio"] = each["ours_ms"] / each["prometheus_ms"]
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 series; else 1,000")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    arguments = parser.parse_args()
    result = run(2 if arguments.quick else 10)
    print(f"{'100 series, 6 h by minute':28}{'ours ms':>12}{'prometheus ms':>16}{'ratio':>8}")
    for title, numbers in result.items():
        peer, ratio = (f"{numbers[key]:.2f}" if key in numbers else "" for key in ("prometheus_ms", "ratio"))
        print(f"{title:28}{numbers['ours_ms']:>12.2f}{peer:>16}{ratio:>8}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
