"""Values in base units: what a series is declared in, what it becomes, and by which factor.

Source: UCUM for the units; Prometheus, "Metric and label naming", for base units and names' endings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple


class Conversion(NamedTuple):
    """One unit and what it becomes: `value * factor` is in `base`.

    Attributes:
        ending: What the name of a metric in it ends with, and what it ends with then.
    """

    base: str
    factor: float
    ending: tuple[str, str] = ("", "")


_K: Final = 1024.0
CONVERSIONS: Final[dict[str, Conversion]] = {
    "ns": Conversion("s", 1e-9, ("nanoseconds", "seconds")),
    "us": Conversion("s", 1e-6, ("microseconds", "seconds")),
    "ms": Conversion("s", 1e-3, ("milliseconds", "seconds")),
    "min": Conversion("s", 60.0, ("minutes", "seconds")),
    "h": Conversion("s", 3600.0, ("hours", "seconds")),
    "d": Conversion("s", 86400.0, ("days", "seconds")),
    "kBy": Conversion("By", 1e3, ("kilobytes", "bytes")),
    "MBy": Conversion("By", 1e6, ("megabytes", "bytes")),
    "GBy": Conversion("By", 1e9, ("gigabytes", "bytes")),
    "TBy": Conversion("By", 1e12, ("terabytes", "bytes")),
    "KiBy": Conversion("By", _K, ("kibibytes", "bytes")),
    "MiBy": Conversion("By", _K**2, ("mebibytes", "bytes")),
    "GiBy": Conversion("By", _K**3, ("gibibytes", "bytes")),
    "TiBy": Conversion("By", _K**4, ("tebibytes", "bytes")),
    "bit": Conversion("By", 0.125, ("bits", "bytes")),
    "%": Conversion("1", 0.01, ("percent", "ratio")),
}
_ALIASES: Final = {
    "milliseconds": "ms",
    "millisecond": "ms",
    "msec": "ms",
    "microseconds": "us",
    "µs": "us",
    "usec": "us",
    "nanoseconds": "ns",
    "minutes": "min",
    "hours": "h",
    "days": "d",
    "kb": "kBy",
    "kilobytes": "kBy",
    "mb": "MBy",
    "megabytes": "MBy",
    "gb": "GBy",
    "gigabytes": "GBy",
    "kib": "KiBy",
    "kibibytes": "KiBy",
    "mib": "MiBy",
    "mebibytes": "MiBy",
    "gib": "GiBy",
    "gibibytes": "GiBy",
    "bits": "bit",
    "percent": "%",
}
_BY_ENDING: Final = {conversion.ending[0]: unit for unit, conversion in CONVERSIONS.items()}
_COUNTS: Final = ("_count", "_bucket")
_TAILS: Final = ("_total", "_sum", *_COUNTS)
_OTLP_PARTS: Final = (".sum", ".count", ".bucket")
_BOUND: Final = "le"


def conversion_of(metric: str, unit: str) -> Conversion | None:
    """How a series in this unit is converted; without a unit the metric's name tells. None when it stays as it is.

    A histogram of OTLP keeps its unit: it is declared with the metric, and the bounds of its buckets do not name it.

    >>> conversion_of("http.server.duration", "ms").base, conversion_of("rpc_latency_milliseconds_sum", "").factor
    ('s', 0.001)
    >>> conversion_of("up", "") is None, conversion_of("queue.size", "{message}") is None
    (True, True)
    """
    if metric.endswith(_OTLP_PARTS):
        return None
    if unit and not metric.endswith(_COUNTS):
        return CONVERSIONS.get(unit) or CONVERSIONS.get(_ALIASES.get(unit.lower(), ""))
    word = _stem(metric)[0].replace(".", "_").rpartition("_")[2]
    return CONVERSIONS.get(_BY_ENDING.get(word, ""))


def convert(metric: str, labels: Mapping[str, str], unit: str) -> tuple[str, dict[str, str], str, float]:
    """Metric, labels, unit and factor of a series in base units. Counts keep their values, bounds of buckets do not.

    >>> convert("rpc_milliseconds_bucket", {"le": "250"}, "1")
    ('rpc_seconds_bucket', {'le': '0.25'}, '1', 1.0)
    >>> convert("memory", {}, "KiBy")
    ('memory', {}, 'By', 1024.0)
    """
    found = conversion_of(metric, unit)
    if found is None:
        return metric, dict(labels), unit, 1.0
    name = renamed(metric, found)
    if not metric.endswith(_COUNTS):
        return name, dict(labels), found.base, found.factor
    bound = labels.get(_BOUND)
    return name, dict(labels) | ({_BOUND: _scaled(bound, found.factor)} if bound else {}), unit, 1.0


def _scaled(bound: str, factor: float) -> str:
    try:
        value = float(bound)
    except ValueError:
        return bound
    return f"{value * factor:.12g}" if math.isfinite(value) else bound


def renamed(metric: str, conversion: Conversion) -> str:
    """The metric's name with the unit's ending changed, where it has one.

    >>> renamed("rpc_latency_milliseconds_sum", CONVERSIONS["ms"]), renamed("http.server.duration", CONVERSIONS["ms"])
    ('rpc_latency_seconds_sum', 'http.server.duration')
    """
    stem, tail = _stem(metric)
    old, new = conversion.ending
    return f"{stem.removesuffix(old)}{new}{tail}" if stem.endswith((f"_{old}", f".{old}")) else metric


def _stem(metric: str) -> tuple[str, str]:
    """A name without and with its ending of a counter or of a histogram's part."""
    tail = next((tail for tail in _TAILS if metric.endswith(tail)), "")
    return metric[: len(metric) - len(tail)], tail
