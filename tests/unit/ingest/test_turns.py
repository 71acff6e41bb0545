"""Turns at the validated way: one thread at a time, tenants in turn, pauses for everyone else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.ingest.messages import gauge, metrics_request
from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest import turns
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.otlp.message import PROTOBUF
from twofold.aiops.ingest.receiver import Payload, Receiver, Sent
from twofold.aiops.ingest.turns import STEPS, Turns
from twofold.records.frame import Lane


def started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def waiting(made: Turns, count: int) -> None:
    """Until so many threads wait."""
    deadline = time.monotonic() + 20
    while sum(map(len, made._waiting.values())) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_tenants_take_turns_and_each_keeps_its_order() -> None:
    made, order = Turns(), []

    def work(tenant: str, number: int) -> Callable[[], None]:
        def run() -> None:
            with made.turn(tenant):
                order.append(f"{tenant}{number}")

        return run

    threads = []
    with made.turn("a"):
        for count, (tenant, number) in enumerate([("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("c", 1)], 1):
            threads.append(started(work(tenant, number)))
            waiting(made, count)
    for each in threads:
        each.join(20)
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_long_request_lets_another_tenant_go_first() -> None:
    made, order = Turns(), []

    def small() -> None:
        with made.turn("b"):
            order.append("b")

    with made.turn("a"):
        thread = started(small)
        waiting(made, 1)
        for _ in range(STEPS):
            made.step()
        order.append("a")
    thread.join(20)
    assert order == ["b", "a"]


def test_threads_without_the_turn_are_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PAUSE_S", 1e9)
    made = Turns()
    for _ in range(3 * STEPS):
        made.step()


def test_the_turn_is_given_back_when_decoding_fails() -> None:
    made = Turns()
    with pytest.raises(ValueError, match="broken"), made.turn("a"):
        raise ValueError("broken")
    with made.turn("b"):
        pass


def test_known_series_need_no_turn(bench: Bench) -> None:
    """While one tenant holds the turn, what is known of another is stored."""
    metrics = bench.ingest._metrics
    metrics.known.compile()
    body = metrics_request(gauge("load", 1.0, NOW_NS)).SerializeToString()
    payload = Payload(body=body, media=PROTOBUF, origin=Origin(tenant="b", lane=Lane.LIVE, time_ns=NOW_NS))
    metrics.receive(payload)
    with bench.ingest._intake.index.turns.turn("a"):
        thread = started(lambda: np.testing.assert_equal(metrics.receive(payload).status_code, 200))
        thread.join(20)
        assert not thread.is_alive()


def test_a_tenant_that_sends_much_leaves_threads_to_others() -> None:
    """Its requests wait for each other; another tenant's do not wait for them."""
    receiver = Receiver(IngestConfig(workers=2), Counts())
    held = threading.Event()

    class Slow:
        name = path = "slow"
        media = (PROTOBUF,)
        encoding = ""

        def receive(self, payload: Payload) -> str:
            if payload.origin.tenant == "a":
                held.wait(20)
            return payload.origin.tenant

        refuse = None

    async def crowd() -> None:
        def take(tenant: str) -> asyncio.Task[object]:
            sent = Sent(b"", "", PROTOBUF, tenant, Lane.LIVE)
            return asyncio.create_task(receiver.take(Slow(), sent, receiver.claim()))  # type: ignore[arg-type]  # as much of a dialect as is used

        many = [take("a") for _ in range(10)]
        async with asyncio.timeout(20):
            assert await take("b") == "b"
        assert not any(each.done() for each in many)
        held.set()
        assert await asyncio.gather(*many) == ["a"] * 10

    asyncio.run(crowd())
    receiver.close()
