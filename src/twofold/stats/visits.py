"""Spans to visits: what one service did for one request, how long it waited meanwhile, and for whom.

A visit begins with a server or consumer span and has all spans of the same service below it. Its time is its own
where no call was under way. All spans of a visit come from one process, so its clock is the only one that counts;
where a service reports no client spans, the callee's span stands for the call, moved into the caller's as Jaeger
does it (`model/adjuster/clockskew`): aligned in the middle when it does not fit.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.stats.codes import _DIGITS, stable_order
from twofold.stats.jit import lean_kernel, lean_part

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Ints = npt.NDArray[Any]
"""Whole numbers, of the size that the column says."""

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
NOT_FOUND: Final = -1
DUPLICATE: Final = -2
_TRACE_DIGITS: Final = 32
_SPREAD_BITS: Final = 40  # of nanoseconds eighteen minutes; calls further apart are sorted another way
_MOST_CALLEES: Final = 256  # of one visit; what goes further is counted with the last
_MOST_STEPS: Final = 100_000  # of a walk up; parents that form a ring end it


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
            a, b = _DIGITS[texts[first + place]], _DIGITS[texts[first + 16 + place]]
            wrong |= a | b
            left = left << 4 | a & 15
            right = right << 4 | b & 15
        if wrong >= 0:
            high[row], low[row] = left, right


@lean_part
def _place(key: int, size: int) -> int:  # pragma: no cover - compiled
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return int(np.int64(mixed >> np.uint64(20))) & (size - 1)


@lean_part
def _calls_out(kind: int) -> bool:  # pragma: no cover - compiled
    return kind in (CLIENT, PRODUCER)


@lean_part
def _serves(kind: int) -> bool:  # pragma: no cover - compiled
    return kind in (SERVER, CONSUMER)


@lean_part
def _chains(keys: Int64s, head: Int32s, after: Int32s) -> None:  # pragma: no cover - compiled
    """Rows with one key as a list: `head` leads to the first, `after` from each to the next."""
    size = len(head)
    for row in range(len(keys) - 1, -1, -1):
        place = _place(keys[row], size)
        while head[place] >= 0 and keys[head[place]] != keys[row]:
            place = (place + 1) & (size - 1)
        after[row] = head[place]
        head[place] = row


@lean_part
def _first(keys: Int64s, head: Int32s, key: int) -> Any:  # pragma: no cover - compiled
    """The first row of a key, or `NOT_FOUND`."""
    size = len(head)
    place = _place(key, size)
    while head[place] >= 0 and keys[head[place]] != key:
        place = (place + 1) & (size - 1)
    return head[place]


@lean_kernel
def _link(rows: Rows, head: Int32s, after: Int32s, found: Links) -> None:  # pragma: no cover - compiled
    _chains(rows.span, head, after)
    for row in range(len(found.top)):
        if _seen_before(rows, head, after, row):
            found.top[row] = DUPLICATE
        elif rows.parent[row] != 0:
            _find_parents(rows, head, after, row, found)
    for row in range(len(found.top)):
        if found.top[row] == NOT_FOUND:
            _walk(rows, found.above, found.across, found.top, row)


@lean_part
def _seen_before(rows: Rows, head: Int32s, after: Int32s, row: int) -> bool:  # pragma: no cover - compiled
    """Whether an earlier row is the same span, sent twice."""
    other = _first(rows.span, head, rows.span[row])
    while other != row:  # a chain is in the order of rows
        same = rows.entity[other] == rows.entity[row] and rows.start_ns[other] == rows.start_ns[row]
        if same and rows.kind[other] == rows.kind[row]:
            return True
        other = after[other]
    return False


@lean_part
def _find_parents(
    rows: Rows, head: Int32s, after: Int32s, row: int, found: Links
) -> None:  # pragma: no cover - compiled
    """Parents in and outside of the service; a tracer may give a call and its answer one id."""
    other = _first(rows.span, head, rows.parent[row])
    while other >= 0:
        near = rows.entity[other] == rows.entity[row]
        if near and other != row and found.above[row] < 0:
            found.above[row] = other
        if not near and (found.across[row] < 0 or _calls_out(rows.kind[other])):
            found.across[row] = other
        other = after[other]


@lean_part
def _begins(rows: Rows, above: Int32s, across: Int32s, row: int) -> bool:  # pragma: no cover - compiled
    """Whether a visit begins here: a request served, a root, a span whose parent is in another service."""
    if above[row] >= 0:  # a service may call itself
        return _serves(rows.kind[row]) and _calls_out(rows.kind[above[row]])
    return _serves(rows.kind[row]) or rows.parent[row] == 0 or across[row] >= 0


@lean_part
def _walk(rows: Rows, above: Int32s, across: Int32s, top: Int32s, row: int) -> None:  # pragma: no cover - compiled
    """Find the top of a row and of all on the way there."""
    at, steps = row, 0
    while top[at] == NOT_FOUND and not _begins(rows, above, across, at) and above[at] >= 0 and steps < _MOST_STEPS:
        at = above[at]
        steps += 1
    reached = top[at]
    if reached == NOT_FOUND and steps < _MOST_STEPS and _begins(rows, above, across, at):
        reached = at
    if reached < 0:
        return
    at = row
    while top[at] == NOT_FOUND:
        top[at] = reached
        if at == reached:
            break
        at = above[at]


@lean_kernel
def _adopt(rows: Rows, found: Links, head: Int32s, after: Int32s, keys: Int64s) -> None:  # pragma: no cover - compiled
    """Spans whose parent is missing belong to the visit of their service and trace that encloses them in time."""
    top = found.top
    for row in range(len(top)):
        keys[row] = rows.low[row] ^ (np.int64(rows.entity[row]) << 32)
    _chains(keys, head, after)
    for row in range(len(top)):
        if top[row] != NOT_FOUND or found.above[row] >= 0 or rows.low[row] == 0:
            continue
        best, other = NOT_FOUND, _first(keys, head, keys[row])
        while other >= 0:
            fits = rows.start_ns[other] <= rows.start_ns[row] and rows.end_ns[other] >= rows.end_ns[row]
            mine = top[other] == other and rows.told[other] == 0 and rows.high[other] == rows.high[row]
            if mine and fits and (best < 0 or rows.start_ns[other] > rows.start_ns[best]):
                best = other
            other = after[other]
        top[row] = best
    for row in range(len(top)):
        if top[row] == NOT_FOUND and found.above[row] >= 0:
            at, steps = row, 0
            while top[at] == NOT_FOUND and found.above[at] >= 0 and steps < _MOST_STEPS:
                at = found.above[at]
                steps += 1
            top[row] = top[at]


@lean_kernel
def _name_callees(rows: Rows, found: Links, head: Int32s, after: Int32s) -> None:  # pragma: no cover - compiled
    """A call's peer becomes the service that answered, where its span is there; an outer call takes an inner one's."""
    for row in range(len(found.top)):
        if not _serves(rows.kind[row]) or found.top[row] == DUPLICATE:
            continue
        caller = found.across[row]
        if caller < 0 and found.above[row] >= 0 and _calls_out(rows.kind[found.above[row]]):
            caller = found.above[row]
        if caller >= 0 and rows.kind[caller] == CLIENT and rows.kind[row] == SERVER:
            rows.peer[caller] = rows.entity[row]
        other = _first(rows.span, head, rows.span[row])  # some tracers give a call and its answer one id
        while other >= 0:
            if rows.kind[other] == CLIENT and rows.kind[row] == SERVER and rows.entity[other] != rows.entity[row]:
                rows.peer[other] = rows.entity[row]
            other = after[other]
    for row in range(len(found.top)):
        outer = found.above[row]
        if rows.kind[row] == CLIENT and outer >= 0 and rows.kind[outer] == CLIENT and rows.peer[row] > 0:
            rows.peer[outer] = rows.peer[row]


@lean_kernel
def _collect(rows: Rows, found: Links, calls: Calls) -> int:  # pragma: no cover - compiled
    """Fill in the calls of visits that are not told yet; gives their number."""
    count = 0
    for row in range(len(found.top)):
        top, begins = found.top[row], rows.start_ns[row]
        ends = rows.end_ns[row]
        callee = rows.peer[row]
        if top == DUPLICATE:
            continue
        if _calls_out(rows.kind[row]) and top >= 0 and top != row:
            outer = found.above[row]
            if outer >= 0 and _calls_out(rows.kind[outer]):
                continue
        elif top == row and found.across[row] >= 0 and not _calls_out(rows.kind[found.across[row]]):
            caller = found.across[row]
            top, callee = found.top[caller], rows.entity[row]
            begins, ends = _fitted(begins, ends, rows.start_ns[caller], rows.end_ns[caller])
            if rows.kind[row] == CONSUMER:
                ends = begins - 1
        else:
            continue
        if top < 0 or rows.told[top]:
            continue
        if ends > rows.end_ns[top]:
            ends = begins - 1
        calls.top[count], calls.callee[count] = top, callee
        calls.start_ns[count], calls.end_ns[count] = max(begins, rows.start_ns[top]), ends
        count += 1
    return count


@lean_part
def _fitted(begins: int, ends: int, low: int, high: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """A callee's time by the caller's clock."""
    if low <= begins and ends <= high:
        return begins, ends
    lasts, room = ends - begins, high - low
    if lasts > room:  # it went on after the caller had gone, or the clocks differ beyond repair
        return begins, ends
    return low + (room - lasts) // 2, low + (room - lasts) // 2 + lasts


@lean_kernel
def _unite(calls: Calls, waits: Waits, until: Int64s, total_ns: Int64s) -> int:  # pragma: no cover - compiled
    """Length of the union of each visit's calls, per callee and over all; gives the number of rows of `waits`.

    Args:
        calls: Sorted by visit and start.
        waits: Filled.
        until: Scratch, one per row of `waits`.
        total_ns: Filled, per row of a visit.
    """
    count, first, covered = 0, 0, 0
    for each in range(len(calls.top)):
        top = calls.top[each]
        if each == 0 or calls.top[each - 1] != top:
            first, covered = count, calls.start_ns[each]
        at = first
        while at < count and waits.callee[at] != calls.callee[each] and at - first < _MOST_CALLEES:
            at += 1
        if at == count:
            waits.top[at], waits.callee[at] = top, calls.callee[each]
            until[at] = calls.start_ns[each]
            count += 1
        waits.calls[at] += 1
        begins, ends = calls.start_ns[each], calls.end_ns[each]
        if ends > covered:
            total_ns[top] += ends - max(begins, covered)
            covered = ends
        if ends > until[at]:
            waits.wait_ns[at] += ends - max(begins, until[at])
            until[at] = ends
    return count


def _table(rows: int) -> tuple[Int32s, Int32s]:
    return np.full(1 << max(4, (2 * rows).bit_length()), NOT_FOUND, np.int32), np.full(rows, NOT_FOUND, np.int32)


def link(rows: Rows) -> Links:
    """Parents and visits of spans. The peers of calls whose answer is there become the service that answered."""
    count = len(rows.span)
    found = Links(*(np.full(count, NOT_FOUND, np.int32) for _ in Links._fields))
    head, after = _table(count)
    _link(rows, head, after, found)
    if (found.top == NOT_FOUND).any():
        _adopt(rows, found, *_table(count), np.empty(count, np.int64))
    _name_callees(rows, found, head, after)
    return found


def waits(rows: Rows, found: Links) -> tuple[Waits, Int64s]:
    """For whom visits waited, and per row how long its visit waited in all."""
    count = len(rows.span)
    room = Calls(*(np.empty(count, np.int32) for _ in range(2)), *(np.empty(count, np.int64) for _ in range(2)))
    calls = Calls(*(column[: _collect(rows, found, room)] for column in room)) if count else room
    order = _order(calls)
    calls = Calls(*(column[order] for column in calls))
    many = len(order)
    made = Waits(*(np.zeros(many, kind) for kind in (np.int32, np.int32, np.int32, np.int64)))
    total_ns = np.zeros(count, np.int64)
    rows_made = _unite(calls, made, np.zeros(many, np.int64), total_ns) if many else 0
    return Waits(*(column[:rows_made] for column in made)), total_ns


def _order(calls: Calls) -> Int64s:
    """By visit, then by start."""
    since_ns = calls.start_ns - (calls.start_ns.min() if len(calls.start_ns) else 0)
    if len(since_ns) and int(since_ns.max()) >> _SPREAD_BITS:
        slow: Int64s = np.lexsort((calls.start_ns, calls.top))
        return slow
    return stable_order(calls.top.astype(np.int64) << _SPREAD_BITS | since_ns)
