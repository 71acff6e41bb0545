"""Templates are found by part, by word and by related words."""

from __future__ import annotations

import pytest

from twofold.aiops.detect.mining.search import TemplateIndex, containing, roots, stem

TEXTS = {
    1: "session opened for user <*>",
    2: "disk <*> is full",
    3: "fan <*> runs at <*> rpm",
    4: "connection to <*> refused",
    5: "updateLightsLocked,turn off notificationLight",
    6: "checkout took <*> ms",
}


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("no space left on the drive", 2),
        ("somebody logged in to an account", 1),
        ("link was denied", 4),
        ("light of notifications", 5),
        ("FAN", 3),
        ("checkouts", 6),
    ],
)
def test_a_question_in_other_words_finds_its_template(question: str, first: int) -> None:
    assert TemplateIndex(TEXTS).search(question)[0][0] == first


def test_what_shares_nothing_is_left_out_and_the_best_come_first() -> None:
    index = TemplateIndex(TEXTS)
    assert index.search("zebra") == []
    assert index.search("") == []
    found = index.search("disk connection", 6)
    assert [near for _, near in found] == sorted((near for _, near in found), reverse=True)


def test_an_empty_index_answers_nothing() -> None:
    assert TemplateIndex({}).search("disk") == []


def test_identifiers_are_taken_apart_and_endings_go() -> None:
    assert roots("notificationLight HTTPServer <*> of") == ["notific", "light", "http", "serv"]
    assert stem("running") == stem("runs") == stem("run")
    assert stem("killing") == stem("killed") == stem("kill")


def test_a_part_of_the_text_is_found_whatever_its_case() -> None:
    assert containing(TEXTS, "USER <") == [1]
    assert containing(TEXTS, "nowhere") == []
