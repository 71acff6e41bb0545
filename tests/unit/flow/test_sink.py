"""What stages made stands once, in order, and what people wrote meanwhile stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.telemetry import NOON, SECOND, Row, samples
from tests.unit.flow.toys import Word, incident
from twofold.errors import NotFound, Unavailable
from twofold.flow.sink import LedgerSink
from twofold.records.columns import DerivedSamples
from twofold.records.entity import Edge, Entity, EntityKind, Relation
from twofold.records.frame import FrameKind, Lane, Position, Source
from twofold.records.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from twofold.records.series import Series
from twofold.records.time import to_datetime
from twofold.store.history.delta import DeltaHistory
from twofold.store.journal import batches
from twofold.store.journal.codec import decode_payload
from twofold.store.journal.segments import SegmentJournal
from twofold.store.ledger import Ledger
from twofold.store.ledger.sql import open_ledger


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SegmentJournal]:
    opened = SegmentJournal(tmp_path / "journal", partitions=2)
    yield opened
    opened.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def _derived(*rows: Row, window: int) -> DerivedSamples:
    return DerivedSamples(data=samples(rows), window_ns=NOON + window * SECOND)


def _line(key: str, text: str) -> TimelineEntry:
    return TimelineEntry(id=key, incident="inc", time=to_datetime(NOON), kind=TimelineKind.NOTE, text=text)


def test_records_of_the_pipeline_are_kept_and_other_items_only_pass(journal: SegmentJournal, ledger: Ledger) -> None:
    LedgerSink(journal, ledger).write([incident("a", NOON), Word("x"), "text"], tenant="main", lane=Lane.LIVE)
    assert [one.id for one in ledger.find(Incident, tenant="main")] == ["a"]
    assert ledger.head() == 1


def test_of_several_states_in_one_batch_the_last_is_written(journal: SegmentJournal, ledger: Ledger) -> None:
    first = incident("a", NOON)
    LedgerSink(journal, ledger).write([first, replace(first, title="later")], tenant="main", lane=Lane.LIVE)
    assert ledger.get(Incident, "a", tenant="main").title == "later"


def test_edges_stand_once_a_pair_and_relation(journal: SegmentJournal, ledger: Ledger) -> None:
    calls = Edge(source="service:a", target="service:b", relation=Relation.CALLS, calls=1)
    reads = replace(calls, relation=Relation.READS)
    entity = Entity(id="service:a", kind=EntityKind.SERVICE, name="a")
    sink = LedgerSink(journal, ledger)
    sink.write([entity, calls, reads, replace(calls, calls=7)], tenant="main", lane=Lane.LIVE)
    found = ledger.find(Edge, tenant="main")
    assert {(edge.relation, edge.calls) for edge in found} == {(Relation.CALLS, 7), (Relation.READS, 1)}


def test_what_people_wrote_survives_the_stage_that_knows_nothing_of_it(journal: SegmentJournal, ledger: Ledger) -> None:
    sink = LedgerSink(journal, ledger)
    ours = incident("a", NOON)
    sink.write([ours], tenant="main", lane=Lane.LIVE)
    ledger.update(
        Incident, "a", lambda stored: replace(stored, owner="ann", state=IncidentState.ACKNOWLEDGED), tenant="main"
    )
    sink.write([replace(ours, title="worse")], tenant="main", lane=Lane.LIVE)
    found = ledger.get(Incident, "a", tenant="main")
    assert (found.title, found.owner, found.state) == ("worse", "ann", IncidentState.ACKNOWLEDGED)


def test_derived_samples_become_one_frame_a_window_behind_their_definitions(
    journal: SegmentJournal, ledger: Ledger
) -> None:
    series = Series(sid=5, metric="span.rate", entity="service:a")
    made = [_derived((5, NOON + SECOND, 2.0), window=2), series, _derived((5, NOON, 1.0), window=1)]
    made.append(_derived((6, NOON, 9.0), window=1))
    LedgerSink(journal, ledger, partition=1).write(made, tenant="acme", lane=Lane.BACKFILL)
    frames = [frame for _, frame in batches(journal, 1, Position(0, 0))]
    assert [(frame.kind, frame.rows) for frame in frames] == [
        (FrameKind.SERIES, 1),
        (FrameKind.SAMPLES, 2),
        (FrameKind.SAMPLES, 1),
    ]
    assert [frame.time_ns for frame in frames] == [NOON + SECOND, NOON + SECOND, NOON + 2 * SECOND]
    assert {(frame.tenant, frame.lane, frame.source) for frame in frames} == {("acme", Lane.BACKFILL, Source.DERIVED)}
    assert sorted(decode_payload(frames[1])["value"].to_pylist()) == [1.0, 9.0]
    assert not journal.read(0, Position(0, 0)), "the marks of derived windows are kept by partition"


def test_a_replay_writes_a_window_again_and_the_history_keeps_it_once(
    tmp_path: Path, journal: SegmentJournal, ledger: Ledger
) -> None:
    sink = LedgerSink(journal, ledger)
    for _ in range(2):
        sink.write([_derived((5, NOON, 1.0), window=1)], tenant="main", lane=Lane.LIVE)
        sink.write([_derived((5, NOON + SECOND, 2.0), window=2)], tenant="main", lane=Lane.LIVE)
    history = DeltaHistory(tmp_path / "history")
    history.append(0, journal.read(0, Position(0, 0)))
    table = history.samples([5], NOON, NOON + 10 * SECOND, tenant="main")
    assert table["value"].to_pylist() == [1.0, 2.0]
    assert history.counts == {"taken": 4, "duplicate": 2}
    history.close()


def test_a_record_that_the_ledger_refuses_costs_itself(
    journal: SegmentJournal, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """The timeline is append-only: another text under a known id must not hold back the incident beside it."""
    sink = LedgerSink(journal, ledger)
    sink.write([_line("t", "said")], tenant="main", lane=Lane.LIVE)
    told: list[object] = []
    sink = LedgerSink(journal, ledger, follow=[lambda records, _tenant, _lane: told.extend(records)])
    fresh = incident("a", NOON)
    sink.write([_line("t", "said otherwise"), fresh], tenant="main", lane=Lane.LIVE)
    assert ledger.get(TimelineEntry, "t", tenant="main").text == "said"
    assert ledger.get(Incident, "a", tenant="main") == fresh
    assert told == [fresh]
    assert sink.refused == {"TimelineEntry": 1}
    assert "refuses a TimelineEntry" in caplog.text


def test_followers_hear_of_it_after_it_is_durable(journal: SegmentJournal, ledger: Ledger) -> None:
    heard: list[tuple[str, Lane, int]] = []

    def follow(records: Sequence[object], tenant: str, lane: Lane) -> None:
        heard.append((tenant, lane, ledger.head()))
        assert [one.id for one in records if isinstance(one, Incident)] == ["a"]

    LedgerSink(journal, ledger, follow=[follow]).write([incident("a", NOON)], tenant="main", lane=Lane.BACKFILL)
    assert heard == [("main", Lane.BACKFILL, 1)]


def test_a_follower_that_refuses_is_counted_and_one_that_is_busy_is_asked_again(
    journal: SegmentJournal, ledger: Ledger
) -> None:
    def refuse(*_: object) -> None:
        raise NotFound("no such incident")

    def busy(*_: object) -> None:
        raise Unavailable("the ledger is busy")

    sink = LedgerSink(journal, ledger, follow=[refuse])
    sink.write([incident("a", NOON)], tenant="main", lane=Lane.LIVE)
    assert sink.refused == {"follow": 1}
    with pytest.raises(Unavailable):
        LedgerSink(journal, ledger, follow=[busy]).write([incident("b", NOON)], tenant="main", lane=Lane.LIVE)
