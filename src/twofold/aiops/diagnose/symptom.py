"""One anomalous signal of one entity, as the ranking sees it, whoever found it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from twofold.aiops.diagnose.config import RankConfig
from twofold.records.finding import Direction, Finding
from twofold.records.signal import Signal, harmful, signal_of
from twofold.records.time import SECOND_NS, to_ns
from twofold.records.words import name_of
from twofold.stats.graph import Graph

_ARROW: Final = "->"


@dataclass(frozen=True, slots=True)
class Symptom:
    """An anomaly.

    Attributes:
        entity: Who shows it.
        signal: Kind of signal; `AVAILABILITY` also when the entity's own telemetry stopped.
        up: The value rose.
        onset_s: When it began; any clock, the same for all symptoms of a case.
        strength: 0..1: how sure and how large.
        callee: For what a caller sees of its callee: the callee's id.
        ref: Where it comes from: a finding's or alert's id.
    """

    entity: str
    signal: Signal
    up: bool
    onset_s: float
    strength: float
    callee: str = ""
    ref: str = ""


def strength(score: float, effect: float, config: RankConfig, *, value: float = 1.0, expected: float = 0.0) -> float:
    """How much a deviation counts, 0..1: unlikely and large, and of a size that matters.

    >>> round(strength(12, 15, RankConfig()), 2), round(strength(12, 15, RankConfig(), value=1.05, expected=1.0), 2)
    (0.54, 0.11)
    """
    sure = score / (score + config.half_score) if score > 0 else 0.0
    large = abs(effect) / (abs(effect) + config.half_effect)
    return sure * large * practical(value, expected, config.floor_ratio)


def practical(value: float, expected: float, floor_ratio: float) -> float:
    """1 when the value is off by at least the ratio, else less in proportion."""
    size = abs(value - expected)
    scale = max(abs(expected), 1e-12)
    return min(1.0, size / scale / floor_ratio)


def operation_of(finding: Finding) -> str:
    """The operation that the series is about, or empty."""
    parts = [part.strip() for part in finding.labels_text.split(",")]
    return next((part for part in parts if part and "=" not in part and not part.startswith(_ARROW)), "")


def callee_of(finding: Finding, graph: Graph) -> str:
    """The callee that a caller's series speaks of, or empty.

    The readable labels say `-> payment`; the topology tells which entity of that name is called.
    """
    parts = (part.strip() for part in finding.labels_text.split(","))
    name = next((part.removeprefix(_ARROW).strip() for part in parts if part.startswith(_ARROW)), "")
    if not name or ":" in name:
        return name
    return next((each for each in graph.callees(finding.entity) if name_of(each) == name), f"service:{name}")


def symptom_of(finding: Finding, graph: Graph, config: RankConfig) -> Symptom | None:
    """The finding as a symptom; None when its direction does no harm.

    Silence of series made from spans only says that nobody calls; silence of what an entity sends says that it is gone.
    """
    if not harmful(finding.metric, finding.direction):
        return None
    signal = signal_of(finding.metric)
    absent = finding.direction is Direction.ABSENT
    if absent:
        signal = Signal.TRAFFIC if finding.metric.startswith("span.") else Signal.AVAILABILITY
    effect = math.inf if absent else finding.effect
    size = (0.0, 1.0) if absent else (finding.value, finding.expected)
    return Symptom(
        entity=finding.entity,
        signal=signal,
        up=finding.direction is Direction.UP,
        onset_s=to_ns(finding.onset) / SECOND_NS,
        strength=strength(finding.score, min(abs(effect), 1e6), config, value=size[0], expected=size[1]),
        callee=callee_of(finding, graph),
        ref=finding.id,
    )
