"""Every stage keeps the same promises: inputs untouched, state without pickle, a restart changes nothing."""

from __future__ import annotations

import gc

import pytest

from tests.contract.stages import (
    OPENERS,
    Tick,
    catalog_of_stream,
    feed,
    over_one_buffer,
    plain,
    stage_classes,
    stored,
    stream,
)
from twofold.errors import Corrupt
from twofold.flow.stage import Stage
from twofold.records.series import Series


def test_every_stage_is_found_and_has_an_opener_here() -> None:
    found = stage_classes()
    assert found, "no stage found: the contract covers nothing"
    assert set(found) == set(OPENERS)


@pytest.fixture(scope="module")
def ticks() -> list[Tick]:
    return stream()


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def without_definitions(made: list[object]) -> list[object]:
    """A series that the catalog knows already need not be defined again."""
    return [item for item in made if not isinstance(item, Series)]


def fresh(opener: str) -> Stage:
    """A stage that has seen nothing, over a catalog of its own."""
    return OPENERS[opener](catalog_of_stream())


def test_a_stage_is_what_the_protocol_says(opener: str) -> None:
    stage = fresh(opener)
    assert isinstance(stage, Stage)
    assert stage.name == opener
    assert stage.accepts
    assert all(isinstance(kind, type) for kind in stage.accepts)


def test_the_stream_makes_every_stage_speak(opener: str, ticks: list[Tick]) -> None:
    assert feed(fresh(opener), ticks), f"{opener} says nothing: the suite would prove nothing"


def test_the_same_input_gives_the_same_output(opener: str, ticks: list[Tick]) -> None:
    assert feed(fresh(opener), ticks) == feed(fresh(opener), ticks)


def test_inputs_are_never_changed(opener: str, ticks: list[Tick]) -> None:
    before = [[plain(item) for item in tick.items] for tick in ticks]
    feed(fresh(opener), ticks)
    assert [[plain(item) for item in tick.items] for tick in ticks] == before


@pytest.mark.parametrize("cut", [0, 1, 61, 95, 118, 149])
def test_a_restart_in_mid_stream_changes_nothing(opener: str, cut: int, ticks: list[Tick]) -> None:
    whole = feed(fresh(opener), ticks)
    catalog = catalog_of_stream()
    first = OPENERS[opener](catalog)
    made = feed(first, ticks[:cut])
    second = OPENERS[opener](catalog)
    second.restore(stored(first.snapshot()))
    assert made + feed(second, ticks[cut:]) == whole


def test_a_snapshot_is_not_changed_by_what_comes_after(opener: str, ticks: list[Tick]) -> None:
    catalog = catalog_of_stream()
    stage = OPENERS[opener](catalog)
    feed(stage, ticks[:95])
    state = stage.snapshot()
    kept = stored(state)
    rest = feed(stage, ticks[95:])
    again = OPENERS[opener](catalog)
    again.restore(state)
    assert without_definitions(feed(again, ticks[95:])) == without_definitions(rest)
    assert {k: bytes(v) for k, v in stored(state).items()} == {k: bytes(v) for k, v in kept.items()}


def test_a_restored_stage_holds_nothing_of_the_state(opener: str, ticks: list[Tick]) -> None:
    """A state is a part of a checkpoint: whoever kept a view of it would keep all of that in memory."""
    first = fresh(opener)
    feed(first, ticks[:95])
    state, data = over_one_buffer(first.snapshot())
    second = fresh(opener)
    second.restore(state)
    del state
    gc.collect()
    data.append(0)  # raises BufferError while anything points into it


def test_a_state_that_does_not_fit_is_corrupt(opener: str) -> None:
    with pytest.raises(Corrupt):
        fresh(opener).restore({"other": b"{}"})


def test_time_that_stands_still_or_comes_empty_makes_nothing(opener: str, ticks: list[Tick]) -> None:
    stage = fresh(opener)
    feed(stage, ticks)
    last = ticks[-1].watermark_ns
    assert list(stage.process([])) == []
    assert list(stage.advance(last)) == []
    assert list(stage.advance(last)) == []
