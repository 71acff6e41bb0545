"""Spans to series: windows, groups, quantiles, joins, lateness."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.detect.telemetry import MemoryCatalog, ns, span, spans, values_of
from twofold.aiops.detect.groups import GroupConfig
from twofold.aiops.detect.red import OLD_CHUNK, Red, RedConfig
from twofold.aiops.detect.windows import WindowConfig
from twofold.errors import ConfigError, Corrupt
from twofold.records.columns import DerivedSamples
from twofold.records.example import Exemplar
from twofold.records.series import Origin, Series


@pytest.fixture
def catalog() -> MemoryCatalog:
    return MemoryCatalog()


def test_a_window_closes_when_the_watermark_is_past_it_and_its_grace(catalog: MemoryCatalog) -> None:
    red = Red(catalog)
    assert red.process([spans(span("service:a", "1", at_s=1))]) == ()
    assert red.advance(ns(7.9)) == []
    made = red.advance(ns(8))
    derived = [item for item in made if isinstance(item, DerivedSamples)]
    assert [item.window_ns for item in derived] == [ns(5)]
    assert red.advance(ns(60)) == []


def test_rate_errors_and_quantiles_are_those_of_the_spans(catalog: MemoryCatalog) -> None:
    red = Red(catalog)
    durations = np.random.default_rng(1).exponential(50, 200)
    rows = [span("service:a", f"{i}", at_s=1, ms=ms, error=i < 30) for i, ms in enumerate(durations)]
    red.process([spans(*rows)])
    found = values_of(red.advance(ns(20)), catalog)
    (_, rate), (_, errors) = found["service:a", "span.rate", ""][0], found["service:a", "span.error_ratio", ""][0]
    assert rate == 40.0
    assert errors == pytest.approx(0.15)
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        ((at, value),) = found["service:a", f"span.duration.{name}", ""]
        assert at == 5.0
        assert value == pytest.approx(np.quantile(durations, q) / 1000, rel=1e-6)


def test_definitions_come_before_samples_and_only_once(catalog: MemoryCatalog) -> None:
    red = Red(catalog)
    red.process([spans(span("service:a", "1", at_s=1))])
    first = red.advance(ns(8))
    assert [type(item) for item in first[:6]] == [Series] * 5 + [DerivedSamples]
    assert {item.origin for item in first if isinstance(item, Series)} == {Origin.SPAN}
    red.process([spans(span("service:a", "2", at_s=6))])
    assert not [item for item in red.advance(ns(13)) if isinstance(item, Series)]


def test_one_operation_is_told_by_the_total_alone_and_two_are_told_apart(catalog: MemoryCatalog) -> None:
    red = Red(catalog)
    red.process([spans(span("service:a", "1", at_s=1, name="GET /x"))])
    assert {key[2] for key in values_of(red.advance(ns(8)), catalog)} == {""}
    red.process([spans(span("service:a", "2", at_s=6, name="GET /y"))])
    found = values_of(red.advance(ns(13)), catalog)
    assert found["service:a", "span.rate", "GET /x"] == [(10.0, 0.0)]
    assert found["service:a", "span.rate", "GET /y"] == [(10.0, 0.2)]


def test_a_quiet_group_has_rate_zero_and_no_errors_or_durations(catalog: MemoryCatalog) -> None:
    red = Red(catalog)
    red.process([spans(span("service:a", "1", at_s=1), span("service:b", "2", at_s=1))])
    red.advance(ns(8))
    red.process([spans(span("service:b", "3", at_s=6))])
    found = values_of(red.advance(ns(13)), catalog)
    assert found["service:a", "span.rate", ""] == [(10.0, 0.0)]
    assert ("service:a", "span.error_ratio", "") not in found
    assert ("service:a", "span.duration.p50", "") not in found


def test_a_window_without_any_span_says_nothing(catalog: MemoryCatalog) -> None:
    red = Red(catalog)
    red.process([spans(span("service:a", "1", at_s=1), span("service:a", "2", at_s=21))])
    times = {at for row in values_of(red.advance(ns(60)), catalog).values() for at, _ in row}
    assert times == {5.0, 25.0}


def test_an_idle_group_falls_silent(catalog: MemoryCatalog) -> None:
    red = Red(catalog, RedConfig(groups=GroupConfig(idle_s=30)))
    red.process(
        [spans(span("service:a", "1", at_s=1), *(span("service:b", f"b{i}", at_s=i * 5 + 1) for i in range(12)))]
    )
    rates = values_of(red.advance(ns(100)), catalog)["service:a", "span.rate", ""]
    assert [at for at, _ in rates] == [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]


def test_a_client_span_counts_under_the_peer_it_names(catalog: MemoryCatalog) -> None:
    red = Red(catalog)
    red.process([spans(span("service:a", "1", at_s=1, kind=3, ms=30, peer="database:shop", error=True))])
    found = values_of(red.advance(ns(8)), catalog)
    assert found["service:a", "span.error_ratio", "-> shop"] == [(5.0, 1.0)]
    assert found["service:a", "span.duration.p95", "-> shop"][0] == pytest.approx((5.0, 0.03))


@pytest.mark.parametrize("parent_first", [True, False])
def test_a_nameless_client_span_is_joined_with_the_span_it_caused(
    catalog: MemoryCatalog, *, parent_first: bool
) -> None:
    red = Red(catalog)
    client = spans(span("service:a", "c1", at_s=4.0, kind=3, ms=2000))
    server = spans(span("service:b", "s1", at_s=4.1, kind=2, ms=200, parent="c1"))
    red.process([client, server] if parent_first else [server, client])
    found = values_of(red.advance(ns(20)), catalog)
    assert found["service:a", "span.duration.p50", "-> b"][0] == pytest.approx((10.0, 2.0))


def test_internal_spans_and_negative_durations_do_no_harm(catalog: MemoryCatalog) -> None:
    red = Red(catalog)
    red.process([spans(span("service:a", "1", at_s=1, kind=1), span("service:a", "2", at_s=2, kind=2, ms=-5))])
    found = values_of(red.advance(ns(8)), catalog)
    assert found["service:a", "span.rate", ""] == [(5.0, 0.2)]
    assert found["service:a", "span.duration.p50", ""] == [(5.0, 0.0)]


def test_a_span_a_little_late_counts_in_the_open_window_and_a_very_late_one_is_counted_as_dropped(
    catalog: MemoryCatalog,
) -> None:
    red = Red(catalog)
    red.process([spans(span("service:a", "1", at_s=61))])
    red.advance(ns(68))
    red.process([spans(span("service:a", "2", at_s=62), span("service:a", "3", at_s=1))])
    found = values_of(red.advance(ns(80)), catalog)
    assert found["service:a", "span.rate", ""] == [(70.0, 0.2)]
    assert red.dropped["late"] == 1


def test_operations_past_the_limit_are_counted_together(catalog: MemoryCatalog) -> None:
    red = Red(catalog, RedConfig(groups=GroupConfig(max_members=2)))
    red.process([spans(*(span("service:a", f"{i}", at_s=1, name=f"GET /{i}") for i in range(10)))])
    found = values_of(red.advance(ns(8)), catalog)
    assert {key[2] for key in found} == {"", "GET /0", "GET /1", "(other)"}
    assert found["service:a", "span.rate", "(other)"][0] == pytest.approx((5.0, 1.6))


def test_series_that_the_catalog_refuses_are_counted_and_stop_nothing() -> None:
    catalog = MemoryCatalog(limit=7)
    red = Red(catalog)
    red.process([spans(span("service:a", "1", at_s=1), span("service:b", "2", at_s=1))])
    found = values_of(red.advance(ns(8)), catalog)
    assert len(found) == 7
    assert red.dropped["cardinality"] == 3


def test_the_slowest_and_the_slowest_failed_span_are_kept_as_exemplars(catalog: MemoryCatalog) -> None:
    red = Red(catalog)
    rows = [span("service:a", f"{i}", at_s=1, ms=10 * i, error=i in {2, 3}) for i in range(1, 8)]
    red.process([spans(*rows)])
    kept = [item for item in red.advance(ns(8)) if isinstance(item, Exemplar)]
    assert [(item.trace_id.lstrip("0"), item.error, item.operation) for item in kept] == [
        ("3", True, "GET /"),
        ("7", False, "GET /"),
    ]


def test_how_a_batch_is_cut_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    rows = [
        span(f"service:{rng.integers(3)}", f"{i}", at_s=i * 0.05, ms=float(rng.exponential(20)), name=f"op{i % 4}")
        for i in range(600)
    ]
    results = []
    for size in (600, 100, 7):
        catalog = MemoryCatalog()
        red = Red(catalog)
        for begin in range(0, len(rows), size):
            red.process([spans(*rows[begin : begin + size])])
        results.append(values_of(red.advance(ns(60)), catalog))
    assert results[0] == results[1] == results[2]


def test_a_state_of_another_kind_is_corrupt(catalog: MemoryCatalog) -> None:
    with pytest.raises(Corrupt):
        Red(catalog).restore({"groups": b"[]"})
    state = dict(Red(catalog).snapshot())
    with pytest.raises(Corrupt):
        Red(catalog).restore({**state, "chunks": b"no arrow"})


def test_a_window_must_have_a_width() -> None:
    with pytest.raises(ConfigError, match="window_s"):
        WindowConfig(window_s=0)


def test_each_batch_keeps_what_may_be_an_exemplar_of_its_window_and_no_dropped_span_hides_one(
    catalog: MemoryCatalog,
) -> None:
    red = Red(catalog)
    red.process([spans(span("service:a", "1", at_s=100))])
    red.advance(ns(110))
    rows = [
        span("service:a", "2", at_s=111, ms=30),
        span("service:a", "3", at_s=111, ms=20),
        span("service:a", "4", at_s=111, ms=30, error=True),
        span("service:a", "5", at_s=116, ms=10, kind=3, peer="service:b"),
        span("service:a", "6", at_s=117, ms=40),
        span("service:a", "7", at_s=1, ms=9000),
    ]
    red.process([spans(*rows)])
    assert red.dropped["late"] == 1
    kept = [item for item in red.advance(ns(130)) if isinstance(item, Exemplar)]
    assert [item.trace_id.lstrip("0") for item in kept] == ["4", "6", "5"]
    stored = [text for batch in red._chunks.near() for text in batch.column("trace_id").to_pylist() if text]
    assert stored == [item.trace_id for item in kept[1:]][::-1], "no other trace id takes memory"


def test_the_state_of_the_version_before_is_read(catalog: MemoryCatalog) -> None:
    red, again = Red(catalog), Red(catalog)
    rows = [
        span("service:a", "f" * 16, at_s=1, ms=20, kind=3),
        span("service:b", "0f" * 8, at_s=1, ms=10, parent="f" * 16),
    ]
    red.process([spans(*rows)])
    state = dict(red.snapshot())
    with pa.ipc.open_stream(bytes(state["chunks"])) as reader:
        batches = list(reader)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, OLD_CHUNK) as writer:
        for batch in batches:
            links = ["f" * 16 if batch.num_rows else ""] * batch.num_rows
            old = [batch.column(name).cast(OLD_CHUNK.field(name).type) for name in OLD_CHUNK.names[:-1]]
            writer.write_batch(pa.record_batch([*old, pa.array(links, pa.string())], schema=OLD_CHUNK))
    again.restore({**state, "chunks": sink.getvalue().to_pybytes()})
    assert [repr(item) for item in again.advance(ns(9)) if isinstance(item, Exemplar)] == [
        repr(item) for item in red.advance(ns(9)) if isinstance(item, Exemplar)
    ]
