"""Every journal engine keeps the same promises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.engines import engines_of
from tests.telemetry import blank_frame, samples_frame
from twofold.errors import Conflict, NotFound, Overloaded, TooLarge, Unavailable
from twofold.records.frame import Frame, FrameKind, Lane, Position, Source
from twofold.store import journal as port
from twofold.store.journal import Journal, batches
from twofold.store.journal.segments import JournalConfig, SegmentJournal

Open = Callable[[], Journal]
SMALL = JournalConfig(segment_bytes=2000, unread_bytes=200_000, frame_bytes=50_000, tail_bytes=1000)
OPENERS: dict[str, Callable[[Path], Journal]] = {
    "segments.SegmentJournal": lambda root: SegmentJournal(root, 2, config=SMALL),
}
frames = st.builds(
    Frame,
    kind=st.sampled_from(FrameKind),
    payload=st.binary(max_size=3000),
    time_ns=st.integers(-(2**63), 2**63 - 1),
    rows=st.integers(0, 2**32 - 1),
    tenant=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lane=st.sampled_from(Lane),
    source=st.sampled_from(Source),
    partition=st.integers(0, 1),
)


def test_every_engine_is_found_and_has_an_opener_here() -> None:
    found = engines_of(port, Journal)
    assert found, "no journal engine found: the contract covers nothing"
    assert set(found) == set(OPENERS)


@pytest.fixture(params=OPENERS)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same journal again and again, closing the one before."""
    opened: list[Journal] = []

    def open_it() -> Journal:
        while opened:
            opened.pop().close()
        opened.append(OPENERS[request.param](tmp_path))
        return opened[-1]

    yield open_it
    while opened:
        opened.pop().close()


def everything(journal: Journal, partition: int = 0) -> list[Frame]:
    return [frame for _, frame in batches(journal, partition, Position(0, 0))]


@given(calls=st.lists(st.lists(frames, min_size=1, max_size=5), max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_frames_come_back_as_they_were_and_in_order_also_after_a_restart(
    calls: list[list[Frame]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    for opener in OPENERS.values():
        root = tmp_path_factory.mktemp("journal")
        journal = opener(root)
        for call in calls:
            assert len(journal.append(call)) == len(call)
        sent = [[frame for call in calls for frame in call if frame.partition == number] for number in (0, 1)]
        assert [everything(journal, number) for number in (0, 1)] == sent
        journal.close()
        again = opener(root)
        assert [everything(again, number) for number in (0, 1)] == sent
        again.close()


def test_a_position_leads_to_the_next_frame(reopen: Open) -> None:
    journal = reopen()
    positions = [journal.append([blank_frame(b"%d" % number * 300)])[0] for number in range(9)]
    assert positions == sorted(set(positions))
    for number, position in enumerate(positions[:-1]):
        assert journal.read(0, position, limit=1)[0][1].payload == b"%d" % (number + 1) * 300
    assert journal.read(0, positions[-1]) == []
    assert [after for after, _ in batches(reopen(), 0, Position(0, 0))] == positions


def test_a_read_gives_at_most_as_many_frames_as_asked(reopen: Open) -> None:
    journal = reopen()
    journal.append([blank_frame(b"x")] * 10)
    assert len(journal.read(0, Position(0, 0), limit=4)) == 4
    assert journal.read(0, Position(0, 0), limit=0) == []


def test_many_threads_append_at_once_and_nothing_is_lost_or_mixed(reopen: Open) -> None:
    journal = reopen()

    def send(who: int) -> None:
        for number in range(30):
            journal.append([blank_frame(b"%d %d %d" % (who, number, part)) for part in range(3)])

    threads = [threading.Thread(target=send, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [tuple(map(int, frame.payload.split())) for frame in everything(journal)]
    assert len(seen) == 8 * 30 * 3
    for who in range(8):
        assert [entry[1:] for entry in seen if entry[0] == who] == [(n, p) for n in range(30) for p in range(3)]
    calls = [entry[:2] for entry in seen]
    assert all(calls[at] == calls[at + 1] == calls[at + 2] for at in range(0, len(calls), 3)), "a call was torn apart"


def test_wait_returns_when_a_frame_is_durable(reopen: Open) -> None:
    journal = reopen()
    start = journal.committed("history", 0)
    assert not journal.wait(0, start, timeout_s=0.01)
    threading.Timer(0.05, journal.append, [[blank_frame(b"x")]]).start()
    assert journal.wait(0, start, timeout_s=10)
    assert len(journal.read(0, start)) == 1


def test_wait_ends_when_the_journal_closes(reopen: Open) -> None:
    journal = reopen()
    threading.Timer(0.05, journal.close).start()
    began = time.monotonic()
    assert not journal.wait(0, journal.committed("history", 0), timeout_s=30)
    assert time.monotonic() - began < 10


def test_a_commit_survives_a_restart_and_never_goes_back(reopen: Open) -> None:
    journal = reopen()
    first, second = journal.append([blank_frame(b"1"), blank_frame(b"2")])
    journal.commit("history", 0, second)
    journal.commit("history", 0, first)
    again = reopen()
    assert again.committed("history", 0) == second
    assert again.read(0, again.committed("history", 0)) == []
    assert [frame.payload for _, frame in again.read(0, again.committed("pipeline", 0))] == [b"1", b"2"]


def test_a_commit_past_the_end_is_refused(reopen: Open) -> None:
    journal = reopen()
    (end,) = journal.append([blank_frame(b"1")])
    with pytest.raises(Conflict):
        journal.commit("history", 0, Position(end.segment, end.offset + 1))


def test_frames_stay_until_every_consumer_has_committed(reopen: Open) -> None:
    journal = reopen()
    positions = [journal.append([blank_frame(bytes(500))])[0] for _ in range(40)]
    journal.commit("history", 0, positions[-1])
    assert len(everything(journal)) == 40
    journal.commit("pipeline", 0, positions[19])
    kept = len(everything(journal))
    assert 20 <= kept < 30, "space is given back in segments, and nothing behind the slowest consumer"
    assert len(list(batches(journal, 0, journal.committed("pipeline", 0)))) == 20


def test_unread_bytes_past_the_limit_refuse_senders_but_not_consumers(reopen: Open) -> None:
    journal = reopen()
    for _ in range(40):
        journal.append([blank_frame(bytes(5000))])
    with pytest.raises(Overloaded) as caught:
        journal.append([blank_frame(b"x")])
    assert caught.value.retry_after_s > 0
    journal.append([samples_frame([(1, 2, 3.0)], source=Source.DERIVED)])
    end = list(batches(journal, 0, Position(0, 0)))[-1][0]
    for consumer in ("history", "pipeline"):
        journal.commit(consumer, 0, end)
    journal.append([blank_frame(b"again")])


def test_a_frame_past_the_limit_keeps_nothing_of_its_call(reopen: Open) -> None:
    journal = reopen()
    with pytest.raises(TooLarge):
        journal.append([blank_frame(b"small"), blank_frame(bytes(60_000))])
    assert everything(journal) == []


def test_an_unknown_partition_is_named(reopen: Open) -> None:
    journal = reopen()
    for number in (-1, 2):
        with pytest.raises(NotFound, match=str(number)):
            journal.append([blank_frame(b"x", partition=number)])
        with pytest.raises(NotFound):
            journal.read(number, Position(0, 0))


def test_an_append_after_close_is_refused(reopen: Open) -> None:
    journal = reopen()
    journal.close()
    journal.close()
    with pytest.raises(Unavailable):
        journal.append([blank_frame(b"x")])
