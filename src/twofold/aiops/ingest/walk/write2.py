"""Walks an `io.prometheus.write.v2.Request`: a table of symbols, then series that refer to it.

Numbers of symbols change from request to request, so a series is hashed by what its references stand
for: labels, type, unit, help, and the time it began to count. Beside the hash a row carries where its
series stands in the request and whether that has exemplars, in the upper half of `point`.

Gives up on native histograms, on symbols after series, on fields out of order, on references past the
table, on times out of range, on series without a sample, and on text beyond ASCII that no hash covers.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.aiops.ingest.walk.pointer import (
    FAIL,
    U,
    digest,
    finish,
    load8,
    load64,
    load_double,
    load_int,
    put,
    round_,
    span,
    store_int,
    store_uint,
)
from twofold.stats.jit import kernel, part

_SYMBOL, _SERIES = 34, 42
_LABELS, _SAMPLE, _EXEMPLAR, _METADATA, _CREATED = 10, 18, 34, 42, 48
_VALUE, _TIME, _START = 9, 16, 24
_TYPE, _HELP, _UNIT = 8, 24, 32
_MS_NS: Final = 1_000_000
_MS_LIMIT: Final = (1 << 63) // _MS_NS - 1
_LOW7: Final = 0x7F
_BEYOND_ASCII: Final = U(0x8080808080808080)
_ODD, _USED = 1, 2  # what is known of a symbol: text beyond ASCII; covered by the hash of a series
_SYMBOL_BYTES: Final = 16  # hash and flags, from the end of the room for rows backwards


@kernel
def walk(start: int, size: int, seed: np.uint64, out: int, room: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """Rows, and points which are as many, written to `out`; rows `FAIL` when the walker gives up."""
    p = start
    end = start + size
    table = out + (room << 5)
    symbols = 0
    while p < end and load8(p) == _SYMBOL:
        p, inner = span(p + 1, end)
        if inner < 0 or (symbols + 1) * _SYMBOL_BYTES > room << 5:
            return FAIL, 0
        symbols += 1
        place = table - symbols * _SYMBOL_BYTES
        store_uint(place, digest(p, inner, seed, _SYMBOL))
        store_int(place + 8, _odd(p, inner))
        p = inner
    limit = room - ((symbols * _SYMBOL_BYTES + 31) >> 5)
    rows = 0
    while p < end:
        if load8(p) != _SERIES:
            return FAIL, 0
        at = p - start
        p, inner = span(p + 1, end)
        if inner < 0:
            return FAIL, 0
        before = rows
        rows = _series(p, inner, seed, out, rows, limit, table, symbols, at)
        if rows <= before:
            return FAIL, 0
        p = inner
    for symbol in range(1, symbols + 1):
        if load_int(table - symbol * _SYMBOL_BYTES + 8) == _ODD:
            return FAIL, 0
    return rows, rows


@part
def _odd(p: int, end: int) -> int:  # pragma: no cover - compiled
    """`_ODD` when a byte of the text is beyond ASCII, else 0."""
    found = U(0)
    while p + 8 <= end:
        found |= load64(p)
        p += 8
    if p < end:
        found |= load64(p) & ((U(1) << (U(8) * U(end - p))) - U(1))
    return _ODD if found & _BEYOND_ASCII else 0


@part
def _varint(p: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """Value and the position after it; `FAIL` past nine bytes: a tenth is for negative numbers only."""
    value = 0
    shift = 0
    while True:
        byte = load8(p)
        p += 1
        value |= (byte & _LOW7) << shift
        if byte <= _LOW7:
            return value, p
        shift += 7
        if shift > 56:  # noqa: PLR2004 - nine bytes of seven bits
            return FAIL, p


@part
def _symbol(h: np.uint64, ref: int, table: int, symbols: int) -> tuple[np.uint64, int]:  # pragma: no cover - compiled
    """The hash with the symbol of this number; `FAIL` when there is none."""
    if ref < 0 or ref >= symbols:
        return h, FAIL
    place = table - (ref + 1) * _SYMBOL_BYTES
    store_int(place + 8, load_int(place + 8) | _USED)
    return round_(h, load64(place)), 0


@part
def _series(  # noqa: C901, PLR0911, PLR0912 - one branch a field; compiled functions share no object
    p: int, end: int, seed: np.uint64, out: int, rows: int, room: int, table: int, symbols: int, at: int
) -> int:  # pragma: no cover - compiled
    h = seed
    last, labels, sample, created, marked = 0, 0, 0, 0, at << 1
    while p < end:
        tag = load8(p)
        here = p
        p += 1
        if tag < last or (tag == last and tag not in (_SAMPLE, _EXEMPLAR)):
            return FAIL
        last = tag
        if tag == _CREATED:
            created, p = _varint(p)
            if created < 0:
                return FAIL
            continue
        p, inner = span(p, end)
        if inner < 0:
            return FAIL
        if tag == _LABELS:
            while p < inner:
                ref, p = _varint(p)
                h, fault = _symbol(h, ref, table, symbols)
                labels += 1
                if fault < 0:
                    return FAIL
            if p != inner:
                return FAIL
        elif tag == _SAMPLE:
            if sample == 0:
                sample = here
        elif tag == _EXEMPLAR:
            marked |= 1
        elif tag == _METADATA:
            h, fault = _metadata(p, inner, h, table, symbols)
            if fault < 0:
                return FAIL
        else:
            return FAIL
        p = inner
    if p != end or sample == 0 or labels & 1:
        return FAIL
    return _samples(sample, end, round_(round_(h, U(labels)), U(created)), out, rows, room, marked)


@part
def _metadata(
    p: int, end: int, h: np.uint64, table: int, symbols: int
) -> tuple[np.uint64, int]:  # pragma: no cover - compiled
    """The hash with type, help and unit."""
    last = 0
    while p < end:
        tag = load8(p)
        if tag <= last:
            return h, FAIL
        last = tag
        value, p = _varint(p + 1)
        h = round_(h, U(tag))
        if tag == _TYPE:
            h = round_(h, U(value))
        elif tag in (_HELP, _UNIT):
            h, fault = _symbol(h, value, table, symbols)
            if fault < 0:
                return h, FAIL
        else:
            return h, FAIL
        if value < 0:
            return h, FAIL
    return h, 0 if p == end else FAIL


@part
def _samples(
    p: int, end: int, h: np.uint64, out: int, rows: int, room: int, marked: int
) -> int:  # pragma: no cover - compiled
    """Rows of the samples from `p` on; these stand together."""
    while p < end and load8(p) == _SAMPLE:
        p, inner = span(p + 1, end)
        time, start = 0, 0
        value = 0.0
        while p < inner:
            tag = load8(p)
            p += 1
            if tag == _VALUE:
                value = load_double(p)
                p += 8
            elif tag == _TIME:
                time, p = _varint(p)
            elif tag == _START:
                start, p = _varint(p)
            else:
                return FAIL
        if p != inner or time < 0 or time > _MS_LIMIT or start < 0 or rows >= room:
            return FAIL
        put(out, rows, finish(round_(h, U(start)), 0), time * _MS_NS, value, rows | (marked << 32))
        marked &= -2
        rows += 1
    return rows
