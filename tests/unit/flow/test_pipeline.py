"""Items go down once, event time goes forward only, and one stage's fault is its own."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.unit.flow.toys import Echo, Word, pipeline
from twofold.records.frame import Lane
from twofold.records.time import SECOND_NS

NOW = 1_000 * SECOND_NS


class Broken(Echo):
    """Raises on the word `bad` and on every timer at an odd second."""

    def process(self, items: Sequence[object]) -> Sequence[object]:
        if any(isinstance(item, Word) and item.text == "bad" for item in items):
            raise ValueError("bad word")
        return super().process(items)

    def advance(self, watermark_ns: int) -> Sequence[object]:
        if watermark_ns // SECOND_NS % 2:
            raise ValueError("odd second")
        return super().advance(watermark_ns)


def test_each_stage_sees_what_came_in_and_what_stages_above_made() -> None:
    first, second = Echo("a"), Echo("b")
    made = pipeline(first, second).push([Word("x")], event_ns=0, received_ns=NOW)
    assert first.words == ["x"]
    assert second.words == ["x", "a(x)"]
    assert made == [Word("a(x)"), Word("b(x)"), Word("b(a(x))")]


def test_a_stage_gets_only_what_it_accepts() -> None:
    echo = Echo()
    pipeline(echo).push([Word("x"), "text", 3], event_ns=0, received_ns=NOW)
    assert echo.words == ["x"]


def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match="must differ"):
        pipeline(Echo(), Echo())


def test_the_watermark_stays_behind_the_newest_event_by_the_lateness() -> None:
    echo = Echo()
    pipeline(echo, lateness_s=2).push([], event_ns=NOW - 5 * SECOND_NS, received_ns=NOW)
    assert echo.advanced == [NOW - 7 * SECOND_NS]


def test_a_clock_running_ahead_does_not_close_windows_in_the_live_lane() -> None:
    """Event time counts at most up to when its frame was received."""
    echo = Echo()
    pipeline(echo, lateness_s=2).push([], event_ns=NOW + 500 * SECOND_NS, received_ns=NOW)
    assert echo.advanced == [NOW - 2 * SECOND_NS]


def test_backfilled_event_time_is_its_own_clock() -> None:
    """History sent today lies days back; a frame without event time moves nothing."""
    echo = Echo()
    line = pipeline(echo, lane=Lane.BACKFILL, lateness_s=2)
    line.push([], event_ns=10 * SECOND_NS, received_ns=NOW)
    line.push([], event_ns=0, received_ns=NOW)
    assert echo.advanced == [8 * SECOND_NS]


def test_timers_fire_on_whole_seconds_only_and_never_go_back() -> None:
    """How telemetry is cut into frames changes nothing."""
    coarse, fine = Echo(), Echo()
    pipeline(coarse).push([], event_ns=NOW, received_ns=NOW)
    cut = pipeline(fine)
    for time_ns in range(NOW, NOW + SECOND_NS, SECOND_NS // 10):
        cut.push([], event_ns=time_ns, received_ns=NOW + SECOND_NS)
    cut.push([], event_ns=NOW - 60 * SECOND_NS, received_ns=NOW + SECOND_NS)
    assert fine.advanced == coarse.advanced == [NOW - 2 * SECOND_NS]


def test_a_stage_that_raises_loses_its_frame_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    broken, after = Broken("broken"), Echo("after")
    line = pipeline(broken, after)
    with caplog.at_level(logging.ERROR):
        assert line.push([Word("bad")], event_ns=0, received_ns=NOW) == [Word("after(bad)")]
    assert line.failures == {"broken": 1}
    assert "stage broken failed" in caplog.text
    assert line.push([Word("good")], event_ns=0, received_ns=NOW)[0] == Word("broken(good)")


@pytest.mark.filterwarnings("default")
def test_a_stage_that_raises_in_its_timer_is_called_at_the_next_one() -> None:
    broken, after = Broken("broken"), Echo("after")
    line = pipeline(broken, after, lateness_s=0)
    for second in (NOW, NOW + SECOND_NS, NOW + 2 * SECOND_NS):
        line.push([], event_ns=second, received_ns=second)
    assert broken.advanced == [NOW, NOW + 2 * SECOND_NS]
    assert len(after.advanced) == 3
    assert line.failures == {"broken": 1}


def test_a_snapshot_carries_the_watermark_and_every_stage() -> None:
    before = pipeline(Echo("a"), Echo("b"))
    before.push([Word("x")], event_ns=NOW, received_ns=NOW)
    first, second, new = Echo("a"), Echo("b"), Echo("new")
    after = pipeline(first, second, new)
    after.restore(before.snapshot())
    assert after.watermark_ns == before.watermark_ns
    assert (first.words, second.words, new.words) == (["x"], ["x", "a(x)"], [])
    after.push([], event_ns=NOW, received_ns=NOW)
    assert first.advanced == [NOW - 2 * SECOND_NS], "that second has passed already"


class Choosy(Echo):
    """Uses no word twice."""

    def __init__(self) -> None:
        super().__init__("choosy")
        self.dropped: Counter[str] = Counter()

    def process(self, items: Sequence[object]) -> Sequence[object]:
        self.dropped["duplicate"] += sum(isinstance(item, Word) and item.text in self.words for item in items)
        return super().process(items)


def test_what_stages_leave_unused_is_told_by_stage_and_reason() -> None:
    flow = pipeline(Choosy(), Echo("b"))
    for _ in range(3):
        flow.push([Word("x")], event_ns=0, received_ns=NOW)
    assert flow.dropped() == {("choosy", "duplicate"): 2}
