"""Every kind of frame becomes what was encoded, or is refused as damage."""

from __future__ import annotations

from contextlib import suppress

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import records
from tests.telemetry import NOON, SECOND, logs_frame, samples_frame
from twofold.errors import Corrupt
from twofold.flow.decode import decode
from twofold.joints.lineage import lineage
from twofold.joints.promotions import event_frame, lineage_frame
from twofold.records.columns import PREDICTIONS, SPANS, Logs, Predictions, Samples, Spans
from twofold.records.entity import Edge, Entity
from twofold.records.event import Event
from twofold.records.frame import Frame, FrameKind, Lane
from twofold.records.model import ModelKind, ModelVersion
from twofold.records.series import Series
from twofold.records.time import to_datetime, to_ns
from twofold.store.journal.codec import encode_batch, encode_events, encode_series

DAY = to_datetime(NOON)


def frame(kind: FrameKind, payload: bytes) -> Frame:
    return Frame(kind=kind, payload=payload, time_ns=NOON, rows=1)


def test_samples_logs_spans_and_predictions_come_with_tenant_lane_and_newest_time() -> None:
    samples = samples_frame([(1, NOON, 2.0), (1, NOON - SECOND, 1.0)], tenant="acme", lane=Lane.BACKFILL)
    (batch,), newest = decode(samples)
    assert isinstance(batch, Samples)
    assert (batch.tenant, batch.lane, newest) == ("acme", Lane.BACKFILL, NOON)
    assert batch.columns()[2].tolist() == [2.0, 1.0]
    (lines,), newest = decode(logs_frame(["a", "b"]))
    assert isinstance(lines, Logs)
    assert (lines.data["body"].to_pylist(), newest) == (["a", "b"], NOON + SECOND)
    for kind, schema, wrapper, column in (
        (FrameKind.SPANS, SPANS, Spans, "start_ns"),
        (FrameKind.PREDICTIONS, PREDICTIONS, Predictions, "time_ns"),
    ):
        row = {field.name: _blank(field.type) for field in schema} | {column: NOON}
        data = pa.RecordBatch.from_pylist([row], schema=schema)
        (found,), newest = decode(frame(kind, encode_batch(data)))
        assert type(found) is wrapper
        assert newest == NOON
        assert found.data.equals(data)


def test_an_empty_batch_carries_no_time() -> None:
    (batch,), newest = decode(frame(FrameKind.SPANS, encode_batch(pa.RecordBatch.from_pylist([], schema=SPANS))))
    assert isinstance(batch, Spans)
    assert newest == 0


def test_a_tick_is_nothing_but_its_time() -> None:
    assert decode(frame(FrameKind.TICK, b"")) == ([], 0)


@given(st.lists(records(Series), max_size=3), st.lists(records(Event), max_size=3))
def test_definitions_and_events_come_back(series: list[Series], events: list[Event]) -> None:
    assert decode(frame(FrameKind.SERIES, encode_series(series))) == (series, 0)
    newest = max((to_ns(event.time) for event in events), default=0)
    assert decode(frame(FrameKind.EVENTS, encode_events(events))) == (events, newest)


def test_a_promotion_and_its_lineage_come_back() -> None:
    version = ModelVersion(
        id="m@2",
        model="m",
        version="2",
        kind=ModelKind.SERVED,
        format="skops",
        artifact="sha256/0",
        artifact_sha256="0",
        created=DAY,
        dataset="prices@abc",
    )
    entities, edges = lineage(version)
    items, newest = decode(lineage_frame(version, NOON))
    assert (items, newest) == ([*entities, *edges], 0)
    assert {type(item) for item in items} == {Entity, Edge}


@pytest.mark.parametrize("kind", [kind for kind in FrameKind if kind is not FrameKind.TICK])
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00garbage",
        b"{",
        b"7",
        b"null",
        b'"text"',
        b"[7]",
        b'[{"sid": 1}]',
        b'{"entities": 3}',
        b'{"edges": []}',
    ],
)
def test_garbage_is_damage_and_nothing_else(kind: FrameKind, payload: bytes) -> None:
    with pytest.raises(Corrupt):
        decode(frame(kind, payload))


def test_columns_of_another_kind_are_damage() -> None:
    samples = samples_frame([(1, NOON, 2.0)])
    for kind in (FrameKind.LOGS, FrameKind.SPANS, FrameKind.PREDICTIONS):
        with pytest.raises(Corrupt, match="columns"):
            decode(frame(kind, samples.payload))


@given(st.binary(max_size=60), st.sampled_from([kind for kind in FrameKind if kind is not FrameKind.TICK]))
def test_any_bytes_decode_or_are_damage(payload: bytes, kind: FrameKind) -> None:
    with suppress(Corrupt):
        decode(frame(kind, payload))


def _blank(kind: pa.DataType) -> object:
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return "x"
    if pa.types.is_list(kind):
        return []
    return False if pa.types.is_boolean(kind) else 0


def test_an_event_frame_of_the_joints_reads_like_a_receivers() -> None:
    change = Event(id="e", kind="change", time=DAY, entity="model:m", title="m 2 is live")  # type: ignore[arg-type]  # enum by value on purpose
    one = decode(event_frame(change, NOON))
    other = decode(
        frame(
            FrameKind.EVENTS,
            orjson.dumps(
                [{"id": "e", "kind": "change", "time": DAY.isoformat(), "entity": "model:m", "title": "m 2 is live"}]
            ),
        )
    )
    assert one == other
    assert one[1] == NOON
