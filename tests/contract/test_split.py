"""A partition is split: every stage lets go of what is another's, and goes on with its own as if nothing happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tests.contract.stages import OPENERS, Tick, catalog_of_stream, stage_classes, stored, stream
from tests.unit.detect.telemetry import MemoryCatalog
from twofold.flow.stage import Movable, Stage
from twofold.records.columns import Batch, DerivedSamples, Logs, Predictions, Samples, Spans
from twofold.records.series import Series
from twofold.records.shadow import ShadowPage, ShadowTime

ELSEWHERE = {"correlate", "delivery", "diagnose", "foretell", "slo"}
"""Not split: they stand in the first partition only, keep nothing, or know only the objectives that they are given."""
SERVICES = frozenset({"service:a", "service:b"})
ALONE = frozenset({"service:a"})
JOINED = {"joint", "red", "shadow", "traces"}
"""What these know of one service depends on what another reports."""


@dataclass(frozen=True)
class Half:
    """What belongs to one of two partitions: some entities, or all others."""

    names: frozenset[str]
    catalog: MemoryCatalog
    first: bool

    def entity(self, name: str) -> bool:
        return (name in self.names) is self.first

    def sids(self, sids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        found = [self.entity(self._of(self.catalog.get(sid, tenant="main"))) for sid in sids.tolist()]
        return np.array(found, np.bool_)

    def _of(self, series: Series) -> str:
        return f"model:{series.labels['model']}" if "model" in series.labels else series.entity

    def own(self, item: object) -> object:
        """The part of an item that this partition is sent."""
        if isinstance(item, Samples):
            return replace(item, data=item.data.filter(pa.array(self.sids(item.columns()[0]))))
        if isinstance(item, Logs | Spans):
            names = item.data.column("entity").to_pylist()
            return replace(item, data=item.data.filter(pa.array([self.entity(name) for name in names])))
        if isinstance(item, Predictions):
            return item if self.entity("model:m") else replace(item, data=item.data.slice(0, 0))
        return item


def rows(made: Sequence[object]) -> Counter[str]:
    """Whatever was made, sample by sample, in no order; without definitions, which are told again."""
    found: Counter[str] = Counter()
    for item in made:
        if isinstance(item, DerivedSamples):
            found.update(map(repr, zip(*item.data.to_pydict().values(), strict=True)))
        elif isinstance(item, Batch):
            found[repr(item.data.to_pydict())] += 1
        elif not isinstance(item, Series):
            found[repr(item)] += 1
    return found


def fed(stage: Stage, ticks: Sequence[Tick], half: Half | None = None) -> list[object]:
    made: list[object] = []
    for tick in ticks:
        items = [item for item in tick.items if isinstance(item, stage.accepts)]
        if half is not None:
            items = [half.own(item) for item in items]
        made += stage.process([item for item in items if not isinstance(item, Batch) or item.data.num_rows])
        made += stage.advance(tick.watermark_ns)
    return made


def movable() -> list[str]:
    return [name for name, kind in stage_classes().items() if issubclass(kind, Movable)]


@pytest.fixture(scope="module")
def ticks() -> list[Tick]:
    return stream()


def test_every_stage_takes_part_or_has_its_reason() -> None:
    assert set(movable()) == set(OPENERS) - ELSEWHERE


CASES = [(name, names) for name in movable() for names in (SERVICES, ALONE) if names is SERVICES or name not in JOINED]


@pytest.mark.parametrize("cut", [1, 61, 95, 103, 118])
@pytest.mark.parametrize(("opener", "names"), CASES, ids=[f"{name}-{len(names)}" for name, names in CASES])
def test_both_halves_together_make_what_the_whole_had_made(
    opener: str, names: frozenset[str], cut: int, ticks: list[Tick]
) -> None:
    catalog = catalog_of_stream()
    whole = OPENERS[opener](catalog)
    fed(whole, ticks[:cut])
    state = stored(whole.snapshot())
    made = []
    for first in (True, False):
        half, stage = Half(names, catalog, first), OPENERS[opener](catalog)
        stage.restore(state)
        assert isinstance(stage, Movable)
        stage.keep(half)
        again = OPENERS[opener](catalog)
        again.restore(stored(stage.snapshot()))
        assert isinstance(again, Movable)
        again.keep(half)  # a crash before the next checkpoint
        made += fed(again, ticks[cut:], half)
    expected = rows(fed(whole, ticks[cut:]))
    if opener == "topology":  # who runs where is known to all, and told by all
        assert set(rows(made)) >= {one for one in expected if "CALLS" not in one}
        return
    if opener == "shadow":  # each groups its own, and tells what it judged of its own
        made = [item for item in made if not isinstance(item, ShadowPage | ShadowTime)]
        expected = Counter({one: n for one, n in expected.items() if not one.startswith(("ShadowPage", "ShadowTime"))})
    assert rows(made) == expected
