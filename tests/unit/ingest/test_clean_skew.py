"""A sender whose clock is wrong is told from one that is right, with one event each time it turns."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.ingest.messages import gauge, logs_request, metrics_request, snappy, span, traces_request, write_request
from tests.unit.ingest.null import NOW_NS, Bench
from tests.unit.ingest.test_remote_write import HEADERS
from twofold.aiops.ingest.clean.config import SkewConfig
from twofold.aiops.ingest.clean.skew import Clocks
from twofold.errors import ConfigError, StorageFull
from twofold.records.event import EventKind
from twofold.records.frame import FrameKind

SECOND = 10**9
PROTOBUF = {"content-type": "application/x-protobuf"}


def clocks(**more: Any) -> tuple[Clocks, dict[str, float | None]]:
    told: dict[str, float | None] = {}
    return Clocks(SkewConfig(**{"requests": 5} | more), told.__setitem__), told


@pytest.mark.parametrize(("offset_s", "word"), [(45, "behind ours"), (-45, "ahead of ours")])
def test_a_clock_is_wrong_once_and_right_again_once(offset_s: int, word: str) -> None:
    watch, told = clocks()
    turns = []
    for number in range(30):
        off = offset_s if number < 15 else 1
        now = NOW_NS + number * 10 * SECOND
        turns.append(watch.note("main", "service:cart", now - off * SECOND, now))
    events = [event for event in turns if event is not None]
    assert [event.state for event in events] == ["wrong", "right"]
    assert word in events[0].title
    assert events[0].kind is EventKind.NOTICE
    assert turns.index(events[0]) == 4, "as soon as there are enough requests"
    assert told == {"service:cart": None}


def test_one_late_request_does_not_make_a_clock_wrong() -> None:
    watch, told = clocks()
    for number in range(50):
        now = NOW_NS + number * SECOND
        late = 3600 if number % 5 == 0 else 2
        assert watch.note("main", "service:cart", now - late * SECOND, now) is None
    assert not told


def test_between_half_the_limit_and_the_limit_nothing_turns() -> None:
    watch, _ = clocks()
    states = []
    for off in [31] * 5 + [20, 29, 20, 29, 20, 29] + [10] * 5:
        event = watch.note("main", "service:cart", NOW_NS - off * SECOND, NOW_NS)
        states += [event.state] if event else []
    assert states == ["wrong", "right"]


def test_memory_is_bounded_and_a_forgotten_clock_leaves_the_metrics() -> None:
    watch, told = clocks(entities=2)
    for _ in range(5):
        watch.note("main", "service:old", NOW_NS - 60 * SECOND, NOW_NS)
    assert told == {"service:old": 60.0}
    for name in ("a", "b"):
        watch.note("main", f"service:{name}", NOW_NS, NOW_NS)
    assert told == {"service:old": None}
    with pytest.raises(ConfigError):
        SkewConfig(requests=1)


def send_all(bench: Bench, count: int) -> None:
    series = {"__name__": "up", "job": "write"}
    for _ in range(count):
        metrics = metrics_request(gauge("a", 1.0)).SerializeToString()
        assert bench.client.post("/v1/metrics", content=metrics, headers=PROTOBUF).status_code == 200
        assert bench.client.post("/v1/logs", content=logs_request("x").SerializeToString(), headers=PROTOBUF).is_success
        traces = traces_request(span("x")).SerializeToString()
        assert bench.client.post("/v1/traces", content=traces, headers=PROTOBUF).is_success
        body = snappy(write_request((series, [(NOW_NS // 10**6, 1.0)])))
        assert bench.client.post("/api/v1/write", content=body, headers=HEADERS).is_success


def test_every_signal_shows_the_clock_of_its_entity(bench: Bench) -> None:
    bench.now_ns = NOW_NS + 100 * SECOND
    send_all(bench, 15)
    found = bench.rows(FrameKind.EVENTS)
    entities = {event["entity"] for event in found}
    assert "service:write" in entities
    assert all(event["kind"] == "notice" and event["state"] == "wrong" for event in found)
    assert len(entities) == len(found)
    value = bench.counts.registry.get_sample_value("twofold_ingest_clock_offset_seconds", {"entity": "service:write"})
    assert value == 100


def test_the_backfill_lane_says_nothing_of_clocks(bench: Bench) -> None:
    bench.now_ns = NOW_NS + 1000 * SECOND
    body = snappy(write_request(({"__name__": "up", "job": "write"}, [(NOW_NS // 10**6, 1.0)])))
    for _ in range(20):
        bench.client.post("/api/v1/write", content=body, headers=HEADERS | {"x-twofold-lane": "backfill"})
    assert not bench.rows(FrameKind.EVENTS)


def test_an_event_that_cannot_be_stored_costs_the_sender_nothing(bench: Bench) -> None:
    bench.now_ns = NOW_NS + 100 * SECOND
    body = snappy(write_request(({"__name__": "up", "job": "write"}, [(NOW_NS // 10**6, 1.0)])))
    append = bench.journal.append

    def full(frames: Any) -> Any:
        if frames[0].kind is FrameKind.EVENTS:
            raise StorageFull("no space")
        return append(frames)

    bench.journal.append = full  # type: ignore[method-assign]  # a disk that fills up between two writes
    for _ in range(15):
        assert bench.client.post("/api/v1/write", content=body, headers=HEADERS).status_code == 204
    assert not bench.rows(FrameKind.EVENTS)
