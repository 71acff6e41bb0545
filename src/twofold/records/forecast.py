"""A claim about the future of one series, judged when its time has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from twofold.records.entity import DEFAULT_TENANT


class ForecastState(StrEnum):
    """Life of a forecast.

    OPEN: the limit is expected within the horizon. HIT: it was reached. MISSED: the deadline passed without.
    WITHDRAWN: it became unlikely before the deadline, because somebody cleaned up or the trend ended.
    """

    OPEN = "open"
    HIT = "hit"
    MISSED = "missed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A predicted exhaustion. It is no finding: nothing is wrong yet, and it never joins an incident by itself.

    Attributes:
        id: Deterministic in (tenant, model, series, made).
        series: sid as 16 hex digits.
        limit: Value that exhausts the thing, in the series' unit.
        value: Newest value.
        made: Event time at which it was first claimed.
        seen: Event time of the newest judgement.
        horizon_s: The claim is about this long from `made`.
        claimed: Probability, when made, that the limit is reached within the horizon.
        probability: The same as judged last: that it is reached within the horizon from then.
        eta: When the limit is expected: the median; None when past what can be said.
        early, late: Its 80 % interval; `late` is None when open-ended.
        alerted: When the limit was first expected soon enough for an alert; None while it is farther off.
        ended: When it was decided.
        model: `name@version` of the forecaster.
        engine: Which forecaster beside our own foresaw this series better and made the claim; empty for our own.
        reason: One plain sentence.
    """

    id: str
    entity: str
    series: str
    metric: str
    limit: float
    value: float
    made: datetime
    seen: datetime
    horizon_s: float
    claimed: float
    probability: float
    model: str
    reason: str
    eta: datetime | None = None
    early: datetime | None = None
    late: datetime | None = None
    alerted: datetime | None = None
    ended: datetime | None = None
    state: ForecastState = ForecastState.OPEN
    unit: str = ""
    labels_text: str = ""
    engine: str = ""
    tenant: str = DEFAULT_TENANT
