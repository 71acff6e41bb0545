"""Forecasts, and how often they were right."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from twofold.api.views.page import View
from twofold.records.forecast import Forecast

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Calibration(View):
    """Of the forecasts made with a probability in [low, high): how many were decided, and how many came true."""

    low: float
    high: float
    decided: int
    hit: int


class Forecasts(View):
    """Open forecasts, the soonest first; those that ended, newest first; and the record of the decided ones."""

    open: list[Forecast]
    ended: list[Forecast]
    calibration: list[Calibration]


def soonest(forecasts: Iterable[Forecast]) -> list[Forecast]:
    """By the time at which the limit is expected."""
    return sorted(forecasts, key=lambda one: one.eta or _NEVER)
