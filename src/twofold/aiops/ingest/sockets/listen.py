"""Sockets to messages: datagrams in a thread of their own, streams on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Final, Protocol

from twofold.aiops.ingest.sockets.batches import Arrived
from twofold.aiops.ingest.sockets.config import Listener
from twofold.aiops.ingest.sockets.framing import Framer
from twofold.errors import ConfigError

DATAGRAM_BYTES: Final = 65_535
BUFFER_BYTES: Final = 32 << 20
AT_ONCE: Final = 2_000  # datagrams of one wake-up
POLL_S: Final = 0.1
CHUNK: Final = 256 << 10
FULL_S: Final = 0.02  # how long a stream waits before it asks again for room
_SO_RCVBUFFORCE: Final = 33
_SO_RXQ_OVFL: Final = 40
_DROPS: Final = struct.Struct("I")

log = logging.getLogger(__name__)


class Inlet(Protocol):
    """Where messages go."""

    def offer(self, arrived: Arrived) -> bool:
        """Take messages; False, and none is taken, when there is no room."""
        ...

    def lost(self, count: int, reason: str) -> None:
        """Count messages that nobody could keep."""
        ...

    def malformed(self, count: int) -> None:
        """Count messages that were not of the form and kept all the same."""
        ...


class Gate:
    """Who is heard: everyone, or the networks that the configuration names."""

    def __init__(self, config: Listener) -> None:
        self._networks = config.networks()
        self._known: dict[str, bool] = {}

    def lets(self, peer: str) -> bool:
        """Whether this address is heard."""
        if not self._networks:
            return True
        found = self._known.get(peer)
        if found is None:
            address = ipaddress.ip_address(peer.partition("%")[0])
            if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
                address = address.ipv4_mapped
            if len(self._known) > DATAGRAM_BYTES:
                self._known.clear()
            found = self._known[peer] = any(address in network for network in self._networks)
        return found


class UdpListener:
    """Reads datagrams, many a wake-up, and never waits: what finds no room is dropped and counted.

    Datagrams that the kernel dropped because they were not read in time are counted too (`socket_buffer`),
    where the kernel tells (Linux).
    """

    def __init__(self, config: Listener, inlet: Inlet, now_ns: Callable[[], int]) -> None:
        self._config = config
        self._inlet = inlet
        self._now_ns = now_ns
        self._gate = Gate(config)
        self._socket = _bound(config, socket.SOCK_DGRAM)
        self._dropped = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"udp-{self.port}", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    async def start(self) -> None:
        """Begin to read."""
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            with contextlib.suppress(OSError):  # the first one needs a privilege, the second gives what it may
                self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
                break
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        self._socket.setblocking(False)
        self._thread.start()

    async def stop(self) -> None:
        """Read what stands in the socket's buffer, and end."""
        self._stopping = True
        await asyncio.to_thread(self._thread.join)
        self._socket.close()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while True:
            ready = poll.poll(0 if self._stopping else POLL_S * 1000)
            if ready:
                self._drain()
            elif self._stopping:
                return

    def _drain(self) -> None:
        found: dict[str, list[bytes]] = {}
        try:
            data, more, _, address = self._socket.recvmsg(DATAGRAM_BYTES, socket.CMSG_SPACE(_DROPS.size))
            self._note_drops(more)
            found[address[0]] = [data]
            read = self._socket.recvfrom
            for _ in range(AT_ONCE):
                data, address = read(DATAGRAM_BYTES)
                if messages := found.get(address[0]):
                    messages.append(data)
                else:
                    found[address[0]] = [data]
        except BlockingIOError:
            pass  # all that was there is read
        except OSError as error:  # an ICMP answer to something else; the socket goes on
            log.info("udp %s: %s", self.port, error)
        now_ns = self._now_ns()
        for peer, messages in found.items():
            if not self._gate.lets(peer):
                self._inlet.lost(len(messages), "denied")
            elif not self._inlet.offer(Arrived(peer, now_ns, messages)):
                self._inlet.lost(len(messages), "queue_full")

    def _note_drops(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL and len(data) >= _DROPS.size:
                total = _DROPS.unpack_from(data)[0]
                if total != self._dropped:
                    self._inlet.lost((total - self._dropped) & 0xFFFFFFFF, "socket_buffer")
                    self._dropped = total


class StreamListener:
    """Reads connections, framed; one that finds no room is not read on, so that its sender waits."""

    def __init__(
        self,
        config: Listener,
        inlet: Inlet,
        now_ns: Callable[[], int],
        *,
        counted: bool,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._config = config
        self._inlet = inlet
        self._now_ns = now_ns
        self._counted = counted
        self._context = context
        self._gate = Gate(config)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = _bound(config, socket.SOCK_STREAM)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    async def start(self) -> None:
        """Begin to accept."""
        self._server = await asyncio.start_server(self._follow, sock=self._socket, ssl=self._context, limit=CHUNK)

    async def stop(self) -> None:
        """Accept no more; what was read of the open connections is handed on."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername")[0])
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= self._config.max_connections or not self._gate.lets(peer):
            log.warning("connection from %s to port %s closed: not allowed, or too many", peer, self.port)
            writer.close()
            return
        self._tasks.add(task)
        framer = Framer(self._config.max_message_bytes, counted=self._counted)
        try:
            while data := await reader.read(CHUNK):
                await self._hand_on(peer, framer.feed(data))
        except (OSError, ssl.SSLError) as error:
            log.info("connection from %s ended: %s", peer, error)
        except asyncio.CancelledError:
            log.debug("connection from %s closed at stop", peer)
        finally:
            self._tasks.discard(task)
            self._last(peer, framer)
            writer.close()

    async def _hand_on(self, peer: str, messages: list[bytes]) -> None:
        if not messages:
            return
        arrived = Arrived(peer, self._now_ns(), messages)
        try:
            while not self._inlet.offer(arrived):  # noqa: ASYNC110 - room is made in a thread, which knows no event of ours
                await asyncio.sleep(FULL_S)
        except asyncio.CancelledError:
            self._inlet.lost(len(messages), "stopped")
            raise

    def _last(self, peer: str, framer: Framer) -> None:
        """A last message without an end, and the count of those that were cut."""
        if framer.cut:
            self._inlet.malformed(framer.cut)
        rest = framer.close()
        if rest and not self._inlet.offer(Arrived(peer, self._now_ns(), rest)):
            self._inlet.lost(len(rest), "queue_full")


def _bound(config: Listener, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    made = socket.socket(family, kind)
    try:
        if kind is socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((config.host, config.port))
    except OSError as error:
        made.close()
        raise ConfigError(f"{config.transport} {config.host}:{config.port} cannot be bound: {error}") from error
    return made


def tls_context(certificate: str, key: str, clients: str) -> ssl.SSLContext:
    """TLS 1.2 or later; with `clients` only senders whose certificate these authorities signed.

    Raises:
        ConfigError: A file is missing or is none of its kind.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"TLS certificate {certificate}: {error}", setting="certificate") from error
    return context
