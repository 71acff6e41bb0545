"""A real `twofold up` in a folder: started, killed, started again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import yaml

T = TypeVar("T")
START_S: Final = 120.0


class Up:
    """One data folder and the processes over it, one after the other, always at the same ports.

    Args:
        home: Folder for data, settings and the log.
        settings: As in `twofold.yaml`.
    """

    def __init__(self, home: Path, settings: Mapping[str, Any] | None = None) -> None:
        self.data = home / "data"
        self.log = home / "up.log"
        self.port, self.otlp_port = free_ports(2)
        self._settings = home / "twofold.yaml"
        self.configure(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self.port}"

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Settings of the next start."""
        http = {"port": self.port, "otlp_port": self.otlp_port, "otlp_grpc_port": 0}
        self._settings.write_text(yaml.safe_dump({**settings, "http": http}))
        self._settings.chmod(0o600)

    def start(self, environment: Mapping[str, str] | None = None, *, may_end: bool = False) -> bool:
        """Start it and wait until it is ready. With `may_end` a SIGKILL before that is no fault: False then."""
        command = [sys.executable, "-m", "twofold", "up", "--data", str(self.data), "--config", str(self._settings)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        with httpx.Client(base_url=self.url, trust_env=False) as client:

            def ready() -> bool:
                assert self._process is not None
                code = self._process.poll()
                if may_end and code == -signal.SIGKILL:
                    return True
                assert code is None, f"it ended by itself:\n{self.log.read_text()[-3000:]}"
                with contextlib.suppress(httpx.HTTPError):
                    return client.get("/readyz").is_success
                return False

            wait_for(ready, START_S, lambda: f"it did not get ready:\n{self.log.read_text()[-3000:]}")
        if self.ended():
            return False
        wait_for((self.data / "client.json").exists, 10)
        return True

    def ended(self) -> bool:
        """Whether it was killed by somebody else."""
        assert self._process is not None
        return self._process.poll() == -signal.SIGKILL

    def kill(self) -> None:
        """SIGKILL, as the kernel's memory killer does. The worker notices by itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stands(self) -> str:
        """The end of the log, and where each thread stands if the process was taught to tell that on SIGUSR1."""
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(1.0)
        return self.log.read_text()[-20_000:]

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = None

    def client(self, token: str = "") -> httpx.Client:
        """A client of the API, as the admin by default."""
        text = token or json.loads((self.data / "client.json").read_text())["token"]
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {text}"}, timeout=30, trust_env=False)

    def worker_pids(self) -> list[int]:
        """Process ids of workers on this folder."""
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit():
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    if b"worker" in words and str(self.data).encode() in words:
                        found.append(int(folder.name))
        return found

    def kill_worker(self) -> None:
        """SIGKILL to the worker alone."""
        for pid in wait_for(self.worker_pids, 30):
            os.kill(pid, signal.SIGKILL)

    def person(self, name: str, role: str) -> str:
        """Create a user; returns an API token of theirs."""
        secret = "correct horse battery"  # noqa: S105 - a test's secret
        with self.client() as admin:
            checked(admin.post("/api/v1/users", json={"name": name, "role": role, "secret": secret}))
        with httpx.Client(base_url=self.url, trust_env=False) as session:
            checked(session.post("/api/v1/session", json={"name": name, "secret": secret}))
            scopes = checked(session.get("/api/v1/session"))["permissions"]
            made = checked(
                session.post("/api/v1/tokens", json={"name": "test", "scopes": scopes}, headers={"x-twofold-csrf": "1"})
            )
        return str(made.get("text") or made.get("secret") or made["token"])


def checked(answer: httpx.Response) -> Any:
    """The JSON of a good answer."""
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def wait_for(find: Callable[[], T | None], timeout_s: float, why: Callable[[], str] = lambda: "waited too long") -> T:
    """What `find` gives as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := find()):
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)
    return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
