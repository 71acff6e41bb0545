"""From hashes to sids: an open-addressing table in one array of (hash, sid + 1) pairs.

Many threads look up while one inserts: a place is written once, each half in one store, and a
reader that sees only one half takes it for unknown, which is always right.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twofold.aiops.ingest.walk.pointer import U, load64
from twofold.stats.jit import kernel, part

Table = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@part
def _place(table: Table, h: np.uint64) -> int:  # pragma: no cover - compiled
    """Where the hash stands, or would."""
    mask = (len(table) >> 1) - 1
    place = int(h >> U(1)) & mask
    while table[2 * place] != h and table[2 * place] != U(0):
        place = (place + 1) & mask
    return 2 * place


@kernel
def gather(
    rows: int,
    count: int,
    table: Table,
    sid: Ints,
    time_ns: Ints,
    value: npt.NDArray[np.float64],
    point: npt.NDArray[np.int32],
) -> int:  # pragma: no cover - compiled
    """Rows as columns; gives how many of their hashes are unknown."""
    missing = 0
    time_bits = time_ns.view(np.uint64)
    value_bits = value.view(np.uint64)
    for row in range(count):
        at = rows + (row << 5)
        h = load64(at)
        place = _place(table, h)
        known = table[place + 1] if table[place] == h else U(0)
        if known == U(0):
            missing += 1
        sid[row] = np.int64(known) - 1
        time_bits[row] = load64(at + 8)
        value_bits[row] = load64(at + 16)
        point[row] = np.int32(np.int64(load64(at + 24)))
    return missing


@kernel
def insert(rows: int, count: int, table: Table, sid: Ints) -> int:  # pragma: no cover - compiled
    """Take the hash of each row whose sid is not negative, or its new sid; gives how many are new.

    There must be room.
    """
    added = 0
    for row in range(count):
        if sid[row] >= 0:
            h = load64(rows + (row << 5))
            place = _place(table, h)
            if table[place] == U(0):
                table[place] = h
                table[place + 1] = U(sid[row] + 1)
                added += 1
            elif table[place + 1] != U(sid[row] + 1):
                table[place + 1] = U(sid[row] + 1)
    return added


@kernel
def rebuild(old: Table, table: Table) -> None:  # pragma: no cover - compiled
    """Move every pair into a larger table."""
    for at in range(0, len(old), 2):
        if old[at] != U(0):
            place = _place(table, old[at])
            table[place] = old[at]
            table[place + 1] = old[at + 1]
