"""Exemplars of metrics: traces that senders point at, kept as evidence for diagnosis.

An exemplar tells of one request, so it is kept as what a span of it would be: who, what, how long. Kept
are those with a trace id whose metric measures time, the slowest of a request first; others are dropped
by reason. What stores no exemplars of its own needs no more than that.

For protocols that need not say how many were written, requests are looked into for a small share of the
time: exemplars are samples anyway, and the short way for known series does not see them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.records.example import Exemplar

LIMIT: Final = 100  # of one request: diagnosis remembers one an entity and half minute
SHARE: Final = 0.02
_TRACE_HEX: Final = 32
_NS: Final = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
_LONGEST_NS: Final = 86_400 * 10**9
_SUFFIXES: Final = ("_bucket", "_count", "_sum", "_total")


class Exemplars:
    """Exemplars of one request, judged one by one.

    Args:
        latest_ns: Later ones are rejected (`future`).

    Attributes:
        outcome: What became of them.
    """

    def __init__(self, tenant: str, latest_ns: int) -> None:
        self._tenant = tenant
        self._latest_ns = latest_ns
        self._found: list[Exemplar] = []
        self.outcome = Outcome(Item.EXEMPLARS)

    def add(self, trace_id: str, entity: str, metric: str, unit: str, value: float, time_ns: int) -> None:
        """Take one. `trace_id` as the sender wrote it, `value` in the unit of the metric."""
        outcome = self.outcome
        outcome.received += 1
        text = trace_id.lower()
        duration_ns = value * _NS.get(unit, float("nan"))
        if time_ns <= 0:
            outcome.rejected["no_time"] += 1
        elif time_ns > self._latest_ns:
            outcome.rejected["future"] += 1
        elif not _is_trace(text):
            outcome.dropped["no_trace_id"] += 1
        elif not 0 <= duration_ns <= _LONGEST_NS:
            outcome.dropped["no_duration"] += 1
        else:
            self._found.append(
                Exemplar(
                    trace_id=text,
                    entity=entity,
                    operation=operation_of(metric),
                    duration_ns=int(duration_ns),
                    error=False,
                    time_ns=time_ns,
                    tenant=self._tenant,
                )
            )

    def refuse(self, reason: str, count: int = 1) -> None:
        """Count some that cannot be read."""
        if count:
            self.outcome.received += count
            self.outcome.rejected[reason] += count

    def finish(self) -> list[Exemplar]:
        """The slowest of them, and no more from here on; then `outcome` tells what became of all."""
        kept = sorted(self._found, key=lambda each: -each.duration_ns)[:LIMIT]
        if thinned := len(self._found) - len(kept):
            self.outcome.dropped["thinned"] += thinned
        self.outcome.stored = self.outcome.rows = len(kept)
        self._found = kept
        return kept


def _is_trace(text: str) -> bool:
    return len(text) == _TRACE_HEX and text.strip("0123456789abcdef") == "" and text.strip("0") != ""


def operation_of(metric: str) -> str:
    """What is measured, without the part of a histogram.

    >>> operation_of("http_request_duration_seconds_bucket")
    'http_request_duration_seconds'
    """
    for suffix in _SUFFIXES:
        metric = metric.removesuffix(suffix)
    return metric


class Glances:
    """Does work as often as its cost leaves it within a share of the time. One too many is harmless: no lock."""

    def __init__(self, share: float = SHARE, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._next = 0.0

    def take(self, work: Callable[[], Exemplars | None]) -> Exemplars | None:
        """Do it now, or not at all."""
        begun = self._clock()
        if begun < self._next:
            return None
        self._next = begun + 1.0  # nobody else while this one is at it
        found = work()
        ended = self._clock()
        self._next = ended + (ended - begun) / self._share
        return found
