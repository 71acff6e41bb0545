"""Predictions become series: quiet without drift, loud with it, the same after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from twofold.errors import ConfigError, Corrupt
from twofold.flow.stage import Stage
from twofold.mlops.monitor.drift import DriftConfig, DriftStage
from twofold.mlops.serve.log import Entry, batch
from twofold.mlops.train.reference import numbers, text
from twofold.records.columns import DerivedSamples, Predictions
from twofold.records.frame import Lane
from twofold.records.profile import Profile
from twofold.records.series import Origin, Series
from twofold.records.time import SECOND_NS
from twofold.store.catalog.files import FileCatalog

START = 1_750_000_000 * SECOND_NS
RANDOM = np.random.default_rng(11)
KNOWN = RANDOM.normal(size=(4000, 2))
PROFILE = Profile(
    inputs=(
        numbers("a", KNOWN[:, 0]),
        text("word", np.array(["x"] * 3000 + ["y"] * 1000, dtype=object)),
        numbers("b", KNOWN[:, 1]),
    ),
    outputs=(numbers("score", KNOWN.sum(axis=1)),),
    rows=4000,
)


class Stream:
    """Predictions second by second, and the series that come out."""

    def __init__(self, catalog: FileCatalog, **config: Any) -> None:
        self.catalog = catalog
        self.config = DriftConfig(**config)
        self.stage = self.fresh()
        self.second = 0
        self.found: dict[tuple[str, str], list[tuple[int, float]]] = {}
        self.defined: list[Series] = []
        self.derived: list[DerivedSamples] = []

    def fresh(self) -> DriftStage:
        return DriftStage(self.catalog, lambda _model, version: PROFILE if version == "1" else None, self.config)

    def run(
        self,
        seconds: int,
        *,
        rows: int = 10,
        shift: float = 0.0,
        words: str = "xxxy",
        version: str = "1",
        stage: str = "live",
        failed: bool = False,
        latency_ms: float = 5.0,
    ) -> None:
        for _ in range(seconds):
            entries = list(self._entries(rows, shift, words, version, stage, failed=failed, latency_ms=latency_ms))
            if entries:
                self.stage.process([Predictions(data=batch(entries))])
            self.second += 1
            self.take(self.stage.advance(START + self.second * SECOND_NS))

    def _entries(
        self, rows: int, shift: float, words: str, version: str, stage: str, *, failed: bool, latency_ms: float
    ) -> Iterator[Entry]:
        for row in range(rows):
            values = RANDOM.normal(size=(1, 2)) + np.array([shift, 0.0])
            outputs: npt.NDArray[np.float64] = np.empty((1, 0)) if failed else values.sum(axis=1, keepdims=True)
            time_ns = START + self.second * SECOND_NS + row * 1000
            word = words[int(RANDOM.integers(len(words)))]
            latency_ns = int(latency_ms * 1e6)
            yield Entry(time_ns, "toy", version, stage, f"{time_ns}", latency_ns, values, [(word,)], outputs)

    def take(self, made: Any) -> None:
        for item in made:
            if isinstance(item, Series):
                self.defined.append(item)
                continue
            assert isinstance(item, DerivedSamples)
            self.derived.append(item)
            for sid, time_ns, value in zip(*(column.tolist() for column in item.columns()), strict=True):
                series = self.catalog.get(sid, tenant="main")
                name = series.labels.get("feature") or series.labels.get("output") or ""
                key = (series.metric, f"{name}/{series.labels['version']}" if name else series.labels["version"])
                self.found.setdefault(key, []).append((time_ns, value))

    def values(self, metric: str, name: str) -> list[float]:
        return [value for _, value in self.found.get((metric, name), [])]


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(FileCatalog(tmp_path / "catalog"))


def test_it_is_a_stage(stream: Stream) -> None:
    assert isinstance(stream.stage, Stage)


def test_a_healthy_model_is_quiet_and_fully_described(stream: Stream) -> None:
    stream.run(123)
    for name in ("a/1", "b/1", "word/1"):
        values = stream.values("model.drift.psi", name)
        assert len(values) == 11
        assert max(np.abs(values)) < 0.1
    assert max(np.abs(stream.values("model.output.psi", "score/1"))) < 0.1
    assert stream.values("model.request_rate", "1") == pytest.approx([10.0] * 12)
    assert stream.values("model.error_ratio", "1") == [0.0] * 12
    assert stream.values("model.latency.p95", "1") == pytest.approx([0.005] * 12, rel=0.1)
    assert np.mean(stream.values("model.prediction.mean", "1")) == pytest.approx(0.0, abs=0.15)


def test_series_belong_to_the_feature_or_the_model(stream: Stream) -> None:
    stream.run(60)
    entities = {(series.metric, series.labels.get("feature", "")): series.entity for series in stream.defined}
    assert entities["model.drift.psi", "word"] == "feature:toy/word"
    assert entities["model.output.psi", ""] == "model:toy"
    assert {series.origin for series in stream.defined} == {Origin.MODEL}
    assert all(series.labels["model"] == "toy" and series.labels["version"] == "1" for series in stream.defined)
    assert len({series.sid for series in stream.defined}) == len(stream.defined) == 8


def test_windows_come_in_order_each_once_at_its_end(stream: Stream) -> None:
    stream.run(65)
    ends = [one.window_ns for one in stream.derived]
    assert ends == [START + second * SECOND_NS for second in (10, 20, 30, 40, 50, 60)]
    assert all(set(one.columns()[1].tolist()) == {one.window_ns} for one in stream.derived)


def test_only_the_shifted_input_and_the_output_become_loud(stream: Stream) -> None:
    stream.run(120)
    stream.run(60, shift=1.5)
    assert stream.values("model.drift.psi", "a/1")[-1] > 0.8
    assert stream.values("model.output.psi", "score/1")[-1] > 0.3
    assert abs(stream.values("model.drift.psi", "b/1")[-1]) < 0.1
    assert abs(stream.values("model.drift.psi", "word/1")[-1]) < 0.1


def test_a_shift_shows_within_twenty_seconds(stream: Stream) -> None:
    stream.run(120)
    stream.run(23, shift=2.0)
    assert stream.values("model.drift.psi", "a/1")[-1] > 0.25


def test_new_words_are_drift_too(stream: Stream) -> None:
    stream.run(60)
    stream.run(60, words="xz")
    assert stream.values("model.drift.psi", "word/1")[-1] > 0.5


def test_few_rows_reach_further_back_and_too_few_say_nothing(stream: Stream) -> None:
    stream.run(190, rows=1)
    assert not stream.values("model.drift.psi", "a/1")
    stream.run(60, rows=1)
    assert stream.values("model.drift.psi", "a/1")
    assert len(stream.values("model.request_rate", "1")) == 24


def test_failed_predictions_are_errors_and_not_drift_of_the_output(stream: Stream) -> None:
    stream.run(120)
    stream.run(80, failed=True)
    assert stream.values("model.error_ratio", "1")[-1] == 1.0
    assert len(stream.values("model.prediction.mean", "1")) == 12
    assert len(stream.values("model.drift.psi", "a/1")) > len(stream.values("model.output.psi", "score/1"))


def test_a_version_without_profile_still_has_rate_latency_and_mean(stream: Stream) -> None:
    stream.run(60, version="2")
    assert stream.values("model.request_rate", "2")
    assert stream.values("model.prediction.mean", "2")
    assert not [key for key in stream.found if key[0].endswith("psi")]


def test_versions_are_told_apart_and_shadows_left_out(stream: Stream) -> None:
    for _ in range(30):
        stream.run(1, version="1")
        stream.second -= 1
        stream.run(1, version="2", stage="canary")
        stream.second -= 1
        stream.run(1, version="3", stage="shadow")
    assert stream.values("model.request_rate", "1")
    assert stream.values("model.request_rate", "2")
    assert not stream.values("model.request_rate", "3")


def test_an_idle_version_has_rate_zero_while_others_answer_and_is_forgotten(tmp_path: Path) -> None:
    stream = Stream(FileCatalog(tmp_path / "catalog"), reach_s=60.0)
    stream.run(20, version="1")
    stream.run(120, version="2")
    rates = stream.values("model.request_rate", "1")
    assert rates[:2] == pytest.approx([10.0, 10.0])
    assert set(rates[2:]) == {0.0}
    assert 3 <= len(rates[2:]) <= 7


def test_silence_of_everything_says_nothing(stream: Stream) -> None:
    stream.run(20)
    count = len(stream.derived)
    stream.run(60, rows=0)
    assert len(stream.derived) <= count + 1


def test_late_rows_count_in_the_open_window_and_very_late_ones_are_counted_dropped(stream: Stream) -> None:
    stream.run(33)
    late = Entry(START + 15 * SECOND_NS, "toy", "1", "live", "late", 1, np.ones((1, 2)), [("x",)], np.ones((1, 1)))
    stream.stage.process([Predictions(data=batch([late]))])
    assert stream.stage.dropped["late"] == 0
    stream.run(60)
    stream.stage.process([Predictions(data=batch([late]))])
    assert stream.stage.dropped["late"] == 1
    assert stream.values("model.request_rate", "1")[3] == pytest.approx(10.1)


def test_rows_that_do_not_fit_the_profile_are_counted_and_kept_out_of_drift(stream: Stream) -> None:
    odd = Entry(START, "toy", "1", "live", "odd", 1, np.ones((1, 5)), [("x",)], np.ones((1, 1)))
    stream.stage.process([Predictions(data=batch([odd]))])
    assert stream.stage.dropped["shape"] == 1
    stream.run(60)
    assert stream.values("model.drift.psi", "a/1")


def test_missing_values_do_not_break_anything(stream: Stream) -> None:
    nan = np.array([[np.nan, 1.0]])
    rows = [
        Entry(START, "toy", "1", "live", "one", 1, nan, [("x",)], np.array([[np.nan]])),
        Entry(START, "toy", "1", "live", "two", 1, nan, [("x",)], np.array([[0.5]])),
    ]
    stream.stage.process([Predictions(data=batch(rows))])
    stream.run(13, rows=0)
    assert stream.values("model.prediction.mean", "1") == [0.5]
    assert stream.values("model.error_ratio", "1") == [0.5]


def test_a_restart_in_the_middle_changes_no_value(tmp_path: Path) -> None:
    straight, restarted = (Stream(FileCatalog(tmp_path / name)) for name in ("straight", "restarted"))
    recorded: list[pa.RecordBatch] = []
    source = Stream(FileCatalog(tmp_path / "source"))
    original = source.stage.process

    def record(items: Sequence[object]) -> Sequence[object]:
        recorded.extend(one.data for one in items if isinstance(one, Predictions))
        return original(items)

    source.stage.process = record  # type: ignore[method-assign]  # to hear what it is given
    source.run(100)
    for second, data in enumerate(recorded, 1):
        for stream in (straight, restarted):
            stream.stage.process([Predictions(data=data)])
            stream.take(stream.stage.advance(START + second * SECOND_NS))
        if second % 7 == 0:
            state = restarted.stage.snapshot()
            restarted.stage = restarted.fresh()
            restarted.stage.restore(state)
    assert straight.found == restarted.found == source.found


def test_state_that_does_not_fit_is_corrupt(stream: Stream, tmp_path: Path) -> None:
    stream.run(20)
    state = dict(stream.stage.snapshot())
    other = Stream(FileCatalog(tmp_path / "other"), window_s=5.0)
    broken: list[dict[str, Any]] = [
        {},
        {**state, "versions": b"{"},
        {**state, "counts0": np.zeros((2, 3))},
        {key: value for key, value in state.items() if key != "starts0"},
    ]
    for one in broken:
        with pytest.raises(Corrupt):
            stream.fresh().restore(one)
    with pytest.raises(Corrupt, match="windows of"):
        other.stage.restore(state)


def test_a_full_catalog_drops_series_and_counts_them(tmp_path: Path) -> None:
    stream = Stream(FileCatalog(tmp_path / "catalog", limit_per_tenant=3))
    stream.run(60)
    assert len(stream.defined) == 3
    assert stream.stage.dropped["cardinality"] > 0


def test_the_lane_of_the_stage_is_the_lane_of_its_samples(tmp_path: Path) -> None:
    stream = Stream(FileCatalog(tmp_path / "catalog"))
    stream.stage = DriftStage(stream.catalog, lambda _m, _v: PROFILE, lane=Lane.BACKFILL)
    stream.run(20)
    assert {one.lane for one in stream.derived} == {Lane.BACKFILL}


def test_windows_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError):
        DriftConfig(window_s=0)
    with pytest.raises(ConfigError):
        DriftConfig(span_s=5, window_s=10)
    with pytest.raises(ConfigError):
        DriftConfig(min_rows=0)
