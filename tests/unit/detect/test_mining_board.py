"""Templates for who asks: merged over sources, found by meaning, and their lines told by their forms."""

from __future__ import annotations

import gc

import pytest

from tests.unit.detect.telemetry import MemoryCatalog, line, logs, ns
from twofold.aiops.detect.mining.board import Board, longest_constant, pattern_of
from twofold.aiops.detect.mining.rates import RateConfig
from twofold.aiops.detect.mining.stage import Mining, MiningConfig

LINES = [
    *(line("service:cart", f"payment of order {n} refused by bank", at_s=n / 10, severity=17) for n in range(30)),
    *(line("service:cart", f"cart {n} loaded", at_s=n / 10, severity=9) for n in range(20)),
    *(line("service:shop", f"cart {n} loaded", at_s=n / 10, severity=13) for n in range(5)),
]


def mined(*, tenant: str = "main") -> Mining:
    stage = Mining(MemoryCatalog(), MiningConfig(rates=RateConfig(least_lines=10, least_age_s=0)), tenant=tenant)
    stage.process([logs(*LINES)])
    stage.advance(ns(120.0))
    return stage


def test_a_template_tells_who_writes_it_how_often_how_severe_and_since_when() -> None:
    board, stage = Board(), mined()
    board.attach(stage)
    refused, loaded = board.templates("main")
    assert (refused.text, refused.lines, refused.errors, refused.severity) == (
        "payment of order <*> refused by bank", 30, 30, 17,
    )  # fmt: skip
    assert [(use.entity, use.lines, use.severity) for use in loaded.uses] == [
        ("service:cart", 20, 9),
        ("service:shop", 5, 13),
    ]
    assert loaded.severity == 13
    assert loaded.example == "cart 0 loaded"
    assert [bool(use.series) for use in loaded.uses] == [True, False], "five lines are too few for a series"
    assert loaded.first_seen <= loaded.last_seen


def test_two_lanes_that_know_the_same_lines_are_not_added_up() -> None:
    board, live, past = Board(), mined(), mined()
    board.attach(live)
    board.attach(past)
    assert [one.lines for one in board.templates("main")] == [30, 25]


def test_another_tenants_templates_and_those_of_a_stage_that_is_gone_are_not_told() -> None:
    board, stage = Board(), mined(tenant="acme")
    board.attach(stage)
    assert board.templates("main") == []
    assert len(board.templates("acme")) == 2
    del stage
    gc.collect()
    assert board.templates("acme") == []


@pytest.mark.parametrize(
    ("question", "text"),
    [("credit card was denied", "payment of order <*> refused by bank"), ("shop", "cart <*> loaded")],
)
def test_a_question_finds_by_meaning_and_by_who_writes_it(question: str, text: str) -> None:
    board, stage = Board(), mined()
    board.attach(stage)
    known = board.templates("main")
    first = board.search(question, known, tenant="main")[0]
    assert next(one.text for one in known if int(one.id, 16) == first.id) == text


def test_an_index_is_made_anew_for_new_templates_but_not_for_every_question() -> None:
    now = [100.0]
    board, stage = Board(clock=lambda: now[0]), mined()
    board.attach(stage)
    board.search("order", board.templates("main"), tenant="main")
    stage.process([logs(line("service:cart", "zebra crossed the road", at_s=130.0))])
    stage.advance(ns(200.0))
    assert board.search("zebra", board.templates("main"), tenant="main") == []
    now[0] += 11.0
    assert len(board.search("zebra", board.templates("main"), tenant="main")) == 1


def test_lines_are_told_by_the_forms_of_their_template() -> None:
    stage = mined()
    by_text = {one.text: pattern_of(one.forms) for one in stage.templates()}
    for text, pattern in by_text.items():
        fits = [row["body"] for row in LINES if pattern.fullmatch(str(row["body"]))]
        assert len(fits) == (30 if "refused" in text else 25)


def test_a_form_with_signs_of_patterns_a_cut_and_other_white_space_fits_its_lines() -> None:
    pattern = pattern_of(["a.b(<*>)? done", "stack of <*> … "])
    assert pattern.fullmatch("a.b(7)?   done")
    assert not pattern.fullmatch("axb(7)? done")
    assert pattern.fullmatch("stack of 3\n at x\n at y")


def test_the_longest_constant_stands_in_every_form() -> None:
    assert longest_constant(["user <*> has logged in"]) == "has logged in"
    assert longest_constant(["user <*> logged in", "logged <*> user"]) == "logged"
    assert longest_constant(["<*>"]) == ""
    assert longest_constant([]) == ""


def test_what_a_restart_brings_back_is_told_as_before() -> None:
    stage = mined()
    again = Mining(MemoryCatalog(), MiningConfig(rates=RateConfig(least_lines=10, least_age_s=0)))
    again.restore(stage.snapshot())
    assert again.templates() == stage.templates()
