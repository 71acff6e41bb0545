"""Why a finding fired and what would have silenced it: each claim holds when the detector itself is run on it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.detect.telemetry import MemoryCatalog, ns, samples
from tests.unit.detect.test_bands import LATENCY, Past
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.explain import Explainer
from twofold.aiops.detect.panel import Panel
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.series import Series, SeriesKind, sid_text
from twofold.records.time import to_datetime
from twofold.records.why import Silencer, SilencerKind, Why

PERIOD_S = 5.0
CONFIG = PanelConfig()


def series_of(height: float, *, ticks: int = 600, lasts: int = 60) -> npt.NDArray[np.float64]:
    """Latency around 50 ms, higher by `height` from tick 500 on."""
    value = 0.05 + 0.003 * np.random.default_rng(0).standard_normal(ticks)
    value[500 : 500 + lasts] += height
    return value


def findings(value: npt.NDArray[np.float64], config: PanelConfig = CONFIG, series: Series = LATENCY) -> list[Finding]:
    """What the panel itself says, the last word on each finding."""
    catalog = MemoryCatalog()
    catalog.restore([series])
    panel = Panel(catalog, config, detector="panel@3")
    made = panel.process([samples(series.sid, [n * PERIOD_S for n in range(len(value))], value.tolist())])
    latest = {each.id: each for each in made if isinstance(each, Finding)}
    return list(latest.values())


def explained(value: npt.NDArray[np.float64], finding: Finding, series: Series = LATENCY) -> Why:
    return Explainer(Past(value, PERIOD_S), lambda *_: CONFIG).why(finding, series)  # type: ignore[arg-type]  # reads only


def silencer(why: Why, kind: SilencerKind) -> Silencer:
    return next(each for each in why.silencers if each.kind is kind)


def test_the_budget_that_is_named_silences_it_and_a_larger_one_does_not() -> None:
    value = series_of(0.03, lasts=4)
    (finding,) = findings(value)
    why = explained(value, finding)
    found = silencer(why, SilencerKind.BUDGET)
    assert why.replayed
    assert found.needed is not None
    assert found.setting == f"alerts_per_day={found.needed:.2g}"
    assert findings(value, replace(CONFIG, alerts_per_day=found.needed)) == []
    assert findings(value, replace(CONFIG, alerts_per_day=2.5 * found.needed)) != []


def test_what_no_budget_silences_is_said_to_be_so() -> None:
    value = series_of(0.4)
    (finding,) = findings(value)
    found = silencer(explained(value, finding), SilencerKind.BUDGET)
    assert found.needed is None
    assert found.setting == ""
    assert findings(value, replace(CONFIG, alerts_per_day=1e-9)) != []


def test_the_peak_that_is_named_stays_silent_and_a_little_more_does_not() -> None:
    value = series_of(0.4)
    (finding,) = findings(value)
    found = silencer(explained(value, finding), SilencerKind.VALUE)
    assert found.needed is not None
    share = (found.needed - finding.expected) / (finding.value - finding.expected)
    assert 0 < share < 0.5, "50 to 450 ms is far beyond what matters"

    def scaled(by: float) -> npt.NDArray[np.float64]:
        return np.where(np.arange(len(value)) >= 500, finding.expected + by * (value - finding.expected), value)

    assert findings(scaled(0.98 * share)) == []
    assert findings(scaled(1.1 * share)) != []


def test_the_floor_that_is_named_silences_it() -> None:
    value = series_of(0.4)
    (finding,) = findings(value)
    found = silencer(explained(value, finding), SilencerKind.FLOOR)
    assert found.needed is not None
    floors = json.loads(found.setting.removeprefix("floors="))
    assert floors == [f"{LATENCY.metric}={found.needed:g}"]
    assert findings(value, replace(CONFIG, floors=tuple(floors))) == []
    assert findings(value, replace(CONFIG, floors=(f"{LATENCY.metric}={found.needed / 1.2}",))) != []


def test_what_ends_before_it_would_have_been_told_stays_silent() -> None:
    value = series_of(0.4)
    (finding,) = findings(value)
    found = silencer(explained(value, finding), SilencerKind.DURATION)
    assert found.needed is not None
    samples_needed = round(found.needed / PERIOD_S)
    assert findings(series_of(0.4, lasts=samples_needed)) == []
    assert findings(series_of(0.4, lasts=samples_needed + 2)) != []


def test_reasons_hold_the_band_the_worst_value_its_rarity_and_how_long_it_took() -> None:
    value = series_of(0.4)
    (finding,) = findings(value)
    reasons = " ".join(explained(value, finding).reasons)
    for part in (
        "Expected was 49.9 ms",
        "rose to 456 ms from 00:41:40 on",
        "usual deviations away",
        "By chance",
        "sample out of",
    ):
        assert part in reasons


def test_an_open_finding_says_when_it_closes_and_when_its_level_counts_as_new() -> None:
    value = series_of(0.4, lasts=100)
    (finding,) = findings(value)
    assert finding.state is FindingState.OPEN
    why = explained(value, finding)
    assert silencer(why, SilencerKind.LEVEL).needed == CONFIG.readmit_s
    assert silencer(why, SilencerKind.END).text.startswith("It closes once the series stays below about")


def test_without_a_history_only_what_the_record_tells_is_said() -> None:
    (finding,) = findings(series_of(0.4))
    why = explained(np.empty(0), finding)
    assert not why.replayed
    assert [each.kind for each in why.silencers] == [SilencerKind.END]
    assert not any(each.tried for each in why.silencers)


def test_counters_are_replayed_as_rates() -> None:
    counter = Series(sid=LATENCY.sid, metric="http.errors", entity="service:a", kind=SeriesKind.COUNTER)
    rate = 50.0 + np.random.default_rng(0).standard_normal(600)
    rate[500:560] += 500.0
    value = np.cumsum(rate * PERIOD_S)
    (finding,) = findings(value, series=counter)
    why = explained(value, finding, counter)
    assert why.replayed
    kinds = {each.kind for each in why.silencers}
    assert SilencerKind.BUDGET in kinds
    assert SilencerKind.VALUE not in kinds, "what a counter would have shown is not known"


def record(detector: str, direction: Direction, *, value: float, high: float, effect: float) -> Finding:
    onset = to_datetime(ns(0))
    return Finding(
        id="f", entity="service:a", series=sid_text(1), metric="m", onset=onset, seen=onset, score=6.0, effect=effect,
        value=value, expected=1.0, low=0.0, high=high, direction=direction, detector=detector, reason="r",
    )  # fmt: skip


def test_an_absent_entity_is_silenced_by_data_or_by_more_patience() -> None:
    why = explained(np.empty(0), record("panel@3", Direction.ABSENT, value=0, high=0, effect=-9.0))
    assert silencer(why, SilencerKind.DATA).text
    assert silencer(why, SilencerKind.DURATION).setting == "silent_periods=10"


@pytest.mark.parametrize("detector", ["slo@1", "other@1"])
def test_findings_of_others_say_what_their_record_tells(detector: str) -> None:
    finding = record(detector, Direction.UP, value=28.8, high=14.4, effect=2.0)
    why = Explainer(Past(np.empty(0), 5.0), lambda *_: None).why(finding, LATENCY)  # type: ignore[arg-type]  # reads only
    assert why.reasons
    assert any("14.4" in each.text for each in why.silencers)
