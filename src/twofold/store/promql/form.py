"""Numbers as Prometheus writes them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

import numpy as np
import orjson

from twofold.store.promql.values import Floats

_LARGE: Final = 1e21
_SMALL: Final = 1e-6


def number(value: float, *, exponents: bool = False) -> str:
    """The shortest text that reads as the value; with `exponents` very large and small ones have them, as in JSON.

    >>> number(1.0), number(0.1), number(1e17), number(float("inf")), number(1e-9), number(1e-9, exponents=True)
    ('1', '0.1', '100000000000000000', '+Inf', '0.000000001', '1e-09')
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    text = repr(value)
    if "e" in text:
        if exponents and not _SMALL <= abs(value) < _LARGE:
            return text
        return format(Decimal(text), "f")
    return text.removesuffix(".0")


def numbers(values: Floats) -> list[str]:
    """Each as JSON answers hold it.

    >>> numbers(np.array([2.0, 0.25, 1e-9]))
    ['2', '0.25', '1e-09']
    """
    raw = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    if not raw or b"e" in raw or b"n" in raw:  # exponents, and null for what is not finite
        return [number(value, exponents=True) for value in values.tolist()]
    return (raw + b",").replace(b".0,", b",")[:-1].decode().split(",")
