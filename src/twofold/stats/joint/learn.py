"""Runs ticks of samples through series, pairs and entities."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import kernel, part
from twofold.stats.joint.layout import HEAD, NONE, State
from twofold.stats.joint.pairs import couple, parted, power
from twofold.stats.joint.ticks import measure, take
from twofold.stats.joint.together import together

Samples = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float64]]
Walk = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]


@part
def _gather(
    rows: Any, samples: Samples, begin: int, tick: int, tick_ns: int, p: Any
) -> int:  # pragma: no cover - compiled
    """Take the samples of one tick; gives the first one after it."""
    at, time_ns, value = samples
    i = begin
    while i < len(at) and time_ns[i] // tick_ns == tick:
        if at[i] != NONE:
            take(rows[at[i]], time_ns[i], value[i], tick)
        i += 1
    for r in range(len(rows)):
        if rows[r].tick == tick and rows[r].samples:
            measure(rows[r], p)
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
                written += parted(rows, pairs, r, tick, p, events[written]) != 0
                couple(rows, pairs, r, ring, tick, p)
    return int(written + (together(entities[number], number, rows, members, tick, p, events[written]) != 0))


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
                power(rows, pairs, r, p)
    return i, written
