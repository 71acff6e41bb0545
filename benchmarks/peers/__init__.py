"""Other stores of metrics as programs of their own, from Debian's packages, for `benchmarks.ingest --peers`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from benchmarks.peers.process import calm, free_port, ready, stop
from twofold.app.stages import STAGES
from twofold.store.history import Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig

DAYS: Final = 100
SERIES: Final = 200_000  # the usual limit of a tenant
FLUSHED_S: Final = 35.0  # the recorder writes its hot window at least so often


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A running store.

    Attributes:
        write: Where remote write requests go.
        query: The prefix of the Prometheus HTTP API.
        token: For the API; empty when none is asked for.
        folder: Where it keeps its data.
        head: Header lines that its requests need.
    """

    name: str
    process: subprocess.Popen[bytes]
    write: str
    query: str
    folder: Path
    token: str = ""
    head: str = ""

    def compact(self) -> tuple[int, float]:
        """Bring everything into its lasting form: bytes of that, and processor time it took outside of the process."""
        if self.head:
            time.sleep(FLUSHED_S)
            return compacted(self.folder / "history")
        if self.name == "prometheus":
            answer = httpx.post(f"{self.query}/api/v1/admin/tsdb/snapshot", timeout=600.0, trust_env=False)
            snapshot = answer.raise_for_status().json()["data"]["name"]
            return size_of(self.folder / "snapshots" / snapshot), 0.0
        for step in ("force_flush", "force_merge"):
            httpx.get(f"{self.query}/internal/{step}", timeout=600.0, trust_env=False).raise_for_status()
        calm(self.process)
        return size_of(self.folder), 0.0


def compacted(folder: Path) -> tuple[int, float]:
    """Compact a history of ours beside the process that writes it: bytes of its samples, processor time taken."""
    config = CompactConfig(settle_s=0.0, small_files=2, small_rows=1 << 40)
    history = DeltaHistory(folder, config=HistoryConfig(compact=config))
    began = time.process_time()
    history.compact()
    took = time.process_time() - began
    size = history.status()[Table.SAMPLES].size_bytes
    history.close()
    return size, took


@contextmanager
def twofold(folder: Path, series: int = SERIES, *, only: Collection[str] | None = None) -> Iterator[Peer]:
    """Ours, as `twofold up` starts it, or with some stages only; samples of so many series are taken.

    They go through the backfill lane: they run faster than time, and the live lane's clock would call them late.
    """
    port = free_port()
    settings = folder / "twofold.json"  # JSON is YAML
    limits = {"clean": {"past_s": 1e9, "metric_series": 0, "tenant_series": max(SERIES, series)}}
    http = {"port": port, "otlp_port": 0, "otlp_grpc_port": 0}
    without = [] if only is None else sorted(STAGES - set(only))
    settings.write_text(json.dumps({"http": http, "ingest": limits, "without": without}))
    arguments = ["-m", "twofold", "up", "--data", str(folder), "--config", str(settings)]
    url = f"http://127.0.0.1:{port}"
    with _running(sys.executable, arguments, folder, f"{url}/readyz") as process:
        yield Peer(
            name="twofold" if only is None else f"twofold: {', '.join(only) or 'stores'}",
            process=process,
            write=f"{url}/api/v1/write",
            query=f"{url}/prometheus",
            folder=folder,
            token=json.loads((folder / "client.json").read_text())["token"],
            head="X-Twofold-Lane: backfill\r\n",
        )


@contextmanager
def prometheus(folder: Path) -> Iterator[Peer]:
    """Debian's Prometheus as a remote-write receiver."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    data = folder / "data"
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        f"--storage.tsdb.retention.time={DAYS}d",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--web.enable-admin-api",
        "--log.level=error",
    ]
    url = f"http://127.0.0.1:{port}"
    with _running("prometheus", arguments, folder, f"{url}/-/ready") as process:
        yield Peer(name="prometheus", process=process, write=f"{url}/api/v1/write", query=url, folder=data)


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[Peer]:
    """Debian's single-node VictoriaMetrics."""
    port = free_port()
    data = folder / "data"
    arguments = [
        f"-storageDataPath={data}",
        f"-retentionPeriod={DAYS}d",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-loggerLevel=ERROR",
        "-search.disableCache",  # answers are computed, as ours are
        "-search.maxUniqueTimeseries=2000000",
    ]
    url = f"http://127.0.0.1:{port}"
    with _running("victoria-metrics", arguments, folder, f"{url}/health") as process:
        yield Peer(name="victoria-metrics", process=process, write=f"{url}/api/v1/write", query=url, folder=data)


@contextmanager
def _running(program: str, arguments: list[str], folder: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    found = shutil.which(program)
    if found is None:
        raise SystemExit(f"{program} is not installed; run tests/debian-packages")
    with (folder / "program.log").open("wb") as log:
        process = subprocess.Popen([found, *arguments], stdout=log, stderr=log)
    try:
        ready(url, process)
        yield process
    finally:
        stop(process)


def size_of(folder: Path) -> int:
    """Bytes of all files below, each counted once."""
    return sum({(s.st_dev, s.st_ino): s.st_size for f in folder.rglob("*") if f.is_file() and (s := f.stat())}.values())
