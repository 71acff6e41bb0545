"""A series: labels that name a stream of (time, float) samples of one entity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from twofold.records.entity import DEFAULT_TENANT


class SeriesKind(StrEnum):
    """How the values behave. A counter only grows until it resets; a rate is already per second."""

    GAUGE = "gauge"
    COUNTER = "counter"
    DELTA = "delta"
    RATE = "rate"


class Origin(StrEnum):
    """Where a series comes from: received as it is, or derived by one of our own stages (event: from pipelines)."""

    METRIC = "metric"
    SPAN = "span"
    LOG = "log"
    MODEL = "model"
    EVENT = "event"
    SELF = "self"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Definition of one series; its samples live in columns keyed by `sid`.

    Attributes:
        sid: 63-bit id: metric (20 bit) << 43 | hash of the labels (43 bit). Clusters a metric's series.
        metric: Name in OpenTelemetry style, such as `http.server.duration.p95`.
        labels: Every label but the metric's name, values as text, sorted by key.
        unit: UCUM unit (`s`, `By`, `1`), empty when unknown.
    """

    sid: int
    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)
    entity: str = ""
    unit: str = ""
    kind: SeriesKind = SeriesKind.GAUGE
    origin: Origin = Origin.METRIC
    tenant: str = DEFAULT_TENANT


def sid_text(sid: int) -> str:
    """The sid as it stands in records and on the wire: 16 hex digits (JSON numbers lose bits past 2^53).

    >>> sid_text(255)
    '00000000000000ff'
    """
    return f"{sid:016x}"


def parse_sid(text: str) -> int:
    """Inverse of `sid_text`. Raises `ValueError` when the text is not hexadecimal."""
    return int(text, 16)
