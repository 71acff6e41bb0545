"""Conversions between column time (`int64` nanoseconds) and record time (aware UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_ns(moment: datetime) -> int:
    """Nanoseconds since the epoch; exact to the microsecond.

    >>> to_ns(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000000
    """
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def to_datetime(time_ns: int) -> datetime:
    """Aware UTC datetime of a column time, cut to the microsecond.

    >>> to_datetime(1_500_000_000).isoformat()
    '1970-01-01T00:00:01.500000+00:00'
    """
    return EPOCH + timedelta(microseconds=int(time_ns) // 1000)
