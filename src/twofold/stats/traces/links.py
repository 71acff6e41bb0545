"""Parents of spans, within a service and across, and the visit that each span belongs to."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from twofold.stats.jit import lean_kernel, lean_part
from twofold.stats.traces.columns import (
    CLIENT,
    DUPLICATE,
    NOT_FOUND,
    SERVER,
    Int32s,
    Int64s,
    Links,
    Rows,
    calls_out,
    serves,
)

_MOST_STEPS: Final = 100_000  # of a walk up; parents that form a ring end it


@lean_part
def _place(key: int, size: int) -> int:  # pragma: no cover - compiled
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return int(np.int64(mixed >> np.uint64(20))) & (size - 1)


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
        if not near and (found.across[row] < 0 or calls_out(rows.kind[other])):
            found.across[row] = other
        other = after[other]


@lean_part
def _begins(rows: Rows, above: Int32s, across: Int32s, row: int) -> bool:  # pragma: no cover - compiled
    """Whether a visit begins here: a request served, a root, a span whose parent is in another service."""
    if above[row] >= 0:  # a service may call itself
        return serves(rows.kind[row]) and calls_out(rows.kind[above[row]])
    return serves(rows.kind[row]) or rows.parent[row] == 0 or across[row] >= 0


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
        if not serves(rows.kind[row]) or found.top[row] == DUPLICATE:
            continue
        caller = found.across[row]
        if caller < 0 and found.above[row] >= 0 and calls_out(rows.kind[found.above[row]]):
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
