"""Why a finding stands, and what would silence it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SilencerKind(StrEnum):
    """What would have to be otherwise."""

    VALUE = "value"
    DURATION = "duration"
    BUDGET = "budget"
    FLOOR = "floor"
    END = "end"
    LEVEL = "level"
    DATA = "data"
    BURN = "burn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Silencer:
    """One thing that would silence, or would have silenced, the finding.

    Attributes:
        text: One sentence with numbers.
        setting: `name=value` for `twofold detectors new panel --set` (value as JSON), where a setting would do it.
        now, needed: The number as it is and as it would have to be, in the finding's unit, seconds, or as a factor.
        tried: A run of the detector's kernel bore it out; else it follows from the finding and the settings.
    """

    kind: SilencerKind
    text: str
    setting: str = ""
    now: float | None = None
    needed: float | None = None
    tried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What is known of how a finding came about.

    Attributes:
        reasons: Sentences, the most telling first.
        silencers: What would silence it.
        replayed: The history brought the finding again.
    """

    reasons: tuple[str, ...]
    silencers: tuple[Silencer, ...]
    replayed: bool = False
