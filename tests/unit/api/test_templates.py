"""Log templates over the API: asked for in plain words, with their rates, and with their lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from tests.api_world import World
from twofold.aiops.detect.mining.board import Board
from twofold.aiops.detect.mining.rates import RateConfig
from twofold.aiops.detect.mining.stage import Mining, MiningConfig
from twofold.api.app import create_api
from twofold.records.access import Role
from twofold.records.columns import LOGS, DerivedSamples, Logs
from twofold.records.time import SECOND_NS, to_ns
from twofold.store.history import Table

ask = World.ask


def rows(now_ns: int) -> list[dict[str, Any]]:
    """Ten minutes: an order a second, and in the last two a refusal every second second."""
    found = [_row(f"order {second} paid", now_ns, 600 - second, "service:cart", 9) for second in range(600)]
    return found + [
        _row(f"bank 7 refused card {second}", now_ns, 120 - second, "service:pay", 17) for second in range(0, 120, 2)
    ]


def _row(body: str, now_ns: int, ago_s: int, entity: str, severity: int) -> dict[str, Any]:
    empty = {"trace_id": "", "span_id": "", "attributes": ""}
    time_ns = now_ns - (ago_s + 60) * SECOND_NS
    given = {"time_ns": time_ns, "entity": entity, "severity": severity, "body": body}
    return {name: (empty | given).get(name, "") for name in LOGS.names}


@pytest.fixture
def mined(world: World) -> tuple[World, Mining]:
    """A world whose lines stand in the history, are mined, and have their rates written back."""
    stage = Mining(world.catalog, MiningConfig(rates=RateConfig(least_lines=10, least_age_s=0)))
    now_ns = to_ns(datetime.now(UTC))  # the route asks for the last hour by the clock
    lines = sorted(rows(now_ns), key=lambda row: int(row["time_ns"]))
    world.history.add(Table.LOGS, *lines)
    stage.process([Logs(data=pa.RecordBatch.from_pylist(lines, schema=LOGS), tenant="main")])
    for made in stage.advance(now_ns):
        if isinstance(made, DerivedSamples):
            world.history.add(Table.SAMPLES, *made.data.to_pylist())
    board = Board()
    board.attach(stage)
    world.api = create_api(replace(world.services, templates=board))
    return world, stage


def templates(world: World, **query: Any) -> Any:
    return ask(world, "GET", "/api/v1/logs/templates", Role.VIEWER, params=query).json()


def test_templates_tell_counts_severity_services_and_the_trend_of_their_rate(mined: tuple[World, Mining]) -> None:
    found = templates(mined[0])
    paid, refused = found["items"]
    assert found["total"] == 2
    assert found["by_model"] is False
    assert (paid["text"], paid["lines"], paid["errors"]) == ("order <*> paid", 600, 0)
    assert (refused["lines"], refused["severity"], refused["uses"][0]["entity"]) == (60, 17, "service:pay")
    assert refused["trend"]["change"] is None, "there was nothing before"
    assert refused["trend"]["rate"][-2] + refused["trend"]["rate"][-1] > 0, "to the last minutes"
    assert paid["trend"]["change"] > 2, "none for most of the hour"
    assert max(paid["trend"]["rate"]) == pytest.approx(1.0, abs=0.3)
    assert paid["nearness"] is None


def test_a_question_in_other_words_puts_the_nearest_first(mined: tuple[World, Mining]) -> None:
    found = templates(mined[0], q="credit institute denied the payment card")
    assert found["items"][0]["text"] == "bank <*> refused card <*>"
    assert found["items"][0]["nearness"] == 1.0
    assert templates(mined[0], q="zebra")["items"] == []


def test_by_text_only_what_holds_the_part_is_found(mined: tuple[World, Mining]) -> None:
    assert [one["lines"] for one in templates(mined[0], q="REFUSED", by="text")["items"]] == [60]
    assert templates(mined[0], q="denied", by="text")["items"] == []


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ({"severity": 17}, ["bank <*> refused card <*>"]),
        ({"entity": "service:cart"}, ["order <*> paid"]),
        ({"order": "errors"}, ["bank <*> refused card <*>", "order <*> paid"]),
        ({"order": "newest", "limit": 1}, ["bank <*> refused card <*>"]),
    ],
)
def test_templates_are_filtered_and_ordered(
    mined: tuple[World, Mining], query: dict[str, Any], texts: list[str]
) -> None:
    assert [one["text"] for one in templates(mined[0], **query)["items"]] == texts


def test_the_lines_of_a_template_are_its_own_newest_first(mined: tuple[World, Mining]) -> None:
    world, _ = mined
    refused = templates(world, q="refused", by="text")["items"][0]["id"]
    lines = ask(world, "GET", f"/api/v1/logs/templates/{refused}/lines?limit=5", Role.VIEWER).json()["items"]
    assert [line["body"] for line in lines] == [f"bank 7 refused card {n}" for n in (118, 116, 114, 112, 110)]
    assert ask(world, "GET", f"/api/v1/logs/templates/{refused}", Role.VIEWER).json()["lines"] == 60
    none = ask(world, "GET", f"/api/v1/logs/templates/{refused}/lines?entity=service:cart", Role.VIEWER).json()
    assert none["items"] == []


def test_an_unknown_template_is_not_found(mined: tuple[World, Mining]) -> None:
    answer = ask(mined[0], "GET", f"/api/v1/logs/templates/{'0' * 16}", Role.VIEWER)
    assert answer.status_code == 404
    assert "forgotten" in answer.json()["detail"]


def test_where_nothing_mines_there_are_no_templates(world: World) -> None:
    assert templates(world)["items"] == []
    assert templates(world, q="anything")["items"] == []
