"""How far all series of an entity moved together, held against the entity's own past."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import part
from twofold.stats.joint.layout import DRIVERS, FINE_BINS, HEAD, LIVE_TICKS, NONE, TINY, TOGETHER
from twofold.stats.joint.life import PRIOR, age, step
from twofold.stats.joint.ticks import tell
from twofold.stats.series.tails import tail

MUCH: Final = 1e200
SHARPER: Final = 2.6  # sums vary less than their parts: sizes are stretched before they are counted
SMALLEST: Final = 0.25  # stretched
WIDTH: Final = math.log(1.3)


@part
def _bin(stretched: float) -> int:  # pragma: no cover - compiled
    """Bin of the histogram, in steps of 1.3."""
    return min(int(math.log(stretched / SMALLEST) / WIDTH) + 1, FINE_BINS - 1) if stretched > SMALLEST else 0


@part
def _rank(e: Any, u: float) -> float:  # pragma: no cover - compiled
    """How improbable a size is in the entity's past, times that size, in powers of ten."""
    stretched = u**SHARPER
    k = _bin(stretched)
    larger = 0.0
    for j in range(k + 1, FINE_BINS):
        larger += e.tails[j]
    low = SMALLEST * math.exp((k - 1) * WIDTH) if k else 0.0
    high = SMALLEST * math.exp(k * WIDTH)
    share = (high - stretched) / (high - low) if k < FINE_BINS - 1 else high / max(stretched, high)
    larger += e.tails[k] * min(max(share, 0.0), 1.0)
    return math.log10(1.0 + u) - math.log10(tail(larger, e.counted, u, PRIOR))


@part
def _drivers(event: Any, rows: Any, members: npt.NDArray[np.int32]) -> None:  # pragma: no cover - compiled
    """The series that moved most, in order."""
    for at in range(DRIVERS):
        best, row = -1.0, NONE
        for r in members:
            taken = False
            for before in range(at):
                taken = taken or event.row[before] == r
            if not taken and rows[r].fresh and abs(rows[r].peak) > best:
                best, row = abs(rows[r].peak), r
        event.row[at] = NONE
        if row != NONE:
            tell(event, at, rows, row)


@part
def together(
    e: Any, number: int, rows: Any, members: npt.NDArray[np.int32], tick: int, p: Any, event: Any
) -> int:  # pragma: no cover - compiled
    """Judge one entity where at least half of its series have news; 0 or what happened, written into `event`."""
    live, fresh, total, product, moved = 0, 0, 0.0, 1.0, 0
    for r in members:
        s = rows[r]
        if s.count < HEAD or tick - s.tick > LIVE_TICKS:
            continue
        live += 1
        if s.fresh:
            fresh += 1
            product *= 1.0 + abs(s.peak)
            if product > MUCH:  # one logarithm for many factors
                total += math.log(product)
                product = 1.0
            moved += abs(s.peak) >= p.moved_z
    if live < p.least_series or 2 * fresh < live:
        return 0
    total = (total + math.log(product)) * live / fresh
    away = total - e.usual
    u = max(away / (e.size + TINY), 0.0) if e.judged >= HEAD else 0.0
    rank = _rank(e, u)
    e.total = total
    what = step(e, rank, p.threshold, p.needed, tick, p) if e.judged >= 2 * HEAD else 0
    young = 1.0 / (e.judged + 1.0)
    w = max(1.0 / p.scale_ticks, young)
    limit = 4.0 * e.size if e.judged >= 2 * HEAD else abs(away)
    e.usual += w * min(away, limit)
    e.size += w * (min(abs(away), limit) - e.size)
    if e.judged >= HEAD:
        e.tails[_bin(u**SHARPER)] += 1
        age(e)
    e.judged = min(e.judged + 1, 1 << 30)
    if what:
        event.what, event.kind, event.entity, event.tick, event.onset = what, TOGETHER, number, tick, e.onset
        event.score, event.size, event.coupling, event.moved, event.series = max(e.worst, rank), u, 0.0, moved, live
        _drivers(event, rows, members)
    for r in members:
        rows[r].fresh = 0
    return int(what)
