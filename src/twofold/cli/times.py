"""How times are written in commands: how long ago (`2h`, `7d`), or in RFC 3339 form with a zone. One reader for all."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from twofold.cli.output import Exit, fail

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LENGTH: Final = re.compile(r"[0-9]+(\.[0-9]+)?[smhdw]")
_MOST_S: Final = 36_500 * 86_400.0


def is_length(text: str) -> bool:
    """Whether it looks like `30m` or `1.5h`."""
    return _LENGTH.fullmatch(text) is not None


def seconds(text: str) -> float:
    """A length of time such as `30s`, `12h` or `7d`; ends the command where it is none, or longer than 100 years.

    >>> seconds("1.5h")
    5400.0
    """
    if not is_length(text):
        fail(f"{text!r} is no length of time; write 30s, 15m, 12h, 7d or 2w", Exit.USAGE)
    found = float(text[:-1]) * _UNITS[text[-1]]
    if found > _MOST_S:
        fail(f"{text!r} is longer than 100 years", Exit.USAGE)
    return found


def moment(text: str, now: datetime) -> datetime:
    """A time: how long ago, or in RFC 3339 form; ends the command where it is neither, or has no zone.

    >>> moment("2h", datetime(2026, 1, 1, 12, tzinfo=UTC)).isoformat()
    '2026-01-01T10:00:00+00:00'
    """
    if is_length(text):
        return now - timedelta(seconds=seconds(text))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is neither how long ago nor a time; write 2h, 7d or 2026-01-31T12:00:00Z", Exit.USAGE)
    if found.tzinfo is None:
        fail(f"{text!r} has no zone; write {found.isoformat()}Z for UTC", Exit.USAGE)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        fail(f"{text!r} lies outside of the calendar", Exit.USAGE)
