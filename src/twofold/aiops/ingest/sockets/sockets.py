"""All socket listeners as one component."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence

from twofold.aiops.ingest.capture import Capture
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.sockets.config import Listener, StatsdListener, SyslogListener, Transport
from twofold.aiops.ingest.sockets.inlets import StatsdInlet, SyslogInlet
from twofold.aiops.ingest.sockets.listen import StreamListener, UdpListener, tls_context


class Sockets:
    """Starts and stops the listeners of the configuration.

    Args:
        now_ns: Wall clock.
    """

    def __init__(
        self,
        intake: Intake,
        syslog: Sequence[SyslogListener],
        statsd: Sequence[StatsdListener],
        capture: Capture | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._intake = intake
        self._configs: tuple[SyslogListener | StatsdListener, ...] = (*syslog, *statsd)
        self._capture = capture
        self._now_ns = now_ns
        self._inlets: list[SyslogInlet | StatsdInlet] = []
        self._listeners: list[UdpListener | StreamListener] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ports(self) -> list[int]:
        """Where they listen, in the order of the configuration: syslog, then StatsD."""
        return [listener.port for listener in self._listeners]

    async def start(self) -> None:
        """Bind and begin to listen. Raises `ConfigError` when an address is taken or a certificate is none."""
        for config in self._configs:
            inlet: SyslogInlet | StatsdInlet
            if isinstance(config, StatsdListener):
                inlet = StatsdInlet(config, self._intake)
                self._tasks.append(asyncio.create_task(_flushing(inlet, config.flush_s)))
            else:
                inlet = SyslogInlet(config, self._intake, self._capture)
            listener = self._listener(config, inlet)
            inlet.start()
            await listener.start()
            self._inlets.append(inlet)
            self._listeners.append(listener)

    async def stop(self) -> None:
        """Listen no more and store what was heard."""
        for listener in self._listeners:
            await listener.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for inlet in self._inlets:
            await asyncio.to_thread(inlet.stop)
        self._listeners, self._inlets, self._tasks = [], [], []

    def _listener(self, config: Listener, inlet: SyslogInlet | StatsdInlet) -> UdpListener | StreamListener:
        if config.transport is Transport.UDP:
            return UdpListener(config, inlet, self._now_ns)
        counted = isinstance(config, SyslogListener)
        return StreamListener(config, inlet, self._now_ns, counted=counted, context=_context(config))


def _context(config: Listener) -> ssl.SSLContext | None:
    if not isinstance(config, SyslogListener) or config.transport is not Transport.TLS:
        return None
    return tls_context(str(config.certificate), str(config.key), str(config.clients or ""))


async def _flushing(inlet: StatsdInlet, flush_s: float) -> None:
    while True:
        await asyncio.sleep(flush_s)
        await asyncio.to_thread(inlet.flush)
