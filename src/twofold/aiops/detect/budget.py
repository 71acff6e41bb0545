"""How much of an error budget is left, and when it ends."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.burn import LEAST_BAD
from twofold.aiops.detect.requests import MINUTE_NS, Past, Requests
from twofold.records.slo import Slo, SloState, SloStatus
from twofold.records.time import to_datetime


def status_of(
    slo: Slo, requests: Requests, number: int, past: Past, now: int, *, burning: bool, tenant: str
) -> SloStatus:
    """How an objective stands before minute `now`.

    A budget is what the requests of one whole window allow. As long as the objective is younger than its window, those
    of the whole window are foreseen at the rate so far: an error among the first fifty requests of a month is no
    budget spent.
    """
    counts = requests.window(number, now, slo.window_s)
    total, bad = (int(each) for each in counts.sum(axis=1))
    covered = past.covered(now, max(1, int(slo.window_s // 60)))
    allowed = (1.0 - slo.objective) * total / covered if covered else 0.0
    left = 1.0 - bad / allowed if allowed else 1.0
    burn_1h, burn_6h = (burn_of(past, now, minutes, slo) for minutes in (60, 360))
    ends_s = None
    if left > 0.0 and burn_6h and past.sum(now, 360)[1] >= LEAST_BAD:
        ends_s = ends_after(counts[1], allowed, burn_6h, slo.window_s)
    state = SloState.BURNING if burning else SloState.OK
    updated = to_datetime(now * MINUTE_NS)
    return SloStatus(
        id=slo.name,
        entity=slo.entity,
        objective=slo.objective,
        threshold_s=slo.threshold_s,
        window_s=slo.window_s,
        operation=slo.operation,
        total=total,
        bad=bad,
        budget_left=left,
        updated=updated,
        state=SloState.EXHAUSTED if left <= 0.0 else state,
        burn_1h=burn_1h,
        burn_6h=burn_6h,
        exhausted_at=updated + timedelta(seconds=int(ends_s)) if ends_s is not None else None,
        tenant=tenant,
    )


def burn_of(past: Past, now: int, minutes: int, slo: Slo) -> float | None:
    """How many times faster than allowed the last minutes burnt; None without requests."""
    total, bad = past.sum(now, minutes)
    return bad / total / (1.0 - slo.objective) if total else None


def ends_after(bad: npt.NDArray[np.int64], allowed: float, burn: float, window_s: float) -> float | None:
    """Seconds until the budget is spent when it goes on burning so, while old bad requests leave the window.

    Args:
        bad: Bad requests of the window by step, the oldest first.
        allowed: Bad requests of a whole window.
        burn: Times faster than allowed.
        window_s: Length of the window.

    >>> ends_after(np.zeros(30, int), 100.0, 2.0, 30.0), ends_after(np.full(30, 2), 100.0, 0.6, 30.0)
    (15.0, None)
    """
    steps = len(bad)
    share = np.arange(steps + 1) / steps
    used = np.append(bad.sum(), bad.sum() - np.cumsum(bad)) / allowed + burn * share
    spent = np.flatnonzero(used >= 1.0)
    if not len(spent):
        return None
    last = int(spent[0])
    if last == 0:
        return 0.0
    part = (1.0 - used[last - 1]) / (used[last] - used[last - 1])
    return float((last - 1 + part) / steps * window_s)
