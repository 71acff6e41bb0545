"""How large a change must be to matter, by kind of signal and unit; which side of the band hurts; what is not judged.

A calibrated probability says that something is unusual, never that anyone should care: 3.1 ms where 3.0 ms is usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from twofold.records.finding import Direction
from twofold.records.series import Series, SeriesKind
from twofold.records.signal import Signal, harmful, signal_of
from twofold.stats.series.layout import COUNTER, DELTA, DOWN, FIRST_CHANGE, GAUGE, IGNORED, UP

MIB: Final = 1024.0 * 1024.0
_KINDS: Final = {SeriesKind.COUNTER: COUNTER, SeriesKind.DELTA: DELTA}
_PARTS: Final = (".bucket", "_bucket", ".sum", "_sum", "_created", "start_time_seconds")
_META: Final = ("scrape_", "otel.sdk.", "otelcol_", "slo.", "span.call_ratio")  # the last has its own detector
# A constant series of these kinds that changes for the first time tells something; elsewhere it is mostly set-up.
_TELLING: Final = frozenset({Signal.ERRORS, Signal.AVAILABILITY, Signal.DRIFT, Signal.QUEUE, Signal.TRAFFIC})


@dataclass(frozen=True, slots=True)
class Floor:
    """Least change that matters.

    Attributes:
        least: In the unit of the series.
        share: Of the expected value. The larger of the two counts.
    """

    least: float
    share: float

    def times(self, factor: float) -> Floor:
        """So many times as large.

        >>> Floor(0.005, 0.25).times(2.0)
        Floor(least=0.01, share=0.5)
        """
        return self if factor == 1.0 else Floor(self.least * factor, self.share * factor)


_FLOORS: Final[dict[tuple[Signal, str], Floor]] = {
    (Signal.OBJECTIVE, ""): Floor(1.0, 0.5),
    (Signal.LATENCY, "s"): Floor(0.005, 0.25),
    (Signal.LATENCY, "ms"): Floor(5.0, 0.25),
    (Signal.LATENCY, "us"): Floor(5_000.0, 0.25),
    (Signal.LATENCY, "ns"): Floor(5e6, 0.25),
    (Signal.LATENCY, ""): Floor(0.0, 0.25),
    (Signal.SELF_TIME, "s"): Floor(0.005, 0.25),
    (Signal.SELF_TIME, ""): Floor(0.0, 0.25),
    (Signal.CALLS, ""): Floor(0.2, 0.0),
    (Signal.ERRORS, "1"): Floor(0.033, 0.5),
    (Signal.ERRORS, ""): Floor(0.2, 0.5),
    (Signal.TRAFFIC, ""): Floor(0.5, 0.35),
    (Signal.DRIFT, ""): Floor(0.1, 0.5),
    (Signal.AVAILABILITY, ""): Floor(0.5, 0.0),
    (Signal.QUEUE, ""): Floor(5.0, 0.5),
    (Signal.CPU, "%"): Floor(10.0, 0.3),
    (Signal.CPU, ""): Floor(0.1, 0.3),
    (Signal.MEMORY, "By"): Floor(4 * MIB, 0.15),
    (Signal.MEMORY, "1"): Floor(0.05, 0.15),
    (Signal.MEMORY, "%"): Floor(5.0, 0.15),
    (Signal.MEMORY, ""): Floor(0.0, 0.5),
    (Signal.DISK, "By"): Floor(16 * MIB, 0.1),
    (Signal.DISK, "1"): Floor(0.03, 0.1),
    (Signal.DISK, "%"): Floor(3.0, 0.1),
    (Signal.DISK, ""): Floor(0.0, 1.0),
    (Signal.NETWORK, ""): Floor(0.0, 1.0),
    (Signal.OTHER, ""): Floor(0.0, 0.3),
}
# A high quantile of a few requests is their maximum.
_LONG_TAILS: Final = {
    "span.duration.p95": Floor(0.010, 0.4),
    "span.duration.p99": Floor(0.020, 0.75),
    "span.self_time.p95": Floor(0.010, 0.4),
    "span.wait_time.p95": Floor(0.010, 0.4),
}
_MEAN_PREDICTION: Final = Floor(0.0, 0.15)


def floor_of(series: Series) -> Floor:
    """The floor of a series' values, or of its rate per second for counters.

    >>> floor_of(Series(sid=1, metric="span.duration.p50", unit="s"))
    Floor(least=0.005, share=0.25)
    """
    if series.metric in _LONG_TAILS:
        return _LONG_TAILS[series.metric]
    if series.metric.endswith("prediction.mean"):
        return _MEAN_PREDICTION
    signal, unit = signal_of(series.metric), series.unit
    if series.kind in _KINDS:
        unit = ""  # a rate now
    elif not unit and series.metric.lower().endswith(("_bytes", ".bytes")):
        unit = "By"
    elif not unit and series.metric.lower().endswith(("_seconds", ".seconds")):
        unit = "s"
    return _FLOORS.get((signal, unit)) or _FLOORS[signal, ""]


def sides_of(series: Series) -> int:
    """Flags `UP`, `DOWN`, `FIRST_CHANGE` of the kernel."""
    sides = UP if harmful(series.metric, Direction.UP) else 0
    sides |= DOWN if harmful(series.metric, Direction.DOWN) else 0
    return sides | (FIRST_CHANGE if signal_of(series.metric) in _TELLING else 0)


def kind_of(series: Series) -> int:
    """How the kernel reads the values. Parts of histograms and numbers about the sending itself are not judged here.

    >>> kind_of(Series(sid=1, metric="http.server.duration.bucket", kind=SeriesKind.COUNTER)) == IGNORED
    True
    """
    metric = series.metric.lower()
    if metric.startswith(_META) or (metric.endswith(_PARTS) and (series.kind in _KINDS or not series.unit)):
        return IGNORED
    return _KINDS.get(series.kind, GAUGE)
