"""Functions of one value at one step: mathematics, clamps, the calendar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from twofold.store.promql.values import Floats, Ints

_DAY_S: Final = 86_400
_EPOCH_WEEKDAY: Final = 4  # 1970-01-01 was a Thursday; Sunday is 0
_FAR_S: Final = 2.0**40  # seconds past which there is no calendar


def clamp(values: Floats, low: Floats, high: Floats) -> Floats:
    """Held between low and high."""
    return np.maximum(low, np.minimum(high, values))


def nearest(values: Floats, to: Floats) -> Floats:
    """Rounded to a multiple, halves up."""
    inverse = 1.0 / to
    return np.asarray(np.floor(values * inverse + 0.5) / inverse)


def _days(seconds: Floats) -> Any:
    return np.floor(seconds / _DAY_S).astype(np.int64).astype("datetime64[D]")


def _year(seconds: Floats) -> Ints:
    return np.asarray(_days(seconds).astype("datetime64[Y]").astype(np.int64) + 1970)


def _month(seconds: Floats) -> Ints:
    return np.asarray(_days(seconds).astype("datetime64[M]").astype(np.int64) % 12 + 1)


def _day_of_month(seconds: Floats) -> Ints:
    days = _days(seconds)
    return np.asarray((days - days.astype("datetime64[M]")).astype(np.int64) + 1)


def _day_of_year(seconds: Floats) -> Ints:
    days = _days(seconds)
    return np.asarray((days - days.astype("datetime64[Y]")).astype(np.int64) + 1)


def _days_in_month(seconds: Floats) -> Ints:
    months = _days(seconds).astype("datetime64[M]")
    return np.asarray(((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64))


def _calendar(of: Callable[[Floats], np.ndarray[Any, Any]]) -> Callable[[Floats], Floats]:
    """UTC, of whole seconds; NaN where there is no calendar."""

    def read(seconds: Floats) -> Floats:
        near = np.abs(seconds) < _FAR_S
        whole = np.trunc(np.where(near, seconds, 0.0))
        return np.where(near, of(whole).astype(np.float64), np.nan)

    return read


CALENDAR: Final[dict[str, Callable[[Floats], Floats]]] = {
    "day_of_month": _calendar(_day_of_month),
    "day_of_week": _calendar(lambda s: (np.floor(s / _DAY_S) + _EPOCH_WEEKDAY) % 7),
    "day_of_year": _calendar(_day_of_year),
    "days_in_month": _calendar(_days_in_month),
    "hour": _calendar(lambda s: np.floor(s / 3600) % 24),
    "minute": _calendar(lambda s: np.floor(s / 60) % 60),
    "month": _calendar(_month),
    "year": _calendar(_year),
}
"""Of seconds since 1970; without an argument of the step's time."""

MATHS: Final[dict[str, Callable[..., Floats]]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "clamp": clamp,
    "clamp_max": np.minimum,
    "clamp_min": np.maximum,
    "cos": np.cos,
    "cosh": np.cosh,
    "deg": np.degrees,
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "rad": np.radians,
    "round": nearest,
    "sgn": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
}
"""Of a vector's values and scalars that are the same for all series."""
