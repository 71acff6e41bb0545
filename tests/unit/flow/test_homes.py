"""Every entity has one home, and growing moves what it moves from one partition to one new one."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.detect.telemetry import MemoryCatalog
from twofold.flow.homes import FIRST, Homes, Own, home_of, parent_of, partition_of
from twofold.records.series import Origin, Series

NAMES = st.text(min_size=1, max_size=12)


@given(NAMES, st.integers(1, 40))
def test_a_new_partition_takes_from_its_parent_and_all_else_stays(name: str, partitions: int) -> None:
    before, after = partition_of(name, partitions), partition_of(name, partitions + 1)
    assert 0 <= before < partitions
    assert after == before or (after == partitions and before == parent_of(partitions))


def test_powers_of_two_share_evenly() -> None:
    found = np.bincount([partition_of(f"service:{n}", 8) for n in range(8000)])
    assert len(found) == 8
    assert found.min() > 850


def test_a_series_is_at_home_with_its_entity_or_with_the_stage_that_makes_it() -> None:
    for partitions in range(1, 9):
        home = partition_of("service:a", partitions)
        assert home_of(Series(sid=1, metric="m", entity="service:a"), partitions) == home
        assert home_of(Series(sid=2, metric="m", entity="service:a", origin=Origin.LOG), partitions) == home
        feature = Series(sid=3, metric="m", entity="feature:m/x", origin=Origin.MODEL, labels={"model": "m"})
        assert home_of(feature, partitions) == partition_of("model:m", partitions)
        assert home_of(Series(sid=4, metric="m", entity="service:a", origin=Origin.EVENT), partitions) == FIRST
    homes = {home_of(Series(sid=sid, metric="m"), 4) for sid in range(50)}
    assert homes == {0, 1, 2, 3}, "series without an entity are spread, too"


def test_homes_are_looked_up_once_and_by_many_threads() -> None:
    catalog = MemoryCatalog()
    for n in range(500):
        catalog.register("m", {"n": str(n)}, entity=f"service:{n % 7}", tenant="main")
    sids = np.array([*catalog.series, 12345], np.int64)  # one that nobody knows
    homes, found = Homes(catalog, 3), list[np.ndarray]()
    asking = [threading.Thread(target=lambda: found.append(homes.of(sids, "main"))) for _ in range(4)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    expected = [home_of(catalog.series[sid], 3) for sid in sids[:-1].tolist()]
    assert all(each[:-1].tolist() == expected for each in found)
    owns = [Own(homes, partition, "main") for partition in range(3)]
    assert np.sum([own.sids(sids) for own in owns], axis=0).tolist() == [1] * len(sids)
    assert [own.first for own in owns] == [True, False, False]
    assert [own.entity("service:1") for own in owns].count(True) == 1
