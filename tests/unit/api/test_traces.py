"""Traces over REST: lists of requests, and one with its own times and critical path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from tests.api_world import NOW, World
from twofold.api.app import create_api
from twofold.records.access import Role
from twofold.records.time import to_ns
from twofold.store.history import Table

ask = World.ask
NOW_NS = to_ns(NOW)
MS = 1_000_000
TRACE = "0af7651916cd43dd8448eb211c80319c"


def row(span: str, parent: str, entity: str, *, at_ms: int, ms: int, kind: int = 2, **changes: Any) -> dict[str, Any]:
    found = {
        "trace_id": TRACE,
        "span_id": span,
        "parent_id": parent,
        "entity": entity,
        "name": f"do {span}",
        "kind": kind,
        "start_ns": NOW_NS - 60_000 * MS + at_ms * MS,
        "duration_ns": ms * MS,
        "error": False,
        "peer": "",
        "attributes": "{}",
    }
    return found | changes


@pytest.fixture
def filled(world: World) -> World:
    world.history.add(
        Table.SPANS,
        row("s", "", "service:checkout", at_ms=0, ms=100),
        row("c", "s", "service:checkout", at_ms=10, ms=80, kind=3),
        row("t", "c", "service:payment", at_ms=5000, ms=70),
        row("other", "", "service:cart", at_ms=0, ms=300, trace_id="e" * 32, error=True),
    )
    return world


def test_a_trace_tells_where_its_time_went(filled: World) -> None:
    found = ask(filled, "GET", f"/api/v1/traces/{TRACE}", Role.VIEWER).json()
    assert (found["duration_ms"], found["kept"]) == (100.0, False)
    assert found["shares"] == [
        {"entity": "service:payment", "self_ms": 70.0, "critical_ms": 70.0},
        {"entity": "service:checkout", "self_ms": 30.0, "critical_ms": 30.0},
    ]
    spans = {span["span_id"]: span for span in found["spans"]}
    assert {key: span["self_ms"] for key, span in spans.items()} == {"s": 20.0, "c": 10.0, "t": 70.0}
    assert spans["t"]["shift_ms"] == -4985.0
    assert spans["t"]["critical"] == [{"offset_ms": 15.0, "duration_ms": 70.0}]


def test_requests_are_listed_slowest_first(filled: World) -> None:
    def listed(query: str) -> list[str]:
        found = ask(filled, "GET", f"/api/v1/traces?end={NOW:%Y-%m-%dT%H:%M:%SZ}&{query}", Role.VIEWER)
        return [line["operation"] for line in found.json()["items"]]

    assert listed("") == ["do other", "do s", "do t"]
    assert listed("entity=service:checkout") == ["do s"]
    assert listed("operation=do%20t") == ["do t"]
    assert listed("least_ms=100") == ["do other", "do s"]
    assert listed("failed=true") == ["do other"]
    assert listed("limit=1") == ["do other"]
    assert listed("start=2020-01-01T00:00:00Z&end=2020-01-01T01:00:00Z") == []
    assert ask(filled, "GET", "/api/v1/traces", Role.VIEWER, tenant="acme").json()["items"] == []
    assert ask(filled, "GET", "/api/v1/traces?least_ms=-1", Role.VIEWER).status_code == 422


def test_a_kept_trace_is_shown_when_the_history_has_let_it_go(filled: World) -> None:
    class Kept:
        def get(self, trace_id: str, *, tenant: str) -> pa.Table | None:
            rows = [row("s", "", "service:checkout", at_ms=0, ms=100, trace_id=trace_id)]
            return pa.Table.from_pylist(rows) if (trace_id, tenant) == ("f" * 32, "main") else None

    filled.api = create_api(replace(filled.services, kept=Kept()))
    found = ask(filled, "GET", f"/api/v1/traces/{'F' * 32}", Role.VIEWER).json()
    assert (found["kept"], found["duration_ms"], len(found["spans"])) == (True, 100.0, 1)
    assert ask(filled, "GET", f"/api/v1/traces/{'f' * 32}", Role.VIEWER, tenant="acme").status_code == 404
    assert ask(filled, "GET", f"/api/v1/traces/{TRACE}", Role.VIEWER).json()["kept"] is False
