"""Few different texts among many rows: each row gets the number of its text.

A table is `places` (a power of two) numbers of four bytes, all zero at first, with four bytes behind it;
the list beside it holds its count and then sixteen bytes for each. There must be twice as many places as
texts. Both functions give `FAIL` for texts that were made to meet each other: those must not cost more.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.aiops.ingest.walk.pointer import FAIL, U, digest, load64, load_int, store32, store_int, store_uint
from twofold.aiops.ingest.walk.text import equal
from twofold.stats.jit import part

_FAR: Final = 512  # places that are looked at; chance leads no text so far


@part
def _load32(at: int) -> int:  # pragma: no cover - compiled
    found: int = load_int(at) & 0xFFFFFFFF
    return found


@part
def text_number(
    p: int, end: int, table: int, places: int, texts: int, seed: np.uint64
) -> int:  # pragma: no cover - compiled
    """Number of this text, from 0; a new one is noted as (from, to) addresses. Compares bytes: never two under one."""
    place = int(np.int64(digest(p, end, seed, 0) >> U(32))) & (places - 1)
    for _ in range(_FAR):
        number = _load32(table + (place << 2))
        if number == 0:
            number = int(load_int(texts)) + 1
            store_int(texts, number)
            store_int(texts + (number << 4), p)
            store_int(texts + (number << 4) + 8, end)
            store32(table + (place << 2), number)
            return number - 1
        at = texts + (number << 4)
        if load_int(at + 8) - load_int(at) == end - p and equal(load_int(at), p, end - p):
            return number - 1
        place = (place + 1) & (places - 1)
    return FAIL


@part
def hash_number(h: np.uint64, table: int, places: int, hashes: int, row: int) -> int:  # pragma: no cover - compiled
    """Number of this hash, from 0; a new one is noted with the row that has it."""
    place = int(np.int64(h >> U(32))) & (places - 1)
    for _ in range(_FAR):
        number = _load32(table + (place << 2))
        if number == 0:
            number = int(load_int(hashes)) + 1
            store_int(hashes, number)
            store_uint(hashes + (number << 4), h)
            store_int(hashes + (number << 4) + 8, row)
            store32(table + (place << 2), number)
            return number - 1
        if load64(hashes + (number << 4)) == h:
            return number - 1
        place = (place + 1) & (places - 1)
    return FAIL
