"""The journal in memory keeps the port's promises as long as the process lives."""

from __future__ import annotations

import threading

from tests.telemetry import blank_frame
from twofold.flow.memory import MemoryJournal
from twofold.records.frame import Position
from twofold.store.journal import batches

START = Position(0, 0)


def test_frames_come_back_in_order_from_any_position() -> None:
    journal = MemoryJournal(2)
    here = [blank_frame(bytes([number])) for number in range(5)]
    there = blank_frame(b"x", partition=1)
    positions = journal.append([*here[:3], there, *here[3:]])
    assert [frame for _, frame in journal.read(0, START)] == here
    assert journal.read(0, positions[1], limit=1) == [(positions[2], here[2])]
    assert [frame for _, frame in batches(journal, 1, START)] == [there]
    assert journal.read(0, positions[-1]) == []
    assert list(journal.partitions()) == [0, 1]


def test_committed_is_by_consumer_and_partition() -> None:
    journal = MemoryJournal()
    (position,) = journal.append([blank_frame(b"x")])
    journal.commit("a", 0, position)
    assert (journal.committed("a", 0), journal.committed("b", 0)) == (position, START)


def test_who_waits_is_woken_by_an_append_and_by_the_end() -> None:
    journal = MemoryJournal()
    assert not journal.wait(0, START, timeout_s=0.01)
    found: list[bool] = []
    waiter = threading.Thread(target=lambda: found.append(journal.wait(0, START, timeout_s=30)))
    waiter.start()
    journal.append([blank_frame(b"x")])
    waiter.join(10)
    end = threading.Thread(target=lambda: found.append(journal.wait(0, Position(0, 1), timeout_s=30)))
    end.start()
    journal.close()
    end.join(10)
    assert found == [True, False]
