"""Two ways to publish the same few instruments: pushed by the OpenTelemetry SDK, or scraped in Prometheus text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import prometheus_client
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.registry import Collector

Labels = Mapping[str, str]
Read = Callable[[], float | None]
DURATION_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Meter(Protocol):
    """What a service measures. Names and units are OpenTelemetry's (`http.server.request.duration`, `s`)."""

    def count(self, name: str, value: float = 1, labels: Labels | None = None) -> None:
        """Add to a counter."""
        ...

    def time(self, name: str, seconds: float, labels: Labels | None = None) -> None:
        """Record a duration in a histogram."""
        ...

    def watch(self, name: str, unit: str, read: Read, labels: Labels | None = None) -> None:
        """Report `read()` at each export: a gauge. None is not reported."""
        ...

    def watch_total(self, name: str, unit: str, read: Read) -> None:
        """Report `read()`, which only grows, at each export."""
        ...


class PushMeter:
    """Instruments of the OpenTelemetry SDK; its reader exports them."""

    def __init__(self, provider: MeterProvider) -> None:
        self._meter: Any = provider.get_meter("shop")
        self._made: dict[str, Any] = {}

    def count(self, name: str, value: float = 1, labels: Labels | None = None) -> None:
        """Add to a counter."""
        if name not in self._made:
            self._made[name] = self._meter.create_counter(name)
        self._made[name].add(value, labels)

    def time(self, name: str, seconds: float, labels: Labels | None = None) -> None:
        """Record a duration in a histogram."""
        if name not in self._made:
            self._made[name] = self._meter.create_histogram(
                name, unit="s", explicit_bucket_boundaries_advisory=list(DURATION_BOUNDS_S)
            )
        self._made[name].record(seconds, labels)

    def watch(self, name: str, unit: str, read: Read, labels: Labels | None = None) -> None:
        """Report `read()` at each export: a gauge."""
        self._meter.create_observable_gauge(name, callbacks=[_observe(read, labels)], unit=unit)

    def watch_total(self, name: str, unit: str, read: Read) -> None:
        """Report `read()`, which only grows, at each export."""
        self._meter.create_observable_counter(name, callbacks=[_observe(read, None)], unit=unit)


class ScrapeMeter:
    """Instruments of the Prometheus client; `expose` is the answer to a scrape."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # they lack it; a series each that nobody asks for
        self._registry = CollectorRegistry()
        self._made: dict[str, Any] = {}

    def count(self, name: str, value: float = 1, labels: Labels | None = None) -> None:
        """Add to a counter."""
        self._instrument(prometheus_client.Counter, name, labels).inc(value)

    def time(self, name: str, seconds: float, labels: Labels | None = None) -> None:
        """Record a duration in a histogram."""
        made = self._instrument(prometheus_client.Histogram, f"{name}.seconds", labels, buckets=DURATION_BOUNDS_S)
        made.observe(seconds)

    def watch(self, name: str, unit: str, read: Read, labels: Labels | None = None) -> None:
        """Report `read()` at each scrape: a gauge."""
        self._registry.register(_Reading(prometheus_name(name, unit), "gauge", read, labels or {}))

    def watch_total(self, name: str, unit: str, read: Read) -> None:
        """Report `read()`, which only grows, at each scrape."""
        self._registry.register(_Reading(prometheus_name(name, unit), "counter", read, {}))

    def expose(self) -> bytes:
        """All instruments in Prometheus text."""
        return prometheus_client.generate_latest(self._registry)

    def _instrument(self, kind: Any, name: str, labels: Labels | None, **extra: Any) -> Any:
        given = {prometheus_name(key): value for key, value in (labels or {}).items()}
        if name not in self._made:
            self._made[name] = kind(
                prometheus_name(name), name, labelnames=sorted(given), registry=self._registry, **extra
            )
        return self._made[name].labels(**given) if given else self._made[name]


class _Reading(Collector):
    """One value read at the time of the scrape."""

    def __init__(self, name: str, kind: str, read: Read, labels: Labels) -> None:
        self._name, self._kind, self._read, self._labels = name, kind, read, labels

    def collect(self) -> Iterable[Metric]:
        metric = Metric(self._name, self._name, self._kind)
        suffix = "_total" if self._kind == "counter" else ""
        labels = {prometheus_name(key): value for key, value in self._labels.items()}
        if (value := self._read()) is not None:
            metric.add_sample(self._name + suffix, labels, value)
        return [metric]


_UNIT_SUFFIX = {"s": "_seconds", "By": "_bytes"}


def prometheus_name(name: str, unit: str = "") -> str:
    """The name as Prometheus writes it.

    >>> prometheus_name("process.memory.usage", "By")
    'process_memory_usage_bytes'
    """
    return name.replace(".", "_") + _UNIT_SUFFIX.get(unit, "")


def _observe(read: Read, labels: Labels | None) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        value = read()
        return [] if value is None else [Observation(value, labels)]

    return observe
