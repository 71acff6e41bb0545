"""Too much of everything: series, bytes, depth, senders. Memory stays bounded, everyone gets an answer, P5 holds."""

from __future__ import annotations

import asyncio
import gzip
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cramjam
import httpx
import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from starlette.applications import Starlette

from tests.flow.receiving import receiving
from tests.unit.ingest.messages import gauge, logs_request, metrics_request
from tests.unit.ingest.null import Bench, Client
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts, Item
from twofold.aiops.ingest.ingest import Ingest
from twofold.aiops.ingest.receiver import TENANT_KEY
from twofold.records.frame import FrameKind
from twofold.store.catalog.files import FileCatalog
from twofold.store.journal.segments import SegmentJournal

PROTOBUF: Final = {"content-type": "application/x-protobuf"}
JSON: Final = {"content-type": "application/json"}
BYTES_A_SERIES: Final = 1500  # in the catalog and in what receivers remember of it


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def of_tenant(app: Any) -> Any:
    """As the auth layer does: the tenant of a caller, here by a header."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        scope[TENANT_KEY] = dict(scope["headers"]).get(b"x-test-tenant", b"main").decode()
        await app(scope, receive, send)

    return call


def bomb(first: int, count: int) -> bytes:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    now = time.time_ns()
    for number in range(first, first + count):
        point = metrics.add(name="bomb").gauge.data_points.add(as_double=1.0, time_unix_nano=now)
        attribute = point.attributes.add(key="id")
        attribute.value.string_value = str(number)
    return request.SerializeToString()


def p99_s(times: list[float]) -> float:
    return float(np.quantile(times, 0.99))


def explode(root: Path, series: int, limit: int) -> tuple[float, float, float]:
    """Seconds that the bomb took, and the 99th percentile of another tenant's requests before and during it."""
    counts, journal = Counts(), SegmentJournal(root / "journal")
    catalog = FileCatalog(root / "catalog", limit_per_tenant=limit)
    ingest = Ingest(journal, catalog, counts, IngestConfig(walker=False))
    client = Client(of_tenant(Starlette(routes=ingest.routes())))
    quiet = metrics_request(*(gauge("load", 1.0, time.time_ns(), host=str(host)) for host in range(20)))
    body, over = quiet.SerializeToString(), threading.Event()
    calm: list[float] = []
    during: list[float] = []

    def other(times: list[float], until: threading.Event, most: int) -> None:
        while not until.is_set() and len(times) < most:
            began = time.perf_counter()
            headers = {**PROTOBUF, "x-test-tenant": "other"}
            assert client.post("/v1/metrics", content=body, headers=headers).status_code == 200
            times.append(time.perf_counter() - began)
            until.wait(0.01)

    other(calm, over, 200)
    before = rss_bytes()
    beside = threading.Thread(target=other, args=(during, over, 1_000_000))
    beside.start()
    began = time.monotonic()
    try:
        for first in range(0, series, 2000):
            answer = client.post("/v1/metrics", content=bomb(first, min(2000, series - first)), headers=PROTOBUF)
            assert answer.status_code == 200, "a partial success tells what was refused"
        took = time.monotonic() - began
    finally:
        over.set()
        beside.join()
        journal.close()
    total = counts.total(Item.POINTS)
    assert catalog.count(tenant="main") == limit
    assert catalog.count(tenant="other") == 20
    assert total.rejected == {"cardinality": series - limit}
    assert not counts.imbalance()
    assert rss_bytes() - before < limit * BYTES_A_SERIES + (96 << 20)
    assert during
    return took, p99_s(calm), p99_s(during)


def test_a_bomb_of_series_fills_its_own_limit_and_no_memory(tmp_path: Path) -> None:
    explode(tmp_path, series=60_000, limit=10_000)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_million_series_disturb_nobody(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    took_s, calm_s, during_s = explode(tmp_path, series=1_000_000, limit=100_000)
    record_property("1M series, seconds; the other tenant's p99 before and during", (took_s, calm_s, during_s))
    assert during_s < max(2 * calm_s, 0.25), "beyond twice, and beyond what any sender notices"


BOMBS: Final = {
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
}


@pytest.mark.parametrize("encoding", BOMBS)
@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs", "/v1/traces", "/api/v1/write"])
def test_a_bomb_is_refused_within_a_second(encoding: str, path: str) -> None:
    body = BOMBS[encoding](bytes(100 << 20))
    bench = Bench()
    began = time.perf_counter()
    answer = bench.client.post(path, content=body, headers={**PROTOBUF, "content-encoding": encoding})
    assert answer.status_code in (400, 413, 415), answer.text
    assert time.perf_counter() - began < 1
    assert not bench.journal.frames


def deep_json() -> dict[str, bytes]:
    """Five thousand levels, wherever JSON is taken."""
    value = b'{"arrayValue":{"values":[' * 2500 + b'{"intValue":1}' + b"]}}" * 2500
    line = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","body":%b}]}]}]}' % value
    plain = b"[" * 5000 + b"1" + b"]" * 5000
    nested = b'{"a":' * 5000 + b"1" + b"}" * 5000
    return {
        "/v1/logs": line,
        "/v1/metrics": nested,
        "/v1/traces": plain,
        "/v1/changes": nested,
        "/v1/predictions": plain,
        "/webhooks/alertmanager": nested,
    }


@pytest.mark.parametrize("path", deep_json())
def test_five_thousand_levels_are_refused_within_a_second(path: str) -> None:
    bench = Bench()
    began = time.perf_counter()
    answer = bench.client.post(path, content=deep_json()[path], headers=JSON)
    assert answer.status_code in (400, 413), answer.text[:200]
    assert time.perf_counter() - began < 1


def test_five_thousand_levels_of_protobuf_are_refused_within_a_second() -> None:
    value = b"\x18\x01"
    for _ in range(5000):  # AnyValue.array_value = 5, ArrayValue.values = 1
        value = b"\x0a" + _varint(len(value)) + value
        value = b"\x2a" + _varint(len(value)) + value
    record = b"\x2a" + _varint(len(value)) + value
    body = record
    for _ in range(3):
        body = b"\x12" + _varint(len(body)) + body
    body = b"\x0a" + body[1:]
    began = time.perf_counter()
    assert Bench().client.post("/v1/logs", content=body, headers=PROTOBUF).status_code == 400
    assert time.perf_counter() - began < 1


def _varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def overload(root: Path, seconds: float) -> Counter[int]:
    """Five times as many bytes as may be in flight, all the time."""
    lines = [f"line {number} {'x' * 400}" for number in range(200)]
    body = logs_request(*lines, time_ns=time.time_ns()).SerializeToString()
    config = IngestConfig(in_flight_bytes=4 * len(body), workers=2, walker=False)
    answers: Counter[int] = Counter()

    async def sender(client: httpx.AsyncClient, url: str, until: float) -> None:
        while time.monotonic() < until:
            answer = await client.post(f"{url}/v1/logs", content=body, headers=PROTOBUF)
            answers[answer.status_code] += 1
            if answer.status_code != 200:
                assert int(answer.headers["retry-after"]) > 0

    async def crowd(url: str) -> None:
        until = time.monotonic() + seconds
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=20), timeout=60) as client:
            await asyncio.gather(*(sender(client, url, until) for _ in range(20)))

    with receiving(root, config) as server:
        asyncio.run(crowd(server.url))
        before = rss_bytes()
        asyncio.run(crowd(server.url))
        grown = rss_bytes() - before
        assert grown < 64 << 20, f"{grown >> 20} MB more in the second half"
        stored = sum(frame.rows for frame in server.frames() if frame.kind is FrameKind.LOGS)
        assert stored == answers[200] * len(lines) == server.counts.total(Item.LOGS).stored
    return answers


def test_overload_is_told_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    answers = overload(tmp_path, seconds=2)
    assert set(answers) == {200, 429}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_minute_of_overload(tmp_path: Path) -> None:
    answers = overload(tmp_path, seconds=30)
    assert set(answers) == {200, 429}
