"""From hashes to sids: pairs of (hash, sid + 1) in the order of first sight, and a hash table of their places.

A sender names its series in one order again and again, so the pair after the last one is looked at first: of a million
series no cache holds the table. Many threads look up while one inserts: a pair's sid is written before its hash, and
both before their place, and a reader that sees only a part takes it for unknown, which is always right.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twofold.aiops.ingest.walk.pointer import U, load64
from twofold.stats.jit import kernel, part

Places = npt.NDArray[np.int32]
Pairs = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@part
def _find(places: Places, pairs: Pairs, h: np.uint64) -> int:  # pragma: no cover - compiled
    """Where the place of the hash's pair stands, plus one, or would."""
    mask = len(places) - 1
    at = int(h >> U(1)) & mask
    while places[at] != 0 and pairs[2 * (places[at] - 1)] != h:
        at = (at + 1) & mask
    return at


@kernel
def gather(
    rows: int,
    count: int,
    places: Places,
    pairs: Pairs,
    sid: Ints,
    time_ns: Ints,
    value: npt.NDArray[np.float64],
    point: npt.NDArray[np.int32],
) -> int:  # pragma: no cover - compiled
    """Rows as columns; gives how many of their hashes are unknown."""
    missing = 0
    time_bits = time_ns.view(np.uint64)
    value_bits = value.view(np.uint64)
    place = -1
    for row in range(count):
        at = rows + (row << 5)
        h = load64(at)
        place += 1
        if 2 * place >= len(pairs) or pairs[2 * place] != h:
            place = int(places[_find(places, pairs, h)]) - 1
        known = pairs[2 * place + 1] if place >= 0 else U(0)
        if known == U(0):
            missing += 1
        sid[row] = np.int64(known) - 1
        time_bits[row] = load64(at + 8)
        value_bits[row] = load64(at + 16)
        point[row] = np.int32(np.int64(load64(at + 24)))
    return missing


@kernel
def insert(
    rows: int, count: int, places: Places, pairs: Pairs, held: int, sid: Ints
) -> int:  # pragma: no cover - compiled
    """Take the hash of each row whose sid is not negative, or its new sid; gives how many are new.

    `held` pairs are there before. There must be room.
    """
    added = 0
    for row in range(count):
        if sid[row] >= 0:
            h = load64(rows + (row << 5))
            at = _find(places, pairs, h)
            if places[at] == 0:
                place = held + added
                pairs[2 * place + 1] = U(sid[row] + 1)
                pairs[2 * place] = h
                places[at] = place + 1
                added += 1
            else:
                pairs[2 * (places[at] - 1) + 1] = U(sid[row] + 1)
    return added


@kernel
def index(places: Places, pairs: Pairs, held: int) -> None:  # pragma: no cover - compiled
    """Fill an empty table with the places of so many pairs."""
    for place in range(held):
        places[_find(places, pairs, pairs[2 * place])] = place + 1
