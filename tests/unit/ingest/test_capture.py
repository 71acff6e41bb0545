"""What was accepted can be read back, moved in time and sent again with the same effect."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToJson

from tests.unit.ingest.messages import (
    gauge,
    histogram,
    logs_request,
    metrics_request,
    snappy,
    span,
    traces_request,
    write_request,
)
from tests.unit.ingest.null import NOW_NS, Bench
from tests.unit.ingest.test_events import alert, notice
from tests.unit.ingest.test_predictions import GOOD
from tests.unit.ingest.test_remote_write import HEADERS, LABELS
from tests.unit.ingest.test_remote_write2 import HEADERS as HEADERS_2
from tests.unit.ingest.test_remote_write2 import Writer
from twofold.aiops.ingest import capture as capture_file
from twofold.aiops.ingest.capture import Capture, Captured, merged, read_capture, shift
from twofold.errors import ConfigError, Corrupt, Unsupported
from twofold.records.frame import FrameKind, Lane

HOUR_NS = 3600 * 10**9
PROTOBUF = {"content-type": "application/x-protobuf"}


def fill(bench: Bench) -> None:
    """One request of every kind."""
    post = bench.client.post
    metrics = metrics_request(gauge("a", 1.0), histogram("h", [1.0], [1, 1], 2.0))
    post("/v1/metrics", content=metrics.SerializeToString(), headers=PROTOBUF)
    post(
        "/v1/metrics",
        content=MessageToJson(metrics_request(gauge("j", 1.0))),
        headers={"content-type": "application/json"},
    )
    post("/v1/logs", content=logs_request("x").SerializeToString(), headers=PROTOBUF | {"x-twofold-lane": "backfill"})
    post("/v1/traces", content=traces_request(span("x")).SerializeToString(), headers=PROTOBUF)
    post("/api/v1/write", content=snappy(write_request((LABELS, [(NOW_NS // 10**6, 1.0)]))), headers=HEADERS)
    version2 = Writer()
    series = version2.series({"__name__": "b"}, (NOW_NS // 10**6, 1.0), kind=1, start=NOW_NS // 10**6 - 1000)
    refs = [version2.ref("trace_id"), version2.ref("ab" * 16)]
    series.exemplars.add(labels_refs=refs, value=1.0, timestamp=NOW_NS // 10**6)
    post("/api/v1/write", content=snappy(version2.request), headers=HEADERS_2)
    post("/v1/changes", json={"kind": "deploy", "service": "cart"})
    post("/webhooks/alertmanager", json=notice(alert()))
    post("/v1/predictions", json=[GOOD])


def test_a_capture_shifted_by_an_hour_and_sent_again_differs_only_in_time(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    first = Bench(capture=Capture(path))
    fill(first)
    first.capture.close()
    again = Bench(now_ns=NOW_NS + HOUR_NS)
    for request in read_capture(path):
        body, headers = shift(request, HOUR_NS).encoded()
        assert again.client.post(request.path, content=body, headers=headers).status_code in {200, 204}
    assert [frame.kind for frame in first.journal.frames] == [frame.kind for frame in again.journal.frames]
    assert [frame.lane for frame in first.journal.frames] == [frame.lane for frame in again.journal.frames]
    moved = {key: [(time + HOUR_NS, value) for time, value in points] for key, points in first.samples().items()}
    assert again.samples() == moved
    for kind, column in (
        (FrameKind.LOGS, "time_ns"),
        (FrameKind.SPANS, "start_ns"),
        (FrameKind.PREDICTIONS, "time_ns"),
    ):
        times = [row[column] for row in first.rows(kind)]
        assert [row[column] - HOUR_NS for row in again.rows(kind)] == times
    assert len(again.rows(FrameKind.EVENTS)) == 2


def test_only_accepted_requests_are_kept(tmp_path: Path) -> None:
    with Capture(tmp_path / "c") as tap:
        bench = Bench(capture=tap)
        bench.client.post("/v1/metrics", content=b"\xff", headers=PROTOBUF)
    assert list(read_capture(tmp_path / "c")) == []


def test_anything_can_be_recorded_by_hand_and_frames_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_file, "BLOCK_BYTES", 100)
    with Capture(tmp_path / "c") as tap:
        for number in range(10):
            tap.record("/v1/changes", "application/json", b"%d" % number * 90, number + 1)
    tap.record("/v1/changes", "application/json", b"late", 1)
    found = list(read_capture(tmp_path / "c"))
    assert [request.time_ns for request in found] == list(range(1, 11))
    assert found[3] == Captured(path="/v1/changes", media="application/json", body=b"3" * 90, time_ns=4, lane=Lane.LIVE)


def test_a_torn_capture_gives_what_is_whole_and_then_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_file, "BLOCK_BYTES", 100)
    path = tmp_path / "c"
    with Capture(path) as tap:
        for number in range(3):
            tap.record("/v1/changes", "application/json", bytes([number]) * 200, number + 1)
    path.write_bytes(path.read_bytes()[:-3])
    requests = read_capture(path)
    assert [next(requests).time_ns, next(requests).time_ns] == [1, 2]
    with pytest.raises(Corrupt, match="torn"):
        next(requests)
    path.write_bytes(b"not a capture")
    with pytest.raises(Corrupt):
        list(read_capture(path))


def test_a_capture_is_never_overwritten(tmp_path: Path) -> None:
    Capture(tmp_path / "c").close()
    with pytest.raises(ConfigError):
        Capture(tmp_path / "c")


def test_an_unknown_path_cannot_be_shifted() -> None:
    with pytest.raises(Unsupported):
        shift(Captured(path="/x", media="", body=b"", time_ns=1), 1)


def test_items_that_were_rejected_are_shifted_without_harm(tmp_path: Path) -> None:
    path = tmp_path / "c"
    changes = ["no object", {"service": "a", "time": "soon"}, {"service": "a", "time": 5}, {"service": "a"}]
    with Capture(path) as tap:
        bench = Bench(capture=tap)
        bench.client.post("/v1/changes", json=changes)
        bench.client.post("/webhooks/alertmanager", json=notice(alert(startsAt="soon"), alert()) | {"extra": 1})
    again = Bench()
    for request in read_capture(path):
        body, headers = shift(request, -HOUR_NS).encoded()
        assert "x-twofold-lane" not in headers
        assert again.client.post(request.path, content=body, headers=headers).status_code == 200
    assert len(again.rows(FrameKind.EVENTS)) == len(bench.rows(FrameKind.EVENTS)) == 2


def test_a_full_disk_ends_the_capture_and_not_the_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(capture_file, "BLOCK_BYTES", 10)
    with Capture(tmp_path / "c") as tap, Path("/dev/full").open("wb", buffering=0) as full:
        bench = Bench(capture=tap)
        tap._file.close()
        monkeypatch.setattr(tap, "_file", full)
        for _ in range(2):
            body = metrics_request(gauge("a", 1.0)).SerializeToString()
            assert bench.client.post("/v1/metrics", content=body, headers=PROTOBUF).status_code == 200
    assert caplog.text.count("the capture ends here") == 1
    assert len(bench.rows(FrameKind.SAMPLES)) == 2


def test_many_threads_fill_a_capture_without_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_file, "BLOCK_BYTES", 2000)
    with Capture(tmp_path / "c") as tap, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: tap.record("/v1/changes", "", b"%d" % number, number), range(1, 2001)))
    assert sorted(int(request.body) for request in read_capture(tmp_path / "c")) == list(range(1, 2001))


def test_merged_requests_say_the_same_in_fewer(tmp_path: Path) -> None:
    with Capture(tmp_path / "c") as tap:
        bench = Bench(capture=tap)
        for number in range(5):
            body = metrics_request(gauge(f"a{number}", 1.0)).SerializeToString()
            assert bench.client.post("/v1/metrics", content=body, headers=PROTOBUF).status_code == 200
            change = [{"kind": "deploy", "service": "cart", "version": str(number), "id": str(number)}]
            assert bench.client.post("/v1/changes", json=change).status_code == 200
    again = Bench()
    requests = merged([shift(request, -HOUR_NS) for request in read_capture(tmp_path / "c")])
    assert len(requests) == 2
    for request in requests:
        body, headers = request.encoded()
        assert again.client.post(request.path, content=body, headers=headers).status_code == 200
    for kind in (FrameKind.SAMPLES, FrameKind.EVENTS):
        assert len(again.rows(kind)) == len(bench.rows(kind)) == 5
