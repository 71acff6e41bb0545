"""A contest passes what is proven, fails what is worse, and says where nothing can be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from twofold.errors import Conflict, InputError
from twofold.joints.contest import contest, evidence_of, failed, unjudged
from twofold.joints.hindsight import Made, figures_of, hold_against, inside
from twofold.records.alert import Severity
from twofold.records.backtest import Backtest, BacktestState, Figures, Label, Page
from twofold.records.model import GateResult

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
DAY_S = 86_400.0
FIGURES = Figures(
    points=1000,
    series=10,
    seconds=1.0,
    cpu_s=1.0,
    findings=0,
    alerts=0,
    pages=0,
    labels=0,
    found=0,
    first=0,
    noise=0,
    repeats=0,
    pages_per_week=0.0,
    cpu_s_per_day=1.0,
    observed_s=7 * DAY_S,
)
FAULT = Label(name="fault", start=BEGAN, end=BEGAN + timedelta(hours=1), entities=("service:a",))

OLD = Label(name="old", start=BEGAN.replace(year=2020), end=BEGAN.replace(year=2021))


def page(hour: float, entity: str = "service:a", suspect: str = "service:a") -> Page:
    at = BEGAN + timedelta(hours=hour)
    return Page(
        incident=f"{entity}-{hour}",
        title="x",
        severity=Severity.WARNING,
        start=at,
        detected=at,
        alerts=1,
        suspect=suspect,
        entities=(entity,),
    )


def done(
    version: str, *pages: Page, model: str = "panel", labels: tuple[Label, ...] = (), **figures: float
) -> Backtest:
    made = replace(FIGURES, pages=len(pages), **figures)  # type: ignore[arg-type]  # fields by name
    return Backtest(
        id=version,
        model=model,
        version=version,
        start=BEGAN,
        end=BEGAN + timedelta(days=7),
        warm_up_s=0.0,
        requester="robin",
        created=BEGAN,
        state=BacktestState.DONE,
        labels=labels,
        figures=made,
        pages=pages,
    )


def gates(ours: Backtest, theirs: Backtest) -> dict[str, GateResult]:
    return {gate.name: gate for gate in contest(ours, theirs).gates}


def test_nothing_of_nothing_is_no_victory() -> None:
    """No label, no page, of nobody: the recall cannot be told, and what no label speaks of is not asked."""
    found = gates(done("2"), done("1"))
    assert found["labelled_recall"].unknown
    assert not found["labelled_recall"].passed
    assert "no incident of the period is labelled; panel@1 paged for nothing either" in found["labelled_recall"].text
    assert not {"cause_first", "false_pages", "delay_s"} & found.keys()


def test_without_labels_all_that_the_champion_paged_for_is_recall_enough() -> None:
    champion = done("1", page(1.0), page(5.0))
    kept = gates(done("2", page(1.02), page(5.0), page(9.0)), champion)["labelled_recall"]
    assert (kept.passed, kept.unknown) == (True, False)
    assert "pages for 2 of the 2 that panel@1 paged for" in kept.text
    for fewer in (done("2", page(1.0)), done("2", page(1.0), page(5.0, "host:b", ""))):
        left_out = gates(fewer, champion)["labelled_recall"]
        assert (left_out.passed, left_out.unknown) == (False, True), "it may have been noise"


def test_labels_decide_where_there_are_some() -> None:
    ours = replace(done("2", labels=(FAULT,)), figures=replace(FIGURES, labels=1))
    theirs = replace(done("1", labels=(FAULT,)), figures=replace(FIGURES, labels=1, found=1, first=1))
    found = gates(ours, theirs)
    assert {name for name, gate in found.items() if failed(gate)} == {"labelled_recall", "cause_first"}
    with pytest.raises(Conflict, match="finds 0 of 1 labelled incidents"):
        evidence_of(tuple(found.values()), "panel@2 lost", "robin")


def test_less_than_a_day_says_nothing_of_pages_a_week() -> None:
    short = gates(done("2", observed_s=2400.0), done("1", observed_s=2400.0))["pages_per_week"]
    assert short.unknown
    assert "the period has 0.7 h of telemetry, at least 24 h are needed" in short.text
    assert gates(done("2", observed_s=DAY_S), done("1", observed_s=DAY_S))["pages_per_week"].passed
    worse = gates(done("2", pages_per_week=7.0), done("1"))["pages_per_week"]
    assert failed(worse)


def test_a_short_replay_that_costs_more_is_not_proven_to() -> None:
    assert failed(gates(done("2", cpu_s_per_day=60.0), done("1"))["cost"])
    short = gates(done("2", cpu_s_per_day=60.0, observed_s=2400.0), done("1", observed_s=2400.0))["cost"]
    assert (short.passed, short.unknown) == (False, True)


def test_what_cannot_be_told_is_accepted_by_name_or_not_at_all() -> None:
    found = contest(done("2"), done("1")).gates
    assert contest(done("2"), done("1")).won, "nothing was lost"
    with pytest.raises(Conflict, match=r"cannot tell.*--accept-unknown"):
        evidence_of(found, "panel@2 lost")
    said = evidence_of(found, "panel@2 lost", "robin")
    assert [line.endswith("(accepted by robin)") for line in said] == [gate.unknown for gate in found]


def test_a_ranker_is_judged_by_causes_and_without_them_by_naming_the_same() -> None:
    champion = done("1", page(1.0), model="causes")
    assert gates(done("2", page(1.0), model="causes"), champion)["cause_first"].passed
    other = gates(done("2", page(1.0, suspect="host:b"), model="causes"), champion)["cause_first"]
    assert (other.passed, other.unknown) == (False, True)
    ours, theirs = (
        replace(done(each, model="causes", labels=(FAULT,)), figures=replace(FIGURES, labels=1, first=first))
        for each, first in (("2", 0), ("1", 1))
    )
    assert failed(gates(ours, theirs)["cause_first"])
    assert "pages_per_week" not in gates(ours, theirs), "whom it names changes no page"


def test_a_forecaster_needs_a_person_who_accepts_that_nothing_compares_it() -> None:
    with pytest.raises(Conflict, match="cannot tell whether capacity@2 forecasts better"):
        unjudged("capacity", "2")
    assert unjudged("capacity", "2", accept_unknown="robin")[0].endswith("(accepted by robin)")


def test_labels_outside_of_the_period_are_neither_found_nor_missed() -> None:
    asked = done(
        "2", labels=(FAULT, replace(FAULT, name="old", start=BEGAN.replace(year=2020), end=BEGAN.replace(year=2021)))
    )
    within = inside(asked.labels, asked.start, asked.end)
    made = Made(findings={}, alerts={}, incidents={}, diagnoses={}, points=1, series=1, observed_s=2400.0)
    pages, missed = hold_against(made, within, asked.start, asked.end)
    figures = figures_of(made, pages, within, asked, (1.0, 1.0))
    assert [one.name for one in missed] == ["fault"]
    assert (figures.labels, figures.outside) == (1, 1)


def test_a_label_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(InputError, match=r"label 'fault' ends at .* before it starts at"):
        inside([replace(FAULT, end=BEGAN - timedelta(hours=1))], BEGAN, BEGAN + timedelta(days=1))


def test_rates_are_of_the_time_that_has_samples() -> None:
    """3,000 days that hold 40 minutes: a page in them is 252 a week, and the processor's second 36 a day."""
    asked = replace(done("2"), start=BEGAN - timedelta(days=3000))
    made = Made(
        findings={}, alerts={}, incidents={}, diagnoses={}, points=1, series=1, observed_s=2400.0, replayed_s=2400.0
    )
    figures = figures_of(made, [page(1.0)], [], asked, (1.0, 1.0))
    assert (figures.pages_per_week, figures.cpu_s_per_day, figures.observed_s) == (252.0, 36.0, 2400.0)
