"""Listeners: who is heard, how much may wait, and that every message is stored or counted."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.sockets import batches
from twofold.aiops.ingest.sockets.batches import Arrived, Batcher
from twofold.aiops.ingest.sockets.config import StatsdListener, SyslogListener, Transport
from twofold.aiops.ingest.sockets.listen import Gate, UdpListener
from twofold.aiops.ingest.sockets.sockets import Sockets
from twofold.errors import ConfigError, Overloaded
from twofold.records.frame import FrameKind


def arrived(*messages: bytes) -> Arrived:
    return Arrived("127.0.0.1", NOW_NS, messages)


def never(count: int, reason: str) -> None:
    raise AssertionError(f"{count} lost: {reason}")


def sockets(bench: Bench, *syslog: SyslogListener, statsd: tuple[StatsdListener, ...] = ()) -> Sockets:
    intake = Intake(bench.journal, bench.catalog, bench.counts, bench.config, lambda: bench.now_ns)
    return Sockets(intake, syslog, statsd, now_ns=lambda: bench.now_ns)


async def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


def test_a_batch_holds_what_came_within_a_moment_in_its_order() -> None:
    stored: list[list[bytes]] = []
    batcher = Batcher(
        lambda batch: stored.append([each for one in batch for each in one.messages]), never, 1_000, "test"
    )
    batcher.start()
    for number in range(300):
        assert batcher.offer(arrived(b"%d" % number))
    batcher.stop()
    assert [each for batch in stored for each in batch] == [b"%d" % number for number in range(300)]
    assert len(stored) < 300


@pytest.mark.parametrize("count", [10, 1])
def test_what_waits_is_bounded_in_number_and_bytes(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(batches, "LIMIT_BYTES", 1_000)
    going_on = threading.Event()
    stored: list[Arrived] = []

    def store(batch: list[Arrived]) -> None:
        going_on.wait(10)
        stored.extend(batch)

    batcher = Batcher(store, never, 25, "test")
    batcher.start()
    message = b"x" * (10 if count == 10 else 490)
    taken = sum(batcher.offer(arrived(*[message] * count)) for _ in range(100))
    assert taken < 10
    going_on.set()
    batcher.stop()
    assert len(stored) == taken, "what was taken is stored, also at the stop"


def test_a_batch_that_breaks_does_not_end_the_listener(caplog: pytest.LogCaptureFixture) -> None:
    stored: list[Arrived] = []
    broken: list[bool] = []

    def store(batch: list[Arrived]) -> None:
        if not broken:
            broken.append(True)
            raise ValueError("a fault of ours")
        stored.extend(batch)

    lost: Counter[str] = Counter()
    batcher = Batcher(store, lambda count, reason: lost.update({reason: count}), 100, "test")
    batcher.start()
    batcher.offer(arrived(b"1"))
    deadline = time.monotonic() + 10
    while not broken:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    batcher.offer(arrived(b"2"))
    batcher.stop()
    assert stored == [arrived(b"2")]
    assert "1 messages lost" in caplog.text
    assert lost == {"fault": 1}


def test_a_gate_lets_its_networks_in_whatever_form_an_address_has() -> None:
    gate = Gate(SyslogListener(host="::1", allow=("10.0.0.0/8", "fe80::/10")))
    assert [gate.lets(peer) for peer in ("10.1.2.3", "::ffff:10.1.2.3", "fe80::1%eth0", "11.0.0.1", "::1")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert Gate(SyslogListener()).lets("11.0.0.1")


class FullInlet:
    """Has no room, ever."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def offer(self, _arrived: Arrived) -> bool:
        return False

    def lost(self, count: int, reason: str) -> None:
        self.counted[reason] += count

    def malformed(self, count: int) -> None:
        """Nothing is cut here."""


@pytest.mark.parametrize(("allow", "reason"), [((), "queue_full"), (("10.0.0.0/8",), "denied")])
def test_datagrams_of_others_and_those_without_room_are_counted(allow: tuple[str, ...], reason: str) -> None:
    inlet = FullInlet()

    async def run() -> None:
        listener = UdpListener(SyslogListener(port=0, allow=allow), inlet, time.time_ns)
        await listener.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(20):
                sender.sendto(b"<13>x", ("127.0.0.1", listener.port))
        await listener.stop()

    asyncio.run(run())
    assert inlet.counted == {reason: 20}, "also what stood in the socket's buffer at the stop"


def test_datagrams_faster_than_they_are_stored_are_conserved(bench: Bench) -> None:
    async def run() -> None:
        listeners = sockets(bench, statsd=(StatsdListener(port=0, queue_messages=1, flush_s=60),))
        await listeners.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(500):
                sender.sendto(b"a:1|c", ("127.0.0.1", listeners.ports[0]))
        await listeners.stop()

    asyncio.run(run())
    points = bench.counts.total(Item.POINTS)
    assert points.received == points.stored + points.dropped["queue_full"] == 500


def test_more_connections_than_allowed_are_closed_and_the_others_heard(bench: Bench) -> None:
    config = SyslogListener(transport=Transport.TCP, port=0, max_connections=2)

    async def run() -> None:
        listeners = sockets(bench, config)
        await listeners.start()
        connections = [await asyncio.open_connection("127.0.0.1", listeners.ports[0]) for _ in range(3)]
        assert await connections[2][0].read() == b"", "closed"
        for number, (_, writer) in enumerate(connections[:2]):
            writer.write(b"<13>%d\n" % number)
        await eventually(lambda: len(bench.rows(FrameKind.LOGS)) == 2)
        await listeners.stop()
        for _, writer in connections:
            writer.close()

    asyncio.run(run())


def test_a_stream_stopped_while_the_journal_is_full_counts_what_it_had_taken(bench: Bench) -> None:
    bench.journal.error = Overloaded("full")
    config = SyslogListener(transport=Transport.TCP, port=0)

    async def run() -> None:
        listeners = sockets(bench, config)
        await listeners.start()
        _, writer = await asyncio.open_connection("127.0.0.1", listeners.ports[0])
        writer.write(b"<13>1\n<13>2\n<13>no end")
        await writer.drain()
        await asyncio.sleep(0.3)
        await listeners.stop()
        writer.close()

    asyncio.run(run())
    assert bench.counts.total(Item.LOGS).rejected == {"overloaded": 3}


def test_an_address_that_is_taken_stops_the_start(bench: Bench) -> None:
    async def start(port: int) -> None:
        await sockets(bench, SyslogListener(transport=Transport.TCP, port=port)).start()

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port: Any = other.getsockname()[1]
        with pytest.raises(ConfigError, match="cannot be bound"):
            asyncio.run(start(port))
