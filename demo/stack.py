"""Starts Twofold and the shop together, for `twofold demo run` and `twofold demo score`."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import httpx
import yaml

from .control.faults import FAULTS
from .shop.__main__ import SERVICES

ROOT: Final = Path(__file__).resolve().parent
PORT: Final = 7070
OTLP_PORT: Final = 4318
_START_S: Final = 120.0
_STOP_S: Final = 20.0
_SHOP_PORTS: Final = 16
_LAST_PORT: Final = 65_535


@dataclass(slots=True, kw_only=True)
class Stack:
    """Twofold with the shop beside it.

    Attributes:
        data: Folder of both; made anew.
        ports: Fixed ports 7070 and 4318 where they are free, any others when not.
        capture: File into which Twofold writes everything it accepts.
    """

    data: Path
    fixed_ports: bool = True
    capture: Path | None = None
    url: str = ""
    token: str = ""
    secret: str = ""
    control_url: str = ""
    control_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _logs: list[Any] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_twofold(self) -> None:
        """Start it with the demo's settings and wait until it is ready.

        Raises:
            RuntimeError: It ended, or was not ready in time; the message names its log.
        """
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True, mode=0o700)
        port = _port(PORT if self.fixed_ports else 0)
        otlp = _port(OTLP_PORT if self.fixed_ports else 0)
        base = _block(_SHOP_PORTS)
        control = _port(0)
        self.url, self.control_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{control}"
        settings = self.data / "twofold.yaml"
        settings.touch(mode=0o600)
        settings.write_text(yaml.safe_dump(self._settings(port, otlp, base)), encoding="utf-8")
        (self.data / "inventory.yaml").write_text(yaml.safe_dump(self._inventory()), encoding="utf-8")
        arguments = ["up", "--data", str(self.data / "twofold"), "--config", str(settings)]
        if self.capture:
            arguments += ["--capture", str(self.capture)]
        log = self.data / "twofold.log"
        child = self._spawn([sys.executable, "-m", "twofold", *arguments], log)
        self._wait(child, log)
        found = json.loads((self.data / "twofold" / "client.json").read_text())
        self.token = found["token"]
        self.secret = _secret(log)

    def start_shop(self) -> None:
        """Start the control, and with it the shop; waits until the control answers."""
        base = yaml.safe_load((self.data / "twofold.yaml").read_text())["ingest"]["scrape"][0]["url"]
        first = int(base.rsplit(":", 1)[1].split("/")[0]) - _place("payment")
        arguments = ["--twofold", self.url, "--data", str(self.data / "shop"), "--follow-stdin"]
        arguments += ["--port", self.control_url.rsplit(":", 1)[1], "--base-port", str(first)]
        environment = {"DEMO_TOKEN": self.control_token, "TWOFOLD_TOKEN": self.token}
        log = self.data / "shop.log"
        child = self._spawn([sys.executable, "-m", f"{__package__}.control", *arguments], log, environment)
        deadline = time.monotonic() + _START_S
        with self.control() as control:
            while time.monotonic() < deadline and child.poll() is None:
                with suppress(httpx.HTTPError):
                    if control.get("/state").is_success:
                        return
                time.sleep(0.2)
        raise RuntimeError(f"the shop did not start; see {log}")

    def api(self, token: str = "") -> httpx.Client:
        """A client of Twofold's API, as the first admin or with another token."""
        headers = {"authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30.0, trust_env=False)

    def control(self) -> httpx.Client:
        """A client of the shop's control."""
        headers = {"authorization": f"Bearer {self.control_token}"}
        return httpx.Client(base_url=self.control_url, headers=headers, timeout=60.0, trust_env=False)

    def train_and_release(self) -> str:
        """Train the recommender and put it live through shadow, as a person would; returns its version."""
        with self.api() as api:
            deadline = time.monotonic() + _START_S
            while not any(one["id"] == "recommender" for one in _checked(api.get("/api/v1/projects"))["items"]):
                if time.monotonic() > deadline:
                    raise RuntimeError("the worker did not register the project; see twofold.log")
                time.sleep(0.2)
            run_id = _checked(api.post("/api/v1/projects/recommender/train", json={}))["workflow_id"]
            while (run := _checked(api.get(f"/api/v1/runs/{run_id}")))["state"] not in ("succeeded", "failed"):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"training did not end in time: {run}")
                time.sleep(0.2)
            if run["state"] == "failed":
                raise RuntimeError(f"training failed: {run['error']}")
            version = self._shadowed(api, deadline)
            body = {"version": version, "stage": "live", "reason": "first version of the demo"}
            _checked(api.post("/api/v1/models/recommender/releases", json=body))
            while not api.get("/v2/models/recommender/ready").is_success:
                if time.monotonic() > deadline:
                    raise RuntimeError("the model was released but is not served")
                time.sleep(0.1)
        return version

    def new_user(self, name: str, role: str) -> tuple[str, str]:
        """Create a user; returns secret and an API token."""
        secret = secrets.token_urlsafe(12)
        with self.api() as api:
            _checked(api.post("/api/v1/users", json={"name": name, "role": role, "secret": secret}))
        with httpx.Client(base_url=self.url, trust_env=False) as session:
            _checked(session.post("/api/v1/session", json={"name": name, "secret": secret}))
            headers = {"x-twofold-csrf": "1"}
            body = {"name": "demo", "scopes": _scopes(session)}
            token = _checked(session.post("/api/v1/tokens", json=body, headers=headers))
        return secret, str(token.get("text") or token.get("secret") or token["token"])

    def stop(self) -> None:
        """End both, the shop first."""
        for child in reversed(self._children):
            child.terminate()
            if child.stdin:
                child.stdin.close()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._children.clear()
        for log in self._logs:
            log.close()
        self._logs.clear()

    def _shadowed(self, api: httpx.Client, deadline: float) -> str:
        while time.monotonic() < deadline:
            found = _checked(api.get("/api/v1/models/recommender"))
            if found["releases"]:
                return str(found["versions"][0]["version"])
            time.sleep(0.2)
        raise RuntimeError("the trained version never reached shadow")

    def _settings(self, port: int, otlp: int, base: int) -> dict[str, Any]:
        scrape = {
            "job": "payment",
            "url": f"http://127.0.0.1:{base + _place('payment')}/metrics",
            "interval_s": 5.0,
            "timeout_s": 3.0,
        }
        return {
            "http": {"port": port, "otlp_port": otlp, "otlp_grpc_port": 0},
            "ingest": {"scrape": [scrape]},
            "respond": {"inventory": str(self.data / "inventory.yaml")},
            "models": {"projects": [str(ROOT)]},
            "slos": [
                {"name": "orders go through", "entity": "service:checkout", "objective": 0.98, "window_s": 86_400.0},
                {"name": "pages within 300 ms", "entity": "service:gateway", "objective": 0.95, "threshold_s": 0.3},
            ],
            "demo": {"url": self.control_url, "token": self.control_token},
        }

    def _inventory(self) -> dict[str, Any]:
        """What remedies may touch: the control's calls, by entity."""
        headers = {"authorization": f"Bearer {self.control_token}"}

        def call(path: str) -> dict[str, Any]:
            return {"url": self.control_url + path, "headers": headers}

        targets: dict[str, dict[str, Any]] = {
            f"service:{name}": {"restart": call(f"/processes/{name}/restart")} for name in SERVICES if name != "load"
        }
        for fault in FAULTS.values():
            for remedy in fault.remedies:
                if remedy.startswith("/deploys/"):
                    targets[fault.entity]["deploy.rollback"] = call(remedy)
        targets["database:inventory"] = {"restart": call("/processes/store/restart")}
        for entity in ("feature:recommender/*", "model:recommender", "dataset:prices"):
            targets[entity] = {"data.rollback": call("/data/prices/rollback")}
        return {"targets": targets}

    def _spawn(self, arguments: list[str], log: Path, more: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        file = log.open("wb")
        self._logs.append(file)
        child = subprocess.Popen(  # noqa: S603 - our own interpreter with arguments made here
            arguments,
            cwd=ROOT.parent,
            env={**os.environ, **(more or {})},
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._children.append(child)
        return child

    def _wait(self, child: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + _START_S
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            while time.monotonic() < deadline and child.poll() is None:
                with suppress(httpx.HTTPError):
                    if client.get("/readyz").is_success:
                        return
                time.sleep(0.1)
        raise RuntimeError(f"Twofold did not get ready; see {log}:\n{log.read_text()[-2000:]}")


def _place(service: str) -> int:
    """Offset of a service's port from the first, as the control counts."""
    return [name for name in SERVICES if name not in ("worker", "load")].index(service)


def _port(wanted: int) -> int:
    """The wanted port if it is free, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise RuntimeError("no free port on 127.0.0.1")


def _block(size: int) -> int:
    """First of `size` free ports in a row."""
    for _ in range(100):
        first = _port(0)
        if first + size <= _LAST_PORT and all(_port(first + n) == first + n for n in range(size)):
            return first
    raise RuntimeError(f"no {size} free ports in a row on 127.0.0.1")


def _secret(log: Path) -> str:
    lines = [line for line in log.read_text().splitlines() if "one-time secret" in line]
    return lines[-1].rsplit(" ", 1)[1] if lines else ""


def _scopes(session: httpx.Client) -> list[str]:
    return [str(one) for one in _checked(session.get("/api/v1/session"))["permissions"]]


def _checked(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise RuntimeError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None
