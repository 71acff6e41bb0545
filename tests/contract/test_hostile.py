"""No telemetry breaks a stage: it goes on, says only what can be said, and a restart changes nothing.

A stage that is new joins with its line in `stages.OPENERS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.contract.stages import OPENERS, Tick, catalog_of_stream, feed, plain, stored, stream
from tests.contract.test_stages import without_definitions
from twofold.records.columns import Batch, Samples
from twofold.records.time import SECOND_NS

TICKS = 40
CUT = 22
HUGE = 1e300
Change = Callable[[pa.RecordBatch], pa.RecordBatch]
TIMES = ("time_ns", "start_ns")
SIZES = ("value", "duration_ns", "latency_ns")


def _column(data: pa.RecordBatch, names: Sequence[str], change: Callable[[Any], Any]) -> pa.RecordBatch:
    for name in set(names) & set(data.schema.names):
        at = data.schema.get_field_index(name)
        field = data.schema.field(at)
        data = data.set_column(at, field, pa.array(change(data.column(at).to_numpy(zero_copy_only=False)), field.type))
    return data


def _each(ticks: Sequence[Tick], change: Change, *, only: type[Batch] = Batch) -> list[Tick]:
    """The same ticks, batches changed."""
    return [
        Tick(
            tuple(replace(item, data=change(item.data)) if isinstance(item, only) else item for item in tick.items),
            tick.watermark_ns,
        )
        for tick in ticks
    ]


def missing(ticks: Sequence[Tick]) -> list[Tick]:
    """Every third sample is no number or without end."""

    def change(values: Any) -> Any:
        found = values.copy()
        found[::3] = [math.nan, math.inf, -math.inf][len(found) % 3]
        return found

    return _each(ticks, lambda data: _column(data, ["value"], change), only=Samples)


def constant(ticks: Sequence[Tick]) -> list[Tick]:
    """Nothing ever moves."""
    return _each(ticks, lambda data: _column(data, SIZES, lambda values: np.full_like(values, 1)))


def huge(ticks: Sequence[Tick]) -> list[Tick]:
    """Values at the ends of what numbers can hold."""

    def change(values: Any) -> Any:
        if values.dtype.kind == "f":
            return values * HUGE
        return np.full_like(values, np.iinfo(values.dtype).max)

    return _each(ticks, lambda data: _column(data, SIZES, change))


def negative(ticks: Sequence[Tick]) -> list[Tick]:
    """Sizes below nothing: clocks that are set back within a request."""
    return _each(ticks, lambda data: _column(data, SIZES, lambda values: -values))


def rescaled(ticks: Sequence[Tick]) -> list[Tick]:
    """In mid-stream every value is a million times what it was."""
    return [*ticks[:CUT], *_each(ticks[CUT:], lambda data: _column(data, SIZES, lambda values: values * 10**6))]


def back(ticks: Sequence[Tick]) -> list[Tick]:
    """Old telemetry again, and all telemetry of each ten ticks in the wrong order."""
    found = list(ticks)
    for first in range(0, len(ticks), 10):
        some = ticks[first : first + 10]
        found[first : first + 10] = [
            Tick((*a.items, *ticks[first // 2].items), b.watermark_ns) for a, b in zip(some[::-1], some, strict=True)
        ]
    return found


def irregular(ticks: Sequence[Tick]) -> list[Tick]:
    """Some ticks bring nothing, others what a few did before; times are a little off."""
    rng = np.random.default_rng(4)

    def jitter(times: Any) -> Any:
        return times + rng.integers(-2 * SECOND_NS, 2 * SECOND_NS, len(times))

    found: list[Tick] = []
    held: list[object] = []
    for tick in _each(ticks, lambda data: _column(data, TIMES, jitter)):
        held.extend(tick.items)
        silent = rng.random() < 0.4
        found.append(Tick(() if silent else tuple(held), tick.watermark_ns))
        held = held if silent else []
    return found


def gap(ticks: Sequence[Tick]) -> list[Tick]:
    """Half a day without anything."""
    jump = 43_200 * SECOND_NS
    late = _each(ticks[CUT:], lambda data: _column(data, TIMES, lambda times: times + jump))
    return [*ticks[:CUT], *(Tick(tick.items, tick.watermark_ns + jump) for tick in late)]


def one_point(ticks: Sequence[Tick]) -> list[Tick]:
    """One tick, and then time goes by."""
    return [ticks[0], *(Tick((), tick.watermark_ns) for tick in ticks[1:])]


def empty(ticks: Sequence[Tick]) -> list[Tick]:
    """Batches without rows."""
    return _each(ticks, lambda data: data.slice(0, 0))


STREAMS = (missing, constant, huge, negative, rescaled, back, irregular, gap, one_point, empty)


@pytest.fixture(scope="module")
def ticks() -> list[Tick]:
    return stream()[:TICKS]


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def unsayable(item: object) -> list[str]:
    """Numbers of a record or batch that nobody could show, by the place where they stand."""
    if isinstance(item, tuple):  # a batch, made plain
        name, *_, columns = item
        return [f"{name}.{key}" for key, column in columns.items() if any(map(_bad, column))]
    if is_dataclass(item):
        return [f"{type(item).__name__}.{each.name}" for each in fields(item) if _bad(getattr(item, each.name))]
    return []


def _bad(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


@pytest.mark.parametrize("hostile", STREAMS, ids=lambda each: each.__name__)
def test_it_goes_on_and_a_restart_changes_nothing(
    opener: str, hostile: Callable[[Sequence[Tick]], list[Tick]], ticks: list[Tick]
) -> None:
    given = hostile(ticks)
    before = [[plain(item) for item in tick.items] for tick in given]
    whole = feed(OPENERS[opener](catalog_of_stream()), given)
    assert [name for item in whole for name in unsayable(item)] == []
    assert repr([[plain(item) for item in tick.items] for tick in given]) == repr(before), "inputs were changed"
    catalog = catalog_of_stream()
    first, second = OPENERS[opener](catalog), OPENERS[opener](catalog)
    made = feed(first, given[:CUT])
    second.restore(stored(first.snapshot()))
    assert made + feed(second, given[CUT:]) == whole


@pytest.mark.parametrize("cut", [1, 95])
def test_what_comes_later_changes_nothing_that_was_said(opener: str, cut: int) -> None:
    whole = stream()
    told = feed(OPENERS[opener](catalog_of_stream()), whole)
    early = feed(OPENERS[opener](catalog_of_stream()), whole[:cut])
    assert told[: len(early)] == early
    other = [*whole[:cut], *huge(whole[cut:])]
    assert feed(OPENERS[opener](catalog_of_stream()), other)[: len(early)] == early


def test_after_all_of_it_ordinary_telemetry_is_taken_as_ever(opener: str, ticks: list[Tick]) -> None:
    """State that something hostile left behind must not keep a stage from working."""
    stage = OPENERS[opener](catalog_of_stream())
    for hostile in (missing, huge, back, empty):
        feed(stage, hostile(ticks[:20]))
    later = 86_400 * SECOND_NS
    moved = _each(ticks, lambda data: _column(data, TIMES, lambda times: times + later))
    made = without_definitions(feed(stage, [Tick(tick.items, tick.watermark_ns + later) for tick in moved]))
    assert [name for item in made for name in unsayable(item)] == []
