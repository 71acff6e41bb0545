"""The stage: lines to rates per template, events for new ones, and what it keeps over a restart."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.unit.detect.telemetry import START_NS, MemoryCatalog, line, logs, ns
from twofold.aiops.detect.mining.miner import MinerConfig
from twofold.aiops.detect.mining.rates import ERROR_RATE, RARE_RATE, TEMPLATE_RATE, RateConfig
from twofold.aiops.detect.mining.stage import Mining, MiningConfig
from twofold.aiops.detect.panel import Panel
from twofold.errors import Corrupt
from twofold.records.columns import DerivedSamples
from twofold.records.event import Event, EventKind
from twofold.records.finding import Finding, FindingState
from twofold.records.frame import Lane
from twofold.records.series import Series, parse_sid

CONFIG = MiningConfig(warm_lines=100, rates=RateConfig(least_lines=10, least_age_s=0, rare_lines=5, idle_s=600.0))


def run(stage: Mining, first: int, last: int, more: Mapping[int, Sequence[Any]] | None = None) -> list[object]:
    """Ten lines a five-second window, and more lines at some windows."""
    made: list[object] = []
    for tick in range(first, last):
        at_s = tick * 5.0
        rows = [line("service:a", f"order {tick}{i} paid", at_s=at_s + i / 10, severity=9) for i in range(6)]
        rows += [line("service:b", f"user u{i} came from 10.0.0.{i}", at_s=at_s + i / 10, severity=9) for i in range(4)]
        rows += list((more or {}).get(tick, ()))
        made.extend(stage.process([logs(*rows)]))
        made.extend(stage.advance(ns(at_s)))
    return made


def rates(made: Sequence[object], catalog: MemoryCatalog, metric: str, template: str = "") -> list[float]:
    """Values of the series of that metric whose template's text holds a part, over time."""
    found = []
    for item in made:
        if isinstance(item, DerivedSamples):
            for sid, value in zip(
                item.data.column("sid").to_pylist(), item.data.column("value").to_pylist(), strict=True
            ):
                series = catalog.series[sid]
                if series.metric == metric and series.labels.get("template", "") == template:
                    found.append(value)
    return found


def template_of(stage: Mining, part: str) -> str:
    return next(f"{i:016x}" for i, t in stage.miner.book.templates.items() if part in t.text())


def test_each_template_of_an_entity_has_a_rate_per_second_once_it_is_known_for_long_enough() -> None:
    catalog = MemoryCatalog()
    stage = Mining(catalog, MiningConfig(rates=RateConfig(least_lines=10, least_age_s=60)))
    made = run(stage, 0, 40, {11: [line("service:a", "something odd", at_s=55, severity=9)]})
    paid = rates(made, catalog, TEMPLATE_RATE, template_of(stage, "paid"))
    assert set(paid) == {6 / 5}
    assert len(paid) == pytest.approx(40 - 60 / 5, abs=3)
    assert rates(made, catalog, TEMPLATE_RATE, template_of(stage, "odd")) == []
    defined = [item for item in made if isinstance(item, Series)]
    assert {series.entity for series in defined} == {"service:a", "service:b"}
    assert len({series.sid for series in defined}) == len(defined)


def test_a_template_of_errors_has_a_series_of_errors_at_once() -> None:
    catalog = MemoryCatalog()
    stage = Mining(catalog, MiningConfig(rates=RateConfig(least_lines=10)))
    bad = {t: [line("service:a", f"retry {t} failed", at_s=t * 5.0, severity=17)] * 5 for t in range(20, 24)}
    made = run(stage, 0, 24, bad)
    assert rates(made, catalog, ERROR_RATE, template_of(stage, "retry"))[0] == 1.0
    assert rates(made, catalog, TEMPLATE_RATE, template_of(stage, "paid")) == []


def test_a_template_that_falls_silent_has_rate_zero_until_it_is_idle() -> None:
    catalog = MemoryCatalog()
    stage = Mining(catalog, CONFIG)
    extra = {
        tick: [line("service:a", f"beat {tick}", at_s=tick * 5.0, severity=9) for _ in range(5)] for tick in range(10)
    }
    made = run(stage, 0, 200, extra)
    beats = rates(made, catalog, TEMPLATE_RATE, template_of(stage, "beat"))
    assert beats[0] == 1.0
    assert set(beats[-100:]) == {0.0}
    assert 100 < len(beats) < 140, "after ten minutes nothing is said of it any more"


def test_errors_hardly_ever_written_make_the_rare_rate_and_known_ones_do_not() -> None:
    catalog = MemoryCatalog()
    stage = Mining(catalog, CONFIG)
    known = {tick: [line("service:a", f"retry {tick} failed", at_s=tick * 5.0, severity=17)] for tick in range(30)}
    run(stage, 0, 30, known)
    burst = {30: [line("service:a", f"table {chr(97 + i)} is corrupt", at_s=150, severity=17) for i in range(8)]}
    made = run(stage, 30, 34, {30: [*burst[30], *known[29]]})
    assert max(rates(made, catalog, RARE_RATE)) == pytest.approx(8 / 5)


def test_a_new_error_is_rare_for_a_while_however_often_it_comes() -> None:
    catalog = MemoryCatalog()
    stage = Mining(catalog, MiningConfig(rates=RateConfig(rare_s=300)))
    storm = {t: [line("service:a", f"retry {t} failed", at_s=t * 5.0, severity=17)] * 5 for t in range(80, 200)}
    rare = [each for each in rates(run(stage, 0, 200, storm), catalog, RARE_RATE) if each > 0]
    assert set(rare) == {1.0}
    assert len(rare) == pytest.approx(300 / 5, abs=2)


def test_without_a_severity_the_words_of_the_template_tell_an_error() -> None:
    catalog = MemoryCatalog()
    stage = Mining(catalog, CONFIG)
    odd = [
        line("service:a", "checkout failed badly", at_s=5, severity=0),
        line("service:a", "all is well", at_s=5, severity=0),
    ]
    made = run(stage, 0, 4, {1: odd})
    assert max(rates(made, catalog, RARE_RATE)) == pytest.approx(1 / 5)


def test_a_new_template_is_an_event_after_the_warm_up_once_and_with_the_same_id() -> None:
    odd = {t: [line("service:a", f"disk {t} melts", at_s=t * 5.0, severity=17)] for t in (1, 20, 21)}
    odd[20].append(line("service:b", "who is there", at_s=100))
    found = [[e for e in run(Mining(MemoryCatalog(), CONFIG), 0, 30, odd) if isinstance(e, Event)] for _ in range(2)]
    assert found[0] == found[1]
    assert [(e.kind, e.entity, e.title) for e in found[0]] == [
        (EventKind.NEW_TEMPLATE, "service:b", "new log line: who is there"),
    ]
    assert found[0][0].attributes["example"] == "who is there"


def test_a_storm_of_new_templates_is_told_up_to_a_limit_and_counted() -> None:
    stage = Mining(MemoryCatalog(), CONFIG)
    letters = "abcdefghijklmnopqrstuvwxyz"
    storm = [
        line("service:a", " ".join(f"{a}{b}{c}" for c in letters[: 3 + i % 5]), at_s=100)
        for i, (a, b) in enumerate((a, b) for a in letters[:6] for b in letters)
    ]
    events = [e for e in run(stage, 0, 30, {20: storm}) if isinstance(e, Event)]
    assert len(events) == CONFIG.events_per_window
    assert stage.dropped["untold"] + len(events) > 50


def test_backfill_learns_and_tells_nobody() -> None:
    stage = Mining(MemoryCatalog(), CONFIG, lane=Lane.BACKFILL)
    made = run(stage, 0, 30, {20: [line("service:b", "who is there", at_s=100)]})
    assert not [e for e in made if isinstance(e, Event)]
    assert all(item.lane is Lane.BACKFILL for item in made if isinstance(item, DerivedSamples))


def test_the_series_of_an_entity_are_bounded_and_refusals_of_the_catalog_are_counted() -> None:
    tight = MiningConfig(warm_lines=100, rates=RateConfig(least_lines=1, least_age_s=0, templates_per_entity=3))
    words = ("red", "green", "blue", "white", "black", "pink")
    busy = {t: [line("service:a", f"the lamp shows {w} light {t}", at_s=t * 5.0) for w in words] for t in range(10)}
    catalog = MemoryCatalog()
    run(Mining(catalog, tight), 0, 10, busy)
    assert len(catalog.find(tenant="main", entity="service:a", metric=TEMPLATE_RATE)) <= 4
    stage = Mining(MemoryCatalog(limit=2), tight)
    run(stage, 0, 10, busy)
    assert stage.dropped["cardinality"] > 0


def test_late_lines_are_counted_by_reason() -> None:
    stage = Mining(MemoryCatalog(), CONFIG)
    run(stage, 0, 40)
    stage.process([logs(line("service:a", "order 5 paid", at_s=1.0))])
    assert stage.dropped["late"] == 1


def test_a_merge_hands_the_series_on() -> None:
    catalog = MemoryCatalog()
    stage = Mining(catalog, MiningConfig(rates=RateConfig(least_lines=2, least_age_s=0)))
    names = ("alice", "bruno", "carol", "dora", "emil")
    visits = {
        t: [line("service:a", f"session opened for user {names[min(t // 4, 4)]}", at_s=t * 5.0, severity=9)] * 2
        for t in range(24)
    }
    made = run(stage, 0, 24, visits)
    sessions = [s for s in catalog.series.values() if s.labels.get("template") == f"{template_id(stage):016x}"]
    assert len(sessions) == 1
    values = rates(made, catalog, TEMPLATE_RATE, f"{template_id(stage):016x}")
    assert values[-1] == pytest.approx(2 / 5)
    assert min(values[-12:]) > 0


def template_id(stage: Mining) -> int:
    return next(i for i, t in stage.miner.book.templates.items() if "session opened" in t.text())


def test_a_restart_between_windows_keeps_everything() -> None:
    catalog, config = MemoryCatalog(), MiningConfig(warm_lines=100, miner=MinerConfig(most_templates=40))
    whole = run(Mining(MemoryCatalog(), config), 0, 40)
    first = Mining(catalog, config)
    made = run(first, 0, 17)
    second = Mining(catalog, config)
    second.restore(first.snapshot())
    made += run(second, 17, 40)
    keep = [item for item in made if not isinstance(item, Series)]
    assert keep == [item for item in whole if not isinstance(item, Series)]
    with pytest.raises(Corrupt):
        second.restore({"stage": b"[]"})


def test_times_are_those_of_the_windows() -> None:
    made = run(Mining(MemoryCatalog(), CONFIG), 0, 6)
    batches = [item for item in made if isinstance(item, DerivedSamples)]
    assert [(b.window_ns - START_NS) % 5_000_000_000 for b in batches] == [0] * len(batches)
    assert all(set(b.data.column("time_ns").to_pylist()) == {b.window_ns} for b in batches)


def test_with_the_detector_of_series_a_burst_of_new_errors_and_a_template_that_vanishes_are_found() -> None:
    catalog = MemoryCatalog()
    stage, panel = Mining(catalog), Panel(catalog)
    pick = random.Random(1)  # noqa: S311 - no secret
    found: list[tuple[int, str]] = []
    for tick in range(960):
        at_s = tick * 5.0
        rows = [line("service:a", f"order {i} paid", at_s=at_s, severity=9) for i in range(pick.randint(3, 9))]
        if tick < 900:
            rows += [line("service:a", f"cache hit {i}", at_s=at_s, severity=9) for i in range(pick.randint(8, 12))]
        if 700 <= tick < 720:
            rows += [line("service:a", f"retry {i} failed", at_s=at_s, severity=17) for i in range(8)]
        made = [*stage.process([logs(*rows)]), *stage.advance(ns(at_s))]
        told = [*panel.process([item for item in made if isinstance(item, DerivedSamples)]), *panel.advance(ns(at_s))]
        opened = [each for each in told if isinstance(each, Finding) and each.state is FindingState.OPEN]
        found += [(tick, catalog.series[parse_sid(each.series)].metric) for each in opened]
    assert [metric for _, metric in found] == [RARE_RATE, TEMPLATE_RATE]
    assert found[0][0] - 700 <= 6, "within half a minute"
    assert found[1][0] - 900 <= 12, "within a minute"
