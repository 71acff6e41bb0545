"""Which settings are tried, what counts as a loss, and that the hold-out is never learnt from."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta

from twofold.aiops.detect.config import PanelConfig
from twofold.joints.search import RANGES, candidates, loss_of, parted
from twofold.records.backtest import Figures, Label

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def label(hours: float, lasts_h: float = 0.1) -> Label:
    start = NOW + timedelta(hours=hours)
    return Label(name=f"{hours}", start=start, end=start + timedelta(hours=lasts_h))


def figures(**changes: float) -> Figures:
    counts = {"points": 1, "series": 1, "seconds": 1.0, "cpu_s": 1.0, "findings": 0, "alerts": 0, "pages": 0}
    more = {"labels": 4, "found": 4, "first": 4, "noise": 0, "repeats": 0, "pages_per_week": 0.0, "cpu_s_per_day": 1.0}
    return Figures(**(counts | more | changes))  # type: ignore[arg-type]  # fields by name


def test_the_live_settings_are_tried_first_and_the_same_seed_tries_the_same() -> None:
    live = PanelConfig()
    tried = list(candidates(live, 12, 7, ["span.duration"]))
    assert tried[0] == live
    assert len(set(tried)) == 13
    assert tried == list(candidates(live, 12, 7, ["span.duration"]))
    assert tried[1].floors == ("span.duration=2",)


def test_what_is_searched_are_settings_and_stays_within_its_range() -> None:
    assert RANGES.keys() <= {field.name for field in fields(PanelConfig)}
    for config in candidates(PanelConfig(), 100, 3):
        assert all(low <= getattr(config, name) <= high for name, (low, high) in RANGES.items())


def test_a_floor_that_stands_is_replaced_not_repeated() -> None:
    live = PanelConfig(floors=("span.duration=2", "process.cpu=3"))
    assert next(c for c in candidates(live, 1, 0, ["span.duration"]) if c != live).floors == (
        "process.cpu=3",
        "span.duration=4",
    )


def test_a_miss_weighs_as_much_as_a_false_page_and_more_than_all_lesser_evils() -> None:
    best = loss_of(figures(pages=4), 2, 7.0)
    assert best == 0.0
    missed, false = loss_of(figures(found=3, pages=3), 2, 7.0), loss_of(figures(noise=1, pages=5), 2, 7.0)
    assert missed == false > 0.1
    lesser = loss_of(figures(pages=9, repeats=2, median_delay_s=60.0), 2, 7.0)
    assert 0.0 < lesser < missed


def test_the_hold_out_is_later_than_all_that_is_learnt_from() -> None:
    learnt, held = parted([label(5), label(1), label(3), label(7), label(4, lasts_h=2.0)], 0.4)
    assert [one.name for one in held] == ["5", "7"]
    assert [one.name for one in learnt] == ["1", "3"], "one that reaches into it is in neither"
