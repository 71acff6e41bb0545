"""A new series takes over how much its siblings move, not where they stand; unlike ones leave it alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.detect.telemetry import MemoryCatalog
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import Floor
from twofold.aiops.detect.inherit import NOBODY, Heirs, inherit, kin
from twofold.aiops.detect.panel import Panel
from twofold.aiops.detect.table import Table
from twofold.records.columns import Samples, samples_batch
from twofold.records.series import Series
from twofold.records.time import SECOND_NS
from twofold.stats.series.heirs import WORTH
from twofold.stats.series.layout import DOWN, GAUGE, HEAD, OPENED, UP

SIZES = ("fast_error", "rest_error", "shock", "shift", "step", "spread", "level_spread")
RARITY = ("blocks", "peaks", "usual_peak", "peak_spread", "moving", "most", "swing_seen", "swing_spread")
START_NS = 1_767_225_600 * SECOND_NS
DAY_POINTS = 1440


def table_of(rows: int) -> Table:
    table = Table(PanelConfig())
    table.locate(np.arange(1, rows + 1))
    for row in range(rows):
        table.describe(row, kind=GAUGE, sides=UP | DOWN, floor=Floor(0.0, 0.2))
    return table


def learn(table: Table, row: int, values: npt.NDArray[np.float64], first: int = 0) -> int:
    """Findings that open, samples a minute apart."""
    time_ns = START_NS + np.arange(first, first + len(values)) * 60 * SECOND_NS
    _, events = table.learn(np.full(len(values), row, np.int32), time_ns, values, ranked=False)
    return sum(int(event["what"]) == OPENED for event in events)


def wave(points: int, level: float, first: int = 0, seed: int = 0) -> npt.NDArray[np.float64]:
    """A daily season and noise, both in proportion to the level."""
    noise = np.random.default_rng(seed).standard_normal(points)
    season = np.sin(2 * np.pi * np.arange(first, first + points) / DAY_POINTS)
    found: npt.NDArray[np.float64] = level * (1 + 0.3 * season + 0.05 * noise)
    return found


def born(level: float = 100.0) -> tuple[Table, int]:
    """A table whose row 0 knows some days, and whose row 1 has just begun at another level."""
    table = table_of(2)
    first = 4 * DAY_POINTS + 300
    learn(table, 0, wave(first, 50.0))
    learn(table, 1, wave(HEAD, level, first, seed=1), first)
    return table, first + HEAD


def test_the_panel_lets_new_pods_inherit_however_batches_are_cut_and_after_a_restart() -> None:
    catalog = MemoryCatalog()
    old, new = (
        catalog.register("cpu", {"pod": f"shop-{n}"}, entity=f"pod:shop-{n}", tenant="main")[0] for n in range(2)
    )
    first = 3000
    time_ns = START_NS + np.arange(first + 300) * 60 * SECOND_NS
    sid = np.concatenate([np.full(first, old), np.full(300, new)])
    value = np.concatenate([wave(first, 50.0), wave(300, 100.0, first, seed=1)])

    def rows(sizes: Sequence[int]) -> npt.NDArray[np.uint8]:
        panel = Panel(catalog)
        for begin, end in itertools.pairwise(sizes):
            batch = samples_batch(sid[begin:end], time_ns[begin:end], value[begin:end])
            panel.process([Samples(data=batch)])
            again = Panel(catalog)
            again.restore(panel.snapshot())
            panel = again
        return np.asarray(panel.snapshot()["rows"], np.uint8)

    whole = rows([0, first + 300])
    assert np.array_equal(rows([0, 100, first, first + 3, first + 8, first + 9, first + 300]), whole)
    table = table_of(2)
    assert whole.view(table.rows.dtype)["donor"].ravel().tolist() == [0, 1]
    assert whole.view(table.rows.dtype)["count"].ravel()[1] == 300 - HEAD + WORTH


def one(number: int) -> npt.NDArray[np.int32]:
    return np.array([number], np.int32)


def test_sizes_season_and_rarity_come_from_the_sibling_stretched_with_the_level() -> None:
    table, _ = born()
    before = table.rows[1].copy()
    assert inherit(table.rows, one(1), one(0)).tolist() == [True]
    new, donor = table.rows[1], table.rows[0]
    ratio = (before["level"] + before["zero"]) / (donor["level"] + donor["zero"])
    assert ratio == pytest.approx(2, rel=0.15)
    for name in SIZES:
        assert new[name] == pytest.approx(ratio * donor[name], rel=1e-4)
    for name in RARITY:
        assert np.array_equal(new[name], donor[name])
    assert new["level"] == before["level"]
    assert new["season"] == pytest.approx(ratio * donor["season"], rel=1e-4)
    assert new["count"] == WORTH


def test_the_donor_and_the_raw_state_of_the_heir_stay_as_they_are() -> None:
    table, _ = born()
    donor, before = table.rows[0].copy(), table.rows[1].copy()
    inherit(table.rows, one(1), one(0))
    assert table.rows[0] == donor
    for name in ("first_ns", "last_ns", "zero", "raw", "kind", "sides", "least", "share", "fast", "level"):
        assert table.rows[1][name] == before[name]


def test_a_new_series_that_knows_its_siblings_season_is_not_surprised_by_the_day() -> None:
    expected = {}
    for inherited in (False, True):
        table, now = born()
        if inherited:
            inherit(table.rows, one(1), one(0))
        values = wave(DAY_POINTS // 3, 100.0, now, seed=2)
        learn(table, 1, values, now)
        expected[inherited] = abs(float(table.rows[1]["drift"]))
    assert expected[True] < 0.5 * expected[False]


def test_what_is_wrong_is_found_within_the_first_minutes() -> None:
    table, now = born()
    inherit(table.rows, one(1), one(0))
    values = wave(30, 100.0, now, seed=3)
    values[20:] *= 2.5
    assert learn(table, 1, values, now) == 1


def test_those_that_are_unlike_old_or_have_an_ignorant_donor_stay_as_they_are() -> None:
    rough, now = born()
    learn(rough, 1, wave(HEAD, 100.0, now), now)
    rough.rows["spread"][1] *= 50
    old, now = born()
    learn(old, 1, wave(WORTH, 100.0, now), now)
    ignorant = table_of(2)
    for row in (0, 1):
        learn(ignorant, row, wave(HEAD, 100.0))
    other_kind, _ = born()
    other_kind.rows["kind"][0] = GAUGE + 1
    for table in (rough, old, ignorant, other_kind):
        before = table.rows[1].copy()
        assert inherit(table.rows, one(1), one(0)).tolist() == [False]
        assert table.rows[1] == before


def pod(number: int, **labels: str) -> Series:
    return Series(sid=number, metric="cpu", entity=f"pod:shop-{number}", labels={"pod": f"shop-{number}", **labels})


def test_siblings_differ_in_what_names_the_instance_only() -> None:
    assert kin(pod(1, app="shop")) == kin(pod(2, app="shop"))
    assert kin(pod(1, app="shop")) != kin(pod(2, app="cart"))
    assert kin(pod(1)) != kin(Series(sid=3, metric="memory", entity="pod:shop-3", labels={"pod": "shop-3"}))


def test_the_oldest_sibling_is_the_donor_and_is_found_again_after_a_restart() -> None:
    heirs = Heirs()
    assert [heirs.donor(row, pod(row)) for row in range(3)] == [NOBODY, 0, 0]
    again = Heirs()
    again.restore(lambda: [(row, pod(row)) for row in range(3)])
    assert again.donor(3, pod(3)) == 0


def test_a_service_has_no_siblings() -> None:
    heirs = Heirs()
    named: tuple[dict[str, str], ...] = ({}, {}, {"instance": "a"}, {"instance": "b"})
    series = [Series(sid=n + 1, metric="rps", entity="service:shop", labels=labels) for n, labels in enumerate(named)]
    assert [heirs.donor(row, each) for row, each in enumerate(series)] == [NOBODY, NOBODY, NOBODY, 2]
