"""What an operator says of a claim. Verdicts are labels for the next candidate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from twofold.records.entity import DEFAULT_TENANT


class VerdictSubject(StrEnum):
    """What is judged."""

    ALERT = "alert"
    GROUP = "group"
    SUSPECT = "suspect"
    EXECUTION = "execution"


class VerdictValue(StrEnum):
    """The judgement. `noise`: true but not worth a page."""

    RIGHT = "right"
    WRONG = "wrong"
    NOISE = "noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judgement; append-only, a later one of the same author on the same subject counts.

    Attributes:
        ref: Alert id, incident id (for a group), entity id (for a suspect) or execution id.
        incident: The incident on whose page it was given.
    """

    id: str
    subject: VerdictSubject
    ref: str
    incident: str
    value: VerdictValue
    author: str
    time: datetime
    note: str = ""
    tenant: str = DEFAULT_TENANT
