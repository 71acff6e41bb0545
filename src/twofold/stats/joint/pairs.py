"""Which series go together, and which of them part."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import part
from twofold.stats.joint.layout import APART, HEAD, KEPT, NONE, SHARE, SLOTS, TINY
from twofold.stats.joint.life import PRIOR, age, step
from twofold.stats.joint.ticks import tell
from twofold.stats.series.tails import above, bin_of, tail

BETTER: Final = 0.02  # correlation by which a new partner must be ahead
COUPLED_CLIP: Final = 5.0  # usual sizes past which a tick says no more about coupling


@part
def _rank(q: Any, u: float) -> float:  # pragma: no cover - compiled
    """How improbable a size is in the pair's past, times that size, in powers of ten."""
    return math.log10(1.0 + u) - math.log10(tail(above(q.tails, u, bin_of(u)), q.counted, u, PRIOR))


@part
def _coupling(pairs: Any, q: Any, k: int) -> float:  # pragma: no cover - compiled
    """Correlation with the partner in slot `k`."""
    return float(q.shared[k] / math.sqrt(q.power * pairs[q.partner[k]].power + TINY))


@part
def _keep(pairs: Any, q: Any, k: int) -> None:  # pragma: no cover - compiled
    """Let the candidate of slot `k` take the place of a weaker partner, then leave its slot."""
    for kept in range(KEPT):
        if q.partner[kept] != NONE and abs(_coupling(pairs, q, k)) <= abs(_coupling(pairs, q, kept)) + BETTER:
            continue
        if kept == 0:
            q.size, q.counted = 0.0, 0.0
            q.tails[:] = 0
        q.partner[k], q.partner[kept] = q.partner[kept], q.partner[k]
        q.shared[k], q.shared[kept] = q.shared[kept], q.shared[k]
        q.met[k], q.met[kept] = q.met[kept], q.met[k]
        if q.partner[k] == NONE:
            return
    q.partner[k] = NONE


@part
def _candidate(q: Any, r: int, k: int, ring: npt.NDArray[np.int32]) -> None:  # pragma: no cover - compiled
    """Put the next series of the ring that is no partner yet into slot `k`."""
    for _ in range(min(len(ring), SLOTS + 2)):
        row = ring[q.turn % len(ring)]
        q.turn = (q.turn + 1) % (1 << 30)
        known = row == r
        for j in range(SLOTS):
            known = known or q.partner[j] == row
        if not known:
            q.partner[k], q.shared[k], q.met[k] = row, 0.0, 0
            return


@part
def couple(
    rows: Any, pairs: Any, r: int, ring: npt.NDArray[np.int32], tick: int, p: Any
) -> None:  # pragma: no cover - compiled
    """Learn how the series goes with its partners, and try the next candidates of the ring."""
    q = pairs[r]
    z = min(max(rows[r].z, -COUPLED_CLIP), COUPLED_CLIP)
    for k in range(SLOTS):
        if q.partner[k] != NONE and rows[q.partner[k]].tick == tick and rows[q.partner[k]].count > HEAD:
            q.met[k] = min(q.met[k] + 1, 1 << 30)
            product = z * min(max(rows[q.partner[k]].z, -COUPLED_CLIP), COUPLED_CLIP)
            q.shared[k] += max(1.0 / p.couple_ticks, 1.0 / q.met[k]) * (product - q.shared[k])
    for k in range(KEPT, SLOTS):
        if q.partner[k] != NONE and q.met[k] >= p.probe_ticks and q.opened == 0:
            _keep(pairs, q, k)
        if q.partner[k] == NONE:
            _candidate(q, r, k, ring)


@part
def parted(rows: Any, pairs: Any, r: int, tick: int, p: Any, event: Any) -> int:  # pragma: no cover - compiled
    """Judge a series beside its first partner; 0 or what happened, written into `event`."""
    s, q = rows[r], pairs[r]
    if q.partner[0] == NONE or q.met[0] < p.probe_ticks or rows[q.partner[0]].tick != tick:
        return 0
    other, theirs = rows[q.partner[0]], pairs[q.partner[0]]
    coupling = _coupling(pairs, q, 0)
    if q.opened == 0 and abs(coupling) < p.coupled:
        q.stay = 0
        return 0
    rest = abs(s.z - q.shared[0] / (theirs.power + TINY) * other.z)
    known = q.counted >= HEAD
    u = rest / (q.size + SHARE) if known else 0.0
    rank = _rank(q, u)
    mutual = theirs.partner[0] == r and abs(other.z) > abs(s.z)  # of a pair, the one that moved is told
    what = 0
    if q.counted >= p.probe_ticks and (q.opened or not mutual):
        what = step(q, rank, p.threshold_apart, p.needed_apart, tick, p)
    w = max(1.0 / p.scale_ticks, 1.0 / (q.counted + 1.0))
    q.size += w * ((min(rest, 4.0 * q.size) if known else rest) - q.size)
    q.tails[bin_of(u)] += 1
    age(q)
    if what:
        event.what, event.kind, event.entity, event.tick, event.onset = what, APART, s.entity, tick, q.onset
        event.score, event.size, event.coupling, event.moved, event.series = max(q.worst, rank), u, coupling, 1, 2
        tell(event, 0, rows, r)
        tell(event, 1, rows, q.partner[0])
        event.z[0], event.z[1] = s.z, other.z
        event.row[2] = NONE
    return int(what)


@part
def power(rows: Any, pairs: Any, r: int, p: Any) -> None:  # pragma: no cover - compiled
    """Learn the mean square of the clipped z."""
    q = pairs[r]
    z = min(max(rows[r].z, -COUPLED_CLIP), COUPLED_CLIP)
    q.learnt = min(q.learnt + 1, 1 << 30)
    q.power += max(1.0 / p.couple_ticks, 1.0 / q.learnt) * (z * z - q.power)
