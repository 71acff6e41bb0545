"""History sent later: what it knows better is taken, what it does not know stays, nobody is missed for being in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.unit.detect.telemetry import MemoryCatalog, ns, samples
from twofold.aiops.detect.panel import Panel
from twofold.records.finding import Direction, Finding, FindingState

Floats = npt.NDArray[np.float64]
PERIOD_S = 10.0
HISTORY = 360


class Fleet:
    """Panels over one catalog, and what its services send."""

    def __init__(self) -> None:
        self.catalog = MemoryCatalog()

    def panel(self) -> Panel:
        return Panel(self.catalog)

    def sid(self, service: str) -> int:
        entity = f"service:{service}"
        return self.catalog.register("queue.length", {"entity": entity}, entity=entity, tenant="main")[0]

    def send(self, panel: Panel, service: str, first: int, points: int, level: float = 100.0) -> list[Finding]:
        """Samples `first` and later of a service; what is told of them."""
        value = level + np.random.default_rng(first).standard_normal(points)
        made: list[object] = []
        for n in range(points):
            at_s = (first + n) * PERIOD_S
            made += panel.process([samples(self.sid(service), [at_s], [float(value[n])])])
            made += panel.advance(ns(at_s))
        return [each for each in made if isinstance(each, Finding)]


def test_history_of_others_takes_nothing_from_what_is_known() -> None:
    fleet = Fleet()
    live, past = fleet.panel(), fleet.panel()
    fleet.send(past, "imported", 0, HISTORY)
    fleet.send(live, "shop", HISTORY, 20)
    assert live.covered_by(past.snapshot()) == 0.0
    live.adopt(past.snapshot())
    assert len(live) == 2
    opened = fleet.send(live, "shop", HISTORY + 20, 6, level=5000.0)
    assert [each.entity for each in opened] == ["service:shop"]


def test_what_history_knows_better_is_taken_with_its_band() -> None:
    fleet = Fleet()
    live, past = fleet.panel(), fleet.panel()
    fleet.send(past, "shop", 0, HISTORY)
    fleet.send(live, "shop", HISTORY, 3)
    assert live.band(fleet.sid("shop")) is None
    assert live.covered_by(past.snapshot()) == 1.0
    live.adopt(past.snapshot())
    band, known = live.band(fleet.sid("shop")), past.band(fleet.sid("shop"))
    assert band is not None
    assert band == known


def test_what_is_known_longer_here_and_what_is_told_stays() -> None:
    fleet = Fleet()
    live, past = fleet.panel(), fleet.panel()
    fleet.send(past, "shop", 0, 30, level=1.0)
    fleet.send(live, "shop", 30, HISTORY)
    (opened,) = fleet.send(live, "shop", 30 + HISTORY, 6, level=5000.0)
    fleet.send(past, "shop", 30, 2 * HISTORY, level=1.0)
    live.adopt(past.snapshot())
    (closed,) = [
        each
        for each in fleet.send(live, "shop", 36 + HISTORY, 30)
        if each.state is FindingState.CLOSED and each.direction is Direction.UP
    ]
    assert closed.id == opened.id


def test_an_entity_of_old_history_is_missed_only_after_it_was_heard() -> None:
    fleet = Fleet()
    live, past = fleet.panel(), fleet.panel()
    for service in ("imported", "shop", "cart", "mail"):
        fleet.send(past, service, 0, HISTORY)
    for service in ("shop", "cart", "mail"):
        fleet.send(live, service, HISTORY, 3)
    live.adopt(past.snapshot())
    state, live = live.snapshot(), fleet.panel()
    live.restore(state)

    def go(services: tuple[str, ...], first: int, points: int) -> list[str]:
        missed: list[str] = []
        for n in range(first, first + points):
            for service in services:
                live.process([samples(fleet.sid(service), [n * PERIOD_S], [100.0 + n % 3])])
            missed += [
                each.entity
                for each in live.advance(ns(n * PERIOD_S))
                if isinstance(each, Finding) and each.direction is Direction.ABSENT
            ]
        return missed

    assert go(("shop", "cart", "mail"), HISTORY + 3, 60) == []
    assert go(("shop", "cart", "mail", "imported"), HISTORY + 63, 30) == []
    assert go(("shop", "cart", "mail"), HISTORY + 93, 60) == ["service:imported"]


def test_an_entity_that_was_given_up_stays_so_whatever_history_says_of_it() -> None:
    fleet = Fleet()
    live, past = fleet.panel(), fleet.panel()
    for service in ("gone", "shop", "cart", "mail"):
        fleet.send(past, service, 0, HISTORY)
        fleet.send(live, service, 0, HISTORY)
    for row in np.flatnonzero(live._table.sids == fleet.sid("gone")):
        live._table.rows["count"][row] = 0  # as `absence` gives up
    live.adopt(past.snapshot())
    assert live.band(fleet.sid("gone")) is None


def test_what_is_told_of_a_series_ends_there() -> None:
    fleet = Fleet()
    live, past = fleet.panel(), fleet.panel()
    fleet.send(past, "shop", 0, 9000)
    fleet.send(live, "shop", 9000, 400)
    fleet.send(live, "shop", 9400, 6, level=5000.0)
    assert live.covered_by(past.snapshot()) == 0.0
    live.adopt(past.snapshot())
    ended = [each for each in fleet.send(live, "shop", 9406, 30) if each.state is FindingState.CLOSED]
    assert len(ended) == 1
