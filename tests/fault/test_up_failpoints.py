"""SIGKILL at each named place of a real `twofold up` that receives over HTTP: P1 and P5 afterwards, P2 for notices.

Where the worker stands at the place, it is the worker that dies; the first process is killed soon after.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.fault.traffic import BUSY, Told, senders
from tests.fault.up import Up, checked, wait_for
from twofold.store import failpoints

NAMES: Final = tuple(name for name in failpoints.NAMES if name != "rescale")
"""Places that a running process comes to; `test_rescale_kill` is about the other."""
SMALL: Final = {"PYTHONPATH": str(Path(__file__).parent / "small")}
LATEST: Final = {
    "journal.append": 200,
    "ledger.write": 6,
    "history.commit": 12,
    "recorder.flush": 6,
    "workflow.step": 2,
}
"""Latest pass at which a process is ended, 4 elsewhere."""
REACHED_S: Final = 90.0
PAUSE_S: Final = 0.03  # stages keep up, so that everybody commits
WORKER_DIED: Final = "the worker ended with -9"
STARTED: Final = "2026-01-01T00:00:00Z"


@contextmanager
def chat() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """A channel for notices: its address, and the key and body of each."""
    heard: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            heard.append((self.headers.get("idempotency-key", ""), orjson.loads(body)))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", heard
        server.shutdown()


class Lives:
    """One data folder, ended at one place after the other."""

    def __init__(self, home: Path, chat_url: str) -> None:
        respond = {
            "channels": [{"name": "chat", "url": chat_url}],
            "notices": {"attempts": 100, "pause_s": 0.2},
        }
        runner = {"checkpoint_s": 0.5, "checkpoint_share": 1.0, "frames": 32}
        settings = {**BUSY, "runner": runner, "respond": respond, "correlate": {"confirm_s": 0.0, "hold_s": 1.0}}
        self.up = Up(home, settings)
        self.told = Told()
        self.alerts: set[str] = set()

    def end_at(self, name: str, number: int, failpoint: str) -> None:
        """One life under load, until a process is ended at the place."""
        said = len(self.up.log.read_text()) if self.up.log.exists() else 0
        if not self.up.start({**SMALL, "TWOFOLD_FAILPOINT": failpoint}, may_end=True):
            return
        sending = senders(self.up, f"k{number}", PAUSE_S)
        if name == "workflow.step":
            self._alert(f"shop{number}")
        wait_for(
            lambda: self.up.ended() or WORKER_DIED in self.up.log.read_text()[said:],
            REACHED_S,
            lambda: f"{failpoint} was never reached:\n{self.up.stands()}",
        )
        if not self.up.ended():
            time.sleep(0.3)
        self.up.kill()
        self.told.end(sending)

    def check(self, heard: list[tuple[str, dict[str, Any]]]) -> None:
        """A last life without a failpoint; then everything is in its place."""
        self.up.start(SMALL)
        self.told.end(self._briefly(senders(self.up, "last", PAUSE_S)))
        keys = {key for key, _ in heard}
        wait_for(lambda: self.alerts <= {self._named(body) for _, body in heard}, 60, lambda: f"told: {keys}")
        self.told.check(self.up)
        said: dict[str, list[dict[str, Any]]] = {}
        for key, body in heard:
            said.setdefault(key, []).append(body)
        assert all(bodies.count(bodies[0]) == len(bodies) for bodies in said.values()), "a repeated call says the same"

    @staticmethod
    def _briefly(sending: list[Any]) -> list[Any]:
        time.sleep(1.0)
        return sending

    def _named(self, body: dict[str, Any]) -> str:
        text = orjson.dumps(body).decode()
        return next((each for each in sorted(self.alerts, reverse=True) if f"{each} is down" in text), "")

    def _alert(self, service: str) -> None:
        """An alert of another system, which opens an incident by itself, of which the channel is told."""
        alert = {
            "status": "firing",
            "labels": {"alertname": "Down", "service": service, "severity": "critical"},
            "annotations": {"summary": f"{service} is down"},
            "startsAt": STARTED,
            "fingerprint": service,
        }
        with self.up.client() as client:
            checked(client.post("/webhooks/alertmanager", json={"version": "4", "alerts": [alert]}))
        self.alerts.add(service)


def end_everywhere(home: Path, names: tuple[str, ...], times: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - passes to end at, repeatable
    with chat() as (url, heard):
        lives = Lives(home, url)
        try:
            for number, name in enumerate(names * times):
                lives.end_at(name, number, f"{name}:{chance.randint(1, LATEST.get(name, 4))}")
            lives.check(heard)
        finally:
            lives.up.stop()


@pytest.mark.timeout(1200)
def test_ended_at_each_place_it_has_everything_once(tmp_path: Path) -> None:
    end_everywhere(tmp_path, NAMES, times=1, seed=21)


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("name", NAMES)
def test_ended_thirty_times_at_a_place_it_has_everything_once(name: str, tmp_path: Path) -> None:
    end_everywhere(tmp_path, (name,), times=30, seed=22)
