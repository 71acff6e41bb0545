"""The forecaster of exhaustion as a stage: what it says, when, and how its claims end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.detect.telemetry import MemoryCatalog
from twofold.aiops.forecast.config import CapacityConfig
from twofold.aiops.forecast.limits import Limit, limit_of
from twofold.aiops.forecast.stage import Capacity
from twofold.errors import ConfigError, Corrupt
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


DAY_S = 86_400.0
HOURLY = CapacityConfig(every_s=3600.0)


def week(
    stage: Capacity, sid: int, value: Callable[[float], float], days: float, *, begin: float = 0.0
) -> Iterator[Forecast]:
    """Days of a value every five minutes, with a little noise."""
    rng = np.random.default_rng(int(days * 10))
    for step in range(int(begin * 288), int((begin + days) * 288)):
        now_ns = (BEGAN_S + step * 300) * SECOND_NS
        noisy = value(step / 288.0) + 3e-4 * rng.standard_normal()
        data = samples_batch(np.array([sid]), np.array([now_ns]), np.array([min(noisy, 1.0)]))
        stage.process([Samples(data=data)])
        for made in stage.advance(now_ns):
            assert isinstance(made, Forecast)
            yield made


@pytest.mark.parametrize(
    ("left", "told", "alerts"), [(10.0, (8.5, 11.5), False), (76 / 24, (2.9, 3.5), True), (2.0, (1.8, 2.2), True)]
)
def test_six_days_tell_of_ten_more_and_what_is_near_is_an_alert(
    catalog: MemoryCatalog, left: float, told: tuple[float, float], *, alerts: bool
) -> None:
    """A disk at 80 % that will be full in 10 d, 3 d 4 h, 2 d: full is full, not 98 %."""
    made = list(week(Capacity(catalog, HOURLY), register(catalog), lambda day: 0.8 + 0.2 * (day - 6.0) / left, 6.0))
    last = made[-1]
    assert last.state is ForecastState.OPEN
    assert last.eta
    assert last.early
    assert last.late
    assert told[0] < (last.eta - last.seen).total_seconds() / DAY_S < told[1]
    assert last.early < last.eta < last.late
    assert bool(last.alerted) is alerts
    assert last.reason.startswith("disk /data full in ")


def test_how_far_is_told_depends_on_how_much_was_seen(catalog: MemoryCatalog) -> None:
    """Half of it, twice from three days on, a month from a week on; never more than is configured."""
    for days, most in ((2.0, 1.0), (4.0, 8.0), (7.2, 30.0)):
        stage = Capacity(catalog, HOURLY)
        made = list(week(stage, register(catalog), lambda day: 0.5 + 0.02 * day, days))
        assert all(one.horizon_s <= most * DAY_S + 300.0 for one in made)
    far = [one for one in made if one.state is ForecastState.OPEN]
    assert far[-1].eta
    assert 15.0 < (far[-1].eta - far[-1].seen).total_seconds() / DAY_S < 21.0
    near = Capacity(catalog, replace(HOURLY, horizon_s=3.0 * DAY_S))
    assert list(week(near, register(catalog), lambda day: 0.5 + 0.02 * day, 7.2)) == []


def test_a_far_claim_becomes_an_alert_when_it_is_near_and_is_judged_when_its_time_has_come(
    catalog: MemoryCatalog,
) -> None:
    stage, sid = Capacity(catalog, replace(HOURLY, lead_s=2.0 * DAY_S)), register(catalog)

    def value(day: float) -> float:
        return 0.4 + 0.05 * day  # full on day 12

    made = list(week(stage, sid, value, 12.3))
    first, last = made[0], made[-1]
    assert {one.id for one in made} == {first.id}
    assert first.alerted is None
    assert last.state is ForecastState.HIT
    assert last.alerted
    assert 9.5 < last.alerted.timestamp() / DAY_S - BEGAN_S / DAY_S < 10.5
    assert last.horizon_s == first.horizon_s


def test_a_far_claim_that_does_not_come_true_is_missed_after_its_own_horizon(catalog: MemoryCatalog) -> None:
    """A fill that slows all the time looks as if it ended within days, again and again."""
    made = list(week(Capacity(catalog, HOURLY), register(catalog), lambda day: 0.98 - 0.5 * math.exp(-day / 4.0), 10.0))
    (missed,) = [one for one in made if one.state is ForecastState.MISSED]
    assert missed.ended
    assert missed.horizon_s > 2.0 * DAY_S
    assert 0.0 <= (missed.ended - missed.made).total_seconds() - missed.horizon_s <= 7200.0


def test_a_far_claim_is_withdrawn_within_hours_when_the_trend_ends(catalog: MemoryCatalog) -> None:
    made = list(week(Capacity(catalog, HOURLY), register(catalog), lambda day: 0.4 + 0.08 * min(day, 4.0), 5.0))
    (ended,) = [one for one in made if one.ended]
    assert ended.state is ForecastState.WITHDRAWN
    assert ended.ended
    assert ended.ended.timestamp() - BEGAN_S < 4.5 * DAY_S


def test_full_is_what_is_configured_and_the_words_say_so(catalog: MemoryCatalog) -> None:
    config = replace(HOURLY, reached=0.9)
    made = list(week(Capacity(catalog, config), register(catalog), lambda day: 0.8 + 0.05 * (day - 4.0), 4.0))
    assert made[-1].reason.startswith("disk /data 90 % full in ")
    assert made[-1].eta
    assert (made[-1].eta - made[-1].seen).total_seconds() / DAY_S == pytest.approx(2.0, rel=0.1)


def test_what_is_kept_of_a_series_does_not_grow(catalog: MemoryCatalog) -> None:
    stage, sid = Capacity(catalog, HOURLY), register(catalog)

    def size() -> int:
        return sum(np.asarray(part).nbytes for name, part in stage.snapshot().items() if name.endswith("_kept"))

    list(week(stage, sid, lambda _: 0.5, 0.5))
    before = size()
    list(week(stage, sid, lambda _: 0.5, 9.0, begin=0.5))
    assert size() == before


@pytest.mark.parametrize("wrong", [{"lead_s": 0.0}, {"reached": 1.2}, {"horizon_s": -1.0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        CapacityConfig(**wrong)  # type: ignore[arg-type]


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
