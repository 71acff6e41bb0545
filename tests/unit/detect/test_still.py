"""A series that hangs at one value is told, one that rests by habit is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.detect.telemetry import MemoryCatalog, ns, samples
from twofold.aiops.detect.panel import Panel
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.series import Series, SeriesKind
from twofold.records.words import claim
from twofold.stats.series.still import LEAST

Floats = npt.NDArray[np.float64]
MINUTE_S = 60.0
TWO_DAYS = 2880
TEMPERATURE = Series(sid=7, metric="room.temperature", entity="host:a", kind=SeriesKind.GAUGE, unit="Cel")


def panel_of(series: Series = TEMPERATURE) -> Panel:
    catalog = MemoryCatalog()
    catalog.restore([series])
    return Panel(catalog)


def feed(panel: Panel, value: Floats, since: int = 0) -> list[Finding]:
    times = [(since + n) * MINUTE_S for n in range(len(value))]
    made = panel.process([samples(TEMPERATURE.sid, times, value.tolist())])
    return [each for each in made if isinstance(each, Finding) and each.direction is Direction.FLAT]


def weather(points: int = TWO_DAYS, seed: int = 0) -> Floats:
    return 20.0 + np.random.default_rng(seed).standard_normal(points)


def test_a_value_that_hangs_is_told_with_its_onset_and_closes_when_it_moves() -> None:
    panel = panel_of()
    assert not feed(panel, weather())
    (opened,) = feed(panel, np.full(60, 20.5), since=TWO_DAYS)
    assert opened.state is FindingState.OPEN
    assert abs(opened.onset.timestamp() - ns(TWO_DAYS * MINUTE_S) / 1e9) <= 2 * MINUTE_S
    assert "stood at exactly 20.5 Cel" in opened.reason
    assert claim(opened).endswith("stuck at 20.5")
    (closed,) = feed(panel, weather(5, seed=1), since=TWO_DAYS + 60)
    assert closed.state is FindingState.CLOSED
    assert closed.id == opened.id
    assert "moves again, after 1 h" in closed.reason


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (np.full(TWO_DAYS, 20.5), "it never moved"),
        (np.where(np.arange(TWO_DAYS) % 240 < 40, 20.5, weather()), "it rests every four hours"),
        (np.concatenate([weather(600), np.full(600, 20.5)]), "less than a day is known"),
        (np.concatenate([weather(), np.full(LEAST - 1, 20.5)]), "not long enough to say"),
        (np.concatenate([weather() - 20.0, np.zeros(200)]), "nothing happens"),
        (np.round(weather(TWO_DAYS) / 8.0) * 8.0, "it moves in large steps"),
    ],
)
def test_what_rests_by_habit_is_not_told(value: Floats, why: str) -> None:
    assert not feed(panel_of(), value), why


def test_it_is_told_again_while_it_lasts_over_a_restart_and_ends_with_its_data() -> None:
    panel = panel_of()
    feed(panel, weather())
    (opened,) = feed(panel, np.full(60, 20.5), since=TWO_DAYS)
    state, panel = panel.snapshot(), panel_of()
    panel.restore(state)
    again = [each for each in panel.advance(ns((TWO_DAYS + 61) * MINUTE_S)) if isinstance(each, Finding)]
    assert [each.id for each in again if each.direction is Direction.FLAT] == [opened.id]
    gone = [each for each in panel.advance(ns((TWO_DAYS + 120) * MINUTE_S)) if isinstance(each, Finding)]
    (ended,) = [each for each in gone if each.direction is Direction.FLAT]
    assert ended.state is FindingState.CLOSED


def test_a_sensor_that_hangs_is_told_also_where_counting_began_anew() -> None:
    """A habit that begins lets a series count its samples anew; how long it is known stays."""
    panel = panel_of()
    feed(panel, weather())
    panel._table.rows["count"][0] = 400
    assert feed(panel, np.full(60, 20.5), since=TWO_DAYS)


REQUESTS = Series(sid=8, metric="requests.count", entity="service:shop", kind=SeriesKind.GAUGE)


def requests(value: Floats) -> list[Finding]:
    """What is told of traffic."""
    catalog = MemoryCatalog()
    catalog.restore([REQUESTS])
    times = [n * MINUTE_S for n in range(len(value))]
    made = Panel(catalog).process([samples(REQUESTS.sid, times, value.tolist())])
    return [each for each in made if isinstance(each, Finding)]


def test_traffic_that_never_rests_and_stops_is_told_as_a_loss_within_twenty_samples() -> None:
    for seed in range(4):
        value = np.random.default_rng(seed).poisson(5.0, TWO_DAYS).astype(np.float64)
        found = requests(np.concatenate([value, np.zeros(30)]))
        opened = [each for each in found if each.state is FindingState.OPEN and each.onset.timestamp() > 0]
        (stopped,) = [each for each in opened if "has been 0 since" in each.reason]
        assert stopped.direction is Direction.DOWN
        assert stopped.expected == pytest.approx(5.0, abs=1.5)
        assert (stopped.seen - stopped.onset).total_seconds() <= 26 * MINUTE_S


def test_traffic_that_rests_each_night_is_not_told_to_have_stopped() -> None:
    value = np.random.default_rng(0).poisson(5.0, 2 * TWO_DAYS).astype(np.float64)
    value[(np.arange(len(value)) % 1440) < 300] = 0.0
    assert not [each for each in requests(value) if "has been 0" in each.reason]


def test_counts_that_are_rare_are_told_when_they_are_many() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        value = np.concatenate([rng.poisson(0.02, TWO_DAYS), rng.poisson(5.0, 20)]).astype(np.float64)
        late = [each for each in requests(value) if each.direction is Direction.UP]
        assert any((each.onset.timestamp() - ns(0) / 1e9) >= (TWO_DAYS - 5) * MINUTE_S for each in late)
