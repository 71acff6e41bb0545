"""A finding that explains itself."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from twofold.api.views.page import View
from twofold.records.alert import Alert
from twofold.records.finding import Direction, Finding
from twofold.records.verdict import VerdictValue
from twofold.records.why import Silencer


class Kinship(StrEnum):
    """In what a past finding is like this one."""

    SERIES = "series"
    ENTITY = "entity"
    METRIC = "metric"


class Contribution(View):
    """A series of the same entity that left its band in the same time. `share`: of all their scores."""

    finding: str
    series: str
    metric: str
    labels_text: str
    direction: Direction
    score: float
    effect: float
    share: float
    reason: str


class PastFinding(View):
    """An earlier finding like this one, and what it turned out to be.

    `outcome` tells that in words; `verdict` is the newest one on its alert or incident, null where nobody said.
    """

    finding: str
    kinship: Kinship
    entity: str
    onset: datetime
    lasted_s: float
    score: float
    reason: str
    incident: str
    incident_title: str
    verdict: VerdictValue | None
    outcome: str


class Outcomes(View):
    """Past findings by what people said of them."""

    right: int
    wrong: int
    noise: int
    unjudged: int


class DetectorView(View):
    """The version that claimed it, and who let it go live when; null and empty where it never was."""

    id: str
    model: str
    version: str
    live: bool
    released: datetime | None
    approver: str


class Explanation(View):
    """Everything that a reader needs to believe a finding, or not."""

    finding: Finding
    alert: Alert | None
    incident: str
    incident_title: str
    reasons: list[str]
    replayed: bool
    """The history brought the finding again: what would have silenced it was tried."""
    contributions: list[Contribution]
    past: list[PastFinding]
    outcomes: Outcomes
    detector: DetectorView
    silencers: list[Silencer]
