"""Too much of everything: series, bytes, depth, senders. Memory stays bounded, everyone gets an answer, P5 holds."""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cramjam
import httpx
import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.fault.crowded import Bomb, Crowded
from tests.flow.receiving import receiving
from tests.unit.ingest.messages import gauge, logs_request, metrics_request
from tests.unit.ingest.null import Bench
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item
from twofold.records.frame import FrameKind

PROTOBUF: Final = {"content-type": "application/x-protobuf"}
JSON: Final = {"content-type": "application/json"}
AT_ONCE: Final = 2000
FLOOR_S: Final = 2 * sys.getswitchinterval()
BYTES_A_SERIES: Final = 1500  # in the catalog and in what receivers remember of it


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def bomb(first: int, count: int) -> bytes:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    now = time.time_ns()
    for number in range(first, first + count):
        point = metrics.add(name="bomb").gauge.data_points.add(as_double=1.0, time_unix_nano=now)
        attribute = point.attributes.add(key="id")
        attribute.value.string_value = str(number)
    return request.SerializeToString()


def explode(root: Path, series: int, limit: int, a_second: float, phase_s: float) -> tuple[list[float], list[float]]:
    """A tenant sends new series, most of them past its limit, in phases; what another tenant's requests take.

    Returns the seconds of those without and with the bomb. Phases of both kinds alternate, so that whatever else
    the machine does meets both alike; the senders are processes and threads that the receivers do not share.
    """
    bodies = [bomb(first, min(AT_ONCE, series - first)) for first in range(0, series, AT_ONCE)]
    quiet = metrics_request(*(gauge("load", 1.0, time.time_ns(), host=str(host)) for host in range(20)))
    body = quiet.SerializeToString()
    calm: list[float] = []
    during: list[float] = []

    def for_a_phase(times: list[float]) -> None:
        until = time.monotonic() + phase_s
        times += other.send_while(lambda: time.monotonic() < until, body, 0.01)

    with Crowded(root, limit) as crowded:
        other = crowded.sender("other")
        for_a_phase([])
        before = crowded.facts()["rss_bytes"]
        thrown = Bomb(crowded, "main", bodies, AT_ONCE / a_second, senders=4)
        thrown.start()
        while thrown.is_alive():
            for_a_phase(calm)
            thrown.lit.set()
            for_a_phase(during)
            thrown.lit.clear()
            time.sleep(0.2)  # requests under way end
        facts = crowded.facts()
        other.close()
    assert not thrown.failures, "a partial success tells what was refused"
    assert facts["series"] == {"main": limit, "other": 20}
    assert facts["rejected"] == {"cardinality": series - limit}
    assert facts["balanced"]
    assert facts["rss_bytes"] - before < limit * BYTES_A_SERIES + (96 << 20)
    return calm, during


def test_a_bomb_of_series_fills_its_own_limit_and_no_memory(tmp_path: Path) -> None:
    explode(tmp_path, series=60_000, limit=10_000, a_second=30_000, phase_s=0.5)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_million_series_disturb_nobody(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """A million in sixty seconds: the other tenant's 99th percentile stays below twice its quiet one.

    Below `FLOOR_S` a figure tells of the interpreter, not of us: that is how long a thread may hold its lock twice.
    """
    calm, during = explode(tmp_path, series=1_000_000, limit=100_000, a_second=1_000_000 / 60, phase_s=2)
    calm_s, during_s = (float(np.quantile(times, 0.99)) for times in (calm, during))
    record_property("the other tenant's p99 before and during, seconds", (calm_s, during_s))
    assert during_s < 2 * max(calm_s, FLOOR_S), f"{calm_s:.4f} s of {len(calm)}, {during_s:.4f} s of {len(during)}"


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
