"""Small corrections count at once, a jump when the clock has stayed there."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from twofold.flow.clock import SteadyClock, since_boot_ns

SECOND = 10**9


class Turned:
    """A wall clock that a test turns, and the time that really passed."""

    def __init__(self) -> None:
        self.passed_ns = 5 * SECOND
        self.offset_ns = 1_790_000_000 * SECOND

    def wall(self) -> int:
        return self.passed_ns + self.offset_ns

    def passed(self) -> int:
        return self.passed_ns


def test_without_jumps_it_is_the_wall_clock() -> None:
    clock = SteadyClock()
    assert abs(clock() - time.time_ns()) < SECOND
    assert since_boot_ns() > 0


@given(jump_s=st.sampled_from([-86_400, -7200, -3600, 3600, 7200, 86_400]), back_s=st.integers(1, 119))
def test_a_jump_that_is_taken_back_has_no_effect(jump_s: int, back_s: int) -> None:
    turned = Turned()
    clock = SteadyClock(turned.wall, turned.passed)
    right, last = turned.offset_ns, 0
    for second in range(300):
        turned.passed_ns += SECOND
        turned.offset_ns = right + (jump_s * SECOND if 10 <= second < 10 + back_s else 0)
        now = clock()
        assert now == turned.passed_ns + right
        assert now > last
        last = now
    assert clock.jumps == 1


@given(jump_s=st.sampled_from([-86_400, -7200, -3600, 3600, 7200, 86_400]))
def test_a_jump_that_stays_is_believed_after_two_minutes(jump_s: int) -> None:
    turned = Turned()
    clock = SteadyClock(turned.wall, turned.passed)
    right = turned.offset_ns
    turned.offset_ns += jump_s * SECOND
    seen = []
    for _ in range(125):
        turned.passed_ns += SECOND
        seen.append(clock() - turned.passed_ns - right)
    assert seen[:120] == [0] * 120
    assert seen[-1] == jump_s * SECOND


@given(steps=st.lists(st.integers(-29, 29), max_size=30))
def test_small_corrections_count_at_once(steps: list[int]) -> None:
    turned = Turned()
    clock = SteadyClock(turned.wall, turned.passed)
    for step in steps:
        turned.offset_ns += step * SECOND
        assert clock() == turned.wall()
