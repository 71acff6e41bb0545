"""Entities as a whole, once a tick: how far all series of an entity moved together, and which coupled ones parted.

Each series' tick is measured against its fast level in usual sizes, z. An entity's score is the sum of log(1 + |z|)
over its series, ranked in an aged histogram of its own past. What was told is learnt too: what comes back is no news.
Two series are coupled when their z go together; a pair parts when what one does beside the other is
improbable in the pair's own past.

The mathematics only: what an entity is and what a finding says stands with the detector.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import kernel, part
from twofold.stats.layout import COUNTER, DELTA, LARGEST, NS, TAIL_BINS
from twofold.stats.tails import above, bin_of, tail

KEPT: Final = 2  # partners a series keeps
PROBED: Final = 4  # candidates on trial beside them
SLOTS: Final = KEPT + PROBED
DRIVERS: Final = 3
HEAD: Final = 30  # ticks of a series or entity before it is judged
NONE: Final = -1
TINY: Final = 1e-9
SHARE: Final = 0.05  # of the usual distance from the slow level that counts as a usual size
CLIP: Final = 3.0  # usual sizes past which a tick moves a level no further
BETTER: Final = 0.02  # correlation by which a new partner must be ahead
COUPLED_CLIP: Final = 5.0  # and past which it says no more about coupling
SHARPER: Final = 2.6  # sums vary less than their parts: their histogram has finer steps
MUCH: Final = 1e200
LIVE_TICKS: Final = 40
MOST_SAMPLES: Final = 65_535  # of a series in a tick; more change its mean no further
PRIOR: Final = 10.0  # samples that what was not seen yet is worth
CAP: Final = 20_000.0  # samples after which a histogram is halved
CALM: Final = 1.0  # powers of ten below the threshold at which a stay counts as over
ENDED: Final = 3  # ticks in a row

TOGETHER, APART = 0, 1
State = tuple[Any, Any, Any]
Samples = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]]
Walk = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]
OPENED, CLOSED, WORSE = 1, 2, 3

SERIES: Final = np.dtype(
    [
        ("zero", "f8"),  # subtracted from values, so that 32-bit state keeps small changes of large ones
        ("raw", "f8"),  # newest value as received, for counters
        ("sum", "f8"),  # of the values of this tick
        ("raw_ns", "i8"),
        ("tick", "u4"),  # the newest with a value
        ("entity", "i4"),
        ("count", "i4"),  # ticks learnt
        ("fast", "f4"),
        ("size", "f4"),  # usual distance from the fast level
        ("slow", "f4"),
        ("spread", "f4"),  # usual distance from the slow level
        ("z", "f4"),
        ("peak", "f4"),  # largest z since the entity was judged
        ("samples", "u2"),  # of this tick
        ("kind", "u1"),
        ("fresh", "u1"),
    ],
    align=True,
)
"""State of one series."""

PAIR: Final = np.dtype(
    [
        ("opened", "i8"),  # ticks; 0 when nothing is open
        ("onset", "i8"),
        ("turn", "i4"),  # next candidate for a partner
        ("power", "f4"),  # mean square of the clipped z
        ("size", "f4"),  # usual size of what the first partner does not tell
        ("counted", "f4"),
        ("worst", "f4"),
        ("partner", "i4", (SLOTS,)),
        ("shared", "f4", (SLOTS,)),  # mean product of the clipped z
        ("met", "i4", (SLOTS,)),  # ticks seen together
        ("stay", "u1"),
        ("low", "u1"),
        ("tails", "u2", (TAIL_BINS,)),
    ],
    align=True,
)
"""How one series goes with its partners."""

ENTITY: Final = np.dtype(
    [
        ("opened", "i8"),
        ("onset", "i8"),
        ("judged", "i4"),
        ("usual", "f4"),
        ("size", "f4"),
        ("counted", "f4"),
        ("worst", "f4"),
        ("total", "f4"),  # of the newest judged tick
        ("stay", "u1"),
        ("low", "u1"),
        ("tails", "u2", (TAIL_BINS,)),
    ],
    align=True,
)
"""State of one entity."""

EVENT: Final = np.dtype(
    [
        ("what", "i4"),
        ("kind", "i4"),  # TOGETHER or APART
        ("entity", "i4"),
        ("moved", "i4"),  # series that moved, for an entity
        ("series", "i4"),  # that were judged
        ("tick", "i8"),
        ("onset", "i8"),
        ("score", "f8"),
        ("size", "f8"),  # of the sum, or of what parts the pair, in usual sizes
        ("coupling", "f8"),  # correlation, for a pair
        ("row", "i4", (DRIVERS,)),
        ("z", "f8", (DRIVERS,)),
        ("value", "f8", (DRIVERS,)),
        ("expected", "f8", (DRIVERS,)),
        ("usual", "f8", (DRIVERS,)),
    ],
    align=True,
)
"""What opens, gets worse or closes: of an entity what drove it, of a pair the one that left and then the other."""

PARAMS: Final = np.dtype(
    [
        (name, "f8")
        for name in (
            "fast_ticks",
            "scale_ticks",
            "slow_ticks",
            "couple_ticks",
            "probe_ticks",
            "coupled",
            "most_z",
            "moved_z",
            "least_series",
            "needed",
            "needed_apart",
            "threshold",
            "threshold_apart",
            "readmit_ticks",
        )
    ],
    align=True,
)


@part
def _take(s: Any, time_ns: int, value: float, tick: int) -> None:  # pragma: no cover - compiled
    """Add a sample to its series' tick. A counter's tick is its rate since the sample before."""
    if not np.isfinite(value) or abs(value) > LARGEST:
        return
    x = value
    if s.kind in (COUNTER, DELTA):
        before, before_ns = s.raw, s.raw_ns
        if time_ns <= before_ns:
            return
        s.raw, s.raw_ns = value, time_ns
        if before_ns == 0:
            return
        x = (value - before if s.kind == COUNTER else value) / ((time_ns - before_ns) * NS)
        if x < 0.0 and s.kind == COUNTER:
            return
    if s.tick != tick:
        s.tick = tick
        s.sum = 0.0
        s.samples = 0
    if s.samples < MOST_SAMPLES:
        s.sum += x
        s.samples += 1


@part
def _measure(s: Any, p: Any) -> None:  # pragma: no cover - compiled
    """Take the tick's z against what is usual, then learn it."""
    x = s.sum / s.samples
    if s.count == 0:
        s.zero = x
    y = x - s.zero
    away = y - s.fast
    size = s.size + SHARE * s.spread + TINY * (abs(x) + TINY)
    old = s.count >= HEAD
    s.z = min(max(away / size, -p.most_z), p.most_z) if old else 0.0
    if abs(s.z) >= abs(s.peak) or not s.fresh:
        s.peak = s.z
    s.fresh = 1
    young = 1.0 / (s.count + 1.0)
    w = max(1.0 / p.scale_ticks, young)
    limit = CLIP * s.size if old else abs(away)
    s.fast += max(1.0 / p.fast_ticks, young) * min(max(away, -limit), limit)
    s.size += w * (min(abs(away), 2.0 * limit) - s.size)
    from_slow = y - s.slow
    s.slow += max(1.0 / p.slow_ticks, young) * from_slow
    s.spread += w * (abs(from_slow) - s.spread)
    s.count = min(s.count + 1, 1 << 30)


@part
def _rank(s: Any, u: float, sharper: float) -> float:  # pragma: no cover - compiled
    """How improbable a size is in its own past, times that size, in powers of ten."""
    stretched = u**sharper
    larger = above(s.tails, stretched, bin_of(stretched))
    return math.log10(1.0 + u) - math.log10(tail(larger, s.counted, u, PRIOR))


@part
def _count(s: Any, u: float, sharper: float) -> None:  # pragma: no cover - compiled
    s.tails[bin_of(u**sharper)] += 1
    s.counted += 1.0
    if s.counted > CAP:
        for j in range(TAIL_BINS):
            s.tails[j] >>= 1
        s.counted *= 0.5


@part
def _step(
    s: Any, rank: float, threshold: float, needed: float, tick: int, p: Any
) -> int:  # pragma: no cover - compiled
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


@part
def _tell(event: Any, at: int, rows: Any, row: int) -> None:  # pragma: no cover - compiled
    """Write what a series did into an event."""
    s = rows[row]
    value = s.sum / s.samples if s.samples else np.nan
    usual = s.size + SHARE * s.spread + TINY * (abs(value) + TINY)
    event.row[at] = row
    event.z[at] = s.peak
    event.value[at] = value
    event.usual[at] = usual
    event.expected[at] = value - s.z * usual


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
            _tell(event, at, rows, row)


@part
def _together(
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
    rank = _rank(e, u, SHARPER)
    e.total = total
    what = _step(e, rank, p.threshold, p.needed, tick, p) if e.judged >= 2 * HEAD else 0
    young = 1.0 / (e.judged + 1.0)
    w = max(1.0 / p.scale_ticks, young)
    limit = 4.0 * e.size if e.judged >= 2 * HEAD else abs(away)
    e.usual += w * min(away, limit)
    e.size += w * (min(abs(away), limit) - e.size)
    if e.judged >= HEAD:
        _count(e, u, SHARPER)
    e.judged = min(e.judged + 1, 1 << 30)
    if what:
        event.what, event.kind, event.entity, event.tick, event.onset = what, TOGETHER, number, tick, e.onset
        event.score, event.size, event.coupling, event.moved, event.series = max(e.worst, rank), u, 0.0, moved, live
        _drivers(event, rows, members)
    for r in members:
        rows[r].fresh = 0
    return int(what)


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
def _couple(
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
def _parted(rows: Any, pairs: Any, r: int, tick: int, p: Any, event: Any) -> int:  # pragma: no cover - compiled
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
    rank = _rank(q, u, 1.0)
    mutual = theirs.partner[0] == r and abs(other.z) > abs(s.z)  # of a pair, the one that moved is told
    what = 0
    if q.counted >= p.probe_ticks and (q.opened or not mutual):
        what = _step(q, rank, p.threshold_apart, p.needed_apart, tick, p)
    w = max(1.0 / p.scale_ticks, 1.0 / (q.counted + 1.0))
    q.size += w * ((min(rest, 4.0 * q.size) if known else rest) - q.size)
    _count(q, u, 1.0)
    if what:
        event.what, event.kind, event.entity, event.tick, event.onset = what, APART, s.entity, tick, q.onset
        event.score, event.size, event.coupling, event.moved, event.series = max(q.worst, rank), u, coupling, 1, 2
        _tell(event, 0, rows, r)
        _tell(event, 1, rows, q.partner[0])
        event.z[0], event.z[1] = s.z, other.z
        event.row[2] = NONE
    return int(what)


@part
def _power(rows: Any, pairs: Any, r: int, p: Any) -> None:  # pragma: no cover - compiled
    z = min(max(rows[r].z, -COUPLED_CLIP), COUPLED_CLIP)
    w = max(1.0 / p.couple_ticks, 1.0 / max(rows[r].count - HEAD, 1))
    pairs[r].power += w * (z * z - pairs[r].power)


@part
def _gather(
    rows: Any, samples: Samples, begin: int, tick: int, tick_ns: int, p: Any
) -> int:  # pragma: no cover - compiled
    """Take the samples of one tick; gives the first one after it."""
    at, time_ns, value = samples
    i = begin
    while i < len(at) and time_ns[i] // tick_ns == tick:
        if at[i] != NONE:
            _take(rows[at[i]], time_ns[i], value[i], tick)
        i += 1
    for r in range(len(rows)):
        if rows[r].tick == tick and rows[r].samples:
            _measure(rows[r], p)
    return i


@part
def _judge(
    state: State, walk: Walk, number: int, tick: int, p: Any, events: Any, written: int
) -> int:  # pragma: no cover - compiled
    """Judge one entity and its pairs; gives how many events are written by then."""
    rows, pairs, entities = state
    rings, begins, own = walk
    ring = rings[begins[number] : begins[number + 1]]
    members = ring[: own[number]]
    if len(pairs):
        for r in members:
            if rows[r].tick == tick and rows[r].count > HEAD:
                written += _parted(rows, pairs, r, tick, p, events[written]) != 0
                _couple(rows, pairs, r, ring, tick, p)
    return int(written + (_together(entities[number], number, rows, members, tick, p, events[written]) != 0))


@kernel
def learn(
    state: State, samples: Samples, walk: Walk, tick_ns: int, params: Any, begin: int, events: Any
) -> tuple[int, int]:  # pragma: no cover - compiled
    """Take whole ticks of samples in order, from `begin` until the end or until `events` may not hold another tick's.

    Args:
        state: Series (`SERIES`), the same rows' `PAIR` or none when nobody asks which parted, and entities (`ENTITY`).
        samples: Row (NONE for those not watched), time and value of each sample, in the order of ticks.
        walk: Rows of each entity, its own first, then those of its neighbours; where each begins, and the end; how
            many are its own.
        tick_ns: Length of a tick.
        params: One record of `PARAMS`.
        begin: First sample to take.
        events: Out: what opened, got worse or closed, `EVENT`; as long as there are entities and pairs, at least.

    Returns:
        How many samples are done, how many events were written.
    """
    p = params[0]
    rows, pairs, entities = state
    time_ns = samples[1]
    written, i = 0, begin
    while i < len(time_ns):
        if written and written + len(entities) + len(pairs) > len(events):
            break
        tick = time_ns[i] // tick_ns
        i = _gather(rows, samples, i, tick, tick_ns, p)
        for number in range(len(entities)):
            written = _judge(state, walk, number, tick, p, events, written)
        for r in range(len(pairs)):
            if rows[r].tick == tick and rows[r].count > HEAD:
                _power(rows, pairs, r, p)
    return i, written
