"""Walks a Prometheus `WriteRequest`, version 1.0: labels and samples.

Gives up on metadata, native histograms, labels after samples, times out of range, and series without
a sample, whose labels no hash would cover. Exemplars are skipped without a look.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.aiops.ingest.walk.pointer import FAIL, U, digest, finish, load8, load_double, put, span
from twofold.stats.jit import kernel, part

_SERIES: Final = 10
_LABEL, _SAMPLE, _EXEMPLAR = 10, 18, 26
_VALUE, _TIME = 9, 16
_MS_NS: Final = 1_000_000
_MS_LIMIT: Final = (1 << 63) // _MS_NS - 1
_LOW7: Final = 0x7F


@kernel
def walk(start: int, size: int, seed: np.uint64, out: int, room: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """Rows, and points which are as many, written to `out`; rows `FAIL` when the walker gives up."""
    p = start
    end = start + size
    rows = 0
    while p < end:
        if load8(p) != _SERIES:
            return FAIL, 0
        p, inner = span(p + 1, end)
        if inner < 0:
            return FAIL, 0
        before = rows
        rows = _series(p, inner, seed, out, rows, room)
        if rows <= before:
            return FAIL, 0
        p = inner
    return rows, rows


@part
def _series(p: int, end: int, seed: np.uint64, out: int, rows: int, room: int) -> int:  # pragma: no cover - compiled
    h = seed
    last = _LABEL
    own = U(0)
    while p < end:
        tag = load8(p)
        p, inner = span(p + 1, end)
        if inner < 0 or tag < last:
            return FAIL
        if tag == _LABEL:
            h = digest(p, inner, h, tag)
        elif tag == _SAMPLE:
            if last == _LABEL:
                own = finish(h, 0)
            time, value = _sample(p, inner)
            if time < 0 or rows >= room:
                return FAIL
            put(out, rows, own, time, value, rows)
            rows += 1
        elif tag != _EXEMPLAR:
            return FAIL
        last = tag
        p = inner
    return rows


@part
def _sample(p: int, end: int) -> tuple[int, float]:  # pragma: no cover - compiled
    """Time in nanoseconds and value; time `FAIL` when out of range or not canonical."""
    time = 0
    value = 0.0
    while p < end:
        tag = load8(p)
        p += 1
        if tag == _VALUE:
            value = load_double(p)
            p += 8
        elif tag == _TIME:
            time = 0
            shift = 0
            while True:
                byte = load8(p)
                p += 1
                time |= (byte & _LOW7) << shift
                if byte <= _LOW7:
                    break
                shift += 7
                if shift > 56:  # noqa: PLR2004 - nine bytes of seven bits; a tenth is for negative times only
                    return FAIL, 0.0
        else:
            return FAIL, 0.0
    if p != end or time > _MS_LIMIT:
        return FAIL, 0.0
    return time * _MS_NS, value
