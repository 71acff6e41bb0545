"""Cited traces outlive their spans; nothing else does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tests.telemetry import NOON, SECOND, Numbered
from twofold.errors import Corrupt
from twofold.records.columns import SPANS
from twofold.records.diagnosis import Diagnosis, Evidence, EvidenceKind, Suspect
from twofold.records.frame import Frame, FrameKind
from twofold.records.time import to_datetime
from twofold.store.blobs.files import FileBlobs
from twofold.store.history import Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.journal.codec import encode_batch
from twofold.store.kept import KeptTraces
from twofold.store.ledger import Ledger
from twofold.store.ledger.sql import open_ledger
from twofold.store.retention import DAY_NS, RetentionConfig, expire

CITED, OTHER = "a" * 32, "b" * 32


def spans_frame(trace_id: str, at_ns: int) -> Frame:
    values: dict[str, list[object]] = {
        "trace_id": [trace_id] * 2,
        "span_id": ["1" * 16, "2" * 16],
        "parent_id": ["", "1" * 16],
        "entity": ["service:cart"] * 2,
        "name": ["GET /", "SELECT"],
        "kind": [2, 3],
        "start_ns": [at_ns, at_ns + 5],
        "duration_ns": [1000, 500],
        "error": [False, True],
        "peer": ["", "database:x"],
        "attributes": ["{}"] * 2,
    }
    columns = [
        pa.array(values[each.name], pa.string() if pa.types.is_dictionary(each.type) else each.type).cast(each.type)
        for each in SPANS
    ]
    data = pa.record_batch(columns, schema=SPANS)
    return Frame(kind=FrameKind.SPANS, payload=encode_batch(data), time_ns=at_ns, rows=2)


def diagnosis(trace_id: str, at_ns: int) -> Diagnosis:
    moment = to_datetime(at_ns)
    evidence = Evidence(kind=EvidenceKind.TRACE, text="", ref=trace_id, start=moment, end=moment + timedelta(seconds=1))
    suspect = Suspect(entity="service:cart", reason="", score=1.0, evidence=(evidence,))
    return Diagnosis(id="i1", incident="i1", time=moment, suspects=(suspect,), ranker="causes@1")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return open_ledger(tmp_path / "ledger.sqlite")


def test_a_cited_trace_is_there_after_its_spans_are_gone(tmp_path: Path, ledger: Ledger) -> None:
    history = DeltaHistory(tmp_path / "history", config=HistoryConfig(compact=CompactConfig(kept_hours=0)))
    number = Numbered()
    old = NOON - 20 * DAY_NS
    for frame in (spans_frame(CITED, old), spans_frame(OTHER, old), spans_frame("c" * 32, NOON)):
        history.append(0, number(frame))
        history.flush()
    kept = KeptTraces(ledger, history, FileBlobs(tmp_path / "blobs"))
    ledger.put(diagnosis(CITED, old))
    kept.note("main")
    kept.note("main")
    days = RetentionConfig(spans_days=14)
    copied: list[int] = []
    for _ in range(2):
        expire(
            history,
            days,
            now_ns=NOON + SECOND,
            letting_go=lambda table, before_ns: copied.append(kept.keep(before_ns)) if table is Table.SPANS else None,
        )
    assert copied == [1, 0]
    assert history.trace(CITED, tenant="main").num_rows == 0
    found = kept.get(CITED, tenant="main")
    assert found is not None
    assert found["name"].to_pylist() == ["GET /", "SELECT"]
    assert kept.get(OTHER, tenant="main") is None
    assert kept.get(CITED, tenant="acme") is None
    history.close()


def test_what_is_no_trace_id_names_no_file_and_damage_is_told(tmp_path: Path, ledger: Ledger) -> None:
    history = DeltaHistory(tmp_path / "history")
    blobs = FileBlobs(tmp_path / "blobs")
    kept = KeptTraces(ledger, history, blobs)
    ledger.put(diagnosis("../../outside", NOON))
    kept.note("main")
    assert kept.keep(NOON + DAY_NS) == 0
    blobs.put(f"traces/main/{CITED}", b"no arrow")
    with pytest.raises(Corrupt):
        kept.get(CITED, tenant="main")
    history.close()
