"""What is a value by its form alone, in any system's logs; and the user's own masks.

Built in, decided in `stats/text/lines.py` while the bytes are read. A word (text between white space and
`,:;=()[]{}"'|`) is a value when it

- follows `=` (logfmt, `key=value`; the value of `msg`, `message`, `event` and the like is text, not a value);
- holds a digit: numbers, times, versions, addresses, identifiers; but a name with digits inside stays
  (`jk2_init`, `ipv4_route`: up to three digits, then two letters or more);
- is a path: begins with `/` or a backslash, has two of them, or one and a dot;
- holds a dot and is followed by a colon and a number, but not at the beginning of a line: a place in a source
  file, a host with its port;
- holds `@`: an address or an object with its id;
- is eight or more hexadecimal letters;
- is one of `ALWAYS`: truth values, nulls, names of months and days;
- is one of `UNITS` and follows a value: sizes and times are written in the unit that fits.

Values in a row, with nothing but a comma, a colon or a space between them, are one value. In a JSON object keys
stay and values go. ANSI codes are no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from twofold.errors import ConfigError

ALWAYS: Final = (
    *("true", "false", "True", "False", "TRUE", "FALSE", "null", "NULL", "None", "nil", "NaN"),
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    *("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
)
UNITS: Final = (
    *("B", "KB", "kB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB"),
    *("ns", "us", "ms", "s", "sec", "secs", "min", "mins", "h", "hr", "hrs", "d"),
)
SPOKEN: Final = ("msg", "message", "event", "log", "Message", "MESSAGE")
"""Keys of JSON and logfmt whose value is a message: its words are mined."""


class Masks:
    """The user's regular expressions: a word that one of them touches is a value.

    They are tried on lines of a new shape only, so they cost nothing on the way of the others.

    Raises:
        ConfigError: An expression does not compile, or matches the empty text.

    >>> list(Masks(["JOB-[A-Z]+"]).spans("run JOB-ABC now"))
    [(4, 11)]
    """

    def __init__(self, expressions: Sequence[str] = ()) -> None:
        self._patterns = [_compiled(expression) for expression in expressions]

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a value stands, as character positions."""
        for pattern in self._patterns:
            for match in pattern.finditer(text):
                yield match.span()

    def __bool__(self) -> bool:
        return bool(self._patterns)


def _compiled(expression: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise ConfigError(f"mask {expression!r} is no regular expression: {error}") from error
    if pattern.match(""):
        raise ConfigError(f"mask {expression!r} matches the empty text: every word would be a value")
    return pattern
