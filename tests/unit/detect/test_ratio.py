"""Few requests say little alone: the ratio looks back as far as it must, and forgets quickly once all is well."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.aiops.detect.floors import floor_of
from twofold.aiops.detect.ratio import LONG, SHORT, Recent
from twofold.errors import Corrupt
from twofold.records.series import Series


def ratios_of(windows: list[list[bool]]) -> list[float]:
    """Of one group, a window after the other."""
    recent = Recent()
    return [float(step(recent, window)[0]) for window in windows]


def step(recent: Recent, *groups: list[bool]) -> npt.NDArray[np.float64]:
    count = np.array([len(one) for one in groups])
    return recent.ratios(
        np.repeat(np.arange(len(groups)), count),
        np.array([outcome for one in groups for outcome in one], np.bool_),
        count,
    )


def test_a_busy_window_stands_for_itself() -> None:
    assert ratios_of([[True] * LONG, [False] * LONG, [True, False] * LONG]) == [1.0, 0.0, 0.5]


def test_one_stray_error_stays_below_what_matters() -> None:
    found = ratios_of([[False] * 3] * 21 + [[False, True, False]] + [[False] * 3] * 21)
    assert max(found) == pytest.approx(1 / LONG)
    assert found[-1] == 0.0


def test_a_third_that_fails_stays_above_what_matters_once_three_failed_although_windows_alone_read_zero() -> None:
    failed = [
        [True, False, False, False],
        [False] * 3,
        [False] * 2,
        [True, False, False],
        [False] * 4,
        [True, True, False],
    ]
    alone = [sum(window) / len(window) for window in failed]
    together = ratios_of([[False] * 3] * 21 + failed + failed)[21:]
    assert 0.0 in alone
    matters = floor_of(Series(sid=1, metric="span.error_ratio", unit="1")).least
    assert min(together[5:]) > matters > 2 / LONG


def test_it_is_over_after_a_few_clean_requests() -> None:
    found = ratios_of([[True, False]] * LONG + [[False] * 3] * 4)
    assert found[-5] == pytest.approx(31 / LONG)
    assert found[-1] == 0.0


@given(st.lists(st.lists(st.lists(st.booleans(), max_size=50), min_size=3, max_size=3), max_size=12))
def test_it_equals_the_plain_definition_for_any_traffic(windows: list[list[list[bool]]]) -> None:
    recent, past = Recent(), [[], [], []]  # type: tuple[Recent, list[list[bool]]]
    for window in windows:
        found = step(recent, *window)
        for group, outcomes in enumerate(window):
            past[group] = past[group] + outcomes
            long, short = past[group][-LONG:], past[group][-SHORT:]
            few = min(sum(long) / max(len(long), 1), sum(short) / max(len(short), 1))
            wanted = sum(outcomes) / len(outcomes) if len(outcomes) >= LONG else few
            assert found[group] == pytest.approx(wanted)


def test_state_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Corrupt, match="replay the journal"):
        Recent().restore({"recent_failed": np.zeros(2, np.uint64)})
