"""Our own SQL: what it reads, what it refuses, whom it shows what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any

import httpx
import pytest

from tests.api_world import NOW, World, build_world
from twofold.api.routes import sql as route
from twofold.records.access import Audit, Role
from twofold.records.time import SECOND_NS, to_ns
from twofold.store.history import Table

NOW_NS = to_ns(NOW)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two series of ten samples, one a second."""
    world = build_world(tmp_path_factory.mktemp("shop"))
    for number, job in enumerate(("cart", "till"), 1):
        sid, _ = world.catalog.register("queue.depth", {"job": job}, entity=f"service:{job}", tenant="main", unit="1")
        rows = [{"sid": sid, "time_ns": NOW_NS - s * SECOND_NS, "value": float(number * s)} for s in range(10)]
        world.history.add(Table.SAMPLES, *rows)
    yield world
    world.close()


def ask(world: World, sql: str, tenant: str = "main", **more: Any) -> httpx.Response:
    return world.ask("POST", "/api/v1/sql", Role.VIEWER, json={"sql": sql} | more, tenant=tenant)


def rows(world: World, sql: str, **more: Any) -> Any:
    found = ask(world, sql, **more)
    assert found.status_code == 200, found.text
    return found.json()["rows"]


def test_samples_are_joined_with_what_their_series_are(shop: World) -> None:
    sql = "SELECT labels['job'] AS job, entity, max(value) AS most FROM samples JOIN series USING (sid) GROUP BY ALL"
    found = ask(shop, f"{sql} ORDER BY 1").json()
    assert [column["name"] for column in found["columns"]] == ["job", "entity", "most"]
    assert found["rows"] == [["cart", "service:cart", 9.0], ["till", "service:till", 18.0]]
    assert not found["truncated"]


def test_a_span_of_time_narrows_what_is_read(shop: World) -> None:
    start = (NOW - timedelta(seconds=4)).isoformat()
    assert rows(shop, "SELECT count(*) FROM samples", start=start) == [[10]]
    assert rows(shop, "SELECT count(*) FROM samples", start=start, end=NOW.isoformat()) == [[8]]


def test_rows_past_the_limit_are_left_out_and_told(shop: World) -> None:
    found = ask(shop, "SELECT value FROM samples ORDER BY value", limit=3).json()
    assert (found["rows"], found["truncated"]) == ([[0.0], [0.0], [1.0]], True)


def test_numbers_that_json_would_bend_are_text_or_null(shop: World) -> None:
    sql = "SELECT max(time_ns), sum(1), 'NaN'::DOUBLE, 1 / 4, DATE '2026-01-02', [1, 2], true, 'x'::BLOB FROM samples"
    assert rows(shop, sql) == [[str(NOW_NS), 20, None, 0.25, "2026-01-02", [1, 2], True, "78"]]


def test_another_tenant_sees_nothing(shop: World) -> None:
    assert ask(shop, "SELECT count(*) FROM samples", tenant="acme").json()["rows"] == [[0]]
    assert ask(shop, "SELECT count(*) FROM series", tenant="acme").json()["rows"] == [[0]]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW samples",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/proc/self/environ')",
        "COPY samples TO '/tmp/out.csv'",
        "SET memory_limit = '100GB'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "SELECT nothing FROM samples",
        "not sql",
    ],
)
def test_anything_but_one_select_over_the_views_is_refused(shop: World, sql: str) -> None:
    found = ask(shop, sql)
    assert found.status_code == 400, found.text
    assert found.json()["reason"] == "sql"


def test_a_window_that_ends_before_it_begins_is_refused(shop: World) -> None:
    found = ask(shop, "SELECT 1", start=NOW.isoformat(), end=NOW.isoformat())
    assert (found.status_code, found.json()["reason"]) == (400, "window")


def test_only_so_many_statements_run_at_once(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "_RUNNING", BoundedSemaphore(1))
    assert route._RUNNING.acquire()
    found = ask(shop, "SELECT 1")
    assert found.status_code == 429
    assert "retry-after" in found.headers
    route._RUNNING.release()
    assert rows(shop, "SELECT 1") == [[1]]


def test_what_was_asked_is_in_the_audit(shop: World) -> None:
    rows(shop, "SELECT 42")
    (entry, *_) = shop.ledger.find(Audit, tenant="main", limit=1)
    assert (entry.action, entry.detail["sql"]) == ("query_sql", "SELECT 42")
