"""Slow, greedy and too many senders: everyone gets an answer, memory stays bounded, what was acknowledged is stored."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.flow.receiving import Receiving, receiving
from tests.unit.ingest.messages import gauge, logs_request, metrics_request
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item
from twofold.records.frame import FrameKind

PROTOBUF = {"content-type": "application/x-protobuf"}


def connect(server: Receiving) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def test_a_body_that_never_ends_is_answered_408_and_disturbs_nobody(tmp_path: Path) -> None:
    config = IngestConfig(body_timeout_s=0.5, walker=False)
    with receiving(tmp_path, config) as server:
        head = b"POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
        slow = [connect(server) for _ in range(50)]
        started = time.monotonic()
        for each in slow:
            each.sendall(head + b"x" * 10)
        body = metrics_request(gauge("a", 1.0, time.time_ns())).SerializeToString()
        assert httpx.post(f"{server.url}/v1/metrics", content=body, headers=PROTOBUF).status_code == 200
        for each in slow:
            assert each.recv(4096).startswith(b"HTTP/1.1 408 ")
            each.close()
        assert time.monotonic() - started < 5
        assert len(server.rows(FrameKind.SAMPLES)) == 1


def test_a_sender_that_goes_away_halfway_leaves_nothing_behind(tmp_path: Path) -> None:
    with receiving(tmp_path, IngestConfig(walker=False)) as server:
        with connect(server) as gone:
            gone.sendall(b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nabc")
        registry = server.counts.registry
        server.eventually(lambda: registry.get_sample_value("twofold_ingest_in_flight_bytes") == 0.0, 5)
        body = logs_request("x", time_ns=time.time_ns()).SerializeToString()
        assert httpx.post(f"{server.url}/v1/logs", content=body, headers=PROTOBUF).status_code == 200


def test_past_the_limit_senders_are_told_to_come_back_and_every_accepted_line_is_stored(tmp_path: Path) -> None:
    config = IngestConfig(in_flight_bytes=500_000, workers=2, walker=False)
    lines = [f"line {number} {'x' * 500}" for number in range(200)]
    body = logs_request(*lines, time_ns=time.time_ns()).SerializeToString()
    answers: Counter[int] = Counter()

    async def send(server: Receiving) -> None:
        limits = httpx.Limits(max_connections=60)
        async with httpx.AsyncClient(limits=limits, timeout=30) as client:

            async def one() -> None:
                answer = await client.post(f"{server.url}/v1/logs", content=body, headers=PROTOBUF)
                answers[answer.status_code] += 1
                assert answer.status_code == 200 or int(answer.headers["retry-after"]) > 0

            await asyncio.gather(*(one() for _ in range(300)))

    with receiving(tmp_path, config) as server:
        asyncio.run(send(server))
        assert set(answers) == {200, 429}
        assert len(server.rows(FrameKind.LOGS)) == answers[200] * len(lines) == server.counts.total(Item.LOGS).stored
        assert server.counts.registry.get_sample_value("twofold_ingest_in_flight_bytes") == 0.0
