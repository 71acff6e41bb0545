"""When an error budget burns too fast, since when, and when that is over.

The rules are those of the SRE workbook (chapter 5): a short and a long window must both burn faster than a factor.
What keeps them from crying wolf:

- Few errors prove little: what counts is the lower bound of the burn rate, by the Poisson distribution of the errors
  seen, and a window with fewer than `LEAST_BAD` bad requests tells nothing.
- Time before the first request counts as good, as it would for an older service: a window of three days is not judged
  by eight minutes, and a young service is told at the moment at which an old one would be.
- What burns is over only after the windows of all rules were clearly below for a while, so it does not flap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from twofold.aiops.detect.requests import LONGEST_MIN, Past
from twofold.records.slo import BURN, SLOW_BURN

LEAST_BAD: Final = 10
_CONFIDENCE: Final = 1.28  # one-sided 90 %
_KEEP: Final = 0.75  # of the factor: below it a rule no longer holds
_REACHABLE: Final = 0.75  # of the burn rate when every request is bad
_NOW_MIN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Both windows burn faster than `factor`."""

    short_min: int
    long_min: int
    factor: float

    def limit(self, allowed: float) -> float:
        """The factor, at most three quarters of what can be reached: where 20 % may be bad, 3.75 of 5 times.

        >>> rule = Rule(short_min=5, long_min=60, factor=14.4)
        >>> rule.limit(0.01), rule.limit(0.2)
        (14.4, 3.75)
        """
        return min(self.factor, _REACHABLE / allowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Rules that are one finding.

    Attributes:
        metric: Of the finding and of the series that shows it.
        rules: The fastest first.
        score: Of the finding: whether it may open an incident alone.
        hold_min: No rule must have held for so long before it is over.
        news_min: It is told again so often, whatever happens; 0 only while bad requests come.
    """

    metric: str
    rules: tuple[Rule, ...]
    score: float
    hold_min: int
    news_min: int


PAGE: Final = Speed(
    metric=BURN,
    rules=(Rule(short_min=5, long_min=60, factor=14.4), Rule(short_min=30, long_min=360, factor=6.0)),
    score=6.0,
    hold_min=10,
    news_min=0,
)
TICKET: Final = Speed(
    metric=SLOW_BURN,
    rules=(Rule(short_min=120, long_min=1440, factor=3.0), Rule(short_min=360, long_min=LONGEST_MIN, factor=1.0)),
    score=3.0,
    hold_min=120,
    news_min=30,
)
SPEEDS: Final = (PAGE, TICKET)


def proven(past: Past, now: int, minutes: int, allowed: float) -> float:
    """The burn rate that the bad requests of a window prove; what lies before the first request counts as good."""
    total, bad = past.sum(now, minutes)
    return lower_bound(bad) / total / allowed * past.covered(now, minutes) if total else 0.0


def holds(past: Past, now: int, rule: Rule, allowed: float, margin: float = 1.0) -> bool:
    """Whether both windows burn faster than the rule's factor, times a margin."""
    limit = rule.limit(allowed) * margin
    return (
        past.sum(now, rule.long_min)[1] >= LEAST_BAD
        and proven(past, now, rule.short_min, allowed) > limit
        and proven(past, now, rule.long_min, allowed) > limit
    )


def broken(past: Past, now: int, speed: Speed, allowed: float) -> Rule | None:
    """The fastest rule that holds."""
    return next((rule for rule in speed.rules if holds(past, now, rule, allowed)), None)


def kept(past: Past, now: int, speed: Speed, allowed: float) -> bool:
    """Whether what was told still stands: a rule holds, or is not clearly below."""
    return any(holds(past, now, rule, allowed, _KEEP) for rule in speed.rules)


def burning_now(past: Past, now: int, allowed: float) -> bool:
    """Whether the last minutes alone burn faster than allowed."""
    return proven(past, now, _NOW_MIN, allowed) > 1.0


def onset_of(past: Past, now: int, rule: Rule, allowed: float, not_before: int) -> int:
    """The minute in which the bad requests began: from there on, most are above half of the rule's rate.

    Never before the first request, nor before the last burn was over.
    """
    begin = max(now - rule.long_min, past.first, not_before, past.start)
    total, bad = past.counts[:, begin - past.start : now - past.start]
    surplus = bad - total * (allowed * rule.limit(allowed) / 2)
    latest_first = np.cumsum(surplus[::-1])
    return now - 1 - int(latest_first.argmax())


def rate(past: Past, since: int, now: int, allowed: float) -> float:
    """The burn rate from a minute on."""
    total, bad = past.sum(now, max(1, min(now - since, LONGEST_MIN)))
    return bad / total / allowed if total else 0.0


def lower_bound(count: int) -> float:
    """Of a Poisson mean after `count` events, one-sided 90 % (Wilson and Hilferty's cube).

    >>> [round(lower_bound(n), 1) for n in (0, 1, 3, 10, 100)]
    [0.0, 0.1, 1.1, 6.2, 87.4]
    """
    if count <= 0:
        return 0.0
    return count * max(1.0 - 1.0 / (9.0 * count) - _CONFIDENCE / (3.0 * math.sqrt(count)), 0.0) ** 3
