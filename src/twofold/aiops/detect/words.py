"""A finding in plain words: values with units, ratios, durations, who it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from twofold.records.series import Series, SeriesKind
from twofold.stats.series.layout import BY_CYCLE, BY_DAY, BY_LEVEL, BY_WEEK

_IDENTITY: Final = frozenset(
    {
        "entity",
        "kind",
        "operation",
        "callee",
        "instance",
        "job",
        "service",
        "host.name",
        "k8s.namespace.name",
        "k8s.pod.name",
        "otel.scope.name",
        "service.instance.id",
        "service.name",
        "service.namespace",
    }
)
_BYTES: Final = ((1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"))
_SECONDS: Final = ((1.0, "s", 1.0), (1e-3, "ms", 1e3), (0.0, "us", 1e6))
_NOTHING: Final = 1e-3
_TINY, _HUGE, _THREE_DIGITS = 1e-4, 1e6, 1e3
_LEVELS: Final = {
    BY_LEVEL: "expected",
    BY_DAY: "usual level at this time of day",
    BY_WEEK: "usual {day}-{part} level (UTC)",
    BY_CYCLE: "usual level at this point of its cycle",
}
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PARTS: Final = ("night", "morning", "afternoon", "evening")
_RATIO_LEAST: Final = 0.05  # below this share of the value, an expected value is next to nothing: no ratio


def quantity(value: float, unit: str) -> str:
    """A value with its unit, three digits.

    >>> quantity(0.8123, "s"), quantity(0.034, "1"), quantity(734003200, "By"), quantity(12.5, "1/s")
    ('812 ms', '0.034', '700 MiB', '12.5/s')
    """
    if unit == "s":
        _, name, factor = next(step for step in _SECONDS if abs(value) >= step[0])
        return f"{_digits(value * factor)} {name}" if value else "0 s"
    if unit == "By":
        for size, name in _BYTES:
            if abs(value) >= size:
                return f"{_digits(value / size)} {name}"
    if unit in ("1", ""):
        return _digits(value)
    if unit in ("%", "1/s"):
        return f"{_digits(value)}{unit.removeprefix('1')}"
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    if value and not _TINY <= abs(value) < _HUGE:
        return f"{value:.2e}"
    return f"{value:.3g}" if abs(value) < _THREE_DIGITS else f"{value:,.0f}"


def unit_of(series: Series) -> str:
    """Unit of what is judged: counters are judged as rates."""
    if series.kind in (SeriesKind.COUNTER, SeriesKind.DELTA):
        return f"{series.unit or '1'}/s"
    return series.unit


def duration(seconds: float) -> str:
    """A span of time in words.

    >>> duration(42), duration(200), duration(7300)
    ('42 s', '3 min 20 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def labels_text(labels: Mapping[str, str]) -> str:
    """What tells a series from its siblings; empty when nothing does.

    >>> labels_text({"entity": "service:checkout", "kind": "client", "callee": "service:payment"})
    '-> payment'
    """
    parts = []
    if labels.get("callee"):
        parts.append(f"-> {bare(labels['callee'])}")
    if labels.get("operation"):
        parts.append(labels["operation"])
    parts.extend(f"{key}={value}" for key, value in sorted(labels.items()) if key not in _IDENTITY and value)
    return ", ".join(parts)


def bare(entity: str) -> str:
    """An entity's name without its kind."""
    return entity.partition(":")[2] or entity


def who(series: Series) -> str:
    """The series' owner and what tells it apart.

    >>> who(Series(sid=1, metric="m", entity="service:checkout", labels={"callee": "service:payment"}))
    'checkout -> payment'
    """
    text, owner = labels_text(series.labels), bare(series.entity) or "an unknown entity"
    if not text:
        return owner
    return f"{owner} {text}" if text.startswith("->") else f"{owner} ({text})"


def left_band(series: Series, value: float, expected: float, onset: datetime, basis: int = BY_LEVEL) -> str:
    """Why a finding opened; `basis` is what the expected value stands on.

    >>> series = Series(sid=1, metric="latency", entity="service:cart", unit="s")
    >>> left_band(series, 0.61, 0.1, datetime(2026, 1, 6, 10, 2), BY_WEEK)
    'latency of cart is 610 ms, 6.1 x its usual Tuesday-morning level (UTC) of 100 ms, since 10:02:00'
    >>> left_band(series, 0.61, 0.0, datetime(2026, 1, 6, 10, 2), BY_WEEK)
    'latency of cart is 610 ms, usual Tuesday-morning level (UTC) 0 s, since 10:02:00'
    """
    unit = unit_of(series)
    level = _LEVELS[basis].format(day=_DAYS[onset.weekday()], part=_PARTS[onset.hour * len(_PARTS) // 24])
    if expected and abs(expected) > _RATIO_LEAST * abs(value) and value / expected > 0:
        against = f"{_digits(value / expected)} x its {level}{' of' if basis else ''} {quantity(expected, unit)}"
    else:
        against = f"{level} {quantity(expected if abs(expected) > _NOTHING * abs(value) else 0.0, unit)}"
    return f"{series.metric} of {who(series)} is {quantity(value, unit)}, {against}, since {onset:%H:%M:%S}"


def recovered(series: Series, now: float, lasted_s: float) -> str:
    """Why a finding closed."""
    back = quantity(now, unit_of(series))
    return f"{series.metric} of {who(series)} is back in its band at {back}, after {duration(lasted_s)}"


def stuck(series: Series, value: float, onset: datetime, times: float) -> str:
    """Why a series that stands still is told."""
    level = quantity(value, unit_of(series))
    return (
        f"{series.metric} of {who(series)} has stood at exactly {level} since {onset:%H:%M:%S}, "
        f"{times:.0f} x as long as ever before"
    )


def stopped(series: Series, usual: float, onset: datetime, times: float) -> str:
    """Why a series that never rests and shows 0 is told."""
    return (
        f"{series.metric} of {who(series)} has been 0 since {onset:%H:%M:%S}, {times:.0f} x as long as ever before; "
        f"usually {quantity(usual, unit_of(series))}"
    )


def swings(series: Series, value: float, usual: float, onset: datetime) -> str:
    """Why a series that swings otherwise than it does is told.

    >>> swings(Series(sid=1, metric="cpu", entity="host:a"), 0.03, 0.01, datetime(2026, 1, 6, 10, 2))
    'cpu of a swings by 0.03, usually by 0.01: 3 x as much, since about 10:02'
    """
    unit = unit_of(series)
    return (
        f"{series.metric} of {who(series)} swings by {quantity(value, unit)}, usually by {quantity(usual, unit)}: "
        f"{_digits(value / usual) if usual else 'many'} x as much, since about {onset:%H:%M}"
    )


def swings_as_before(series: Series, lasted_s: float) -> str:
    """Why that is over."""
    return f"{series.metric} of {who(series)} swings as it did before, after {duration(lasted_s)}"


def swings_on(series: Series, lasted_s: float) -> str:
    """Why it is usual now."""
    return f"{series.metric} of {who(series)} has swung like that for {duration(lasted_s)}: that is usual now"


def moves_again(series: Series, lasted_s: float) -> str:
    """Why a series is no longer stuck."""
    return f"{series.metric} of {who(series)} moves again, after {duration(lasted_s)} at one value"


def new_level(series: Series, now: float, lasted_s: float) -> str:
    """Why a finding closed although the series did not come back."""
    level = quantity(now, unit_of(series))
    return f"new level: {series.metric} of {who(series)} has stayed near {level} for {duration(lasted_s)}"


def no_more_data(series: Series, lasted_s: float) -> str:
    """Why a finding closed without an answer."""
    return f"{series.metric} of {who(series)} has sent nothing more; it was out of its band for {duration(lasted_s)}"


def silent(series: Series, about: str, onset: datetime, period_s: float) -> str:
    """Why an entity is missed."""
    return (
        f"{about} {bare(series.entity)} have been silent since {onset:%H:%M:%S}; they came every {duration(period_s)}"
    )


def heard_again(series: Series, quiet_s: float) -> str:
    """Why it is missed no longer."""
    return f"{bare(series.entity)} no longer counts as silent, after {duration(quiet_s)}"
