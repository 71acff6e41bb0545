"""Followers of the ledger hear of every write, in order, and again after they failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.unit.flow.toys import incident
from twofold.errors import Unavailable
from twofold.flow.watch import Watch
from twofold.records.time import SECOND_NS
from twofold.store.ledger import Change, Ledger
from twofold.store.ledger.sql import open_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


class Follower:
    """Notes ids; raises as long as told to."""

    def __init__(self, error: Exception | None = None, times: int = 0) -> None:
        self.heard: list[str] = []
        self._error, self._times = error, times

    def __call__(self, changes: Sequence[Change]) -> None:
        self.heard += [change.id for change in changes]
        if self._error is not None and self._times:
            self._times -= 1
            raise self._error


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not done():
        time.sleep(0.01)


def test_each_round_tells_what_is_new_and_saves_how_far_it_came(ledger: Ledger) -> None:
    saved: list[int] = []
    follower = Follower()
    watch = Watch(ledger, [follower], after=0, save=saved.append)
    assert watch.round() == 0
    ledger.put(incident("a", 0), incident("b", 0))
    assert watch.round() == 2
    ledger.put(incident("c", 0))
    assert (watch.round(), watch.round()) == (1, 0)
    assert follower.heard == ["a", "b", "c"]
    assert saved == [2, 3]


def test_a_restart_goes_on_at_the_saved_cursor(ledger: Ledger) -> None:
    ledger.put(incident("a", 0))
    saved: list[int] = []
    Watch(ledger, [Follower()], after=0, save=saved.append).round()
    ledger.put(incident("b", 0))
    after = Follower()
    Watch(ledger, [after], after=saved[-1]).round()
    assert after.heard == ["b"]


@pytest.mark.parametrize("error", [Unavailable("busy"), KeyError("a mistake of ours")])
def test_a_follower_that_fails_is_told_again_and_nothing_is_saved_before(
    ledger: Ledger, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Also a fault that nobody foresaw must not end the thread: the process would look well and do nothing."""
    saved: list[int] = []
    before, failing = Follower(), Follower(error, times=2)
    watch = Watch(ledger, [before, failing], after=0, save=saved.append, poll_s=0.01)
    ledger.put(incident("a", 0))
    with caplog.at_level(logging.WARNING):
        watch.start()
        _wait(lambda: bool(saved))
        ledger.put(incident("b", 2 * SECOND_NS))
        _wait(lambda: saved[-1] == ledger.head())
        watch.stop()
    assert before.heard == failing.heard == ["a", "a", "a", "b"]
    assert watch.failures == 2
    assert saved == [1, 2]
    assert "told again" in caplog.text


def test_it_stops_when_told(ledger: Ledger) -> None:
    watch = Watch(ledger, [], after=0)
    watch.start()
    began = time.monotonic()
    watch.stop()
    watch.stop()
    assert time.monotonic() - began < 5
