"""What is left of an error budget and when it ends: no requests, nothing but errors, a service that is young."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from tests.unit.detect.telemetry import MemoryCatalog, ns
from tests.unit.detect.test_slo import last_status, minutes
from twofold.aiops.detect.budget import ends_after
from twofold.aiops.detect.slo import Slos
from twofold.records.columns import DerivedSamples
from twofold.records.slo import Slo, SloState, SloStatus

DAY_S = 86_400.0


def promise(window_s: float = 30 * DAY_S) -> Slo:
    return Slo(name="checkout answers", entity="service:checkout", objective=0.99, window_s=window_s)


def after(*parts: tuple[int, int, int], window_s: float = 30 * DAY_S) -> SloStatus:
    """Status after parts of (minutes, good, bad a minute)."""
    stage, now, made = Slos([promise(window_s)], MemoryCatalog()), 0, list[object]()
    for length, good, bad in parts:
        made += minutes(stage, now, now + length, good=good, bad=bad)
        now += length
    return last_status(made)


def test_an_objective_stands_in_the_list_before_its_first_request() -> None:
    made = list(Slos([promise()], MemoryCatalog()).advance(ns(60)))
    status = last_status(made)
    assert (status.total, status.bad, status.budget_left, status.state) == (0, 0, 1.0, SloState.OK)
    assert (status.burn_1h, status.burn_6h, status.exhausted_at) == (None, None, None)
    (samples,) = [each for each in made if isinstance(each, DerivedSamples)]
    assert np.isfinite(samples.data.column("value").to_numpy()).all()


def test_the_first_error_of_a_young_service_is_no_budget_spent() -> None:
    status = after((1, 49, 1))
    assert status.state is SloState.OK
    assert status.budget_left > 0.99
    assert status.exhausted_at is None, "one error proves no rate"


def test_when_every_request_is_bad_a_month_of_budget_lasts_a_hundredth_of_a_month() -> None:
    status = after((60, 0, 10))
    assert status.burn_1h == pytest.approx(100.0)
    assert status.budget_left == pytest.approx(1 - 100 / 720)
    assert status.exhausted_at is not None
    assert status.exhausted_at - status.updated == timedelta(hours=6.2)
    spent = after((8 * 60, 0, 10))
    assert spent.state is SloState.EXHAUSTED
    assert spent.budget_left == pytest.approx(1 - 100 * 8 / 720)
    assert spent.exhausted_at is None, "it is spent already"


def test_an_hour_is_the_last_hour_and_not_the_one_on_the_clock() -> None:
    status = after((119, 10, 0), (2, 0, 10), window_s=3600.0)
    assert (status.total, status.bad) == (600, 20)


def test_a_budget_that_is_used_as_fast_as_allowed_never_ends() -> None:
    status = after((1440, 199, 1), window_s=DAY_S)
    assert status.budget_left == pytest.approx(0.5)
    assert status.exhausted_at is None


def test_a_window_of_days_is_counted_by_hours_up_to_the_last_minute() -> None:
    status = after((5 * 1440, 10, 0), (30, 9, 1), window_s=4 * DAY_S)
    assert status.bad == 30
    assert status.total == (95 * 60 + 30) * 10


def test_old_bad_requests_leave_the_window_before_new_ones_end_the_budget() -> None:
    early, late = np.zeros(30, np.int64), np.zeros(30, np.int64)
    early[0], late[-1] = 90, 90
    assert ends_after(early, 100.0, 0.9, 30.0) is None
    assert ends_after(late, 100.0, 0.9, 30.0) == pytest.approx(30 * 0.1 / 0.9)
