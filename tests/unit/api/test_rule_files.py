"""Prometheus rule files over the API: asked for once, kept under a name, listed, replayed by it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.api_world import NOW, World
from tests.unit.api.test_models import a_version
from twofold.records.access import Role

FILE = """
groups:
- name: shop
  rules:
  - {record: 'job:err', expr: 'sum by (job) (errors)'}
  - {alert: Errors, expr: 'job:err{job="cart"} > 1'}
  - {alert: Odd, expr: 'sum((('}
"""
PERIOD = {"start": (NOW - timedelta(hours=1)).isoformat(), "end": NOW.isoformat()}


def ask(world: World, method: str, path: str, **body: Any) -> tuple[int, Any]:
    answer = world.ask(method, path, role=Role.ADMIN, json=body or None)
    return answer.status_code, answer.json()


def test_rules_are_kept_under_a_name_and_the_same_text_is_the_same_version(world: World) -> None:
    status, made = ask(world, "POST", "/api/v1/rules", name="shop-alerts", rules=FILE)
    assert (status, made["id"], made["kind"]) == (201, "shop-alerts@1", "rules")
    (gate,) = made["gates"]
    assert (gate["passed"], gate["value"], gate["limit"]) == (False, 2, 3)
    assert gate["text"].startswith("2 alerts, 1 recordings, 1 refused: line 7, Odd: expr")
    assert ask(world, "POST", "/api/v1/rules", name="shop-alerts", rules=FILE)[1]["id"] == "shop-alerts@1"
    assert ask(world, "POST", "/api/v1/rules", name="shop-alerts", rules=FILE + "\n")[1]["id"] == "shop-alerts@2"
    (listed,) = ask(world, "GET", "/api/v1/models")[1]["items"]
    assert (listed["model"], listed["kind"], listed["versions"]) == ("shop-alerts", "rules", 2)


def test_they_are_replayed_by_their_name(world: World) -> None:
    ask(world, "POST", "/api/v1/rules", name="shop-alerts", rules=FILE)
    status, newest = ask(world, "POST", "/api/v1/backtests", model="shop-alerts", **PERIOD)
    assert (status, newest["model"], newest["version"], newest["rules"]) == (202, "shop-alerts", "1", FILE)
    status, _ = ask(world, "POST", "/api/v1/backtests", model="shop-alerts", version="7", **PERIOD)
    assert status == 404
    status, told = ask(world, "POST", "/api/v1/backtests", model="nothing", **PERIOD)
    assert (status, "no rules are kept under that name" in told["detail"]) == (404, True)
    status, once = ask(world, "POST", "/api/v1/backtests", rules=FILE, **PERIOD)
    assert (status, once["model"], len(once["version"])) == (202, "rules", 12)


def test_a_models_name_is_no_name_for_rules(world: World) -> None:
    world.ledger.put(a_version(1))
    for name in ("ranker", "panel"):
        status, told = ask(world, "POST", "/api/v1/rules", name=name, rules=FILE)
        assert (status, "is the name of a model" in told["detail"]) == (409, True)
    assert ask(world, "POST", "/api/v1/rules", name="a@1", rules=FILE)[0] == 400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the rule file is empty"),
        ("groups: [{name: a, rules: [{record: x, expr: up}]}]", "recording rules only"),
        ("groups: [{name: a, rules: [{alert: x, expr: '('}]}]", "no alert of the rule file can be replayed: line 1"),
    ],
)
def test_a_file_that_could_not_page_is_refused_and_never_stands_for_the_detector(
    world: World, text: str, told: str
) -> None:
    for path, body in (("/api/v1/backtests", PERIOD), ("/api/v1/rules", {"name": "x"})):
        status, answer = ask(world, "POST", path, **(body | {"rules": text}))
        assert status == 400
        assert told in answer["detail"]
