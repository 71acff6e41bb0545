"""Series, traces and logs, out of telemetry in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.api_world import NOW, World
from tests.unit.api.test_incidents import a_finding
from twofold.aiops.detect.bands import Bands
from twofold.aiops.detect.config import PanelConfig
from twofold.api.app import create_api
from twofold.records.access import Role
from twofold.records.series import Series, SeriesKind, sid_text
from twofold.records.time import SECOND_NS, to_ns
from twofold.store.history import Table

ask = World.ask
NOW_NS = to_ns(NOW)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def sid(world: World) -> str:
    """A series with one sample a second over the last ten minutes: 0, 1, 2, and so on."""
    number, _ = world.catalog.register(
        "span.duration.p95",
        {"operation": "GET /"},
        entity="service:cart",
        tenant="main",
        unit="s",
        kind=SeriesKind.GAUGE,
    )
    rows = [
        {"sid": number, "time_ns": NOW_NS - (600 - second) * SECOND_NS, "value": float(second)} for second in range(600)
    ]
    world.history.add(Table.SAMPLES, *rows)
    return sid_text(number)


def test_series_are_listed_with_their_sid_as_text(world: World, sid: str) -> None:
    (found,) = ask(world, "GET", "/api/v1/series?entity=service:cart", Role.VIEWER).json()["items"]
    assert found["sid"] == sid
    assert found["labels"] == {"operation": "GET /"}
    assert ask(world, "GET", "/api/v1/series?metric=nothing", Role.VIEWER).json()["items"] == []
    assert ask(world, "GET", "/api/v1/series", Role.VIEWER, tenant="acme").json()["items"] == []


def points(world: World, sid: str, **query: Any) -> Any:
    return ask(world, "GET", f"/api/v1/series/{sid}/points", Role.VIEWER, params=query).json()


def test_points_are_mean_least_and_most_of_each_step(world: World, sid: str) -> None:
    start = NOW - timedelta(seconds=600)
    found = points(world, sid, start=start.isoformat(), end=NOW.isoformat(), step_s=300)
    starts = [to_ns(start) // 10**6 // 300_000 * 300_000 + k * 300_000 for k in range(len(found["time_ms"]))]
    assert found["time_ms"] == starts
    assert found["min"][0] == 0.0
    assert found["max"][-1] == 599.0
    assert len(found["mean"]) == len(found["min"]) == len(found["max"]) == len(starts)
    assert found["band"] == {"low": None, "high": None}


def test_the_last_hour_in_about_600_steps_is_the_default(world: World, sid: str) -> None:
    found = points(world, sid)
    assert found["step_s"] == 6
    assert 99 <= len(found["time_ms"]) <= 101


def test_the_band_is_what_findings_say_where_no_detector_runs(world: World, sid: str) -> None:
    finding = a_finding(series=sid, onset=NOW - timedelta(seconds=120), seen=NOW - timedelta(seconds=60))
    world.ledger.put(finding)
    found = points(world, sid, end=NOW.isoformat(), start=(NOW - timedelta(seconds=600)).isoformat(), step_s=60)
    inside = [low is not None for low in found["band"]["low"]]
    assert 1 <= sum(inside) <= 2
    assert [f["id"] for f in found["findings"]] == ["f1"]
    world.ledger.put(replace(finding, onset=NOW - timedelta(days=9), seen=NOW - timedelta(days=9)))
    assert points(world, sid)["findings"] == []


def test_the_band_of_a_running_detector_comes_first(world: World, sid: str) -> None:
    class Flat:
        def band(
            self, series: Series, time_ns: npt.NDArray[np.int64]
        ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
            assert series.entity == "service:cart"
            low = np.zeros(len(time_ns))
            low[0] = np.nan
            return low, low + 1

    world.api = create_api(replace(world.services, bands=Flat()))
    band = points(world, sid, step_s=60)["band"]
    assert band["low"][:2] == [None, 0.0]
    assert band["high"][1] == 1.0


def test_the_band_of_the_live_detector_covers_the_whole_window(world: World) -> None:
    number, _ = world.catalog.register(
        "span.duration.p95", {}, entity="service:slow", tenant="main", unit="s", kind=SeriesKind.GAUGE
    )
    calm = np.random.default_rng(0).normal(0.05, 0.003, 1800)
    calm[1700:] += 1.0
    rows = [
        {"sid": number, "time_ns": NOW_NS - (1800 - second) * SECOND_NS, "value": value}
        for second, value in enumerate(calm.tolist())
    ]
    world.history.add(Table.SAMPLES, *rows)
    world.api = create_api(replace(world.services, bands=Bands(world.history, PanelConfig)))
    start, end = NOW - timedelta(seconds=900), NOW
    found = points(world, sid_text(number), start=start.isoformat(), end=end.isoformat())
    low, high, mean = (np.array(each) for each in (found["band"]["low"], found["band"]["high"], found["mean"]))
    assert len(low) == len(high) == len(mean) > 400
    assert ((low >= 0) & (low < 0.05) & (high > 0.05) & (high < 0.2)).all()
    assert (mean[-40:] > high[-40:]).all()


@pytest.mark.parametrize(
    ("kind", "unit", "mean"),
    [
        (SeriesKind.COUNTER, "By/s", [5.0, 5.0, 5.0, 5.0]),
        (SeriesKind.DELTA, "By/s", [5.0, 10.0, 1.0, 6.0, 11.0]),
        (SeriesKind.RATE, "By", [50.0, 100.0, 10.0, 60.0, 110.0]),
        (SeriesKind.GAUGE, "By", [50.0, 100.0, 10.0, 60.0, 110.0]),
    ],
)
def test_what_is_counted_is_shown_per_second(world: World, kind: SeriesKind, unit: str, mean: list[float]) -> None:
    """A counter that goes back has begun anew: nothing is known of that moment."""
    number, _ = world.catalog.register("sent", {}, entity="service:cart", tenant="main", unit="By", kind=kind)
    totals = [0.0, 50.0, 100.0, 10.0, 60.0, 110.0]
    rows = [
        {"sid": number, "time_ns": NOW_NS - (60 - 10 * n) * SECOND_NS, "value": total} for n, total in enumerate(totals)
    ]
    world.history.add(Table.SAMPLES, *rows)
    found = points(world, sid_text(number), start=(NOW - timedelta(seconds=50)).isoformat(), end=NOW.isoformat())
    assert found["series"]["unit"] == unit
    assert found["mean"] == mean
    assert found["time_ms"][0] == (NOW_NS - 50 * SECOND_NS) // 10**6


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, 400),
        ({"start": "2020-01-01T00:00:00Z", "step_s": 1}, 413),
        ({"start": "2026-01-01T00:00:00"}, 422),
        ({"step_s": 0}, 422),
    ],
)
def test_a_window_that_makes_no_sense_is_told(world: World, sid: str, query: dict[str, Any], status: int) -> None:
    assert points(world, sid, **query)["status"] == status


def test_a_sid_that_is_none_or_unknown_is_told(world: World) -> None:
    assert points(world, "not-a-sid")["status"] == 400
    assert points(world, "00000000000000ff")["status"] == 404


def a_span(name: str, parent: str = "", **changes: Any) -> dict[str, Any]:
    span = {
        "trace_id": TRACE,
        "span_id": name,
        "parent_id": parent,
        "entity": "service:cart",
        "name": name,
        "kind": 2,
        "start_ns": NOW_NS,
        "duration_ns": 1_500_000,
        "error": False,
        "peer": "",
        "attributes": '{"http.status_code": 200}',
    }
    return span | changes


def test_a_trace_is_its_spans_by_start(world: World) -> None:
    world.history.add(
        Table.SPANS,
        a_span("late", "first", start_ns=NOW_NS + 5, kind=9, error=True),
        a_span("first"),
        a_span("x", trace_id="e" * 32),
    )
    found = ask(world, "GET", f"/api/v1/traces/{TRACE.upper()}", Role.VIEWER).json()
    assert [(span["name"], span["kind"], span["duration_ms"], span["error"]) for span in found["spans"]] == [
        ("first", "server", 1.5, False),
        ("late", "unspecified", 1.5, True),
    ]
    assert found["spans"][0]["attributes"] == {"http.status_code": 200}
    assert ask(world, "GET", f"/api/v1/traces/{'0' * 32}", Role.VIEWER).status_code == 404
    assert ask(world, "GET", "/api/v1/traces/zz", Role.VIEWER).status_code == 422
    assert ask(world, "GET", f"/api/v1/traces/{TRACE}", Role.VIEWER, tenant="acme").status_code == 404


def test_logs_are_found_by_entity_text_severity_trace_and_time(world: World) -> None:
    def a_line(ago_s: int, body: str, **changes: Any) -> dict[str, Any]:
        line = {
            "time_ns": NOW_NS - ago_s * SECOND_NS,
            "entity": "service:cart",
            "severity": 9,
            "body": body,
            "trace_id": "",
            "span_id": "",
            "attributes": "{}",
        }
        return line | changes

    world.history.add(
        Table.LOGS,
        a_line(30, "Payment FAILED'; DROP TABLE logs", severity=17),
        a_line(20, "ok", trace_id=TRACE),
        a_line(10, "ok", entity="service:mail"),
        a_line(9000, "long ago"),
    )

    def bodies(**query: Any) -> list[str]:
        found = ask(world, "GET", "/api/v1/logs", Role.VIEWER, params=query).json()
        return [line["body"] for line in found["items"]]

    assert len(bodies()) == 3
    assert bodies(q="failed'") == bodies(severity=17) == ["Payment FAILED'; DROP TABLE logs"]
    assert bodies(entity="service:mail") == bodies(limit=1) == ["ok"]
    assert bodies(trace_id=TRACE) == ["ok"]
    start = (NOW - timedelta(hours=3)).isoformat()
    assert bodies(start=start, q="long") == ["long ago"]
    assert bodies(q="' OR 1=1 --") == []
