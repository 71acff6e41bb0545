"""Whole entities: many small moves at once are a finding, and a coupled pair that parts; what is usual is neither."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.detect.telemetry import START_NS, MemoryCatalog
from twofold.aiops.detect.joint.config import JointConfig
from twofold.aiops.detect.joint.stage import Joint
from twofold.aiops.detect.panel import Panel
from twofold.errors import ConfigError, Corrupt
from twofold.records.columns import Samples, samples_batch
from twofold.records.entity import Edge, Relation
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.series import SeriesKind
from twofold.records.time import SECOND_NS, to_datetime
from twofold.stats.joint.layout import SERIES

Floats = npt.NDArray[np.float64]
TICK_S = 15.0
NAMES = tuple(f"process.cpu.part{n}.utilization" for n in range(8))


def series_of(
    catalog: MemoryCatalog,
    entity: str = "service:a",
    names: Sequence[str] = NAMES,
    kind: SeriesKind = SeriesKind.GAUGE,
) -> npt.NDArray[np.int64]:
    return np.array(
        [
            catalog.register(name, {"entity": entity}, entity=entity, tenant="main", unit="%", kind=kind)[0]
            for name in names
        ],
        np.int64,
    )


def noise(ticks: int, series: int = len(NAMES), seed: int = 0) -> Floats:
    return 50 + np.random.default_rng(seed).standard_normal((ticks, series))


def feed(stage: Joint | Panel, sids: npt.NDArray[np.int64], values: Floats, start: int = 0) -> list[Finding]:
    """A row of values every tick; what the stage makes of it."""
    made: list[object] = []
    for n, row in enumerate(values, start):
        time_ns = START_NS + int(n * TICK_S * SECOND_NS)
        batch = samples_batch(sids, np.full(len(sids), time_ns), row)
        made += [*stage.process([Samples(data=batch)]), *stage.advance(time_ns - 2 * SECOND_NS)]
    return [each for each in made if isinstance(each, Finding)]


def test_many_small_moves_at_once_are_told_although_no_series_alone_says_anything() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    values = noise(800)
    values[700:703] += 15.0
    values[700:703, 3] += 6.0
    found = feed(Joint(catalog), sids, values)
    assert [each.state for each in found] == [FindingState.OPEN, FindingState.CLOSED]
    opened = found[0]
    assert opened.entity == "service:a"
    assert opened.onset == to_datetime(START_NS + int(700 * TICK_S * SECOND_NS))
    assert opened.direction is Direction.UP
    assert "8 of the 8 series of a moved at once" in opened.reason
    assert f"most of all {NAMES[3]} " in opened.reason
    assert opened.low < opened.expected < opened.high < opened.value
    assert found[1].id == opened.id
    assert "move as usual again" in found[1].reason


def test_a_calm_entity_keeps_to_its_budget() -> None:
    catalog = MemoryCatalog()
    entities, days = 20, 0.5
    sids = np.concatenate([series_of(catalog, f"service:s{n}") for n in range(entities)])
    found = feed(Joint(catalog), sids, noise(int(days * 86_400 / TICK_S), entities * len(NAMES)))
    opened = [each for each in found if each.state is FindingState.OPEN]
    assert len(opened) <= 4 * JointConfig().alerts_per_day * entities * days


def test_what_hurts_nobody_is_not_told() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    down, small = noise(800), noise(800) / 100 + 50
    down[700:703] -= 20.0
    small[700:703] += 0.3
    for values in (down, small):
        stage = Joint(catalog)
        assert feed(stage, sids, values) == []
        assert stage.quiet["small"] > 0


def test_an_entity_of_two_series_is_left_to_the_detector_of_series() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog, names=NAMES[:2])
    values = noise(800, 2)
    values[700:703] += 30.0
    assert feed(Joint(catalog), sids, values) == []


def test_counters_are_judged_by_their_rate() -> None:
    catalog = MemoryCatalog()
    names = [f"errors.part{n}" for n in range(4)]
    sids = series_of(catalog, names=names, kind=SeriesKind.COUNTER)
    rates = noise(800, 4) * TICK_S
    rates[700:703] *= 4
    found = feed(Joint(catalog), sids, np.cumsum(rates, axis=0))
    assert found
    assert found[0].expected == pytest.approx(50, rel=0.1)
    assert found[0].value == pytest.approx(200, rel=0.1)


def coupled(ticks: int, seed: int = 1) -> Floats:
    """Two series that share their moves, and six of their own mind."""
    values = noise(ticks, seed=seed)
    shared = 5 * np.random.default_rng(seed + 1).standard_normal(ticks)
    values[:, 0] += shared
    values[:, 1] += 2 * shared
    return values


def parted(found: Sequence[Finding]) -> list[Finding]:
    return [each for each in found if "move together" in each.reason and each.state is FindingState.OPEN]


def test_of_a_coupled_pair_the_one_that_leaves_is_told() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    values = coupled(2500)
    values[2400:2405, 1] += np.array([40.0, 50.0, 60.0, 70.0, 80.0])
    (found,) = parted(feed(Joint(catalog, JointConfig(apart=True)), sids, values))
    assert found.metric == NAMES[1]
    assert f"{NAMES[1]} and {NAMES[0]} of a move together (r 0.9" in found.reason
    assert "usual sizes up" in found.reason


def test_pairs_of_an_entity_share_its_budget_and_remember_it_over_a_restart() -> None:
    """Whatever parts again as it did is no news, nor is less of it; more is."""
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    values = coupled(9600)
    parting = np.array([40.0, 50.0, 60.0, 70.0, 80.0])
    for tick, times in ((300, 1.0), (3000, 1.0), (5000, 0.9), (7000, 0.9), (9000, 50.0)):
        values[tick : tick + 5, 1] += times * parting
    config = JointConfig(apart=True, together=False)
    whole = Joint(catalog, config)
    told = parted(feed(whole, sids, values))
    assert [each.onset for each in told] == [
        to_datetime(START_NS + int(tick * TICK_S * SECOND_NS)) for tick in (3000, 9000)
    ]
    assert whole.quiet["usual"] > 0
    half, rest = Joint(catalog, config), Joint(catalog, config)
    first = feed(half, sids, values[:6000])
    rest.restore(half.snapshot())
    assert parted([*first, *feed(rest, sids, values[6000:], start=6000)]) == told


def test_pairs_may_be_asked_for_later() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    values = coupled(5200)
    values[5100:5105, 1] += np.array([40.0, 50.0, 60.0, 70.0, 80.0])
    before, after = Joint(catalog, JointConfig(together=False)), Joint(catalog, JointConfig(apart=True, together=False))
    feed(before, sids, values[:2500])
    after.restore(before.snapshot())
    assert len(parted(feed(after, sids, values[2500:], start=2500))) == 1


def test_a_caller_and_a_callee_may_be_a_pair() -> None:
    catalog = MemoryCatalog()
    both = np.concatenate([series_of(catalog, "service:a", NAMES[:4]), series_of(catalog, "service:b", NAMES[4:])])
    values = noise(2500)
    shared = 5 * np.random.default_rng(5).standard_normal(2500)
    values[:, 0] += shared
    values[:, 4] += shared
    values[2400:2405, 4] += np.array([40.0, 50.0, 60.0, 70.0, 80.0])
    told = {}
    for linked in (True, False):
        stage = Joint(catalog, JointConfig(apart=True, together=False))
        if linked:
            now = to_datetime(START_NS)
            stage.process(
                [Edge(source="service:a", target="service:b", relation=Relation.CALLS, calls=1, last_seen=now)]
            )
        told[linked] = parted(feed(stage, both, values))
    assert [each.entity for each in told[True]] == ["service:b"]
    assert "of b and a move together" in told[True][0].reason
    assert told[False] == []


def test_samples_of_a_tick_that_is_over_are_counted_and_change_nothing() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    stage, other = Joint(catalog), Joint(catalog)
    feed(stage, sids, noise(50))
    feed(other, sids, noise(50))
    late = samples_batch(sids, np.full(len(sids), START_NS), np.full(len(sids), 1e9))
    stage.process([Samples(data=late)])
    assert feed(stage, sids, noise(10, seed=3), start=50) == feed(other, sids, noise(10, seed=3), start=50)
    assert stage.dropped == {"late": len(sids)}


def test_samples_of_ticks_that_are_over_are_not_held() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    stage = Joint(catalog)
    stage.advance(START_NS + 3600 * SECOND_NS)
    for n in range(100):
        late = samples_batch(sids, np.full(len(sids), START_NS + n), np.full(len(sids), 1.0))
        stage.process([Samples(data=late)])
    assert len(stage.snapshot()["held_at"]) == 0
    assert stage.dropped == {"late": 100 * len(sids)}


def test_a_tick_of_very_many_samples_is_their_mean_all_the_same() -> None:
    catalog = MemoryCatalog()
    (sid, *_) = series_of(catalog)
    stage = Joint(catalog)
    many = 70_000
    times = START_NS + np.arange(many, dtype=np.int64)
    stage.process([Samples(data=samples_batch(np.full(many, sid), times, np.full(many, 7.0)))])
    stage.advance(START_NS + 60 * SECOND_NS)
    rows = np.frombuffer(np.ascontiguousarray(stage.snapshot()["series"]).tobytes(), SERIES)
    assert rows[0]["sum"] / rows[0]["samples"] == 7.0


def test_a_finding_ends_when_its_entity_sends_nothing_more() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    values = noise(705)
    values[700:] += 20.0
    stage = Joint(catalog)
    (opened,) = feed(stage, sids, values)
    (closed,) = stage.advance(START_NS + int(900 * TICK_S * SECOND_NS))
    assert isinstance(closed, Finding)
    assert closed.id == opened.id
    assert closed.state is FindingState.CLOSED
    assert "sent too little" in closed.reason


def test_large_batches_of_many_ticks_give_the_same_as_ticks_one_by_one() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    values = noise(800)
    values[700:703] += 15.0
    one = feed(Joint(catalog), sids, values)
    stage = Joint(catalog)
    time_ns = START_NS + np.repeat(np.arange(800), len(sids)) * int(TICK_S * SECOND_NS)
    shuffled = np.random.default_rng(2).permutation(len(time_ns))
    batch = samples_batch(np.tile(sids, 800)[shuffled], time_ns[shuffled], values.ravel()[shuffled])
    stage.process([Samples(data=batch)])
    assert list(stage.advance(int(time_ns[-1]) - 2 * SECOND_NS)) == one


def test_pairs_of_a_state_are_dropped_where_nobody_asks_and_begin_anew_where_somebody_does() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    first = Joint(catalog, JointConfig(apart=True))
    feed(first, sids, coupled(300))
    without = Joint(catalog)
    without.restore(first.snapshot())
    feed(without, sids, coupled(10), start=300)
    again = Joint(catalog, JointConfig(apart=True))
    again.restore(without.snapshot())
    feed(again, sids, coupled(10), start=310)
    assert len(again) == len(sids)


def test_a_state_of_another_layout_is_corrupt() -> None:
    stage = Joint(MemoryCatalog())
    state = dict(stage.snapshot())
    state["joint"] = bytes(state["joint"]).replace(b"fast", b"slow")
    with pytest.raises(Corrupt, match="another layout"):
        stage.restore(state)


def test_a_tick_is_no_shorter_than_a_second() -> None:
    with pytest.raises(ConfigError, match=r"tick_s is 0\.5, must be at least 1"):
        JointConfig(tick_s=0.5)


@pytest.mark.parametrize("bad", [0, -1, float("inf"), True])
def test_settings_must_be_numbers_above_zero(bad: float) -> None:
    with pytest.raises(ConfigError, match="alerts_per_day"):
        JointConfig(alerts_per_day=bad)


def test_what_was_constant_is_expected_where_it_stood_however_far_it_went() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    values = noise(800)
    values[:, :4] = 1.0
    values[780:, :4] = 60.0
    (opened, *_) = feed(Joint(catalog), sids, values)
    assert opened.expected == pytest.approx(1.0, abs=0.1)
    assert opened.value == pytest.approx(60.0)


def test_constant_series_and_single_samples_say_nothing_of_their_entity() -> None:
    catalog = MemoryCatalog()
    sids = series_of(catalog)
    stage = Joint(catalog)
    assert not feed(stage, sids, np.ones((600, len(sids))))
    assert not feed(Joint(catalog), sids, noise(1))
