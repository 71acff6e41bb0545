"""Log lines to rates, and lines kept as evidence."""

from __future__ import annotations

import pytest

from tests.unit.detect.telemetry import MemoryCatalog, line, logs, ns, span, spans, values_of
from twofold.aiops.detect.lograte import LogRate, LogRateConfig
from twofold.errors import Corrupt
from twofold.records.example import LogExample


@pytest.fixture
def catalog() -> MemoryCatalog:
    return MemoryCatalog()


def test_errors_and_warnings_are_counted_by_severity(catalog: MemoryCatalog) -> None:
    stage = LogRate(catalog)
    lines = [line("service:a", "x", at_s=1, severity=s) for s in (0, 9, 12, 13, 16, 17, 21, 24)]
    stage.process([logs(*lines)])
    found = values_of(stage.advance(ns(8)), catalog)
    assert found["service:a", "log.error_rate", ""] == [pytest.approx((5.0, 0.6))]
    assert found["service:a", "log.warn_rate", ""] == [pytest.approx((5.0, 0.4))]


def test_a_service_known_from_spans_has_a_quiet_past_before_its_first_line(catalog: MemoryCatalog) -> None:
    stage = LogRate(catalog)
    stage.process([spans(span("service:a", "1", at_s=1)), spans(span("service:a", "2", at_s=6))])
    stage.process([logs(line("service:a", "boom", at_s=11))])
    found = values_of(stage.advance(ns(30)), catalog)
    assert found["service:a", "log.error_rate", ""] == [(5.0, 0.0), (10.0, 0.0), (15.0, 0.2)]


def test_the_worst_and_newest_lines_are_kept_and_cut(catalog: MemoryCatalog) -> None:
    stage = LogRate(catalog, LogRateConfig(examples=2, body_chars=5))
    stage.process(
        [
            logs(
                line("service:a", "warning", at_s=4, severity=13),
                line("service:a", "error one", at_s=1, trace="t1"),
                line("service:a", "error two", at_s=2),
                line("service:b", "fine", at_s=2, severity=9),
            )
        ]
    )
    kept = [item for item in stage.advance(ns(8)) if isinstance(item, LogExample)]
    assert [(item.entity, item.body, item.trace_id) for item in kept] == [
        ("service:a", "error", ""),
        ("service:a", "error", "t1"),
    ]


def test_series_that_the_catalog_refuses_are_counted(catalog: MemoryCatalog) -> None:
    catalog.limit = 1
    stage = LogRate(catalog)
    stage.process([logs(line("service:a", "x", at_s=1))])
    assert len(values_of(stage.advance(ns(8)), catalog)) == 1
    assert stage.dropped["cardinality"] == 1


def test_late_lines_are_counted(catalog: MemoryCatalog) -> None:
    stage = LogRate(catalog)
    stage.process([logs(line("service:a", "x", at_s=100))])
    stage.advance(ns(110))
    stage.process([logs(line("service:a", "x", at_s=1, severity=9))])
    assert stage.dropped["late"] == 1


def test_a_state_of_another_kind_is_corrupt(catalog: MemoryCatalog) -> None:
    with pytest.raises(Corrupt):
        LogRate(catalog).restore({"entities": b"{}"})
