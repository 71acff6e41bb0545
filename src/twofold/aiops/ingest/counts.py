"""Conservation (promise P5): every item that comes in is counted once as what became of it.

    received = stored + duplicate + rejected{reason} + dropped{reason}

Items are what the protocol speaks of: data points, log records, spans, events, predictions.
*Rejected* items are told to the sender; *dropped* ones are legal and carry nothing to store (a
NaN, an infinity). `rows` counts what went into the journal: one histogram point is several
rows. Rows of the history plus its own duplicates equal these rows.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import prometheus_client as prom

MAX_CROWDS: Final = 100


class Item(StrEnum):
    """What kind of item is counted."""

    POINTS = "points"
    LOGS = "logs"
    SPANS = "spans"
    EVENTS = "events"
    PREDICTIONS = "predictions"
    EXEMPLARS = "exemplars"


@dataclass(slots=True)
class Outcome:
    """What became of the items of one request, and how many rows they made."""

    item: Item
    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Sequence[str] = ()  # what a sender should know of the rejected beside their reasons

    def fail(self, reason: str) -> Outcome:
        """The same items when their journal append failed: what would have been stored is rejected."""
        rejected = self.rejected + Counter({reason: self.stored + self.duplicate})
        return Outcome(self.item, received=self.received, rejected=rejected, dropped=self.dropped)

    def text(self) -> str:
        """Why items were rejected, for the sender; empty when none were.

        >>> Outcome(Item.POINTS, received=3, rejected=Counter(future=2)).text()
        '2 of 3 points rejected: future 2'
        """
        total = self.rejected.total()
        if not total:
            return ""
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.rejected.items()))
        return "; ".join([f"{total} of {self.received} {self.item} rejected: {reasons}", *self.notes])


class Counts:
    """Totals since start, for `/metrics` and for the conservation check. Thread-safe.

    Args:
        registry: Where the `twofold_ingest_*` metrics are registered; None for a registry of its own.
    """

    def __init__(self, registry: prom.CollectorRegistry | None = None) -> None:
        self.registry = registry or prom.CollectorRegistry()
        self._lock = threading.Lock()
        self._totals = {item: Outcome(item) for item in Item}
        self._items = prom.Counter(
            "twofold_ingest_items",
            "Items by outcome: received, stored, duplicate, rejected, dropped",
            ["item", "outcome", "reason"],
            registry=self.registry,
        )
        self._rows = prom.Counter(
            "twofold_ingest_rows", "Rows appended to the journal", ["item"], registry=self.registry
        )
        self._requests = prom.Counter(
            "twofold_ingest_requests", "Requests by receiver and answer", ["receiver", "code"], registry=self.registry
        )
        self._seconds = prom.Histogram(
            "twofold_ingest_request_seconds",
            "Time from the head of a request to its answer",
            ["receiver"],
            registry=self.registry,
        )
        self._malformed = prom.Counter(
            "twofold_ingest_malformed",
            "Messages not of their form, kept all the same",
            ["receiver"],
            registry=self.registry,
        )
        self._crowded = prom.Counter(
            "twofold_ingest_refused_series",
            "Series refused by a limit, by the metric and the label that fill it",
            ["metric", "label"],
            registry=self.registry,
        )
        self._crowds: set[tuple[str, str]] = set()
        self._scrubbed = prom.Counter(
            "twofold_ingest_scrubbed", "Log lines and spans that a scrub rule changed", ["rule"], registry=self.registry
        )
        self._clock = prom.Gauge(
            "twofold_ingest_clock_offset_seconds",
            "Median of receive time minus newest event time, of entities whose clock is wrong",
            ["entity"],
            registry=self.registry,
        )
        self._in_flight = prom.Gauge(
            "twofold_ingest_in_flight_bytes", "Bytes being read, decoded or written", registry=self.registry
        )
        self._cold = prom.Gauge(
            "twofold_ingest_cold_kernels",
            "Compiled decoders that are not ready; until then their requests are decoded without",
            registry=self.registry,
        )

    def add(self, outcome: Outcome) -> None:
        """Count the items of one request."""
        with self._lock:
            total = self._totals[outcome.item]
            total.received += outcome.received
            total.stored += outcome.stored
            total.duplicate += outcome.duplicate
            total.rows += outcome.rows
            total.rejected.update(outcome.rejected)
            total.dropped.update(outcome.dropped)
        item = outcome.item.value
        for name in ("received", "stored", "duplicate"):
            if count := getattr(outcome, name):
                self._items.labels(item, name, "").inc(count)
        for name in ("rejected", "dropped"):
            for reason, count in getattr(outcome, name).items():
                self._items.labels(item, name, reason).inc(count)
        if outcome.rows:
            self._rows.labels(item).inc(outcome.rows)

    def request(self, receiver: str, code: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(receiver, str(code)).inc()
        self._seconds.labels(receiver).observe(seconds)

    def malformed(self, receiver: str, count: int) -> None:
        """Count messages that were not of their protocol's form, and were kept whole or cut."""
        self._malformed.labels(receiver).inc(count)

    def crowded(self, metric: str, label: str) -> None:
        """Count one series that a limit refused; past 100 pairs of metric and label they count as "other"."""
        if (metric, label) not in self._crowds:
            if len(self._crowds) >= MAX_CROWDS:
                metric, label = "other", ""
            self._crowds.add((metric, label))
        self._crowded.labels(metric, label).inc()

    def scrubbed(self, lines: Mapping[str, int]) -> None:
        """Count lines and spans that scrub rules changed, by rule."""
        for rule, count in lines.items():
            self._scrubbed.labels(rule).inc(count)

    def clock(self, entity: str, offset_s: float | None) -> None:
        """Note by how much an entity's clock is wrong, or that it is right again."""
        if offset_s is None:
            with contextlib.suppress(KeyError):  # it was wrong in another tenant, and is told once
                self._clock.remove(entity)
        else:
            self._clock.labels(entity).set(offset_s)

    def in_flight(self, size_bytes: int) -> None:
        """Note the bytes in flight."""
        self._in_flight.set(size_bytes)

    def cold(self, decoders: int) -> None:
        """Note how many compiled decoders are not ready."""
        self._cold.set(decoders)

    def total(self, item: Item) -> Outcome:
        """A copy of the totals of one kind of item."""
        with self._lock:
            total = self._totals[item]
            return Outcome(
                item,
                total.received,
                total.stored,
                total.duplicate,
                total.rows,
                Counter(total.rejected),
                Counter(total.dropped),
            )

    def imbalance(self) -> Mapping[Item, int]:
        """Per kind of item, received minus everything that is accounted for; empty when the equation holds."""
        found: dict[Item, int] = {}
        for item in Item:
            total = self.total(item)
            known = total.stored + total.duplicate + total.rejected.total() + total.dropped.total()
            if total.received != known:
                found[item] = total.received - known
        return found
