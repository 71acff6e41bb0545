"""Boundaries of histogram buckets, which OTLP and Prometheus share: exponential ones merged to powers of two."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable
from typing import Final

MOST_BOUNDS: Final = 64  # kept of a histogram: as many powers of two
MOST_LADDERS: Final = 100_000  # histograms; past it all are forgotten and met again


def number_text(value: float) -> str:
    """A boundary or quantile as a label: shortest text that reads back as the same number.

    >>> number_text(5.0), number_text(0.25), number_text(float("inf"))
    ('5', '0.25', '+Inf')
    """
    if value == float("inf"):
        return "+Inf"
    return repr(value).removesuffix(".0")


def boundary(index: int, scale: int, side: int) -> float:
    """Lower (side 0) or upper (side 1) boundary of an exponential bucket, once merged to scale 0.

    At scale s a bucket i covers (b**i, b**(i+1)] with b = 2**(2**-s), so at scale 0 it is bucket
    i >> s. Below scale 0 buckets are wider than a power of two and keep their own boundary.
    Boundaries past what a float holds are cut to its range.

    >>> boundary(2, 1, 1), boundary(3, 1, 1), boundary(1, -1, 1), boundary(9999, 0, 1) == 2.0**1023
    (4.0, 4.0, 16.0, True)
    """
    # Below scale -12 the exponent is out of a float's range anyway.
    exponent = (index >> min(scale, 64)) + side if scale >= 0 else (index + side) << min(-scale, 12)
    return 2.0 ** max(-1074, min(1023, exponent))


class Ladders:
    """Boundaries that exponential histograms have had, by any key. Thread-safe.

    A delta tells only of buckets that got something. Counts up to a boundary can be summed over intervals only if
    every interval has that boundary, so all that were met before are repeated.

    >>> ladders = Ladders()
    >>> ladders.bounds("h", [2.0]), ladders.bounds("h", [8.0]), ladders.bounds("h", [])
    ([2.0], [2.0, 8.0], [2.0, 8.0])
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, frozenset[float]] = {}
        self._lock = threading.Lock()

    def bounds(self, key: Hashable, found: Iterable[float]) -> list[float]:
        """These and all earlier ones, ascending; beyond `MOST_BOUNDS` in all, these alone."""
        own = frozenset(found)
        known = self._known.get(key, frozenset())
        union = known | own
        if len(union) > MOST_BOUNDS:
            return sorted(own)
        if union != known:
            with self._lock:
                if len(self._known) >= MOST_LADDERS:
                    self._known.clear()
                self._known[key] = union
        return sorted(union)
