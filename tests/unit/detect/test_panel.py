"""The panel as a stage: what opens a finding, what it says, when it closes; absence; bounds and bad input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.detect.telemetry import MemoryCatalog, ns, samples
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.panel import Panel
from twofold.errors import Corrupt
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.series import Origin, SeriesKind
from twofold.records.time import to_datetime

PERIOD_S = 5.0
Values = npt.NDArray[np.float64]


class World:
    """A panel, its catalog, and a clock that hands over one tick of all series at a time."""

    def __init__(self, config: PanelConfig | None = None) -> None:
        self.catalog = MemoryCatalog()
        self.panel = Panel(self.catalog, config, detector="panel@7")
        self.found: list[Finding] = []

    def series(
        self,
        metric: str,
        *,
        unit: str = "",
        kind: SeriesKind = SeriesKind.GAUGE,
        entity: str = "service:a",
        origin: Origin = Origin.METRIC,
        **labels: str,
    ) -> int:
        named = {"entity": entity, **labels}
        return self.catalog.register(metric, named, entity=entity, tenant="main", unit=unit, kind=kind, origin=origin)[
            0
        ]

    def run(
        self, values: dict[int, Sequence[float] | Values], *, start_s: float = 0.0, period_s: float = PERIOD_S
    ) -> None:
        """Feed each series one value a tick, NaN for none."""
        ticks = max(len(v) for v in values.values())
        for tick in range(ticks):
            now = start_s + tick * period_s
            batch = [(sid, float(v[tick])) for sid, v in values.items() if tick < len(v) and not math.isnan(v[tick])]
            made: list[object] = []
            if batch:
                made.extend(
                    self.panel.process([samples([sid for sid, _ in batch], [now] * len(batch), [v for _, v in batch])])
                )
            made.extend(self.panel.advance(ns(now)))
            self.found.extend(item for item in made if isinstance(item, Finding))

    def opened(self) -> list[Finding]:
        """First record of each finding."""
        first: dict[str, Finding] = {}
        for finding in self.found:
            first.setdefault(finding.id, finding)
        return list(first.values())

    def closed(self) -> list[Finding]:
        return [finding for finding in self.found if finding.state is FindingState.CLOSED]


def noise(level: float, spread: float, ticks: int, seed: int = 0) -> Values:
    return level + spread * np.random.default_rng(seed).standard_normal(ticks)


def step(values: Values, at: int, by: float, until: int | None = None) -> Values:
    changed = values.copy()
    changed[at:until] += by
    return changed


def test_latency_is_found_within_three_samples_after_ten_minutes_of_history() -> None:
    world = World()
    sid = world.series("span.duration.p95", unit="s", origin=Origin.SPAN, callee="service:payment")
    world.run({sid: step(noise(0.089, 0.008, 140), 120, 0.72)})
    (finding,) = world.opened()
    assert finding.onset == to_datetime(ns(600))
    assert finding.seen == to_datetime(ns(610))
    assert finding.direction is Direction.UP
    assert finding.detector == "panel@7"
    assert finding.high < 0.2 < finding.value
    assert finding.reason.startswith("span.duration.p95 of a -> payment is 8")
    assert "x its expected 89" in finding.reason
    assert finding.reason.endswith("since 00:10:00")
    assert finding.score > 6
    assert finding.effect > 10


@pytest.mark.parametrize(
    ("metric", "unit", "calm", "faulty"),
    [
        ("span.error_ratio", "1", np.zeros, lambda v: step(v, 120, 0.3)),
        ("process.cpu.utilization", "1", lambda n: noise(0.08, 0.02, n), lambda v: step(v, 120, 0.8)),
        ("model.drift.psi", "1", lambda n: abs(noise(0.03, 0.01, n)), lambda v: step(v, 120, 0.6)),
        ("up", "1", np.ones, lambda v: step(v, 120, -1.0)),
        (
            "span.rate",
            "1/s",
            lambda n: np.random.default_rng(1).poisson(60, n) / 5,
            lambda v: v * (np.arange(len(v)) < 120),
        ),
        ("log.error_rate", "1/s", np.zeros, lambda v: step(v, 120, 2.0)),
    ],
)
def test_faults_of_a_demo_are_found_within_fifteen_seconds(
    metric: str, unit: str, calm: Callable[[int], Values], faulty: Callable[[Values], Values]
) -> None:
    world = World()
    sid = world.series(metric, unit=unit)
    world.run({sid: faulty(calm(140))})
    (finding,) = world.opened()
    assert ns(600) <= ns(0) + (finding.onset - to_datetime(ns(0))).total_seconds() * 1e9 <= ns(605)
    assert (finding.seen - to_datetime(ns(600))).total_seconds() <= 15


def test_a_leak_of_a_third_in_two_minutes_is_found_before_it_ends() -> None:
    world = World()
    sid = world.series("process.memory.usage", unit="By")
    leak = 60e6 + np.cumsum(np.random.default_rng(2).exponential(2e3, 150))
    leak[120:] += np.arange(30) * 60e6 * 0.3 / 24
    world.run({sid: leak})
    (finding,) = world.opened()
    assert (finding.seen - to_datetime(ns(600))).total_seconds() <= 90
    assert "MiB" in finding.reason


def test_a_counter_is_judged_by_its_rate_and_a_reset_is_no_fault() -> None:
    world = World()
    sid = world.series("process.cpu.time", unit="s", kind=SeriesKind.COUNTER)
    total = np.cumsum(noise(0.4, 0.05, 160))
    total[80:] -= total[80]
    total[140:] += np.arange(20) * 4.0
    world.run({sid: total})
    (finding,) = world.opened()
    assert finding.onset == to_datetime(ns(705))
    assert finding.unit == "s/s"
    assert world.panel.dropped["counter_reset"] == 1


def test_nothing_is_found_in_the_first_minutes() -> None:
    world = World()
    sid = world.series("span.duration.p50", unit="s")
    world.run({sid: step(noise(0.02, 0.002, 29), 15, 1.0)})
    assert world.found == []


def test_quiet_hours_over_two_hundred_series_give_next_to_nothing() -> None:
    world = World()
    rng = np.random.default_rng(3)
    ticks = 720
    values: dict[int, Sequence[float] | Values] = {}
    for n in range(40):
        entity = f"service:{n}"
        values[world.series("span.duration.p95", unit="s", entity=entity)] = rng.lognormal(-3, 0.3, ticks)
        values[world.series("span.rate", unit="1/s", entity=entity)] = rng.poisson(5 * (n + 1), ticks) / 5
        values[world.series("span.error_ratio", unit="1", entity=entity)] = rng.binomial(50, 0.004, ticks) / 50
        values[world.series("process.memory.usage", unit="By", entity=entity)] = 5e7 + np.cumsum(
            rng.exponential(1e3, ticks)
        )
        values[world.series("queue.depth", entity=entity)] = rng.poisson(0.5, ticks).astype(float)
    world.run(values)
    assert len(world.opened()) <= 1


def test_what_is_too_small_to_matter_is_no_finding() -> None:
    world = World()
    fast, ratio = world.series("span.duration.p50", unit="s"), world.series("span.error_ratio", unit="1")
    world.run({fast: step(noise(0.003, 0.0001, 160), 120, 0.003), ratio: step(np.zeros(160), 120, 0.02)})
    assert world.found == []


def test_getting_better_is_no_finding() -> None:
    world = World()
    values = {world.series("span.duration.p95", unit="s"): step(noise(0.5, 0.02, 160), 120, -0.4)}
    values[world.series("span.error_ratio", unit="1")] = step(noise(0.4, 0.02, 160), 120, -0.4)
    world.run(values)  # type: ignore[arg-type]  # Mapping of arrays
    assert world.found == []


def test_one_bad_sample_is_no_finding() -> None:
    world = World()
    values = noise(0.05, 0.003, 200)
    values[[120, 150, 180]] = 5.0
    world.run({world.series("span.duration.p95", unit="s"): values})
    assert world.found == []


def test_a_constant_that_changes_for_the_first_time_is_set_up_unless_the_signal_tells() -> None:
    world = World()
    threads, errors = world.series("process.threads"), world.series("http.errors")
    world.run({threads: step(np.full(160, 12.0), 120, 6), errors: step(np.zeros(160), 120, 6)})
    assert {finding.metric for finding in world.opened()} == {"http.errors"}


def test_one_step_of_a_discrete_series_is_no_finding() -> None:
    world = World()
    replicas = np.where(np.random.default_rng(4).random(200) < 0.02, 4.0, 3.0)
    replicas[150:] = 5.0
    world.run({world.series("replicas"): replicas})
    assert world.found == []


def test_a_finding_gets_worse_under_the_same_id_and_closes_when_the_series_is_back() -> None:
    world = World()
    values = noise(0.05, 0.003, 200)
    values[120:150] += np.linspace(0.2, 2.0, 30)
    world.run({world.series("span.duration.p95", unit="s"): values})
    assert len({finding.id for finding in world.found}) == 1
    effects = [finding.effect for finding in world.found]
    assert effects == sorted(effects)
    assert 3 <= len(effects) <= 15
    (closed,) = world.closed()
    assert closed is world.found[-1]
    assert closed.onset == world.found[0].onset
    assert 30 <= (closed.seen - to_datetime(ns(750))).total_seconds() <= 50
    assert "back in its band" in closed.reason
    assert closed.value == pytest.approx(2.05, abs=0.02)


def test_a_lasting_change_becomes_the_new_level_and_the_way_back_is_judged_from_there() -> None:
    world = World(PanelConfig(readmit_s=300))
    values = step(noise(10.0, 0.2, 320), 120, 10.0, 250)
    world.run({world.series("orders.rate", unit="1/s"): values})
    first, second = world.opened()
    assert first.direction is Direction.UP
    assert world.closed()[0].reason.startswith("new level: orders.rate of a has stayed near ")
    assert 300 <= (world.closed()[0].seen - first.seen).total_seconds() <= 320
    assert second.direction is Direction.DOWN
    assert second.onset == to_datetime(ns(1250))


def test_recovery_after_a_long_fault_opens_nothing_new() -> None:
    world = World()
    world.run({world.series("span.rate", unit="1/s"): step(noise(50.0, 2.0, 400), 120, -45.0, 300)})
    assert len(world.opened()) == 1
    assert len(world.closed()) == 1


def test_ids_depend_on_tenant_series_onset_and_name_not_on_the_version() -> None:
    def ids(detector: str, tenant: str = "main") -> list[str]:
        world = World()
        world.panel = Panel(world.catalog, detector=detector, tenant=tenant)
        world.run({world.series("span.duration.p95", unit="s"): step(noise(0.05, 0.003, 140), 120, 1.0)})
        return [finding.id for finding in world.opened()]

    assert ids("panel@1") == ids("panel@2")
    assert ids("panel@1") != ids("other@1")
    assert ids("panel@1") != ids("panel@1", "second")


def test_bad_samples_are_counted_and_harm_nobody() -> None:
    world = World()
    sid = world.series("span.duration.p95", unit="s")
    calm = noise(0.05, 0.003, 130)
    world.run({sid: calm})
    world.panel.process([samples(sid, [700, 701, 702], [math.nan, math.inf, -math.inf])])
    world.panel.process([samples(sid, [10, 645], [9.0, 9.0])])
    assert world.panel.dropped == {"not_finite": 3, "late": 1, "duplicate": 1}
    assert world.found == []


def test_samples_of_one_batch_are_taken_in_the_order_of_time() -> None:
    calm = noise(0.05, 0.003, 200)
    times = np.arange(200) * PERIOD_S
    straight, shuffled = World(), World()
    order = np.random.default_rng(5).permutation(200)
    one = straight.panel.score(samples(straight.series("m"), times.tolist(), calm.tolist()))
    other = shuffled.panel.score(samples(shuffled.series("m"), times[order].tolist(), calm[order].tolist()))
    assert np.array_equal(one[order], other)


def test_a_sid_that_the_catalog_does_not_know_is_judged_and_counted() -> None:
    world = World()
    world.run({4242: step(noise(10.0, 0.1, 140), 120, 20.0)})
    (finding,) = world.opened()
    assert finding.entity == ""
    assert world.panel.unknown == 1


def test_parts_of_histograms_are_not_judged() -> None:
    world = World()
    sid = world.series("http.server.duration.bucket", kind=SeriesKind.COUNTER, le="0.5")
    world.run({sid: np.cumsum(step(noise(10.0, 0.1, 140), 120, 200.0))})
    assert world.found == []


def test_the_band_is_known_after_the_warm_up() -> None:
    world = World()
    sid = world.series("span.duration.p95", unit="s")
    assert world.panel.band(sid) is None
    world.run({sid: noise(0.05, 0.003, 60)})
    band = world.panel.band(sid)
    assert band is not None
    assert band.low < 0.045 < band.expected < 0.055 < band.high < 0.1


@pytest.mark.parametrize("period_s", [1.0, 5.0, 60.0, 300.0])
def test_a_fault_is_found_at_any_rhythm(period_s: float) -> None:
    world = World()
    sid = world.series("span.duration.p95", unit="s")
    world.run({sid: step(noise(0.05, 0.003, 320), 300, 1.0)}, period_s=period_s)
    (finding,) = world.opened()
    assert finding.onset == to_datetime(ns(300 * period_s))
    assert (finding.seen - finding.onset).total_seconds() <= max(12.0, 2 * period_s)


def silent_world(entities: Iterable[str], ticks: int = 150) -> tuple[World, dict[str, list[int]]]:
    world = World()
    sids = {e: [world.series(f"m{k}", entity=e) for k in range(3)] for e in entities}
    world.run({sid: noise(10.0, 1.0, ticks, seed=sid % 97) for row in sids.values() for sid in row})
    world.found.clear()
    return world, sids


def test_an_entity_that_falls_silent_is_missed_once_and_heard_again() -> None:
    world, sids = silent_world(["service:a", "service:b", "service:c"])
    alive = {sid: noise(10.0, 1.0, 60, seed=9) for e in ("service:b", "service:c") for sid in sids[e]}
    world.run(alive, start_s=750)  # type: ignore[arg-type]  # Mapping of arrays
    (absent,) = world.found
    assert absent.direction is Direction.ABSENT
    assert absent.entity == "service:a"
    assert absent.onset == to_datetime(ns(745))
    assert 45 <= (absent.seen - absent.onset).total_seconds() <= 60
    assert absent.reason == "all 3 series of a have been silent since 00:12:25; they came every 5 s"
    everyone = {sid: noise(10.0, 1.0, 4, seed=9) for row in sids.values() for sid in row}
    world.run(everyone, start_s=1050)  # type: ignore[arg-type]  # Mapping of arrays
    assert world.found[-1].id == absent.id
    assert world.found[-1].state is FindingState.CLOSED


def test_marks_of_the_end_are_counted_and_the_silence_begins_at_the_last_sample() -> None:
    world, sids = silent_world(["service:a", "service:b", "service:c"])
    for second in (750, 760, 790):
        mark = np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0]
        world.panel.process([samples(sid, [second], [mark]) for sid in sids["service:a"]])
    alive = {sid: noise(10.0, 1.0, 60, seed=9) for e in ("service:b", "service:c") for sid in sids[e]}
    world.run(alive, start_s=750)  # type: ignore[arg-type]  # Mapping of arrays
    (absent,) = world.found
    assert (absent.entity, absent.onset) == ("service:a", to_datetime(ns(745)))
    assert world.panel.dropped == {"not_finite": 9}


def test_when_all_fall_silent_the_way_to_us_is_broken_and_nobody_is_missed() -> None:
    world, _ = silent_world(["service:a", "service:b", "service:c"])
    for second in range(755, 1100):
        assert world.panel.advance(ns(second)) == []


def test_our_own_pause_is_not_the_silence_of_others() -> None:
    world, sids = silent_world(["service:a", "service:b", "service:c"])
    assert world.panel.advance(ns(4000)) == []
    late = {sid: noise(10.0, 1.0, 8) for e in ("service:a", "service:b", "service:c") for sid in sids[e]}
    world.run(late, start_s=4030)  # type: ignore[arg-type]  # Mapping of arrays
    assert world.found == []


def test_one_series_that_stops_is_no_finding_for_an_hour() -> None:
    world, sids = silent_world(["service:a", "service:b"])
    alive = [sid for row in sids.values() for sid in row][1:]
    world.run({sid: noise(10.0, 1.0, 300) for sid in alive}, start_s=750)
    assert world.found == []


def test_a_series_that_stops_while_out_of_its_band_does_not_stay_open_for_ever() -> None:
    world = World()
    bad, other = world.series("span.duration.p95", unit="s"), world.series("m", entity="service:b")
    world.run({bad: step(noise(0.05, 0.003, 140), 120, 1.0), other: noise(1.0, 0.1, 300)})
    closed = [finding for finding in world.closed() if finding.direction is Direction.UP]
    assert len(closed) == 1
    assert "sent nothing more" in closed[0].reason


def test_a_state_of_another_layout_or_kind_is_corrupt() -> None:
    world, _ = silent_world(["service:a"], ticks=20)
    state = dict(world.panel.snapshot())
    with pytest.raises(Corrupt):
        Panel(world.catalog, PanelConfig(season_bins=96)).restore(state)
    for key in ("rows", "sids", "panel", "absence"):
        with pytest.raises(Corrupt):
            Panel(world.catalog).restore({k: v for k, v in state.items() if k != key})


def test_another_version_takes_the_state_over_with_its_own_settings() -> None:
    world = World()
    sid = world.series("span.duration.p95", unit="s")
    world.run({sid: noise(0.05, 0.003, 120)})
    newer = Panel(world.catalog, PanelConfig(persist_s=30), detector="panel@8")
    newer.restore(world.panel.snapshot())
    world.panel = newer
    world.run({sid: noise(1.0, 0.003, 20)}, start_s=600)
    (finding,) = world.opened()
    assert finding.detector == "panel@8"
    assert (finding.seen - finding.onset).total_seconds() == 30
