"""Starts the shop's processes, keeps them alive, replaces them without a gap, and ends them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..shop.config import VARIABLE, Config

_READY_S = 45.0
_STOP_S = 2.0
_BACKOFF_S = 1.0
_BACKOFF_LIMIT_S = 15.0
_PACKAGE = __name__.rsplit(".", 2)[0]
_ROOT = Path(__file__).resolve().parents[_PACKAGE.count(".") + 2]

_log = logging.getLogger("demo.control")


class State(StrEnum):
    """Where a process stands."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"


class Port:
    """A port of 127.0.0.1 that is ours for as long as we live: bound, never listened on, shared with the child."""

    def __init__(self, wanted: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            self._socket.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise SystemExit(f"port {wanted} of 127.0.0.1 is taken ({error.strerror}); choose another") from error
        self.number: int = self._socket.getsockname()[1]

    def listen(self) -> socket.socket:
        """Listen there ourselves."""
        self._socket.listen(128)
        return self._socket

    @property
    def url(self) -> str:
        """Base URL of whoever listens there."""
        return f"http://127.0.0.1:{self.number}"


@dataclass(eq=False, slots=True)
class _Child:
    """One operating-system process and what it last told."""

    process: asyncio.subprocess.Process
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    told: dict[str, Any] = field(default_factory=dict)
    wanted: bool = True

    async def listen(self) -> None:
        """Read its standard output, one JSON object a line, until it ends."""
        if self.process.stdout is None:
            raise RuntimeError("the child's output is not a pipe")
        async for line in self.process.stdout:
            try:
                self.told.update(json.loads(line))
            except ValueError:
                _log.warning("pid %d said what is not JSON: %r", self.process.pid, line[:200])
            if "ready" in self.told:
                self.ready.set()

    def say(self, name: str, value: Any) -> None:
        """Set a switch in the child."""
        if self.process.stdin is not None and not self.process.stdin.is_closing():
            self.process.stdin.write((json.dumps({"name": name, "value": value}) + "\n").encode())

    async def end(self) -> None:
        """SIGTERM, and SIGKILL after 2 s."""
        self.wanted = False
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), _STOP_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


class Service:
    """One service of the shop: its current child, and the rules by which it is replaced."""

    def __init__(self, config: Config, logs: Path, on_end: Callable[[Service], None]) -> None:
        self.config = config
        self.state = State.STOPPED
        self.since = time.time()
        self.restarts = 0
        self._logs = logs
        self._on_end = on_end
        self._child: _Child | None = None
        self._said: dict[str, Any] = {}
        self._lock = asyncio.Lock()
        self._watching: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int:
        """Of the current child, 0 when there is none."""
        return self._child.process.pid if self._child else 0

    @property
    def told(self) -> Mapping[str, Any]:
        """What the child last said on its standard output."""
        return self._child.told if self._child else {}

    @property
    def _log_file(self) -> Path:
        return self._logs / f"{self.config.service}.log"

    async def start(self) -> None:
        """Start when stopped. Returns once it answers. Raises `RuntimeError` when it does not come up."""
        async with self._lock:
            if self._child is None:
                self._child = await self._spawn()
                for name, value in self._said.items():
                    self._child.say(name, value)

    async def stop(self) -> None:
        """Stop and stay stopped."""
        async with self._lock:
            child, self._child = self._child, None
            self._move(State.STOPPED)
            if child:
                await child.end()

    async def kill(self) -> None:
        """Die without a word and stay down, like a crashed machine."""
        async with self._lock:
            child, self._child = self._child, None
            self._move(State.STOPPED)
            if child:
                child.wanted = False
                child.process.kill()
                await child.process.wait()

    async def replace(self, **changes: Any) -> None:
        """Start a successor, changed or not; once it answers, end the old one. No request finds the door shut.

        Raises:
            RuntimeError: The successor did not start; the old one stays as it was.
        """
        async with self._lock:
            before, old = self.config, self._child
            self.config = replace(before, **changes)
            try:
                self._child = await self._spawn()
            except RuntimeError:
                self.config = before
                self._move(State.RUNNING if old else State.FAILED)
                raise
            self._said.clear()
            self.restarts += 1
            if old:
                await old.end()

    def change(self, **changes: Any) -> None:
        """Settings of the next child."""
        self.config = replace(self.config, **changes)

    def say(self, name: str, value: Any) -> None:
        """Set a switch in the child, and in the one that follows when it crashes. A replacement begins afresh."""
        self._said[name] = value
        if self._child:
            self._child.say(name, value)

    async def _spawn(self) -> _Child:
        self._move(State.STARTING)
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"{_PACKAGE}.shop",
                self.config.service,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**_environment(), VARIABLE: self.config.dump()},
                start_new_session=True,  # Ctrl-C reaches the control, which ends its children in order
            )
        child = _Child(process)
        watching = asyncio.get_running_loop().create_task(self._watch(child))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)
        ready = asyncio.create_task(child.ready.wait())
        await asyncio.wait({ready, watching}, timeout=_READY_S, return_when=asyncio.FIRST_COMPLETED)
        if not child.ready.is_set():
            ready.cancel()
            await child.end()
            self._move(State.FAILED)
            raise RuntimeError(f"{self.config.service} did not start within {_READY_S:g} s; see {self._log_file}")
        self._move(State.RUNNING)
        return child

    async def _watch(self, child: _Child) -> None:
        await child.listen()
        code = await child.process.wait()
        if child.wanted and child is self._child:
            _log.warning("%s ended by itself with code %s", self.config.service, code)
            self._child = None
            self._move(State.FAILED)
            self._on_end(self)

    def _move(self, state: State) -> None:
        self.state, self.since = state, time.time()


class Supervisor:
    """All services of the shop."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self.services = services
        self._reviving: set[asyncio.Task[None]] = set()
        self._open = True

    async def start(self) -> None:
        """Start all, those first that others need; two at a time."""
        names = list(self.services)
        for first in range(0, len(names), 2):
            await asyncio.gather(*(self.services[name].start() for name in names[first : first + 2]))

    async def stop(self) -> None:
        """End all at once: within 3 s nothing is left."""
        self._open = False
        for task in self._reviving:
            task.cancel()
        await asyncio.gather(*(service.stop() for service in self.services.values()))

    def revive(self, service: Service) -> None:
        """Start a service again that ended by itself, later after each failure."""
        if self._open:
            task = asyncio.get_running_loop().create_task(self._revive(service))
            self._reviving.add(task)
            task.add_done_callback(self._reviving.discard)

    async def _revive(self, service: Service) -> None:
        delay_s = _BACKOFF_S
        while self._open:
            await asyncio.sleep(delay_s)
            try:
                await service.start()
            except RuntimeError as error:
                _log.warning("%s; again in %.0f s", error, delay_s)
                delay_s = min(_BACKOFF_LIMIT_S, delay_s * 2)
            else:
                service.restarts += 1
                return


def _environment() -> dict[str, str]:
    """Ours without the control's token; our package is found from any folder, and no proxy stands in between."""
    inherited = {name: value for name, value in os.environ.items() if name != "DEMO_TOKEN"}
    given = os.environ.get("PYTHONPATH")
    path = f"{_ROOT}{os.pathsep}{given}" if given else str(_ROOT)
    return {**inherited, "PYTHONPATH": path, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
