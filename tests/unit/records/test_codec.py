"""Every record survives JSON; what does not fit is refused with the field's name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from tests.strategies import records
from twofold.errors import DecodeError
from twofold.records.access import Audit
from twofold.records.alert import Alert
from twofold.records.codec import from_json, to_json
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge, Entity
from twofold.records.event import Event
from twofold.records.finding import Finding
from twofold.records.incident import Incident, TimelineEntry
from twofold.records.model import ModelVersion, Release, Run
from twofold.records.series import Series
from twofold.records.verdict import Verdict

RECORDS = (Alert, Audit, Diagnosis, Edge, Entity, Event, Finding, Incident, ModelVersion, Release, Run, Series,
           TimelineEntry, Verdict)  # fmt: skip


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_comes_back_as_it_went(kind: type) -> None:
    @given(records(kind))
    def check(record: object) -> None:
        assert from_json(kind, json.loads(json.dumps(to_json(record)))) == record

    check()


EDGE = {"source": "a", "target": "b", "relation": "calls"}


def test_unknown_keys_are_left_out_and_missing_ones_take_their_default() -> None:
    assert from_json(Edge, {**EDGE, "colour": "red"}).confidence == 1.0


def test_times_are_utc_whatever_zone_they_came_in() -> None:
    edge = from_json(Edge, {**EDGE, "last_seen": "2025-03-01T14:00:00+02:00"})
    assert edge.last_seen == datetime(2025, 3, 1, 12, tzinfo=UTC)
    assert edge.last_seen.utcoffset() == timedelta(0)
    assert to_json(edge)["last_seen"] == "2025-03-01T12:00:00+00:00"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ([], "must be an object"),
        ({"source": "a", "target": "b"}, "Edge.relation is missing"),
        ({**EDGE, "relation": "likes"}, "Edge.relation: 'likes'"),
        ({**EDGE, "last_seen": "2025-03-01T12:00:00"}, "has no zone"),
        ({**EDGE, "last_seen": 7}, "Edge.last_seen"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(data: object, told: str) -> None:
    with pytest.raises(DecodeError, match=told):
        from_json(Edge, data)
