"""Records as text: canonical, lossless, strict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import records
from twofold.errors import DecodeError, InputError
from twofold.records.codec import decode, encode
from twofold.records.finding import Direction, Finding
from twofold.records.runbook import Step
from twofold.store.ledger.tables import SPECS

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FINDING = Finding(
    id="f",
    entity="service:cart",
    series="00000000000000ff",
    metric="span.duration.p95",
    onset=NOON,
    seen=NOON,
    score=9.0,
    effect=4.0,
    value=1.5,
    expected=0.2,
    low=0.1,
    high=0.3,
    direction=Direction.UP,
    detector="panel@1",
    reason="p95 is 1.5 s, expected at most 0.3 s",
)


@given(st.sampled_from(SPECS).flatmap(lambda spec: records(spec.kind)))
def test_any_record_of_any_type_comes_back_equal_and_encodes_the_same_again(record: Any) -> None:
    text = encode(record)
    back = decode(type(record), text)
    assert back == record
    assert encode(back) == text


def test_numbers_that_are_not_finite_come_back() -> None:
    back = decode(Finding, encode(replace(FINDING, value=math.nan, low=-math.inf, high=math.inf)))
    assert math.isnan(back.value)
    assert (back.low, back.high) == (-math.inf, math.inf)


def test_times_are_written_in_utc_and_come_back_aware() -> None:
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    assert encode(replace(FINDING, onset=east)) == encode(FINDING)
    assert decode(Finding, encode(FINDING)).onset.tzinfo is UTC


def test_numpy_numbers_are_taken_as_what_they_are() -> None:
    import numpy as np  # noqa: PLC0415 - only here

    assert encode(replace(FINDING, score=np.float64(9.0))) == encode(FINDING)


@pytest.mark.parametrize(
    "changes",
    [
        {"onset": NOON.replace(tzinfo=None)},
        {"direction": "sideways"},
        {"score": "high"},
        {"entity": None},
        {"reason": "\ud800"},
    ],
    ids=str,
)
def test_a_record_that_breaks_its_type_is_refused_at_the_door(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="Finding cannot be written"):
        encode(replace(FINDING, **changes))


def test_free_json_may_not_hold_what_json_cannot() -> None:
    with pytest.raises(InputError):
        encode(Step(name="n", action="a", arguments={"share": math.nan}))
    with pytest.raises(InputError):
        encode(Step(name="n", action="a", arguments={1: "one"}))  # type: ignore[dict-item]  # that is the point


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": 1}', "null", '"x"'])
def test_a_damaged_body_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="Finding"):
        decode(Finding, text)


def test_a_value_of_another_type_is_refused() -> None:
    body = orjson.loads(encode(FINDING))
    for name, value in {"direction": "sideways", "onset": "noon", "score": None, "entity": 3}.items():
        with pytest.raises(DecodeError):
            decode(Finding, orjson.dumps(body | {name: value}))


def test_an_older_record_takes_defaults_and_a_newer_one_loses_what_is_unknown() -> None:
    body = orjson.loads(encode(FINDING))
    del body["unit"]
    body["invented_later"] = 1
    assert decode(Finding, orjson.dumps(body)) == FINDING


def test_a_type_without_a_json_form_is_named() -> None:
    @dataclass
    class Odd:
        tenant: set[int]

    with pytest.raises(InputError, match="no JSON form"):
        encode(Odd(tenant={1}))
