"""The life of one process: settings, telemetry, server, background work, switches, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any

import uvicorn

from ..asgi import App
from ..lifeline import die_with_parent, follow_stdin
from .call import Caller
from .config import Config
from .switches import Switches
from .telemetry import Telemetry

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Usage:
    """Share of one core used since the last reading."""

    def __init__(self) -> None:
        self._clock, self._used = time.monotonic(), time.process_time()

    def read(self) -> float:
        """0..1 for one busy thread."""
        clock, used = time.monotonic(), time.process_time()
        share = (used - self._used) / max(clock - self._clock, 1e-3)
        self._clock, self._used = clock, used
        return share


class Shop:
    """What a service's code is given.

    Attributes:
        config: Its settings.
        telemetry: Tracer, meter and log.
        caller: Calls to other services.
        switches: What the control changes while it runs.
        random: Source of its mild irregularity.
        usage: How busy it is.
    """

    def __init__(self, config: Config, telemetry: Telemetry) -> None:
        self.config = config
        self.telemetry = telemetry
        self.caller = Caller(config, telemetry)
        self.switches = Switches()
        self.random = Random()
        self.usage = Usage()
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run background work for the life of the process. When it fails, the process ends: the control restarts it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def labour(self, mean_s: float) -> None:
        """Take about as long as the real work would: between half and twice `mean_s`."""
        await asyncio.sleep(mean_s * min(2.0, max(0.5, self.random.lognormvariate(-0.03, 0.25))))

    async def close(self) -> None:
        """Stop background work and release connections."""
        for task in self._tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.caller.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.telemetry.log.critical("background work failed: %r", error, exc_info=error)
            os.kill(os.getpid(), signal.SIGTERM)


Start = Callable[[Shop], Awaitable[App | None]]


def run(start: Start, tell: Callable[[Config], Telemetry]) -> None:
    """Be the process that `start` describes, until told to stop. Never returns.

    Args:
        start: Builds the routes (or None) and spawns background work.
        tell: Sets its telemetry up.
    """
    config = Config.from_env()
    die_with_parent(config.parent)
    config.folder.mkdir(parents=True, exist_ok=True)
    telemetry = tell(config)
    shop = Shop(config, telemetry)
    _measure_process(shop)
    asyncio.run(_live(shop, start))
    telemetry.stop()
    os._exit(0)  # exporter threads may still wait for an unreachable receiver


async def _live(shop: Shop, start: Start) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = await start(shop)
    follow_stdin(lambda line: _post(loop, shop, line))
    shop.telemetry.log.info("%s %s started", shop.config.service, shop.config.version)
    if app is None:
        _say_ready(shop)
        await stop.wait()
    else:
        await _serve(shop, app)
    await shop.close()


async def _serve(shop: Shop, app: App) -> None:
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio's no-delay needs all three
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # a new version starts beside the old one
    listener.bind(("127.0.0.1", shop.config.port))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="off",
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.02)
    _say_ready(shop)
    await serving


def _say_ready(shop: Shop) -> None:
    shop.usage.read()  # what the start took is no load
    sys.stdout.write(json.dumps({"ready": True, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()


def _post(loop: asyncio.AbstractEventLoop, shop: Shop, line: str) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(_obey, shop, line)


def _obey(shop: Shop, line: str) -> None:
    told = json.loads(line)
    shop.switches.set(told["name"], told["value"])


def _measure_process(shop: Shop) -> None:
    meter, config = shop.telemetry.meter, shop.config
    meter.watch_total("process.cpu.time", "s", time.process_time)
    meter.watch("process.cpu.utilization", "1", shop.usage.read)
    meter.watch("process.memory.usage", "By", resident_bytes)
    meter.watch("disk.used_ratio", "1", lambda: used_bytes(config) / config.disk_budget_bytes)


def resident_bytes() -> float:
    """Memory of this process that is in RAM."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - read every 5 s, kept cheap
            return int(file.read().split()[1]) * _PAGE_BYTES
    except FileNotFoundError:  # no /proc on macOS: its peak is the best there is
        import resource  # noqa: PLC0415 - only there

        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def used_bytes(config: Config) -> int:
    """Bytes in the service's own folder."""
    total = 0
    for path in config.folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # SQLite removes its side files at will
            continue
    return total
