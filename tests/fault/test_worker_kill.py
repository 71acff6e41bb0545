"""Promises P2 and P3 of the whole program: the worker is killed in the middle of a remedy and of a notice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml

from tests.fault.up import Up, checked, wait_for

SLOW_S = 60.0
STARTED = datetime.now(UTC).isoformat()


@dataclass
class Target:
    """What remedies and notices call: counts, and answers restarts only after a long time."""

    url: str = ""
    restarts: list[str] = field(default_factory=list)
    notices: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    away: bool = True
    slow: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def target() -> Iterator[Target]:
    state = Target()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            key = self.headers.get("idempotency-key", "")
            status = 200
            if self.path == "/restart":
                state.restarts.append(key)
                state.slow.wait(SLOW_S)
            elif state.away:
                status = 503
            else:
                state.notices.append((key, orjson.loads(body)))
            with suppress(OSError):  # who asked may be dead
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
        state.slow.set()
        server.shutdown()


@pytest.fixture
def up(tmp_path: Path, target: Target) -> Iterator[Up]:
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(yaml.safe_dump({"targets": {"service:shop": {"restart": {"url": f"{target.url}/restart"}}}}))
    respond = {
        "inventory": str(inventory),
        "channels": [{"name": "chat", "url": f"{target.url}/chat"}],
        "notices": {"attempts": 100, "pause_s": 0.2},
        "outgoing": {"timeout_s": SLOW_S},
    }
    started = Up(tmp_path, {"respond": respond, "correlate": {"confirm_s": 0.0, "hold_s": 1.0}})
    started.start()
    yield started
    started.stop()


def _alert(up: Up, status: str) -> None:
    """An alert of another system, which opens an incident by itself."""
    now = datetime.now(UTC).isoformat()
    alert = {
        "status": status,
        "labels": {"alertname": "ShopDown", "service": "shop", "severity": "critical"},
        "annotations": {"summary": "the shop is down"},
        "startsAt": STARTED,
        "endsAt": now,
        "fingerprint": "f00",
    }
    with up.client() as client:
        checked(client.post("/webhooks/alertmanager", json={"version": "4", "alerts": [alert]}))


def _incident(client: httpx.Client) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = checked(client.get("/api/v1/incidents"))["items"]
    return found[0] if found else None


def _execution(client: httpx.Client, key: str) -> dict[str, Any]:
    found: dict[str, Any] = checked(client.get(f"/api/v1/executions/{key}"))
    return found


def _ended(client: httpx.Client, key: str) -> dict[str, Any] | None:
    found = _execution(client, key)
    return found if found["state"] in ("succeeded", "failed") else None


def _approved(up: Up, incident: str) -> str:
    """A restart that one person asked for and another approved."""
    approver = up.person("bob", "approver")
    body = {"runbook": "restart-service", "incident": incident, "arguments": {"entity": "service:shop"}}
    with up.client() as client:
        made = checked(client.post("/api/v1/executions", json={**body, "dry_run": False}))
    with up.client(approver) as client:
        signed = {"approval_hash": made["approval_hash"]}
        checked(client.post(f"/api/v1/executions/{made['id']}/approve", json=signed))
    return str(made["id"])


def test_a_remedy_cut_off_by_a_kill_is_asked_about_and_never_repeated(up: Up, target: Target) -> None:
    """SIGKILL while the step is under way, once more while a person is asked, and a decision while no worker runs."""
    _alert(up, "firing")
    with up.client() as client:
        incident = wait_for(lambda: _incident(client), 60)
        key = _approved(up, incident["id"])
        wait_for(lambda: target.restarts, 60)
        up.kill_worker()
        wait_for(lambda: _execution(client, key)["state"] == "unknown", 90, up.log.read_text)
        assert _execution(client, key)["steps"][0]["state"] == "unknown"
        up.kill_worker()
        decision = {"step": "restart", "outcome": "succeeded"}
        checked(client.post(f"/api/v1/executions/{key}/decide", json=decision))
        wait_for(lambda: _execution(client, key)["state"] == "verifying", 90, up.log.read_text)
        _alert(up, "resolved")
        done = wait_for(lambda: _ended(client, key), 60, up.log.read_text)
        story = [line["text"] for line in checked(client.get(f"/api/v1/incidents/{incident['id']}"))["timeline"]]
    assert done["state"] == "succeeded", done
    assert done["steps"][0]["output"].endswith("admin says: succeeded")
    assert target.restarts == [f"{key}/restart"], "called once, whatever happened to the caller"
    assert sum("a person must look" in text for text in story) == 1
    with up.client() as client:
        audit = [line for line in checked(client.get("/api/v1/audit"))["items"] if "runbook.step" in line["action"]]
    assert len(audit) == 1


def test_a_notice_arrives_once_for_each_state_though_webhook_and_worker_fail(up: Up, target: Target) -> None:
    """The webhook is away while the worker is killed twice in the middle of its tries."""
    _alert(up, "firing")
    with up.client() as client:
        incident = wait_for(lambda: _incident(client), 60)
        time.sleep(3)
        up.kill_worker()
        wait_for(up.worker_pids, 30)
        time.sleep(4)
        up.kill_worker()
        target.away = False
        wait_for(lambda: target.notices, 90, up.log.read_text)
        checked(client.post(f"/api/v1/incidents/{incident['id']}/assign", json={"owner": "ann"}))
        _alert(up, "resolved")
        wait_for(lambda: len({key for key, _ in target.notices}) == 2, 90, up.log.read_text)
        up.kill_worker()
        wait_for(up.worker_pids, 30)
        time.sleep(5)
    told: dict[str, list[dict[str, Any]]] = {}
    for key, body in target.notices:
        told.setdefault(key, []).append(body)
    assert told.keys() == {f"notice:main:{incident['id']}:{state}:chat" for state in ("open", "resolved")}
    assert all(bodies.count(bodies[0]) == len(bodies) for bodies in told.values()), "a repeated call says the same"
    assert [bodies[0]["state"] for bodies in told.values()] == ["open", "resolved"]
