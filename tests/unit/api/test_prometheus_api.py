"""Prometheus's HTTP query API over a real catalog and history: its answers, its errors, its limits."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api_world import NOW, World, build_world
from twofold.api.routes import prometheus
from twofold.records.access import Role
from twofold.records.series import SeriesKind
from twofold.records.time import SECOND_NS, to_ns
from twofold.store.history import Table
from twofold.store.promql import Limits

NOW_NS = to_ns(NOW)
NOW_S = int(NOW.timestamp())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three counters, by 15 s over ten minutes, growing by 1, 2 and 3 a second."""
    world = build_world(tmp_path_factory.mktemp("shop"))
    for number, (job, code) in enumerate((("cart", "200"), ("cart", "500"), ("till", "200")), 1):
        sid, _ = world.catalog.register(
            "http_requests_total",
            {"job": job, "code": code},
            entity=f"service:{job}",
            tenant="main",
            unit="1",
            kind=SeriesKind.COUNTER,
        )
        rows = [
            {"sid": sid, "time_ns": NOW_NS - s * SECOND_NS, "value": float(number * (600 - s))}
            for s in range(600, -1, -15)
        ]
        world.history.add(Table.SAMPLES, *rows)
    yield world
    world.close()


def ask(world: World, path: str, tenant: str = "main", **parameters: Any) -> httpx.Response:
    return world.ask("GET", f"/prometheus/api/v1/{path}", Role.VIEWER, params=parameters, tenant=tenant)


def result(world: World, path: str, **parameters: Any) -> Any:
    found = ask(world, path, **parameters)
    assert found.status_code == 200, found.text
    body = found.json()
    assert body["status"] == "success"
    return body["data"]


def test_an_instant_query_gives_a_vector_with_values_as_text(shop: World) -> None:
    found = result(shop, "query", query='http_requests_total{job="till"}', time=NOW_S)
    metric = {"__name__": "http_requests_total", "job": "till", "code": "200"}
    assert found == {"resultType": "vector", "result": [{"metric": metric, "value": [NOW_S, "1800"]}]}


def test_a_range_query_gives_a_matrix_of_all_steps_that_have_a_value(shop: World) -> None:
    found = result(
        shop,
        "query_range",
        query="sum by (job) (rate(http_requests_total[1m]))",
        start=NOW_S - 120,
        end=NOW.isoformat(),
        step="1m",
    )
    assert found["resultType"] == "matrix"
    assert [series["metric"] for series in found["result"]] == [{"job": "cart"}, {"job": "till"}]
    assert [[time, float(text)] for time, text in found["result"][1]["values"]] == [
        [NOW_S - back, pytest.approx(3)] for back in (120, 60, 0)
    ]


def test_scalars_strings_and_range_vectors_have_types_of_their_own(shop: World) -> None:
    assert result(shop, "query", query="1e3 / 0", time=NOW_S) == {"resultType": "scalar", "result": [NOW_S, "+Inf"]}
    assert result(shop, "query", query='"text"', time=1.5) == {"resultType": "string", "result": [1.5, "text"]}
    found = result(shop, "query", query='http_requests_total{job="till"}[30s]', time=NOW_S)
    assert found["resultType"] == "matrix"
    assert found["result"][0]["values"] == [[NOW_S - 15, "1755"], [NOW_S, "1800"]]


def test_a_form_is_read_like_the_query_string(shop: World) -> None:
    found = shop.ask("POST", "/prometheus/api/v1/query", Role.VIEWER, data={"query": "1", "time": "5"})
    assert found.json() == {"status": "success", "data": {"resultType": "scalar", "result": [5, "1"]}}


def test_grafana_asks_by_forms_with_selectors_and_without_a_time(shop: World) -> None:
    """What its data source sends: health, explore, variables, the builder's lists."""

    def form(path: str, **data: Any) -> Any:
        found = shop.ask("POST", f"/prometheus/api/v1/{path}", Role.VIEWER, data=data)
        assert found.status_code == 200, found.text
        return found.json()["data"]

    assert form("query", query="1+1", timeout="30s")["result"][1] == "2"
    assert abs(float(form("query", query="time()")["result"][1]) - time.time()) < 60
    found = form(
        "query_range", query='rate(http_requests_total{job=~"cart|till"}[1m])', start=NOW_S - 60, end=NOW_S, step="15"
    )
    assert len(found["result"]) == 3
    span = {"start": NOW_S - 600, "end": NOW_S}
    assert form("labels", **{"match[]": ['{code="500"}', '{code="200"}']}, **span) == ["__name__", "code", "job"]
    found = form("series", **{"match[]": "http_requests_total"}, **span, limit=2)
    assert [each["job"] for each in found] == ["cart", "till"]
    assert result(shop, "label/code/values", **{"match[]": ['{job="till"}', '{job="cart"}']}, **span) == ["200", "500"]
    assert result(shop, "label/__name__/values", limit=40_000, **span) == ["http_requests_total"]
    assert result(shop, "metadata", limit=5, limit_per_metric=1)
    found = form("query", query="http_requests_total", time=NOW_S, limit=2)
    assert len(found["result"]) == 2


def test_a_series_that_came_after_the_first_question_is_seen(world: World) -> None:
    for number in range(3):
        world.catalog.register("up", {"host": str(number)}, entity="", tenant="main")
        assert len(result(world, "series", **{"match[]": "up"})) == number + 1


def test_a_series_ends_where_its_sender_says(world: World) -> None:
    sid, _ = world.catalog.register("up", {"job": "cart"}, entity="service:cart", tenant="main")
    mark = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    rows = [(60, 1.0), (30, mark)]
    world.history.add(
        Table.SAMPLES, *({"sid": sid, "time_ns": NOW_NS - s * SECOND_NS, "value": value} for s, value in rows)
    )
    for _ in range(2):
        seen = [len(result(world, "query", query="up", time=NOW_S - back)["result"]) for back in (61, 60, 31, 30, 0)]
        assert seen == [0, 1, 1, 0, 0]
        assert result(world, "query", query="count_over_time(up[5m])", time=NOW_S)["result"][0]["value"][1] == "1"
        assert result(world, "query", query="absent(up)", time=NOW_S)["result"]
        world.history.flush()


def test_bounds_are_those_that_were_set(tmp_path: Path) -> None:
    limits = Limits(series=2, samples=10, points=5, query_bytes=30, lookback_ms=1000)
    world = build_world(tmp_path, promql=limits)
    for host in "abc":
        sid, _ = world.catalog.register("up", {"host": host}, entity="", tenant="main")
        rows = ({"sid": sid, "time_ns": NOW_NS - s * SECOND_NS, "value": 1.0} for s in range(30))
        world.history.add(Table.SAMPLES, *rows)
    for words, query in (
        ("more than 2 series", "up"),
        ("more than 10", 'up{host="a"}[1m]'),
        ("limit 30", "up" + " " * 30),
    ):
        found = ask(world, "query", query=query, time=NOW_S)
        assert words in found.json()["error"], found.text
    found = ask(world, "query_range", query="1", start=0, end=10, step=1)
    assert "5 points" in found.json()["error"]
    assert not result(world, "query", query='up{host="a"}', time=NOW_S + 1)["result"]
    world.close()


def test_names_with_dots_are_shown_and_asked_for_with_underscores(world: World) -> None:
    sid, _ = world.catalog.register("span.rate", {"http.route": "/"}, entity="service:x", tenant="main")
    world.history.add(Table.SAMPLES, {"sid": sid, "time_ns": NOW_NS, "value": 2.0})
    for query in ("span_rate", '{"span.rate"}', '{__name__=~"span.*"}'):
        (found,) = result(world, "query", query=query, time=NOW_S)["result"]
        assert found["metric"] == {"__name__": "span_rate", "http_route": "/"}
    assert result(world, "label/__name__/values") == ["span_rate"]


def test_series_labels_and_values_come_from_the_catalog(shop: World) -> None:
    found = result(shop, "series", **{"match[]": 'http_requests_total{code="500"}'})
    assert found == [{"__name__": "http_requests_total", "code": "500", "job": "cart"}]
    assert result(shop, "labels") == ["__name__", "code", "job"]
    assert result(shop, "label/job/values") == ["cart", "till"]
    assert result(shop, "label/job/values", **{"match[]": '{code="500"}'}) == ["cart"]
    assert ask(shop, "label/job/values", limit=1).json()["warnings"] == ["results truncated due to limit 1"]


def test_metadata_tells_type_and_unit(shop: World) -> None:
    assert result(shop, "metadata") == {"http_requests_total": [{"type": "counter", "help": "", "unit": "1"}]}
    assert result(shop, "metadata", metric="nothing") == {}


def test_build_info_tells_which_prometheus_we_speak_like(world: World) -> None:
    assert result(world, "status/buildinfo")["version"].startswith("3.")


def test_another_tenant_sees_nothing(shop: World) -> None:
    assert ask(shop, "query", tenant="acme", query="http_requests_total").json()["data"]["result"] == []
    assert ask(shop, "labels", tenant="acme").json()["data"] == []


@pytest.mark.parametrize(
    ("path", "parameters", "status", "kind", "words"),
    [
        ("query", {}, 400, "bad_data", 'invalid parameter "query"'),
        ("query", {"query": "rate(x)"}, 400, "bad_data", "expected type matrix"),
        ("query", {"query": "x", "time": "noon"}, 400, "bad_data", 'invalid parameter "time"'),
        ("query", {"query": 'x{a=~"("}'}, 400, "bad_data", "regex"),
        ("query", {"query": 'label_replace(http_requests_total, "a", "", "b", "(")'}, 400, "bad_data", "expression"),
        ("query", {"query": "sum(" * 99 + "x" + ")" * 99}, 400, "bad_data", "limit 64"),
        ("query", {"query": "http_requests_total * on(job) http_requests_total"}, 422, "execution", "many-to-many"),
        ("query", {"query": "start_timestamp(x)"}, 422, "execution", "not supported"),
        ("query_range", {"query": "x", "start": 0, "end": 99, "step": 0}, 400, "bad_data", "step"),
        ("query_range", {"query": "x", "start": 9, "end": 1, "step": 1}, 400, "bad_data", "end timestamp"),
        ("query_range", {"query": "x", "start": 0, "end": 11_000, "step": 1}, 400, "bad_data", "11,000 points"),
        ("query_range", {"query": "x[1m]", "start": 0, "end": 1, "step": 1}, 400, "bad_data", "range vector"),
        ("series", {}, 400, "bad_data", "match[]"),
        ("labels", {"match[]": "1"}, 400, "bad_data", "selector"),
        ("query", {"query": "http_requests_total", "timeout": "0"}, 503, "timeout", "longer than 0 s"),
    ],
)
def test_errors_have_the_form_of_prometheus_and_name_the_limit(
    shop: World, path: str, parameters: dict[str, Any], status: int, kind: str, words: str
) -> None:
    moment = {"time": NOW_S} if path == "query" else {}  # the samples are old when the tests before took long
    found = ask(shop, path, **(moment | parameters))
    body = found.json()
    assert (found.status_code, body["status"], body["errorType"]) == (status, "error", kind), body
    assert words in body["error"]


def test_what_might_not_be_meant_is_told_beside_the_answer(shop: World) -> None:
    found = ask(shop, "query", query="quantile(2, http_requests_total)", time=NOW_S).json()
    assert found["warnings"] == ["PromQL warning: quantile value should be between 0 and 1, got 2"]
    assert found["data"]["result"][0]["value"] == [NOW_S, "+Inf"]


def test_requests_are_counted_by_outcome(world: World) -> None:
    ask(world, "query", query="1")
    ask(world, "query", query="rate(x)")
    shown = world.ask("GET", "/metrics", Role.ADMIN).text
    assert 'twofold_promql_requests_total{outcome="success"} 1.0' in shown
    assert 'twofold_promql_requests_total{outcome="bad_data"} 1.0' in shown


def test_more_than_may_wait_are_told_to_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MOST_WAITING", 0)
    found = ask(world, "query", query="1")
    assert (found.status_code, found.json()["errorType"], found.headers["retry-after"]) == (429, "unavailable", "1")


def test_hot_and_flushed_samples_are_one(shop: World) -> None:
    before = result(shop, "query", query="sum(count_over_time(http_requests_total[20m]))", time=NOW_S)
    shop.history.flush()
    later = (NOW + timedelta(seconds=1)).isoformat()
    after = result(shop, "query", query="sum(count_over_time(http_requests_total[20m]))", time=later)
    assert before["result"][0]["value"][1] == after["result"][0]["value"][1] == "123"
