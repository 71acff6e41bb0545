"""How long visits waited, in all and for whom: the union of their calls."""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.stats.codes import stable_order
from twofold.stats.jit import lean_kernel, lean_part
from twofold.stats.traces.columns import CONSUMER, DUPLICATE, Calls, Int64s, Links, Rows, Waits, calls_out

_SPREAD_BITS: Final = 40  # of nanoseconds eighteen minutes; calls further apart are sorted another way
_MOST_CALLEES: Final = 256  # of one visit; what goes further is counted with the last


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
        if calls_out(rows.kind[row]) and top >= 0 and top != row:
            outer = found.above[row]
            if outer >= 0 and calls_out(rows.kind[outer]):
                continue
        elif top == row and found.across[row] >= 0 and not calls_out(rows.kind[found.across[row]]):
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
