"""A canary waits for numbers, goes up when as good as live, and back when worse."""

from __future__ import annotations

import pytest

from twofold.mlops.release.guard import Action, Numbers, decide

LIVE = Numbers(requests=5000, failed=5, p95_s=0.02)


@pytest.mark.parametrize(
    ("canary", "action", "why"),
    [
        (Numbers(requests=50, failed=0, p95_s=0.01), Action.WAIT, "50 of 200"),
        (Numbers(requests=50, failed=4, p95_s=0.01), Action.WAIT, "50 of 200"),
        (Numbers(requests=10, failed=5, p95_s=0.01), Action.ROLL_BACK, "50.0%"),
        (Numbers(requests=400, failed=8, p95_s=0.01), Action.ROLL_BACK, "failed"),
        (Numbers(requests=400, failed=2, p95_s=0.05), Action.ROLL_BACK, "p95"),
        (Numbers(requests=400, failed=2, p95_s=0.015), Action.PROMOTE, "as good as live"),
        (Numbers(requests=400, failed=2, p95_s=0.02, drift=0.4), Action.ROLL_BACK, "PSI 0.40"),
        (Numbers(requests=400, failed=2, p95_s=0.02, drift=float("nan")), Action.PROMOTE, "as good"),
    ],
)
def test_decisions(canary: Numbers, action: Action, why: str) -> None:
    decision = decide(canary, LIVE)
    assert decision.action is action
    assert why in decision.reason


def test_errors_that_live_has_too_are_not_the_canarys() -> None:
    sick = Numbers(requests=5000, failed=1000, p95_s=0.02)
    assert decide(Numbers(requests=400, failed=80, p95_s=0.02), sick).action is Action.PROMOTE


def test_a_fast_canary_beside_a_very_fast_live_is_fine() -> None:
    assert decide(Numbers(requests=400, failed=0, p95_s=0.01), Numbers(requests=9, failed=0, p95_s=0.0001)).action is (
        Action.PROMOTE
    )
