"""Which series can run out, and where that is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from twofold.records.series import Series, SeriesKind
from twofold.records.signal import Signal, signal_of
from twofold.records.slo import BUDGET

_CONSUMED: Final = frozenset({Signal.DISK, Signal.MEMORY})
_FREE: Final = re.compile(r"(^|[._])(free|avail|available|remaining|left)($|[._])")
_SHARE: Final = re.compile(r"(ratio|utilization|utilisation|usage_ratio|used_ratio|fraction)$")
_PERCENT: Final = re.compile(r"(percent|pct)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Where a series is exhausted.

    Attributes:
        value: In the unit of the series.
        rising: It is reached from below; False for what is left of something.
    """

    value: float
    rising: bool = True


def limit_of(series: Series) -> Limit | None:
    """The limit that name and unit tell, or None: most series have none that anybody could know.

    >>> limit_of(Series(sid=1, metric="system.filesystem.utilization", unit="1"))
    Limit(value=1.0, rising=True)
    >>> limit_of(Series(sid=1, metric="node_filesystem_avail_bytes", unit="By"))
    Limit(value=0.0, rising=False)
    >>> limit_of(Series(sid=1, metric="slo.budget_left", unit="1"))
    Limit(value=0.0, rising=False)
    >>> limit_of(Series(sid=1, metric="process.memory.usage", unit="By")) is None
    True
    """
    if series.metric == BUDGET:  # runs out like a disk; the stage of objectives derives it from spans
        return Limit(value=0.0, rising=False)
    if series.kind is not SeriesKind.GAUGE or signal_of(series.metric) not in _CONSUMED:
        return None
    name = series.metric.lower().removesuffix("_bytes")
    full = 100.0 if series.unit == "%" or _PERCENT.search(name) else 1.0
    shares = series.unit in ("1", "%") or bool(_SHARE.search(name) or _PERCENT.search(name))
    if _FREE.search(name):
        return Limit(value=0.0, rising=False)
    return Limit(value=full) if shares else None
