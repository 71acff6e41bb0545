"""What StatsD lines of one interval add up to: a few samples a series, whatever came."""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from twofold.aiops.ingest.rows import CROWDED, DROPPED, OVERSIZE, REFUSED
from twofold.aiops.ingest.sockets.statsd import Metric, named
from twofold.errors import TooLarge
from twofold.records.series import SeriesKind

QUANTILES: Final = ((".p50", 0.50), (".p95", 0.95), (".p99", 0.99))
MAX_VALUES: Final = 8_192  # of a timer in an interval; beyond, a fair sample of them
MAX_MEMBERS: Final = 100_000  # of a set in an interval; beyond, its size is what is counted here
_NO_SID: Final = {REFUSED: "cardinality", OVERSIZE: "labels_size", CROWDED: "metric_cardinality"}


class Point(NamedTuple):
    """One sample that an interval gives."""

    suffix: str
    kind: SeriesKind
    value: float
    unit: str


class _Counter:
    """How much was counted, scaled up by the sample rate; a delta of the interval."""

    def __init__(self) -> None:
        self._sum = 0.0

    def take(self, metric: Metric) -> None:
        for value in metric.values:
            self._sum += float(value) / metric.rate

    def points(self, *, idle: bool) -> Iterator[Point]:  # noqa: ARG002 - an idle counter says 0
        yield Point("", SeriesKind.DELTA, self._sum, "")
        self._sum = 0.0


class _Gauge:
    """The last value; an idle gauge says it again."""

    def __init__(self) -> None:
        self._value = 0.0

    def take(self, metric: Metric) -> None:
        for value in metric.values:
            self._value = self._value + float(value) if metric.signed else float(value)

    def points(self, *, idle: bool) -> Iterator[Point]:  # noqa: ARG002 - an idle gauge stands where it stood
        yield Point("", SeriesKind.GAUGE, self._value, "")


class _Timer:
    """Count and sum, scaled up by the sample rate, and quantiles of the values that came (nearest rank)."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._values = array("d")
        self._seen = 0
        self._count = 0.0
        self._sum = 0.0
        self._chance = random.Random(0)  # noqa: S311 - a fair sample, nothing secret

    def take(self, metric: Metric) -> None:
        for each in metric.values:
            value = float(each)
            self._count += 1.0 / metric.rate
            self._sum += value / metric.rate
            self._seen += 1
            if len(self._values) < MAX_VALUES:
                self._values.append(value)
            elif (place := self._chance.randrange(self._seen)) < MAX_VALUES:
                self._values[place] = value

    def points(self, *, idle: bool) -> Iterator[Point]:
        yield Point(".count", SeriesKind.DELTA, self._count, "1")
        yield Point(".sum", SeriesKind.DELTA, self._sum, self._unit)
        if not idle:
            values = np.sort(np.frombuffer(self._values, np.float64))
            for suffix, quantile in QUANTILES:
                rank = max(0, math.ceil(quantile * len(values)) - 1)
                yield Point(suffix, SeriesKind.GAUGE, float(values[rank]), self._unit)
        self._values = array("d")
        self._seen, self._count, self._sum = 0, 0.0, 0.0


class _Set:
    """How many different members came; nothing while idle."""

    def __init__(self) -> None:
        self._members: set[object] = set()

    def take(self, metric: Metric) -> None:
        if len(self._members) < MAX_MEMBERS:
            self._members.update(metric.values)

    def points(self, *, idle: bool) -> Iterator[Point]:
        if not idle:
            yield Point("", SeriesKind.GAUGE, float(len(self._members)), "1")
        self._members = set()


class _Held:
    """One series of the sender: its state, and the lines of the interval."""

    __slots__ = ("idle", "lines", "state")

    def __init__(self, kind: str) -> None:
        self.state: _Counter | _Gauge | _Timer | _Set
        match kind:
            case "c":
                self.state = _Counter()
            case "g":
                self.state = _Gauge()
            case "s":
                self.state = _Set()
            case _:
                self.state = _Timer("ms" if kind == "ms" else "")
        self.lines = 0
        self.idle = 0


class Flushed(NamedTuple):
    """Samples of one interval as columns, each with the first line behind its series; and lines that made none."""

    sid: list[int]
    value: list[float]
    line: list[int]
    rejected: Counter[str]
    dropped: Counter[str]
    lines: int = 0


Resolve = Callable[[str, tuple[tuple[str, str], ...], Point], int]


class Aggregates:
    """All series of a listener. Not thread-safe.

    Args:
        limit: Series remembered.
        forget: Intervals without a line after which a series is forgotten.
    """

    def __init__(self, limit: int, forget: int) -> None:
        self._limit = limit
        self._forget = forget
        self._held: dict[tuple[bytes, bytes, str], _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def take(self, metric: Metric) -> None:
        """Add one line. Raises `TooLarge` (`cardinality`) when it would be one series too many."""
        held = self._held.get(metric.key)
        if held is None:
            if len(self._held) >= self._limit:
                raise TooLarge(
                    f"{self._limit} StatsD series are remembered, the limit; send fewer tags or raise `max_series`",
                    reason="cardinality",
                    limit=self._limit,
                )
            held = self._held[metric.key] = _Held(metric.key[2])
        held.state.take(metric)
        held.lines += 1

    def flush(self, resolve: Resolve, drops: Sequence[str] = ()) -> Flushed:
        """End the interval.

        Args:
            resolve: The sid of a name, its labels and a point, or why there is none, as `SeriesIndex.resolve` has it.
            drops: Reasons of rules that drop series.
        """
        found = Flushed([], [], [], Counter(), Counter())
        lines = 0
        for key, held in list(self._held.items()):
            name, labels = named(key[0], key[1])
            points = list(held.state.points(idle=not held.lines))
            sids = [resolve(name, labels, point) for point in points]
            refused = _refused(sids, points)
            kept = [(sid, point.value) for sid, point in zip(sids, points, strict=True) if sid < DROPPED]
            if refused:
                found.rejected[refused] += held.lines
            elif not kept and sids:
                found.dropped[drops[sids[0] - DROPPED]] += held.lines
            else:
                found.sid.extend(sid for sid, _ in kept)
                found.value.extend(value for _, value in kept)
                found.line.extend([lines] * len(kept))
                lines += held.lines
            held.idle = 0 if held.lines else held.idle + 1
            held.lines = 0
            if held.idle >= self._forget:
                del self._held[key]
        return found._replace(lines=lines)


def _refused(sids: list[int], points: list[Point]) -> str:
    """Why a series is not stored; empty when it is."""
    lowest = min(sids, default=0)
    if lowest < 0:
        return _NO_SID[lowest]
    return "" if all(math.isfinite(point.value) for point in points) else "not_finite"
