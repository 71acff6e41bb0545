"""What is done to a series when it is first seen, and what becomes of its points ever after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.ingest.messages import gauge, histogram, metrics_request, snappy, write_request
from tests.unit.ingest.null import NOW_NS, Bench
from tests.unit.ingest.test_remote_write import HEADERS
from twofold.aiops.ingest.clean.config import Action, CleanConfig, RelabelRule
from twofold.aiops.ingest.clean.units import CONVERSIONS, conversion_of, convert
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.known import Known
from twofold.aiops.ingest.prometheus import remote_write
from twofold.aiops.ingest.rows import CROWDED, DROPPED, REFUSED, Rows
from twofold.aiops.ingest.series import SeriesIndex
from twofold.records.frame import FrameKind
from twofold.store.catalog.files import FileCatalog

MS = NOW_NS // 10**6
DAY_MS = 86_400_000


def bench_of(catalog: Any = None, *, walker: bool = False, **clean: Any) -> Bench:
    more = {} if catalog is None else {"catalog": catalog}
    return Bench(config=IngestConfig(walker=walker, clean=CleanConfig(**clean)), **more)


def write(bench: Bench, *series: tuple[dict[str, str], list[tuple[int, float]]], **headers: str) -> Any:
    """Send, and see that the account is even (P5)."""
    answer = bench.client.post("/api/v1/write", content=snappy(write_request(*series)), headers=HEADERS | headers)
    assert not bench.counts.imbalance()
    return answer


def points(bench: Bench) -> dict[str, list[float]]:
    """Values by metric and labels, as text."""
    return {
        f"{metric} {' '.join(f'{key}={value}' for key, value in labels)}".strip(): [value for _, value in found]
        for (metric, labels), found in bench.samples().items()
    }


def series(bench: Bench) -> list[dict[str, Any]]:
    return bench.rows(FrameKind.SERIES)


UP = {"__name__": "up", "job": "cart", "env": "test"}
LOAD = {"__name__": "load", "job": "cart", "env": "live"}


def test_a_dropped_series_is_counted_by_its_rule_and_costs_the_sender_nothing() -> None:
    rules = (
        RelabelRule(source_labels=("env",), regex="test", action=Action.DROP, name="tests"),
        RelabelRule(source_labels=("__name__",), regex="go_.*", action=Action.DROP),
    )
    bench = bench_of(relabel=rules)
    gone = {"__name__": "go_gc", "job": "cart"}
    for _ in range(2):
        answer = write(bench, (UP, [(MS, 1.0), (MS + 1, 1.0)]), (LOAD, [(MS, 2.0)]), (gone, [(MS, 3.0)]))
        assert answer.status_code == 204
    assert points(bench) == {"load env=live job=cart": [2.0, 2.0]}
    assert bench.counts.total(Item.POINTS).dropped == {"relabel_tests": 4, "relabel_2": 2}
    assert [each["metric"] for each in series(bench)] == ["load"]


def test_known_dropped_series_stay_on_the_short_way() -> None:
    bench = bench_of(walker=True, relabel=(RelabelRule(source_labels=("env",), regex="test", action=Action.DROP),))
    known = bench.ingest._write.known
    known.compile()
    body = write_request((UP, [(MS, 1.0)]), (LOAD, [(MS, 2.0)])).SerializeToString()
    write(bench, (UP, [(MS, 1.0)]), (LOAD, [(MS, 2.0)]))
    walked = known.walk(body)
    assert walked is not None
    rows = known.rows(walked, "main")
    assert rows is not None
    assert rows.sid.tolist()[0] == DROPPED
    write(bench, (UP, [(MS, 1.0)]), (LOAD, [(MS, 2.0)]))
    assert points(bench) == {"load env=live job=cart": [2.0, 2.0]}
    assert bench.counts.total(Item.POINTS).dropped == {"relabel_1": 2}


def test_a_rule_that_drops_buckets_keeps_the_count_and_the_sum() -> None:
    bench = bench_of(relabel=(RelabelRule(source_labels=("__name__",), regex=r".*\.bucket", action=Action.DROP),))
    request = metrics_request(histogram("latency", [0.1, 1.0], [1, 2, 3], 4.0))
    bench.client.post(
        "/v1/metrics", content=request.SerializeToString(), headers={"content-type": "application/x-protobuf"}
    )
    assert {each["metric"] for each in series(bench)} == {"latency.count", "latency.sum"}
    total = bench.counts.total(Item.POINTS)
    assert (total.received, total.stored, total.dropped) == (1, 1, {})


def test_labels_are_rewritten_and_the_entity_follows_them() -> None:
    rules = (
        RelabelRule(source_labels=("job",), regex="(.*)-prod", target_label="job"),
        RelabelRule(action=Action.LABELDROP, regex="env|pod"),
        RelabelRule(source_labels=("__name__",), regex="shop_(.*)", target_label="__name__"),
        RelabelRule(source_labels=("kind",), regex="db", target_label="__entity__", replacement="database:main"),
        RelabelRule(target_label="__tmp", replacement="x"),
    )
    bench = bench_of(relabel=rules)
    write(
        bench,
        ({"__name__": "shop_load", "job": "cart-prod", "env": "live", "pod": "1"}, [(MS, 1.0)]),
        ({"__name__": "shop_load", "job": "cart-prod", "env": "live", "pod": "2"}, [(MS + 1, 2.0)]),
        ({"__name__": "rows", "job": "pg", "kind": "db"}, [(MS, 3.0)]),
    )
    assert points(bench) == {"load job=cart": [1.0, 2.0], "rows job=pg kind=db": [3.0]}
    assert {each["metric"]: each["entity"] for each in series(bench)} == {
        "load": "service:cart",
        "rows": "database:main",
    }


@pytest.mark.parametrize("said", ["main", "planet:mars", "database:", "${9}"])
def test_what_is_no_entity_does_not_become_one(said: str) -> None:
    bench = bench_of(relabel=(RelabelRule(target_label="__entity__", replacement=said),))
    write(bench, (LOAD, [(MS, 1.0)]))
    assert [each["entity"] for each in series(bench)] == ["service:cart"]


def test_a_series_without_a_name_is_dropped() -> None:
    bench = bench_of(relabel=(RelabelRule(target_label="__name__", replacement="", regex=".*"),))
    assert write(bench, (UP, [(MS, 1.0)])).status_code == 204
    assert bench.counts.total(Item.POINTS).dropped == {"relabel_nameless": 1}


def test_values_are_converted_to_base_units_by_unit_and_by_name() -> None:
    bench = bench_of(units=True)
    bench.client.post(
        "/v1/metrics",
        content=metrics_request(gauge("queue.wait", 250.0, unit="ms"), gauge("plain", 7.0)).SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )
    rpc = {"__name__": "rpc_latency_milliseconds_bucket", "job": "a", "le": "250"}
    write(
        bench,
        (rpc, [(MS, 3.0)]),
        (rpc | {"__name__": "rpc_latency_milliseconds_sum"} | {"le": ""}, [(MS, 500.0)]),
        (rpc | {"__name__": "rpc_latency_milliseconds_count"} | {"le": ""}, [(MS, 3.0)]),
    )
    found = {each["metric"]: each["unit"] for each in series(bench)}
    assert found == {
        "queue.wait": "s",
        "plain": "",
        "rpc_latency_seconds_bucket": "1",
        "rpc_latency_seconds_sum": "s",
        "rpc_latency_seconds_count": "1",
    }
    values = {key.partition(" ")[0]: value for key, value in points(bench).items()}
    assert values["queue.wait"] == [0.25]
    assert values["rpc_latency_seconds_sum"] == [0.5]
    assert "rpc_latency_seconds_bucket job=a le=0.25" in points(bench)


def test_the_short_way_converts_too() -> None:
    bench = bench_of(walker=True, units=True)
    known = bench.ingest._write.known
    known.compile()
    wait, plain = {"__name__": "wait_milliseconds", "job": "a"}, {"__name__": "plain", "job": "a"}
    for value in (250.0, 500.0):
        write(bench, (wait, [(MS, value)]), (plain, [(MS, value)]))
    walked = known.walk(write_request((wait, [(MS, 1.0)]), (plain, [(MS, 1.0)])).SerializeToString())
    assert walked is not None
    assert known.rows(walked, "main") is not None, "the second request took the short way"
    assert points(bench) == {"wait_seconds job=a": [0.25, 0.5], "plain job=a": [250.0, 500.0]}


def test_without_the_setting_units_stay() -> None:
    bench = bench_of()
    write(bench, ({"__name__": "wait_milliseconds", "job": "a"}, [(MS, 250.0)]))
    assert points(bench) == {"wait_milliseconds job=a": [250.0]}


@given(st.sampled_from(sorted(CONVERSIONS)), st.sampled_from(["", "_total", "_sum"]))
def test_a_converted_series_is_not_converted_again(unit: str, tail: str) -> None:
    conversion = CONVERSIONS[unit]
    metric, labels, base, factor = convert(f"x_{conversion.ending[0]}{tail}", {}, unit)
    assert (base, factor) == (conversion.base, conversion.factor)
    assert conversion_of(metric, base) is None
    assert convert(metric, labels, base) == (metric, labels, base, 1.0)


def test_old_live_samples_are_refused_and_the_backfill_lane_takes_them() -> None:
    bench = bench_of()
    answer = write(bench, (LOAD, [(MS - DAY_MS - 1000, 1.0), (MS - DAY_MS + 1000, 2.0), (MS, 3.0)]))
    assert answer.status_code == 400
    assert "too_old 1" in answer.text
    assert points(bench) == {"load env=live job=cart": [2.0, 3.0]}
    assert write(bench, (LOAD, [(5, 1.0)]), **{"x-twofold-lane": "backfill"}).status_code == 204


def users(count: int, start: int = 0) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
    return [
        ({"__name__": "requests", "job": "cart", "user_id": f"u{number}", "zone": f"z{number % 3}"}, [(MS, 1.0)])
        for number in range(start, start + count)
    ]


def test_a_limit_names_the_metric_and_the_label_that_fill_it(tmp_path: Path) -> None:
    bench = bench_of(FileCatalog(tmp_path, limit_per_metric=50))
    answer = write(bench, *users(60), (LOAD, [(MS, 1.0)]))
    assert answer.status_code == 400
    assert "metric_cardinality 10" in answer.text
    assert "metric requests has 50 series; its label user_id has 50 values" in answer.text
    assert bench.counts.total(Item.POINTS).stored == 51
    assert write(bench, *users(50)).status_code == 204, "known series go on"
    refused = {"metric": "requests", "label": "user_id"}
    assert bench.counts.registry.get_sample_value("twofold_ingest_refused_series_total", refused) == 10


def test_a_tenants_limit_names_its_largest_metric(tmp_path: Path) -> None:
    bench = bench_of(FileCatalog(tmp_path, limit_per_tenant=40))
    answer = write(bench, *users(40), (LOAD, [(MS, 1.0)]))
    assert "cardinality 1" in answer.text
    assert "tenant main may have 40 series" in answer.text
    assert "label user_id has 40 values" in answer.text


def test_a_refused_series_stays_on_the_short_way_and_is_asked_for_again_each_minute(tmp_path: Path) -> None:
    """So one metric past its limit does not slow down what is sent with it, and room that is made is found."""
    catalog = FileCatalog(tmp_path, limit_per_metric=5)
    index = SeriesIndex(catalog)
    now = [0.0]
    known = Known("write", lambda: now[0])
    known.compile()
    body = write_request(*users(7)).SerializeToString()
    asked = []

    def validated() -> Rows:
        asked.append(now[0])
        return remote_write.rows_of(remote_write.parse(body), index, {}, "main")

    for second in range(0, 200, 10):
        now[0] = float(second)
        assert known.decode(body, "main", validated).sid.tolist()[5:] == [CROWDED, CROWDED]
    assert asked == [0.0, 60.0, 120.0, 180.0]
    catalog._limit_per_metric = 6
    now[0] = 300.0
    assert [sid >= 0 for sid in known.decode(body, "main", validated).sid.tolist()] == [True] * 6 + [False]
    now[0] = 301.0
    assert [sid >= 0 for sid in known.decode(body, "main", validated).sid.tolist()] == [True] * 6 + [False]
    assert asked[-1] == 300.0


def test_refused_series_past_the_most_that_are_kept_take_the_long_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.aiops.ingest.known.MAX_REFUSED", 2)
    index = SeriesIndex(FileCatalog(tmp_path, limit_per_metric=5))
    known = Known("write", lambda: 0.0)
    known.compile()
    calls = 0

    def decode(body: bytes) -> list[int]:
        def validated() -> Rows:
            nonlocal calls
            calls += 1
            return remote_write.rows_of(remote_write.parse(body), index, {}, "main")

        found: list[int] = known.decode(body, "main", validated).sid.tolist()
        return found

    few, many = (write_request(*users(count)).SerializeToString() for count in (7, 8))
    for body in (few, few, many, many):
        assert set(decode(body)[5:]) == {CROWDED}
    assert calls == 3, "once for the few, each time for the many"


def test_the_short_way_keeps_refusing_and_storing(tmp_path: Path) -> None:
    bench = bench_of(FileCatalog(tmp_path, limit_per_metric=5), walker=True)
    bench.ingest._write.known.compile()
    for _ in range(3):
        assert "its label user_id has 5 values" in write(bench, *users(6)).text
    total = bench.counts.total(Item.POINTS)
    assert (total.stored, total.rejected) == (15, {"metric_cardinality": 3})


ROWS = st.lists(
    st.tuples(
        st.sampled_from([REFUSED, 1, 2, DROPPED, DROPPED + 1]),
        st.sampled_from([0, 5, NOW_NS, NOW_NS + 10**12]),
        st.sampled_from([1.0, float("nan"), float("inf")]),
        st.booleans(),
    ),
    max_size=30,
)


@given(ROWS)
def test_every_point_is_stored_rejected_or_dropped_once(found: list[tuple[int, int, float, bool]]) -> None:
    """Conservation, for any mix of faults and for points of several rows."""
    point = np.cumsum([begins for *_, begins in found]).astype(np.int32) if found else np.zeros(0, np.int32)
    point -= point.min() if len(point) else 0
    rows = Rows(
        np.array([sid for sid, *_ in found], np.int64),
        np.array([time_ns for _, time_ns, *_ in found], np.int64),
        np.array([value for *_, value, _ in found], np.float64),
        point,
        int(point.max()) + 1 if len(point) else 0,
    )
    kept, outcome = rows.screen(NOW_NS, 600.0, 86_400.0, ("one", "two"))
    assert outcome.received == outcome.stored + outcome.rejected.total() + outcome.dropped.total() == rows.points
    assert outcome.rows == len(kept.sid)
    assert set(kept.sid.tolist()) <= {1, 2}
    assert np.isfinite(kept.value).all()
    assert len(np.unique(kept.point)) == kept.points


@pytest.mark.parametrize("drops", [(), ("rule",)])
def test_a_clean_request_is_passed_on_as_it_is(drops: tuple[str, ...]) -> None:
    rows = Rows(np.array([1, 2], np.int64), np.full(2, NOW_NS), np.array([1.0, 2.0]), np.array([0, 1], np.int32), 2)
    kept, _ = rows.screen(NOW_NS, 600.0, 86_400.0, drops)
    assert kept is rows
