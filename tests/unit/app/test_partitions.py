"""A folder that gets more partitions goes on as if it had always had them: on made and on recorded series."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.fleet import START_NS, Fleet, Values, wave
from twofold.app.partitions import LAYOUT, rescale
from twofold.errors import ConfigError
from twofold.flow import checkpoint
from twofold.flow.homes import partition_of
from twofold.flow.runner import checkpoint_name
from twofold.records.finding import Direction, Finding
from twofold.records.time import SECOND_NS

DATA = Path(os.environ.get("TWOFOLD_DATA", Path(__file__).parents[4] / "shared" / "data"))
SERVICES = [f"service:{name}" for name in "abcdefghijkl"]
STEPS = 420
STEP_NS = 10 * SECOND_NS
Moments = Sequence[tuple[int, Values]]


def made() -> list[tuple[int, Values]]:
    """Twelve services with four series each: three have a fault, one after the other, and one falls silent."""
    metrics = ("app.queue.size", "app.request.duration", "process.memory.usage", "process.cpu.utilization")
    tables = {(m, s): wave(7 * i + j, STEPS) for j, m in enumerate(metrics) for i, s in enumerate(SERVICES)}
    for number, service in enumerate(SERVICES[:3]):
        for metric in metrics[:2]:
            tables[metric, service][200 + 60 * number : 225 + 60 * number] += 60
    return [
        (
            START_NS + step * STEP_NS,
            {
                (metric, service): float(table[step])
                for (metric, service), table in tables.items()
                if step < 300 or service != SERVICES[5]
            },
        )
        for step in range(STEPS)
    ]


def recorded() -> list[tuple[int, Values]]:
    """Thirty channels of real machines, three to a service."""
    files = sorted((DATA / "series" / "smd").glob("*.parquet"))[:30]
    if not files:
        pytest.skip(f"no recorded series in {DATA}")
    columns = [pq.read_table(file)["value"].to_numpy()[9000:12000] for file in files]
    return [
        (
            START_NS + step * 60 * SECOND_NS,
            {(f"machine.channel{n % 3}", f"service:m{n // 3}"): float(c[step]) for n, c in enumerate(columns)},
        )
        for step in range(len(columns[0]))
    ]


def run(fleet: Fleet, moments: Moments, cuts: dict[int, int], together: int = 1) -> dict[str, Finding]:
    """Send all, with another number of partitions from each cut on; what was found."""
    for number in range(0, len(moments), together):
        if number in cuts:
            fleet.restart(cuts[number])
        fleet.send(moments[number : number + together])
    found = fleet.findings()
    assert not fleet.failures()
    fleet.close()
    return found


@pytest.mark.parametrize(
    ("begins", "cuts"),
    [
        pytest.param(1, {150: 2, 310: 3}, id="grown-twice"),
        pytest.param(1, {206: 4}, id="grown-by-three-in-mid-fault"),
        pytest.param(2, {100: 5, 330: 5}, id="grown-and-restarted"),
        pytest.param(3, {}, id="always-three"),
    ],
)
def test_findings_are_those_of_one_partition(tmp_path: Path, begins: int, cuts: dict[int, int]) -> None:
    whole = run(Fleet(tmp_path / "one"), made(), {})
    assert len(whole) >= 7
    assert any(each.direction is Direction.ABSENT for each in whole.values())
    assert {partition_of(service, 3) for service in SERVICES} == {0, 1, 2}
    assert run(Fleet(tmp_path / "many", begins), made(), cuts) == whole


def test_findings_in_recorded_series_are_those_of_one_partition(tmp_path: Path) -> None:
    moments = recorded()
    whole = run(Fleet(tmp_path / "one"), moments, {}, together=10)
    assert len(whole) > 30
    assert run(Fleet(tmp_path / "many"), moments, {1000: 2, 2000: 3}, together=10) == whole


def test_what_was_received_and_not_worked_off_is_learnt_where_it_was_sent(tmp_path: Path) -> None:
    moments = made()
    whole = run(Fleet(tmp_path / "one"), moments, {})
    fleet = Fleet(tmp_path / "many")
    for number, moment in enumerate(moments):
        fleet.send([moment], work=not 180 <= number < 210)
        if number == 209:
            fleet.restart(3, saved=0)
    assert fleet.findings() == whole
    fleet.close()


def test_each_partition_keeps_its_own_part_and_no_more(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    for moment in made()[:50]:
        fleet.send([moment])
    fleet.restart(3)
    fleet.close()
    series = []
    for partition in range(3):
        saved = checkpoint.load(fleet.stores.blobs, checkpoint_name(partition))
        assert saved is not None
        assert saved.partitions == 3
        (states,) = saved.states.values()
        series.append(np.asarray(states["panel"]["sids"]))
        assert ("correlate" in states) is (partition == 0)
        homes = {fleet.stores.catalog.get(int(sid), tenant="main").entity for sid in series[-1]}
        assert {partition_of(entity, 3) for entity in homes} == {partition}
    assert len(np.unique(np.concatenate(series))) == sum(map(len, series)) == 48


def test_a_folder_never_gets_fewer(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, 2)
    fleet.restart(3)
    fleet.close()
    for partitions in (1, 2):
        with pytest.raises(ConfigError, match="set at least 3"):
            rescale(replace(fleet.config, partitions=partitions))
    assert fleet.stores.blobs.get(LAYOUT) == b"3"
