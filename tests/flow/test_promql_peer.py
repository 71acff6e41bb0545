"""The same samples by remote write into Debian's Prometheus and into Twofold; the same queries give the same answers.

The queries are those of `tests/unit/promql/cases`. Prometheus 2 counts a sample at a window's very beginning, version 3
and Twofold do not, so no window there begins at a sample. What only version 3 has stands in `three.test`.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cramjam
import httpx
import pytest

from tests.api_world import World, build_world
from tests.flow.receiving import receiving
from tests.flow.test_prometheus import free_port, running
from tests.unit.promql.language import Case, cases, loads
from twofold.aiops.ingest.prometheus.message import WriteRequest
from twofold.records.access import Role
from twofold.records.frame import Frame, FrameKind, Position
from twofold.store.history import Table
from twofold.store.journal import batches
from twofold.store.journal.codec import decode_series
from twofold.store.promql import Labels
from twofold.store.promql.values import NAME, STALE_BITS

PROMETHEUS = shutil.which("prometheus")
CASES = Path(__file__).parents[1] / "unit" / "promql" / "cases"
HALF_MS = 600_000
MARK = struct.pack("<Q", STALE_BITS)
Runs = Mapping[Labels, Sequence[tuple[int, float]]]

pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="needs the Debian package prometheus on PATH")


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Debian's Prometheus, ready to be written to; gives its address."""
    assert PROMETHEUS
    folder.mkdir(exist_ok=True)
    (folder / "prometheus.yml").write_text("global: {evaluation_interval: 1m}\n")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(
        folder,
        PROMETHEUS,
        "--config.file=prometheus.yml",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
    ):
        deadline = time.monotonic() + 30
        while not ready(url):
            assert time.monotonic() < deadline, "Prometheus did not start"
            time.sleep(0.05)
        yield url


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def write(url: str, runs: Runs, base_ms: int, start_ms: int, end_ms: int) -> None:
    """Remote-write the samples of [start, end)."""
    request = WriteRequest()
    for labels, samples in runs.items():
        inside = [(at, value) for at, value in samples if start_ms <= at < end_ms]
        if inside:
            series = request.timeseries.add()
            for name, value in labels:
                series.labels.add(name=name, value=value)
            for at, number in inside:
                series.samples.add(timestamp=base_ms + at, value=number)
    body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
    headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
    answer = httpx.post(f"{url}/api/v1/write", content=body, headers=headers, timeout=30)
    assert answer.status_code in {200, 204}, answer.text


def parameters(case: Case, base_ms: int) -> tuple[str, dict[str, Any]]:
    """Path and parameters of a case's query."""
    if case.step_ms:
        bounds = {"start": (base_ms + case.start_ms) / 1000, "end": (base_ms + case.end_ms) / 1000}
        return "query_range", {"query": case.query, "step": case.step_ms / 1000} | bounds
    return "query", {"query": case.query, "time": (base_ms + case.start_ms) / 1000}


def values(body: Mapping[str, Any]) -> Any:
    """An answer with numbers for texts, to be compared."""
    if body["status"] == "error":
        return body["errorType"]
    kind, result = body["data"]["resultType"], body["data"]["result"]
    if kind in {"scalar", "string"}:
        return kind, result
    return kind, {
        tuple(sorted(series["metric"].items())): series.get("values") or [series["value"]] for series in result
    }


def differs(ours: Any, theirs: Any) -> bool:
    """Whether two answers differ by more than rounding."""
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        return len(ours) != len(theirs) or any(map(differs, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() != theirs.keys() or any(differs(ours[key], theirs[key]) for key in ours)
    try:
        left, right = float(ours), float(theirs)
    except (TypeError, ValueError):
        return bool(ours != theirs)
    if math.isfinite(left) and math.isfinite(right):
        return abs(left - right) > 1e-9 * max(abs(left), abs(right), 1e-6)
    return repr(left) != repr(right)


def take(world: World, frames: Sequence[tuple[Position, Frame]]) -> None:
    """What the receiver wrote into the journal, into catalog and history."""
    for position, frame in frames:
        if frame.kind is FrameKind.SERIES:
            world.catalog.restore(decode_series(frame))
        world.history.append(0, [(position, frame)])


def add_odd(world: World, runs: Runs, base_ms: int) -> None:
    """NaN and infinities, which the receivers drop: straight into the history. Marks of a series' end came by them."""
    world.history.written = 1 << 62  # behind every position of the journal
    for labels, samples in runs.items():
        odd = [(at, value) for at, value in samples if not math.isfinite(value) and struct.pack("<d", value) != MARK]
        if odd:
            known = dict(labels)
            sid, _ = world.catalog.register(known.pop(NAME), known, entity="", tenant="main")
            rows = [{"sid": sid, "time_ns": (base_ms + at) * 1_000_000, "value": value} for at, value in odd]
            world.history.add(Table.SAMPLES, *rows)


async def ask(world: World, every: Sequence[Case], base_ms: int) -> list[Any]:
    """Our answers."""
    found = []
    async with world.client(Role.VIEWER) as client:
        for case in every:
            path, asked = parameters(case, base_ms)
            found.append(values((await client.get(f"/prometheus/api/v1/{path}", params=asked)).json()))
    return found


def feed(world: World, peer: str, folder: Path, runs: Runs, base_ms: int) -> None:
    """The same samples into both: of ours half into tables, half into the hot window."""
    with receiving(folder) as server:
        for start, end in ((0, HALF_MS), (HALF_MS, 1 << 53)):
            write(peer, runs, base_ms, start, end)
            write(server.url, runs, base_ms, start, end)
            if not start:
                take(world, list(batches(server.journal, 0, server.journal.committed("history", 0))))
                world.history.flush()
        take(world, list(batches(server.journal, 0, server.journal.committed("history", 0))))
    add_odd(world, runs, base_ms)


def test_answers_are_those_of_prometheus(tmp_path: Path) -> None:
    """Instant and range queries through both HTTP APIs."""
    paths = [path for path in sorted(CASES.glob("*.test")) if path.stem != "three"]
    runs: Runs = {labels: samples for path in paths for labels, samples in loads(path).items()}
    every = [case for path in paths for case in cases(path)]
    base_ms = (int(time.time()) // 3600 - 2) * 3_600_000
    world = build_world(tmp_path)
    with prometheus(tmp_path / "peer") as peer:
        feed(world, peer, tmp_path, runs, base_ms)
        answers = asyncio.run(ask(world, every, base_ms))
        wrong = []
        with httpx.Client(base_url=f"{peer}/api/v1") as client:
            for case, ours in zip(every, answers, strict=True):
                path, asked = parameters(case, base_ms)
                theirs = values(client.get(f"/{path}", params=asked).json())
                if differs(ours, theirs):
                    wrong.append(f"{case.query}: {ours}, Prometheus {theirs}")
    world.close()
    print(f"{len(every) - len(wrong)} of {len(every)} queries answered as by Prometheus")  # noqa: T201 - the figure
    assert len(every) > 200
    assert not wrong, "\n".join(line[:2000] for line in wrong)
