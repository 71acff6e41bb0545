"""What became of the claims of a live version of our own: pages, first suspects, forecasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Claims of one version that were judged: a detector's pages, a ranker's first suspects, a forecaster's forecasts.

    Attributes:
        detector: Its `name@version`.
        right, false: Pages called right; wrong or noise. Causes, forecasts alike.
        low, middle, high: What share is right: 80 % interval and median. Wide while few were judged.
        incidents: Ids of the false ones, newest first; of forecasts for a forecaster.
    """

    detector: str
    right: int
    false: int
    low: float
    middle: float
    high: float
    incidents: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far a live detector is trusted.

    Attributes:
        since: When it went live.
        live, champion: Its pages, and those of the version that was live before it; None for the first one.
        worse: Probability that it is less precise than it may be: than the version before less a margin, or than
            the least precision while nobody judged that one.
        false_per_day: False pages a day, and the least that so many prove.
        lost: Why it is taken back; empty while it is trusted.
    """

    model: str
    version: str
    since: datetime
    live: Precision
    champion: Precision | None
    worse: float
    false_per_day: float
    least_false_per_day: float
    lost: str = ""
