"""A real ledger, a real loopback server that counts what is done to it, and an incident of a bad deploy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from twofold.aiops.respond.actions import Actions, declared_actions
from twofold.aiops.respond.inventory import Inventory, Operation
from twofold.flow.outgoing import Outgoing, OutgoingConfig
from twofold.records.alert import Alert, AlertState, Severity
from twofold.records.diagnosis import Diagnosis, Suspect
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.incident import Incident, IncidentState
from twofold.store.ledger import Ledger
from twofold.store.ledger.sql import open_ledger

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


@dataclass
class Shop:
    """What was called, and what it answers."""

    url: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    before: Callable[[], object] = lambda: None


@pytest.fixture
def shop() -> Iterator[Shop]:
    state = Shop()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            state.calls.append((self.path, self.headers.get("idempotency-key", "")))
            state.before()
            self.send_response(state.status)
            self.end_headers()
            with suppress(OSError):  # the caller may have gone
                self.wfile.write(b'{"ok": true}')

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def actions(shop: Shop) -> Iterator[Actions]:
    inventory = Inventory(
        {
            "service:checkout": {
                "deploy.rollback": Operation(url=f"{shop.url}/rollback"),
                "restart": Operation(argv=("true",)),
            },
            "feature:recommender/*": {"data.rollback": Operation(url=f"{shop.url}/data")},
        }
    )
    outgoing = Outgoing(trusted=list(inventory.urls()), config=OutgoingConfig(timeout_s=1))
    yield declared_actions(inventory, outgoing)
    outgoing.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    opened.put(
        Event(
            id="deploy-1",
            kind=EventKind.CHANGE,
            change=ChangeKind.DEPLOY,
            time=NOW,
            entity="service:checkout",
            title="checkout 1.4.0",
            version="1.4.0",
        ),
        Incident(
            id="inc-1",
            title="checkout: errors",
            state=IncidentState.OPEN,
            severity=Severity.CRITICAL,
            start=NOW,
            detected=NOW + timedelta(seconds=20),
            last_seen=NOW + timedelta(seconds=30),
            entities=("service:checkout",),
            alerts=("alert-1",),
        ),
        alert(AlertState.FIRING),
    )
    yield opened
    opened.close()


def alert(state: AlertState) -> Alert:
    """The one alert of the incident."""
    return Alert(
        id="alert-1",
        fingerprint="f",
        entity="service:checkout",
        signal="span.error_ratio",
        title="errors",
        state=state,
        severity=Severity.CRITICAL,
        start=NOW,
        last_seen=NOW,
        incident="inc-1",
    )


def diagnosis(entity: str = "service:checkout", change: str = "deploy-1") -> Diagnosis:
    """A diagnosis with one suspect."""
    suspect = Suspect(entity=entity, reason="errors since its deploy", score=0.9, change=change)
    return Diagnosis(id="inc-1", incident="inc-1", time=NOW, suspects=(suspect,), ranker="causes@1")
