"""A detector's claim about one series over one window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from twofold.records.entity import DEFAULT_TENANT


class FindingState(StrEnum):
    """A finding opens when the score crosses its threshold and closes when the series is back in its band."""

    OPEN = "open"
    CLOSED = "closed"


class Direction(StrEnum):
    """Which way the series left its band; or that it sends nothing, one value on and on, or swings more or less."""

    UP = "up"
    DOWN = "down"
    ABSENT = "absent"
    FLAT = "flat"
    VOLATILE = "volatile"
    STEADY = "steady"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A detector's claim.

    Attributes:
        id: Deterministic in (tenant, detector name, series, onset): replay writes the same finding again.
        series: sid as 16 hex digits (`series.sid_text`).
        labels_text: The series' labels that tell it from its siblings (operation, callee), readable.
        onset: Event time at which the deviation began, not when it was noticed.
        seen: Event time of the newest sample judged.
        opened: Event time of the sample by which it was first told; None until it is stored (`records.merge`).
        score: -log10 of the calibrated tail probability at its worst point so far.
        effect: Distance from the expected value in robust deviations, signed.
        value, expected, low, high: Worst value and the expected band at that point, in the series' unit.
        detector: `name@version` of the released detector.
        reason: One plain English sentence.
        trace_id: A request that shows it, 32 hex digits; empty where none is known.
    """

    id: str
    entity: str
    series: str
    metric: str
    onset: datetime
    seen: datetime
    score: float
    effect: float
    value: float
    expected: float
    low: float
    high: float
    direction: Direction
    detector: str
    reason: str
    state: FindingState = FindingState.OPEN
    unit: str = ""
    labels_text: str = ""
    trace_id: str = ""
    opened: datetime | None = None
    tenant: str = DEFAULT_TENANT
