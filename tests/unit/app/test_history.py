"""History that is imported while the live lane runs: nobody else's makes it forget, its own makes it know more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.telemetry import NOON, SECOND, samples_frame
from tests.unit.detect.telemetry import MemoryCatalog
from twofold.aiops.detect.panel import Panel
from twofold.flow.decode import decode
from twofold.flow.memory import MemoryJournal
from twofold.flow.pipeline import Pipeline
from twofold.flow.runner import AT_REST_NS, Runner
from twofold.records.finding import Finding
from twofold.records.frame import Lane
from twofold.store.blobs.files import FileBlobs

SHOP, OTHER = "service:shop", "service:other"


class World:
    """A runner with panels alone, and what two services send."""

    def __init__(self, home: Path) -> None:
        self.catalog, self.journal = MemoryCatalog(), MemoryJournal()
        self.told: list[tuple[Lane, str]] = []
        self.blobs = FileBlobs(home / "blobs")
        self.restart()

    def restart(self) -> None:
        """Go on from the checkpoint."""
        self.runner = Runner(self.journal, 0, decode=decode, build=self._build, sink=self, blobs=self.blobs)
        self.runner.restore()

    def _build(self, tenant: str, lane: Lane) -> Pipeline:
        return Pipeline([Panel(self.catalog, tenant=tenant)], lane=lane, lateness_ns=SECOND)

    def write(self, made: object, *, tenant: str, lane: Lane) -> None:
        del tenant
        assert isinstance(made, list)
        self.told += [(lane, each.entity) for each in made if isinstance(each, Finding)]

    def send(self, entity: str, first_s: int, points: int, *, lane: Lane, at_s: int = 0, level: float = 100.0) -> None:
        """Samples every ten seconds; history is received at `at_s`."""
        sid = self.catalog.register("queue.length", {"entity": entity}, entity=entity, tenant="main")[0]
        values = level + np.random.default_rng(first_s % 1000).standard_normal(points)
        for n, value in enumerate(values.tolist()):
            time_ns = NOON + (first_s + 10 * n) * SECOND
            received_ns = time_ns if lane is Lane.LIVE else NOON + at_s * SECOND
            self.journal.append([samples_frame([(sid, time_ns, value)], lane=lane, time_ns=received_ns)])
        self.runner.drain()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_history_of_another_service_takes_nothing_from_the_live_lane(world: World) -> None:
    world.send(SHOP, 0, 20, lane=Lane.LIVE)
    world.send(OTHER, -3600, 360, lane=Lane.BACKFILL, at_s=200)
    rest_s = 200 + AT_REST_NS // SECOND + 5
    world.send(SHOP, rest_s, 3, lane=Lane.LIVE)
    world.send(SHOP, rest_s + 30, 6, lane=Lane.LIVE, level=5000.0)
    assert (Lane.LIVE, SHOP) in world.told


@pytest.mark.parametrize("heard", [0, 3])
def test_the_live_lane_goes_on_from_its_own_history(world: World, heard: int) -> None:
    if heard:
        world.send(SHOP, 0, heard, lane=Lane.LIVE)
    world.send(SHOP, -3600, 360, lane=Lane.BACKFILL, at_s=30)
    world.send(SHOP, 40, 1, lane=Lane.LIVE)
    world.send(SHOP, 50, 4, lane=Lane.LIVE, level=5000.0)
    assert (Lane.LIVE, SHOP) in world.told


def test_history_that_comes_in_two_parts_is_taken_twice(world: World) -> None:
    world.send(SHOP, -3600, 360, lane=Lane.BACKFILL, at_s=0)
    world.send(SHOP, 10, 3, lane=Lane.LIVE)
    world.send(OTHER, -3600, 361, lane=Lane.BACKFILL, at_s=50)
    world.send(OTHER, 60, 1, lane=Lane.LIVE)
    world.send(OTHER, 70, 4, lane=Lane.LIVE, level=5000.0)
    assert (Lane.LIVE, OTHER) in world.told


def test_a_restart_takes_nothing_of_history_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.send(SHOP, -3600, 360, lane=Lane.BACKFILL, at_s=0)
    world.send(SHOP, 10, 3, lane=Lane.LIVE)
    world.restart()
    taken: list[object] = []
    monkeypatch.setattr(Panel, "adopt", lambda _panel, older: taken.append(older))
    world.send(SHOP, 60, 3, lane=Lane.LIVE)
    assert not taken
