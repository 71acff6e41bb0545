"""Ranked suspects of one incident, each with cited evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twofold.records.entity import DEFAULT_TENANT


class EvidenceKind(StrEnum):
    """What a piece of evidence points at."""

    SERIES = "series"
    TRACE = "trace"
    LOG = "log"
    CHANGE = "change"
    TOPOLOGY = "topology"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One checkable fact behind a suspect.

    Attributes:
        text: What it shows, in one sentence with numbers.
        ref: sid hex for a series, trace id hex, event id for a change, `caller->callee` for topology, else empty.
        start, end: The window to look at.
        weight: Its share of the suspect's score, 0..1.
    """

    kind: EvidenceKind
    text: str
    ref: str
    start: datetime
    end: datetime
    entity: str = ""
    weight: float = 0.0
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One possible cause. `score` is a share: scores of a diagnosis sum to at most 1."""

    entity: str
    reason: str
    score: float
    change: str = ""
    evidence: tuple[Evidence, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Suspects of an incident, most suspect first. A later diagnosis of the same incident replaces an earlier one.

    Attributes:
        id: The incident's id.
        ranker: `name@version` of the cause ranker.
    """

    id: str
    incident: str
    time: datetime
    suspects: tuple[Suspect, ...]
    ranker: str
    tenant: str = DEFAULT_TENANT
