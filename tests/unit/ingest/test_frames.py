"""Requests become frames that the journal takes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.ingest.messages import gauge, logs_request, metrics_request
from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest import frames
from twofold.aiops.ingest.counts import Item
from twofold.errors import InputError, TooLarge
from twofold.records.frame import FrameKind
from twofold.store.journal.codec import decode_payload

PROTOBUF = {"content-type": "application/x-protobuf"}


def test_large_requests_are_cut_into_frames_of_one_append(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_SAMPLES", 30)
    monkeypatch.setattr(frames, "MAX_LINES", 2)
    bench = Bench()
    body = metrics_request(*(gauge("a", float(number), NOW_NS + number) for number in range(100)))
    bench.client.post("/v1/metrics", content=body.SerializeToString(), headers=PROTOBUF)
    bench.client.post("/v1/logs", content=logs_request(*"abcde").SerializeToString(), headers=PROTOBUF)
    assert [frame.rows for frame in bench.frames(FrameKind.SAMPLES)] == [30, 30, 30, 10]
    assert [frame.rows for frame in bench.frames(FrameKind.LOGS)] == [2, 2, 1]
    assert len(bench.journal.calls) == 2
    values = np.concatenate([decode_payload(frame).column(2).to_numpy() for frame in bench.frames(FrameKind.SAMPLES)])
    assert values.tolist() == [float(number) for number in range(100)]
    assert [row["body"] for row in bench.rows(FrameKind.LOGS)] == list("abcde")


def test_a_request_too_large_for_the_journal_is_413_and_counted(bench: Bench) -> None:
    bench.journal.error = TooLarge("frame too large", reason="frame_bytes")
    body = metrics_request(gauge("a", 1.0)).SerializeToString()
    assert bench.client.post("/v1/metrics", content=body, headers=PROTOBUF).status_code == 413
    assert bench.counts.total(Item.POINTS).rejected == {"frame_bytes": 1}


def test_labels_that_the_catalog_finds_too_long_reject_only_their_point(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = bench.catalog.register

    def strict(metric: str, *args: object, **more: object) -> tuple[int, bool]:
        if metric == "long":
            raise InputError("labels too long", reason="labels_size")
        return register(metric, *args, **more)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(bench.catalog, "register", strict)
    body = metrics_request(gauge("long", 1.0), gauge("short", 1.0)).SerializeToString()
    assert bench.client.post("/v1/metrics", content=body, headers=PROTOBUF).status_code == 200
    assert bench.counts.total(Item.POINTS).rejected == {"labels_size": 1}
    assert [name for name, _ in bench.samples()] == ["short"]
