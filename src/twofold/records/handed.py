"""What the stages of one partition found, on its way to the partition that groups and diagnoses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from twofold.records.entity import Edge
from twofold.records.example import Exemplar, LogExample
from twofold.records.finding import Finding
from twofold.records.frame import Position

CARRIED: Final = (Finding, Edge, Exemplar, LogExample)
"""Record types that grouping and diagnosis need of every partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """Records of one partition, tenant and lane, each with the frame that it was made from.

    Attributes:
        origin: The partition.
        clock_ns: Its watermark after the last frame.
        parts: Position after a frame, and what was made from it; ascending.
    """

    origin: int
    clock_ns: int
    parts: Sequence[tuple[Position, Sequence[object]]]
