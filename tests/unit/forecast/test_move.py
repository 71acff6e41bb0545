"""A forecaster that lets go of some series says of the others what it would have said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.detect.telemetry import START_NS, MemoryCatalog, samples
from twofold.aiops.forecast.stage import Capacity
from twofold.records.forecast import Forecast
from twofold.records.time import SECOND_NS

DISKS = 20  # more than a ring has room for at first


@dataclass(frozen=True)
class Odd:
    """Series with an odd number, or the others."""

    catalog: MemoryCatalog
    first: bool

    def entity(self, name: str) -> bool:
        return bool(int(name.partition(":")[2]) % 2) is self.first

    def sids(self, sids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return np.array([self.entity(self.catalog.series[sid].entity) for sid in sids.tolist()], np.bool_)


def fed(stage: Capacity, catalog: MemoryCatalog, steps: range, mine: Odd | None = None) -> dict[str, Forecast]:
    """What is said of disks that fill at different speeds, with series without a limit between them."""
    fills = {sid: (1 + number % 5) / 1200 for number, sid in enumerate(catalog.series)}
    own = [sid for sid, each in catalog.series.items() if mine is None or mine.entity(each.entity)]
    made: list[object] = []
    for step in steps:
        at_s = step * 10.0
        made += stage.process([samples(own, [at_s] * len(own), [min(0.2 + step * fills[sid], 0.99) for sid in own])])
        made += stage.advance(START_NS + int(at_s * SECOND_NS))
    return {item.id: item for item in made if isinstance(item, Forecast)}


@pytest.mark.parametrize("cut", [5, 90, 150])
def test_both_parts_together_say_what_the_whole_would(cut: int) -> None:
    catalog = MemoryCatalog()
    for number in range(DISKS):
        for metric in ("process.open", "system.filesystem.utilization"):
            catalog.register(metric, {"host": str(number)}, entity=f"host:{number}", tenant="main", unit="1")
    whole = Capacity(catalog)
    fed(whole, catalog, range(cut))
    state = whole.snapshot()
    expected = fed(whole, catalog, range(cut, 240))
    found: dict[str, Forecast] = {}
    for first in (True, False):
        part, mine = Capacity(catalog), Odd(catalog, first)
        part.restore(state)
        part.keep(mine)
        found |= fed(part, catalog, range(cut, 240), mine)
    assert len(expected) >= DISKS // 2
    assert found == expected
