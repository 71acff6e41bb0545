"""The life of a finding: some improbable ticks in a row open it, some calm ones close it."""

from __future__ import annotations

from typing import Any, Final

from twofold.stats.jit import part
from twofold.stats.joint.layout import CLOSED, OPENED, WORSE

CALM: Final = 1.0  # powers of ten below the threshold at which a stay counts as over
ENDED: Final = 3  # ticks in a row
PRIOR: Final = 10.0  # samples that what was not seen yet is worth
CAP: Final = 20_000.0  # samples after which a histogram is halved


@part
def age(s: Any) -> None:  # pragma: no cover - compiled
    """One more is counted in the histogram; halve it when it is full."""
    s.counted += 1.0
    if s.counted > CAP:
        for j in range(len(s.tails)):
            s.tails[j] >>= 1
        s.counted *= 0.5


@part
def step(s: Any, rank: float, threshold: float, needed: float, tick: int, p: Any) -> int:  # pragma: no cover - compiled
    """Move the life of a finding by one judged tick; says what happened, 0 for nothing."""
    if s.opened == 0:
        if rank < threshold:
            s.stay = 0
            return 0
        if s.stay == 0:
            s.onset = tick
            s.worst = 0.0
        s.stay += 1
        s.worst = max(s.worst, rank)
        if s.stay < needed:
            return 0
        s.opened = tick
        s.low = 0
        return OPENED
    s.low = s.low + 1 if rank < threshold - CALM else 0
    if s.low >= ENDED or tick - s.opened >= p.readmit_ticks:
        s.opened = 0
        s.stay = 0
        return CLOSED
    if rank > s.worst + 1.0:
        s.worst = rank
        return WORSE
    return 0
