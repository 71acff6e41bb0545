"""The forecaster of exhaustion as a stage: what it says, when, and how its claims end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.unit.detect.telemetry import MemoryCatalog
from twofold.aiops.forecast.limits import Limit, limit_of
from twofold.aiops.forecast.stage import Capacity
from twofold.errors import Corrupt
from twofold.records.columns import Samples, samples_batch
from twofold.records.forecast import Forecast, ForecastState
from twofold.records.series import Origin, Series, SeriesKind
from twofold.records.time import SECOND_NS

BEGAN_S = 1_700_000_000
STEP_S = 10


def register(catalog: MemoryCatalog, metric: str = "system.filesystem.utilization", unit: str = "1") -> int:
    sid, _ = catalog.register(
        metric,
        {"mountpoint": "/data"},
        entity="host:db-1",
        tenant="main",
        unit=unit,
        kind=SeriesKind.GAUGE,
        origin=Origin.METRIC,
    )
    return sid


def run(stage: Capacity, sid: int, value: Callable[[float], float], first: int, last: int) -> Iterator[Forecast]:
    """Steps [first, last) of ten seconds each."""
    for step in range(first, last):
        now_ns = (BEGAN_S + step * STEP_S) * SECOND_NS
        data = samples_batch(np.array([sid]), np.array([now_ns]), np.array([value(step * STEP_S)]))
        assert stage.process([Samples(data=data)]) == ()
        for made in stage.advance(now_ns):
            assert isinstance(made, Forecast)
            yield made


@pytest.fixture
def catalog() -> MemoryCatalog:
    return MemoryCatalog()


def test_a_disk_that_fills_is_told_once_with_time_and_place_and_the_claim_comes_true(catalog: MemoryCatalog) -> None:
    stage, sid = Capacity(catalog, model="capacity@3"), register(catalog)
    made = list(run(stage, sid, lambda s: min(0.5 + s / 5000.0, 1.0), 0, 260))
    first, last = made[0], made[-1]
    assert {one.id for one in made} == {first.id}
    assert (first.state, first.entity, first.model, first.limit) == (ForecastState.OPEN, "host:db-1", "capacity@3", 1.0)
    assert first.claimed >= 0.8
    assert first.reason.startswith("disk /data full in ")
    assert first.eta is not None
    assert first.eta.timestamp() == pytest.approx(BEGAN_S + 2400, abs=200)
    assert last.state is ForecastState.HIT
    assert last.ended is not None
    assert (last.made, last.claimed) == (first.made, first.claimed)


def test_a_claim_is_withdrawn_when_somebody_cleans_up(catalog: MemoryCatalog) -> None:
    stage, sid = Capacity(catalog), register(catalog)
    made = list(run(stage, sid, lambda s: 0.5 + s / 5000.0 if s < 1800 else 0.3, 0, 300))
    assert [one.state for one in made if one.state is not ForecastState.OPEN] == [ForecastState.WITHDRAWN]


def test_a_steady_disk_is_never_mentioned_however_full(catalog: MemoryCatalog) -> None:
    stage, sid, rng = Capacity(catalog), register(catalog), np.random.default_rng(4)
    assert list(run(stage, sid, lambda _: 0.95 + 0.002 * rng.standard_normal(), 0, 700)) == []


def test_what_is_left_runs_out_downwards(catalog: MemoryCatalog) -> None:
    stage, sid = Capacity(catalog), register(catalog, "node_filesystem_avail_bytes", "By")
    made = list(run(stage, sid, lambda s: 1e9 * (1.0 - s / 3000.0), 0, 240))
    assert made[0].limit == 0.0
    assert "used up in" in made[0].reason


def test_series_without_a_limit_cost_nothing_and_say_nothing(catalog: MemoryCatalog) -> None:
    stage, sid = Capacity(catalog), register(catalog, "process.memory.usage", "By")
    assert list(run(stage, sid, lambda s: 1e6 + s * 1e5, 0, 200)) == []


def test_a_restart_changes_nothing(catalog: MemoryCatalog) -> None:
    whole, sid = Capacity(catalog), register(catalog)

    def value(s: float) -> float:
        return 0.5 + s / 5000.0

    expected = list(run(whole, sid, value, 0, 240))
    first = Capacity(catalog)
    before = list(run(first, sid, value, 0, 150))
    second = Capacity(catalog)
    second.restore(first.snapshot())
    assert before + list(run(second, sid, value, 150, 240)) == expected
    with pytest.raises(Corrupt, match="replay the journal"):
        Capacity(catalog).restore({**first.snapshot(), "fine_kept": np.zeros((1, 3), np.float32)})


@pytest.mark.parametrize(
    ("metric", "unit", "limit"),
    [
        ("system.memory.utilization", "1", Limit(value=1.0)),
        ("disk_used_percent", "", Limit(value=100.0)),
        ("container_fs_usage_ratio", "", Limit(value=1.0)),
        ("node_memory_MemAvailable_bytes", "", None),
        ("system.cpu.utilization", "1", None),
        ("node_filesystem_free_bytes", "", Limit(value=0.0, rising=False)),
    ],
)
def test_limits_are_read_from_names_and_units(metric: str, unit: str, limit: Limit | None) -> None:
    assert limit_of(Series(sid=1, metric=metric, unit=unit)) == limit


def test_a_counter_has_no_limit() -> None:
    assert limit_of(Series(sid=1, metric="disk_used_ratio", kind=SeriesKind.COUNTER)) is None


def test_an_error_budget_runs_out_like_a_disk(catalog: MemoryCatalog) -> None:
    sid, _ = catalog.register(
        "slo.budget_left",
        {"slo": "orders"},
        entity="service:shop",
        tenant="main",
        unit="1",
        kind=SeriesKind.GAUGE,
        origin=Origin.SPAN,
    )
    made = list(run(Capacity(catalog), sid, lambda s: 0.9 - s / 5000.0, 0, 460))
    assert made[0].reason.startswith("error budget of orders used up in ")
    assert made[0].entity == "service:shop"
    assert made[-1].state is ForecastState.HIT
