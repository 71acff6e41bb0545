"""Every bound of a query stops it, and its error names the bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.promql.memory import Memory
from twofold.config import build
from twofold.errors import ConfigError, InputError, TooLarge, Unsupported
from twofold.store.promql import Engine, Limits, TimedOut
from twofold.store.promql.values import make_labels

MINUTE_MS = 60_000


@pytest.fixture
def memory() -> Memory:
    """Ten series of sixty samples, one a minute."""
    held = Memory()
    held.load(
        {
            make_labels({"__name__": "m", "n": str(n)}.items()): [(at * MINUTE_MS, float(at)) for at in range(60)]
            for n in range(10)
        }
    )
    return held


@pytest.mark.parametrize(
    ("limits", "query", "words"),
    [
        (Limits(samples=99), "m", "more than 99"),
        (Limits(series=9), "m", "more than 9 series"),
        (Limits(cells=99), "m", "more than 99 values"),
        (Limits(cells=99), "vector(1)[1h:1s]", "more than 99 values"),
        (Limits(points=59), "m", "59 points"),
        (Limits(query_bytes=3), "mmmm", "limit 3"),
        (Limits(depth=2), "(((m)))", "limit 2"),
        (Limits(operators=2), "m + m + m + m", "limit 2"),
        (Limits(operators=2), "---m", "limit 2"),
        (Limits(), "(" * 50_000 + "m" + ")" * 50_000, "limit 16384"),
        (Limits(), "-" * 9000 + "m", "limit 256"),
        (Limits(), "+".join(["m"] * 4000), "limit 256"),
    ],
)
def test_a_query_past_a_bound_is_refused(memory: Memory, limits: Limits, query: str, words: str) -> None:
    with pytest.raises(TooLarge, match=words):
        Engine(limits).range(memory, query, 0, 59 * MINUTE_MS, MINUTE_MS)


def test_a_query_within_its_bounds_runs(memory: Memory) -> None:
    limits = Limits(samples=600, series=10, cells=600, points=60)
    answer = Engine(limits).range(memory, "m", 0, 59 * MINUTE_MS, MINUTE_MS)
    assert answer.vector is not None
    assert answer.vector.present.all()


def test_time_ends_a_query(memory: Memory) -> None:
    with pytest.raises(TimedOut, match="longer than 0 s"):
        Engine(replace(Limits(), seconds=0)).instant(memory, "m", 0)


def test_the_same_selector_is_read_once(memory: Memory) -> None:
    Engine(Limits(samples=10)).instant(memory, "m + m - m", MINUTE_MS // 2)


def test_text_in_quotes_and_braces_is_no_nesting(memory: Memory) -> None:
    text = 'm{n=~"((((1))))",k!="+-+-"} or label_replace(m, "a", "((((", "n", "+")  # ((((('
    with pytest.raises(InputError, match="regular expression"):
        Engine(Limits(depth=1, operators=2)).instant(memory, text, 0)


@pytest.mark.parametrize("query", ["m @ -1", "m @ NaN", "m @ 1e30", "m offset 300y @ 1e12"])
def test_a_time_out_of_range_is_refused(memory: Memory, query: str) -> None:
    with pytest.raises(InputError):
        Engine().instant(memory, query, 0)


def test_what_is_not_evaluated_is_said_so(memory: Memory) -> None:
    with pytest.raises(Unsupported, match="start_timestamp is not supported"):
        Engine().instant(memory, "start_timestamp(m)", 0)


@pytest.mark.parametrize(("name", "value"), [("series", 0), ("seconds", -1.0), ("depth", 65), ("operators", 1000)])
def test_a_bound_that_cannot_be_is_refused_at_the_start(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"promql\.{name} is {value}"):
        build({"home": ".", "promql": {name: value}})


def test_a_query_that_comes_again_is_held_to_the_bounds_of_that_time(memory: Memory) -> None:
    assert Engine().instant(memory, "((1))", 0).vector
    with pytest.raises(InputError, match="limit 1"):
        Engine(Limits(depth=1)).instant(memory, "((1))", 0)
