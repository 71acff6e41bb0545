"""The functions of alert templates: numbers and texts as Prometheus writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from twofold.store.promql.matchers import full_match, replaced

Word = str | float | bool
_LARGE: Final = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_BINARY: Final = ("", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL: Final = ("", "m", "u", "n", "p", "f", "a", "z", "y")
_VERB: Final = re.compile(r"%([-+# 0]*\d{0,3}(?:\.\d{1,3})?)([a-zA-Z%])")
_LEAST_PLAIN: Final = 1e-4
_LEAST_LONG: Final = 1e21
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def shown(value: Word) -> str:
    """As Go prints it.

    >>> shown(3.0), shown(0.1), shown(1e21), shown(True), shown(float("inf"))
    ('3', '0.1', '1e+21', 'true', '+Inf')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value == 0 or _LEAST_PLAIN <= abs(value) < _LEAST_LONG:
        return f"{int(value)}" if value == int(value) else f"{value!r}"
    digits, _, exponent = f"{value:.17e}".partition("e")
    digits, _, exponent = next(
        (text for places in range(18) if float(text := f"{value:.{places}e}") == value), f"{digits}e{exponent}"
    ).partition("e")
    return f"{digits}e{exponent}"


def _four(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else shown(value)


def _number(value: Word) -> float:
    return float(value)


def humanize(word: Word) -> str:
    """With a prefix of thousands.

    >>> humanize(1234567.0), humanize(0.021), humanize(0.0)
    ('1.235M', '21m', '0')
    """
    value = _number(word)
    if value == 0 or not math.isfinite(value):
        return _four(value)
    prefixes, step = (_LARGE, 1e-3) if abs(value) >= 1 else (_SMALL, 1e3)
    place = 0
    while place < len(prefixes) - 1 and (abs(value) >= 1000 if step < 1 else abs(value) < 1):  # noqa: PLR2004
        value, place = value * step if step > 1 else value / 1000, place + 1
    return _four(value) + prefixes[place]


def humanize1024(word: Word) -> str:
    """With a prefix of 1024.

    >>> humanize1024(1536.0)
    '1.5ki'
    """
    value, place = _number(word), 0
    while math.isfinite(value) and abs(value) >= 1024 and place < len(_BINARY) - 1:  # noqa: PLR2004
        value, place = value / 1024, place + 1
    return _four(value) + _BINARY[place]


def humanize_duration(word: Word) -> str:
    """Seconds as days, hours, minutes.

    >>> humanize_duration(93784.0), humanize_duration(0.25), humanize_duration(61.0), humanize_duration(5.5)
    ('1d 2h 3m 4s', '250ms', '1m 1s', '5.5s')
    """
    value = _number(word)
    if not math.isfinite(value):
        return _four(value)
    if abs(value) < 1:
        return f"{humanize(value)}s"
    sign, whole = "-" if value < 0 else "", int(abs(value))
    days, hours, minutes = whole // _DAY, whole // _HOUR % 24, whole // _MINUTE % 60
    if whole < _MINUTE:
        return f"{sign}{_four(abs(value))}s"
    text = f"{minutes}m {whole % _MINUTE}s"
    text = f"{hours}h {text}" if whole >= _HOUR else text
    return f"{sign}{days}d {text}" if days else f"{sign}{text}"


def humanize_percentage(word: Word) -> str:
    """A share as percents."""
    return f"{_four(_number(word) * 100)}%"


def humanize_timestamp(word: Word) -> str:
    """Seconds since 1970 as a date.

    >>> humanize_timestamp(1435065584.128)
    '2015-06-23 13:19:44.128 +0000 UTC'
    """
    value = _number(word)
    if not math.isfinite(value):
        return _four(value)
    moment = datetime.fromtimestamp(round(value, 3), UTC)
    part = f"{moment.microsecond:06d}".rstrip("0")
    return f"{moment:%Y-%m-%d %H:%M:%S}{f'.{part}' if part else ''} +0000 UTC"


def printf(form: Word, *words: Word) -> str:
    """As Go's: `%v`, `%s`, `%q`, `%d`, `%f`, `%e`, `%g`, with width and places."""
    left = list(words)

    def one(found: re.Match[str]) -> str:
        flags, verb = found[1], found[2]
        if verb == "%":
            return "%"
        word = left.pop(0) if left else ""
        if verb in "sv":
            return f"%{flags}s" % shown(word)
        if verb == "q":
            return '"' + shown(word).replace("\\", "\\\\").replace('"', '\\"') + '"'
        if verb in "feEgG" and isinstance(word, float):
            return f"%{flags}{verb}" % word
        return f"%!{verb}({'string' if isinstance(word, str) else 'float64'}={shown(word)})"

    return _VERB.sub(one, shown(form))


def _replaced(pattern: Word, replacement: Word, text: Word) -> str:
    return replaced(str(pattern), str(replacement), str(text))


def _matches(pattern: Word, text: Word) -> bool:
    return bool(full_match(f".*(?:{pattern}).*", [str(text)])[0])


def _stripped(text: Word) -> str:
    return re.sub(r":\d+$", "", str(text)).removeprefix("[").removesuffix("]")


def _domainless(text: Word) -> str:
    host, colon, port = str(text).partition(":")
    return host.partition(".")[0] + colon + port if not host.replace(".", "").isdigit() else str(text)


def _any(*words: Word) -> Word:
    return next((word for word in words if word), words[-1])


def _all(*words: Word) -> Word:
    return next((word for word in words if not word), words[-1])


FUNCTIONS: Final[Mapping[str, Callable[..., Word]]] = {
    "humanize": humanize,
    "humanize1024": humanize1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": humanize_percentage,
    "humanizeTimestamp": humanize_timestamp,
    "printf": printf,
    "print": lambda *words: "".join(shown(word) for word in words),
    "title": lambda text: re.sub(r"\b\w", lambda found: found[0].upper(), str(text)),
    "toUpper": lambda text: str(text).upper(),
    "toLower": lambda text: str(text).lower(),
    "stripPort": _stripped,
    "stripDomain": _domainless,
    "match": _matches,
    "reReplaceAll": _replaced,
    "len": lambda text: float(len(str(text).encode())),
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda one, other: one != other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "and": _all,
    "or": _any,
    "not": lambda word: not word,
    "safeHtml": str,
}
