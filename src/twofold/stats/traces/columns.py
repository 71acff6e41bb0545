"""Columns of spans, of what links them, and of calls; trace ids as two numbers."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.stats.codes import DIGITS
from twofold.stats.jit import lean_kernel, lean_part

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Ints = npt.NDArray[Any]
"""Whole numbers, of the size that the column says."""

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
NOT_FOUND: Final = -1
DUPLICATE: Final = -2
_TRACE_DIGITS: Final = 32


class Rows(NamedTuple):
    """Columns of spans: ids and times of 64 bit, names of 32, the others of 8.

    Attributes:
        span, parent: Ids as numbers; a parent of 0 is none.
        high, low: Halves of the trace's id.
        entity, name, peer: Numbers of names; entities and peers share one numbering, 0 is none.
        kind: As in `columns.SPANS`.
        told: 1 once it was counted as a visit and only waits for its caller.
    """

    span: Ints
    parent: Ints
    high: Ints
    low: Ints
    entity: Ints
    name: Ints
    peer: Ints
    kind: Ints
    error: Ints
    told: Ints
    start_ns: Ints
    end_ns: Ints


class Links(NamedTuple):
    """What `link` finds, per row.

    Attributes:
        above: Its parent within the service, or `NOT_FOUND`.
        across: Its parent in another service, or `NOT_FOUND`.
        top: The row its visit begins with; `NOT_FOUND` while a parent is missing; `DUPLICATE` for one seen before.
    """

    above: Ints
    across: Ints
    top: Ints


class Calls(NamedTuple):
    """Calls of visits, sorted by visit and start.

    Attributes:
        top: Row of the visit.
        callee: Number of who was called, 0 when nobody knows.
        start_ns, end_ns: In the visit's clock. An end before the start is a call that outlived the visit: it was
            made, and nobody waited for it.
    """

    top: Ints
    callee: Ints
    start_ns: Ints
    end_ns: Ints


class Waits(NamedTuple):
    """Of each visit and callee, how often it was called and how long the visit waited for it."""

    top: Ints
    callee: Ints
    calls: Ints
    wait_ns: Ints


def trace_halves(column: pa.StringArray) -> tuple[Int64s, Int64s]:
    """Ids of 32 hexadecimal digits as two numbers each; anything else is two zeros.

    >>> [half.tolist() for half in trace_halves(pa.array(["0" * 15 + "1" + "0" * 15 + "f", "x"]))]
    [[1, 0], [15, 0]]
    """
    _, offsets, data = column.buffers()
    high, low = np.zeros(len(column), np.int64), np.zeros(len(column), np.int64)
    if len(column) and data:
        at = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
        _halves(at, np.frombuffer(data, np.uint8), high, low)
    return high, low


def trace_text(high: int, low: int) -> str:
    """Inverse of `trace_halves`; empty for two zeros.

    >>> trace_text(1, 15)
    '0000000000000001000000000000000f'
    """
    return f"{high & (2**64 - 1):016x}{low & (2**64 - 1):016x}" if high or low else ""


@lean_kernel
def _halves(at: Int32s, texts: npt.NDArray[np.uint8], high: Int64s, low: Int64s) -> None:  # pragma: no cover - compiled
    for row in range(len(high)):
        first = at[row]
        if at[row + 1] - first != _TRACE_DIGITS:
            continue
        wrong, left, right = 0, 0, 0
        for place in range(16):
            a, b = DIGITS[texts[first + place]], DIGITS[texts[first + 16 + place]]
            wrong |= a | b
            left = left << 4 | a & 15
            right = right << 4 | b & 15
        if wrong >= 0:
            high[row], low[row] = left, right


@lean_part
def calls_out(kind: int) -> bool:  # pragma: no cover - compiled
    """Whether a span is a call to somebody."""
    return kind in (CLIENT, PRODUCER)


@lean_part
def serves(kind: int) -> bool:  # pragma: no cover - compiled
    """Whether a span is a request that somebody answers."""
    return kind in (SERVER, CONSUMER)
