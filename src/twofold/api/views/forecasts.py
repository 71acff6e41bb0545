"""Forecasts, and how often they were right."""

from __future__ import annotations

from twofold.api.views.page import View
from twofold.records.forecast import Forecast


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
