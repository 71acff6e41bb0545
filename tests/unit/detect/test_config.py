"""Settings as the bytes of a released version; floors, sides and words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from twofold.aiops.detect import words
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import MIB, Floor, floor_of, kind_of, sides_of
from twofold.errors import ConfigError
from twofold.records.codec import from_json, to_json
from twofold.records.series import Series, SeriesKind
from twofold.stats.series.layout import COUNTER, DELTA, DOWN, FIRST_CHANGE, GAUGE, IGNORED, UP


def series(metric: str, unit: str = "", kind: SeriesKind = SeriesKind.GAUGE, **labels: str) -> Series:
    return Series(sid=1, metric=metric, unit=unit, kind=kind, entity="service:checkout", labels=labels)


def test_settings_survive_json_and_keep_their_hash() -> None:
    config = PanelConfig(persist_s=20, alerts_per_day=0.2)
    again = PanelConfig.from_json(config.to_json())
    assert again == config
    assert again.sha256 == config.sha256 != PanelConfig().sha256
    assert PanelConfig(persist_s=20).sha256 == PanelConfig(persist_s=20.0).sha256
    assert PanelConfig.from_json("{}") == PanelConfig()
    assert from_json(PanelConfig, to_json(config)) == config


@pytest.mark.parametrize(
    "text", ["", "[]", '{"unknown": 1}', '{"persist_s": "soon"}', '{"persist_s": -1}', '{"season_bins": 2}',
             '{"alerts_per_day": 0}', '{"tail_cap": 70000}', '{"season_rate": 1}', '{"clip": true}']
)  # fmt: skip
def test_what_is_no_setting_stops_it(text: str) -> None:
    with pytest.raises(ConfigError):
        PanelConfig.from_json(text)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (series("span.duration.p50", "s"), Floor(0.005, 0.25)),
        (series("http.latency", "ms"), Floor(5.0, 0.25)),
        (series("rpc_duration_seconds"), Floor(0.005, 0.25)),
        (series("span.error_ratio", "1"), Floor(0.033, 0.5)),
        (series("process.memory.usage", "By"), Floor(4 * MIB, 0.15)),
        (series("process_resident_memory_bytes"), Floor(4 * MIB, 0.15)),
        (series("process.cpu.time", "s", SeriesKind.COUNTER), Floor(0.1, 0.3)),
        (series("something.else"), Floor(0.0, 0.3)),
    ],
)
def test_the_floor_follows_signal_and_unit(one: Series, expected: Floor) -> None:
    assert floor_of(one) == expected


def test_sides_are_those_that_hurt() -> None:
    assert sides_of(series("span.duration.p95")) == UP
    assert sides_of(series("span.error_ratio")) == UP | FIRST_CHANGE
    assert sides_of(series("up")) == DOWN | FIRST_CHANGE
    assert sides_of(series("threads")) == UP | DOWN


def test_kinds_and_what_is_not_judged() -> None:
    assert kind_of(series("m")) == GAUGE
    assert kind_of(series("m", kind=SeriesKind.RATE)) == GAUGE
    assert kind_of(series("m", kind=SeriesKind.COUNTER)) == COUNTER
    assert kind_of(series("m", kind=SeriesKind.DELTA)) == DELTA
    for metric in ("http_duration_bucket", "http.duration.sum", "scrape_duration_seconds", "otel.sdk.span.live"):
        assert kind_of(series(metric, kind=SeriesKind.COUNTER)) == IGNORED


def test_reasons_are_plain_words_with_numbers() -> None:
    since = datetime(2026, 1, 1, 10, 2, 15, tzinfo=UTC)
    latency = series("span.duration.p95", "s", callee="service:payment")
    assert words.left_band(latency, 0.812, 0.089, since) == (
        "span.duration.p95 of checkout -> payment is 812 ms, 9.12 x its expected 89 ms, since 10:02:15"
    )
    assert words.left_band(series("span.error_ratio", "1"), 0.3, 1e-17, since) == (
        "span.error_ratio of checkout is 0.3, expected 0, since 10:02:15"
    )
    assert words.left_band(series("span.rate", "1/s", operation="GET /"), 0.0, 12.0, since) == (
        "span.rate of checkout (GET /) is 0/s, expected 12/s, since 10:02:15"
    )
    counter = series("cpu.time", "s", SeriesKind.COUNTER, core="1")
    assert (
        words.recovered(counter, 0.5, 75)
        == "cpu.time of checkout (core=1) is back in its band at 0.5 s/s, after 1 min 15 s"
    )
    assert words.who(replace(latency, entity="")) == "an unknown entity -> payment"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "s", "0 s"),
        (3.2e-5, "s", "32 us"),
        (90.0, "s", "90 s"),
        (512.0, "By", "512 By"),
        (2048.0, "By", "2 KiB"),
        (3.5 * 1024**3, "By", "3.5 GiB"),
        (87.5, "%", "87.5%"),
        (12345.6, "{item}", "12,346 {item}"),
        (2.5e9, "", "2.50e+09"),
        (-0.05, "s", "-50 ms"),
    ],
)
def test_quantities_have_three_digits_and_a_unit(value: float, unit: str, text: str) -> None:
    assert words.quantity(value, unit) == text
