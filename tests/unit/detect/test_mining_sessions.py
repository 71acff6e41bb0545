"""Sessions are odd by what they lack, by what they hold, and by how often."""

from __future__ import annotations

from twofold.aiops.detect.mining.sessions import Sessions

USUAL = {"begin": 1, "store": 3, "end": 1}


def trained() -> Sessions:
    sessions = Sessions()
    for i in range(300):
        sessions.score({**USUAL, "read": i % 4})
    return sessions


def test_a_session_that_breaks_off_or_repeats_or_holds_an_error_is_rare_and_a_usual_one_is_not() -> None:
    assert trained().score({**USUAL, "read": 2}) > 0.2
    for odd in ({"begin": 1, "store": 3}, {**USUAL, "store": 2}, {**USUAL, "exception": 1}):
        assert trained().score(odd) < 0.01


def test_what_happens_often_becomes_usual() -> None:
    sessions = trained()
    scores = [sessions.score({**USUAL, "retry": 1}) for _ in range(60)]
    assert scores[0] < 0.01
    assert scores[-1] > 0.1
