"""The prediction log is imported row by row, and taken from our own serving as batches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.predictions import Row, batch_of, json_of
from twofold.records.frame import FrameKind

GOOD = {
    "model": "fraud",
    "version": "3",
    "request_id": "r1",
    "time": "2026-01-01T00:00:00Z",
    "latency_ms": 1.5,
    "numbers": [1, 2.5, None],
    "texts": ["card"],
    "outputs": [0.9],
}


def test_a_row_is_stored_as_it_came(bench: Bench) -> None:
    assert bench.client.post("/v1/predictions", json=GOOD).json()["stored"] == 1
    (row,) = bench.rows(FrameKind.PREDICTIONS)
    numbers = row.pop("numbers")
    assert numbers[:2] == [1.0, 2.5]
    assert numbers[2] != numbers[2], "a missing number is NaN"
    assert row == {
        "time_ns": 1767225600 * 10**9,
        "model": "fraud",
        "version": "3",
        "stage": "live",
        "request_id": "r1",
        "latency_ns": 1_500_000,
        "texts": ["card"],
        "outputs": [0.9],
    }


@pytest.mark.parametrize(
    "change",
    [
        {"model": ""},
        {"model": {"name": "x"}},
        {"stage": "prod"},
        {"latency_ms": -1},
        {"latency_ms": "fast"},
        {"numbers": ["x"]},
        {"numbers": 7},
        {"numbers": [10**400]},
        {"texts": [1]},
        {"outputs": None},
        {"time": "2126-01-01T00:00:00Z"},
    ],
)
def test_a_bad_row_is_named_and_the_good_one_kept(bench: Bench, change: dict[str, Any]) -> None:
    body = json.dumps([GOOD | change, GOOD])
    answer = bench.client.post("/v1/predictions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert (answer.json()["stored"], answer.json()["rejected"]) == (1, 1)


def test_our_own_batch_comes_back_equal_through_json(bench: Bench) -> None:
    row = Row(NOW_NS, "fraud", "3", "live", "r1", 5_000, [1.0, float("nan")], ["x"], [0.5])
    batch = batch_of([row])
    assert bench.ingest.accept_predictions(batch, "main").stored == 1
    bench.client.post("/v1/predictions", content=json_of(batch), headers={"content-type": "application/json"})
    first, second = bench.rows(FrameKind.PREDICTIONS)
    assert str(first) == str(second)
