"""One open dashboard beside a load: what its panels ask, once a second, and how long the answers take."""

from __future__ import annotations

import threading
import time
from typing import Final, Self

import httpx
import numpy as np

from benchmarks.load import Load
from benchmarks.peers import Peer

EVERY_S: Final = 1.0
HOUR_S: Final = 3600
PANELS: Final = ("sum(bench_value00)", 'bench_value00{instance=~"instance-000000.."}', "avg by (job) (bench_value01)")
PAGES: Final = ("home", "incidents?limit=20", "alerts?limit=50", "topology", "findings?limit=50")


class Dashboard:
    """Asks for every page and panel while a block runs.

    Args:
        peer: A running Twofold.
        load: What it is sent: panels show its last hour.
    """

    def __init__(self, peer: Peer, load: Load) -> None:
        self._peer, self._load = peer, load
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._took_s: list[float] = []
        self._failed = 0

    def told(self) -> dict[str, float]:
        """Answers and failures, and how long answers took."""
        took_ms = np.array(self._took_s or [0.0]) * 1e3
        return {
            "answers": len(self._took_s),
            "failed_answers": self._failed,
            "answer_p50_ms": float(np.percentile(took_ms, 50)),
            "answer_p99_ms": float(np.percentile(took_ms, 99)),
        }

    def _read(self) -> None:
        base = self._peer.query.removesuffix("/prometheus")
        headers = {"authorization": f"Bearer {self._peer.token}"}
        with httpx.Client(base_url=base, headers=headers, timeout=60.0, trust_env=False) as http:
            while not self._stop.wait(EVERY_S):
                end_s = self._load.reached_ns / 1e9
                asked = {"start": f"{end_s - HOUR_S:.0f}", "end": f"{end_s:.0f}", "step": "15"}
                for page in PAGES:
                    self._ask(http, f"/api/v1/{page}", {})
                for panel in PANELS:
                    self._ask(http, "/prometheus/api/v1/query_range", {"query": panel, **asked})

    def _ask(self, http: httpx.Client, path: str, given: dict[str, str]) -> None:
        began = time.perf_counter()
        try:
            answer = http.get(path, params=given or None)
        except httpx.HTTPError:
            self._failed += 1
            return
        self._took_s.append(time.perf_counter() - began)
        self._failed += answer.is_error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
