"""One remote-write stream into Twofold, Prometheus and VictoriaMetrics, one after the other on the same machine.

Twofold comes twice: as it is, with every detector on, and storing only, as the others do. Keys by store:
cpu_ns_per_point (until nothing is worked off any more, compaction of what was sent included), points_per_s, rss_mb,
bytes_per_point (compacted), and by the Prometheus HTTP API, medians: one_series_1h_ms, one_series_now_ms,
hundred_series_1h_ms by minute, hundred_series_now_ms, sum_1h_ms (a metric's series summed by minute), query_cpu_ms (of
the store, a question for one series over an hour).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import numpy as np

from benchmarks import peers
from benchmarks.load import PER_REQUEST, STEP_S, Load, Watcher, prepare
from benchmarks.peers import Peer
from benchmarks.peers.process import calm, cpu_s, rss_bytes

CLIENTS: Final = 16
WARM_STEPS: Final = 3
HOUR_S: Final = 3600
TIMES: Final = 20
ROUNDS: Final = 100


def compare(series: int, steps: int) -> dict[str, dict[str, float]]:
    """The same stream into each store."""
    found = {}
    stores = partial(peers.twofold, only=())
    for start in (peers.twofold, stores, peers.victoria_metrics, peers.prometheus):
        with tempfile.TemporaryDirectory(prefix="twofold-bench-") as folder, start(Path(folder)) as peer:
            found[peer.name] = _measure(peer, series, steps)
    return found


def _measure(peer: Peer, series: int, steps: int) -> dict[str, float]:
    begin_ns = (time.time_ns() // 10**9 - (steps + WARM_STEPS) * STEP_S) // HOUR_S * HOUR_S * 10**9
    load = Load(peer.write, "write", prepare("write", series), clients=CLIENTS, head=peer.head)
    warm, first = load.run(begin_ns, steps=WARM_STEPS)
    calm(peer.process)
    used, began = cpu_s(peer.process), time.perf_counter()
    with Watcher(lambda: rss_bytes(peer.process)) as rss:
        _, sent = load.run(begin_ns + warm * STEP_S * 10**9, steps=steps)
        took = time.perf_counter() - began
        calm(peer.process)
    size, own = peer.compact()
    used = cpu_s(peer.process) - used + own
    end_s = begin_ns // 10**9 + (warm + steps) * STEP_S
    return {
        "cpu_ns_per_point": used / sent.points * 1e9,
        "points_per_s": sent.points / took,
        "rss_mb": rss.highest / 1e6,
        "bytes_per_point": size / (sent.points + first.points),
        **_asked(peer, series, end_s),
    }


def _asked(peer: Peer, series: int, end_s: int) -> dict[str, float]:
    draw = np.random.default_rng(4)
    headers = {"authorization": f"Bearer {peer.token}"} if peer.token else {}
    with httpx.Client(base_url=peer.query, headers=headers, timeout=60.0, trust_env=False) as http:

        def ask(query: str, step_s: int, expected: int) -> float:
            """Milliseconds of a question over the last hour, or with a step of 0 at its end."""
            path, given = "query", {"query": query, "time": str(end_s - STEP_S)}
            if step_s:
                path, given = "query_range", {"query": query, "start": str(end_s - HOUR_S), "step": str(step_s)}
                given["end"] = str(end_s - STEP_S)
            began = time.perf_counter()
            answer = http.get(f"/api/v1/{path}", params=given)
            took = time.perf_counter() - began
            if answer.is_error:
                raise SystemExit(f"{peer.name} answered {answer.status_code}: {answer.text[:300]}")
            values = sum(len(each.get("values", [0])) for each in answer.json()["data"]["result"])
            if values < expected:
                raise SystemExit(f"{peer.name} found {values} values, {expected} were expected")
            return took * 1e3

        def one(step_s: int, expected: int) -> float:
            number = int(draw.integers(0, min(series, PER_REQUEST)))
            return ask(f'bench_value00{{instance="instance-{number:07d}"}}', step_s, expected)

        def hundred(step_s: int, expected: int) -> float:
            return ask('bench_value00{instance=~"instance-00000.."}', step_s, 100 * expected)

        found = {}
        for name, question, steps, times in (
            ("one_series_1h_ms", one, (STEP_S, HOUR_S // STEP_S), TIMES),
            ("one_series_now_ms", one, (0, 1), TIMES),
            ("hundred_series_1h_ms", hundred, (60, HOUR_S // 60), TIMES),
            ("hundred_series_now_ms", hundred, (0, 1), TIMES),
            ("sum_1h_ms", partial(ask, "sum(bench_value00)"), (60, HOUR_S // 60), TIMES // 2),
        ):
            question(*steps)  # caches are warm for all of them
            found[name] = statistics.median(question(*steps) for _ in range(times))
        used = cpu_s(peer.process)
        for _ in range(ROUNDS):
            one(STEP_S, HOUR_S // STEP_S)
        return found | {"query_cpu_ms": (cpu_s(peer.process) - used) / ROUNDS * 1e3}
