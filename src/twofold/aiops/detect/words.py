"""A finding in plain words: values with units, ratios, durations, who it is about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from twofold.records.series import Series, SeriesKind

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


def left_band(series: Series, value: float, expected: float, onset: datetime) -> str:
    """Why a finding opened."""
    unit = unit_of(series)
    if expected and abs(expected) > _RATIO_LEAST * abs(value) and value / expected > 0:
        against = f"{_digits(value / expected)} x its expected {quantity(expected, unit)}"
    else:
        against = f"expected {quantity(expected if abs(expected) > _NOTHING * abs(value) else 0.0, unit)}"
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
