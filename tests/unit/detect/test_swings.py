"""A series that swings otherwise than it does: the finding says how much, opens no incident, and ends."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tests.unit.detect.telemetry import MemoryCatalog, ns, samples
from twofold.aiops.detect.explain import Explainer
from twofold.aiops.detect.panel import Panel
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.series import Series, SeriesKind
from twofold.records.signal import harmful
from twofold.records.words import claim

Floats = npt.NDArray[np.float64]
MINUTE_S = 60.0
TWO_DAYS = 2880
PRESSURE = Series(sid=7, metric="pipe.pressure", entity="host:a", kind=SeriesKind.GAUGE, unit="bar")
KINDS = (Direction.VOLATILE, Direction.STEADY)


def panel_of() -> Panel:
    catalog = MemoryCatalog()
    catalog.restore([PRESSURE])
    return Panel(catalog)


def feed(panel: Panel, value: Floats, since: int = 0) -> list[Finding]:
    times = [(since + n) * MINUTE_S for n in range(len(value))]
    made = panel.process([samples(PRESSURE.sid, times, value.tolist())])
    return [each for each in made if isinstance(each, Finding) and each.direction in KINDS]


def pressure(points: int, spread: float = 1.5, seed: int = 0) -> Floats:
    return 10.0 + spread * np.random.default_rng(seed).standard_normal(points)


def test_it_is_told_with_both_sizes_and_ends_when_it_swings_as_before() -> None:
    panel = panel_of()
    assert not feed(panel, pressure(TWO_DAYS))
    (opened,) = feed(panel, pressure(160, 4.5, seed=1), since=TWO_DAYS)
    assert opened.state is FindingState.OPEN
    assert opened.direction is Direction.VOLATILE
    assert opened.effect > 1.8
    assert "pipe.pressure of a swings by" in opened.reason
    assert "usually by" in opened.reason
    assert "x as much as usual" in claim(opened)
    assert not harmful(opened.metric, opened.direction)
    (closed,) = feed(panel, pressure(120, seed=2), since=TWO_DAYS + 160)
    assert closed.state is FindingState.CLOSED
    assert closed.id == opened.id
    assert "swings as it did before" in closed.reason


def test_it_goes_on_over_a_restart_and_ends_with_its_data() -> None:
    panel = panel_of()
    feed(panel, pressure(TWO_DAYS))
    (opened,) = feed(panel, pressure(160, 0.3, seed=1), since=TWO_DAYS)
    assert opened.direction is Direction.STEADY
    state, panel = panel.snapshot(), panel_of()
    panel.restore(state)
    again = [each for each in panel.advance(ns((TWO_DAYS + 161) * MINUTE_S)) if isinstance(each, Finding)]
    assert [each.id for each in again if each.direction in KINDS] == [opened.id]
    gone = [each for each in panel.advance(ns((TWO_DAYS + 400) * MINUTE_S)) if isinstance(each, Finding)]
    (ended,) = [each for each in gone if each.direction in KINDS]
    assert ended.state is FindingState.CLOSED


def test_it_explains_itself_by_both_sizes_and_by_what_ends_it() -> None:
    panel = panel_of()
    feed(panel, pressure(TWO_DAYS))
    (opened,) = feed(panel, pressure(160, 4.5, seed=1), since=TWO_DAYS)
    why = Explainer(None, lambda *_: None).why(opened, PRESSURE)  # type: ignore[arg-type]  # no history is read
    assert "x as much" in why.reasons[0]
    assert "bar" in why.reasons[0]
    (silencer,) = why.silencers
    assert "swings as before" in silencer.text
