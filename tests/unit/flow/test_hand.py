"""Handed over once, in order, and grouped when all have come as far."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import pytest

from tests.telemetry import NOON, SECOND
from twofold.errors import Corrupt, Unavailable
from twofold.flow import hand
from twofold.flow.decode import decode
from twofold.flow.hand import PATIENCE_NS, Aligned, Inbox, Outbox
from twofold.flow.memory import MemoryJournal
from twofold.flow.stage import Stage, State
from twofold.records.entity import Edge, Relation
from twofold.records.example import LogExample
from twofold.records.finding import Direction, Finding
from twofold.records.frame import Frame, FrameKind, Lane, Position, Source
from twofold.records.handed import Handed
from twofold.records.time import to_datetime

LIVE = ("main", Lane.LIVE)


def finding(key: str) -> Finding:
    onset = to_datetime(NOON)
    return Finding(
        id=key,
        entity="service:a",
        series="0000000000000001",
        metric="m",
        onset=onset,
        seen=onset + timedelta(seconds=1),
        score=9.0,
        effect=2.0,
        value=1.0,
        expected=0.0,
        low=0.0,
        high=0.5,
        direction=Direction.UP,
        detector="panel@1",
        reason="high",
    )


def edge(target: str) -> Edge:
    return Edge(source="service:a", target=target, relation=Relation.RUNS_ON)


def received(journal: MemoryJournal) -> list[Handed]:
    frames: Sequence[tuple[Position, Frame]] = journal.read(0, Position(0, 0))
    found: list[Handed] = []
    for _, frame in frames:
        assert (frame.kind, frame.source, frame.partition) == (FrameKind.HANDED, Source.DERIVED, 0)
        items, event_ns = decode(frame)
        assert event_ns == 0
        found += [each for each in items if isinstance(each, Handed)]
    return found


def test_what_grouping_needs_is_handed_over_and_all_else_stays() -> None:
    journal = MemoryJournal(2)
    outbox = Outbox(journal, 1)
    example = LogExample(entity="service:a", time_ns=NOON, severity=17, body="no", trace_id="")
    made = ["text", finding("f1"), edge("host:h"), example, 7]
    assert outbox.take(*LIVE, Position(0, 5), made, NOON) == ["text", 7]
    assert outbox.take(*LIVE, Position(0, 6), ["more"], NOON + SECOND) == ["more"]
    outbox.send()
    (handed,) = received(journal)
    assert (handed.origin, handed.clock_ns) == (1, NOON + SECOND)
    assert handed.parts == [(Position(0, 5), [finding("f1"), edge("host:h"), example])]


def test_time_alone_is_told_when_it_moved() -> None:
    journal = MemoryJournal(2)
    outbox = Outbox(journal, 1)
    for clock_ns in (NOON, NOON, NOON + SECOND):
        outbox.take(*LIVE, Position(0, 1), [], clock_ns)
        outbox.send()
    assert [(each.clock_ns, list(each.parts)) for each in received(journal)] == [(NOON, []), (NOON + SECOND, [])]


def test_much_is_cut_between_frames_and_tells_the_time_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand, "MOST_RECORDS", 3)
    journal = MemoryJournal(2)
    outbox = Outbox(journal, 1)
    for number in range(1, 6):
        outbox.take(*LIVE, Position(0, number), [finding(f"{number}{n}") for n in range(2)], NOON + number * SECOND)
    outbox.send()
    found = received(journal)
    assert [[position.offset for position, _ in each.parts] for each in found] == [[1, 2], [3, 4], [5]]
    assert [each.clock_ns for each in found] == [0, 0, NOON + 5 * SECOND]


def test_a_journal_that_is_away_is_sent_all_of_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal(2)
    outbox = Outbox(journal, 1)
    outbox.take(*LIVE, Position(0, 1), [finding("a")], NOON)
    with monkeypatch.context() as patch:
        patch.setattr(journal, "append", _away)
        with pytest.raises(Unavailable):
            outbox.send()
    outbox.send()
    outbox.send()
    assert [len(each.parts) for each in received(journal)] == [1]


def _away(_frames: object) -> None:
    raise Unavailable("away")


def test_what_is_handed_again_after_a_crash_is_taken_once() -> None:
    first = Handed(origin=1, clock_ns=NOON, parts=[(Position(0, 5), [finding("a")]), (Position(0, 9), [finding("b")])])
    again = Handed(origin=1, clock_ns=NOON, parts=[(Position(0, 9), [finding("b")]), (Position(3, 1), [finding("c")])])
    other = Handed(origin=2, clock_ns=NOON, parts=[(Position(0, 5), [finding("d")])])
    inbox = Inbox()
    assert list(inbox.process([first])) == [finding("a"), finding("b")]
    later = Inbox()
    later.restore(inbox.snapshot())
    assert list(later.process([again, other])) == [finding("c"), finding("d")]
    assert list(later.advance(NOON)) == []
    with pytest.raises(Corrupt):
        later.restore({})


class Echo:
    """Tells how far it was advanced, and what it was given."""

    name: ClassVar[str] = "echo"
    accepts: ClassVar[tuple[type, ...]] = (Finding,)

    def process(self, items: Sequence[object]) -> Sequence[object]:
        return [item.id for item in items if isinstance(item, Finding)]

    def advance(self, watermark_ns: int) -> Sequence[object]:
        return [(watermark_ns - NOON) // SECOND]

    def snapshot(self) -> State:
        return {"echo": b""}

    def restore(self, state: State) -> None:
        assert state["echo"] == b""


def clock(origin: int, seconds: int) -> Handed:
    return Handed(origin=origin, clock_ns=NOON + seconds * SECOND, parts=[])


def test_grouping_goes_on_as_far_as_the_slowest_has_come() -> None:
    stage = Aligned(Echo(), Lane.LIVE)
    assert isinstance(stage, Stage)
    assert (stage.name, stage.accepts) == ("echo", (Handed, Finding))
    assert list(stage.advance(NOON + 5 * SECOND)) == [5], "nobody else is known"
    assert list(stage.process([clock(1, 3), finding("a")])) == ["a"]
    assert list(stage.advance(NOON + 8 * SECOND)) == []
    assert list(stage.process([clock(1, 7)])) == [7]
    again = Aligned(Echo(), Lane.LIVE)
    again.restore(stage.snapshot())
    assert list(again.process([clock(2, 6), clock(1, 20)])) == []
    assert list(again.process([clock(2, 7)])) == [], "time never goes back"
    assert list(again.process([clock(2, 30)])) == [8]
    alone = Aligned(Echo(), Lane.LIVE)
    alone.restore({"echo": b""})  # of the time when there was one partition
    assert list(alone.advance(NOON + SECOND)) == [1]


@pytest.mark.parametrize("lane", Lane)
def test_who_stopped_is_waited_for_no_longer_than_patience_allows(lane: Lane) -> None:
    patience_s = PATIENCE_NS[lane] // SECOND
    stage = Aligned(Echo(), lane)
    assert list(stage.process([clock(1, 0)])) == [0]
    assert list(stage.advance(NOON + (patience_s - 1) * SECOND)) == []
    assert list(stage.advance(NOON + (patience_s + 9) * SECOND)) == [9]


def test_where_the_first_partition_was_sent_nothing_the_others_tell_the_time() -> None:
    stage = Aligned(Echo(), Lane.BACKFILL)
    assert list(stage.process([clock(1, 10)])) == [10]
    assert list(stage.process([clock(2, 5), clock(1, 30)])) == []
    assert list(stage.process([clock(2, 20)])) == [20]


def test_a_damaged_clock_is_corrupt() -> None:
    with pytest.raises(Corrupt):
        Aligned(Echo(), Lane.LIVE).restore({"echo": b"", "aligned": b"{}"})
