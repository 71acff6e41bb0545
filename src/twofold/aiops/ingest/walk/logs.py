"""Walks an OTLP `ExportLogsServiceRequest`: `walk` checks and measures every record, `render` writes the columns.

Takes fields in any order. Gives up on unknown fields and on fields that come twice. A record whose body
is no text, or whose attributes `values` leaves to protobuf, is slow: its texts are handed in by the caller.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.aiops.ingest.walk.pointer import (
    FAIL,
    U,
    load8,
    load64,
    load_int,
    span,
    store8,
    store32,
    store_int,
)
from twofold.aiops.ingest.walk.text import byte, copy, hexadecimal, quoted, scan, varint
from twofold.aiops.ingest.walk.values import (
    DOUBLES,
    JSON_BYTES,
    SLOW,
    SLOW_ROWS,
    add,
    attribute,
    begin_row,
    member,
    scope,
    slow,
)
from twofold.stats.jit import kernel, part

_RESOURCE_LOGS: Final = 10
_HEAD, _INNER, _SCHEMA_URL = 10, 18, 26  # the same in ResourceLogs and ScopeLogs
_TIME, _SEVERITY, _LEVEL, _BODY, _ATTRIBUTE, _DROPPED, _FLAGS = 9, 16, 26, 42, 50, 56, 69
_TRACE, _SPAN, _OBSERVED, _EVENT = 74, 82, 89, 98
_STRING: Final = 10
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_OPEN, _CLOSE = 0x7B, 0x7D
_EVENT_NAME: Final = (U(0x2E746E657665222C), U(0x3A22656D616E))  # ,"event.name":
_EVENT_NAME_SIZE: Final = 14

ROW: Final = 16
"""Numbers of a row: see `row`."""
(
    RESOURCE,
    TIME,
    SEVERITY,
    LEVEL,
    LEVEL_END,
    BODY,
    BODY_END,
    TRACE,
    SPAN,
    RECORD,
    RECORD_END,
    EVENT,
    EVENT_END,
    SLOW_ROW,
) = range(14)
"""Where each number stands in a row; places are offsets in the request, -1 for none."""


@kernel
def walk(
    start: int, size: int, now: np.uint64, latest: np.uint64, rows: int, resources: int, room: int, state: int
) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """Numbers of rows, of resources, and of records later than `latest`; rows `FAIL` when the walker gives up.

    `rows` and `resources` (from, to) have room for `room` each; `state` is described in `values`.
    """
    p = start
    end = start + size
    kept = 0
    late = 0
    number = 0
    while p < end:
        if load8(p) != _RESOURCE_LOGS or number >= room:
            return FAIL, 0, 0
        p, inner = span(p + 1, end)
        if inner < 0:
            return FAIL, 0, 0
        store_int(resources + (number << 4), 0)
        store_int(resources + (number << 4) + 8, 0)
        kept, late = _resource(p, inner, start, number, now, latest, rows, resources, room, state, kept, late)
        if kept < 0:
            return FAIL, 0, 0
        number += 1
        p = inner
    return kept, number, late


@part
def _resource(  # noqa: PLR0913, PLR0917 - compiled functions share no object
    p: int,
    end: int,
    start: int,
    number: int,
    now: np.uint64,
    latest: np.uint64,
    rows: int,
    resources: int,
    room: int,
    state: int,
    kept: int,
    late: int,
) -> tuple[int, int]:  # pragma: no cover - compiled
    seen = 0
    while p < end:
        tag = load8(p)
        p, inner = span(p + 1, end)
        if inner < 0:
            return FAIL, 0
        if tag == _INNER:
            kept, late = _scope(p, inner, start, number, now, latest, rows, room, state, kept, late)
            if kept < 0:
                return FAIL, 0
        elif tag == _HEAD and not seen & 1:
            seen |= 1
            store_int(resources + (number << 4), p - start)
            store_int(resources + (number << 4) + 8, inner - start)
        elif tag == _SCHEMA_URL and not seen & 2 and scan(p, inner) >= 0:
            seen |= 2
        else:
            return FAIL, 0
        p = inner
    return kept, late


@part
def _scope(  # noqa: PLR0913, PLR0917 - compiled functions share no object
    p: int,
    end: int,
    start: int,
    number: int,
    now: np.uint64,
    latest: np.uint64,
    rows: int,
    room: int,
    state: int,
    kept: int,
    late: int,
) -> tuple[int, int]:  # pragma: no cover - compiled
    seen = 0
    while p < end:
        tag = load8(p)
        p, inner = span(p + 1, end)
        if inner < 0:
            return FAIL, 0
        if tag == _INNER:
            if kept >= room:
                return FAIL, 0
            found = _record(p, inner, start, now, latest, rows + kept * (ROW * 8), state)
            if found < 0:
                return FAIL, 0
            store_int(rows + kept * (ROW * 8) + RESOURCE * 8, number)
            kept += found
            late += 1 - found
        elif tag == _HEAD and not seen & 1 and scope(p, inner, state) >= 0:
            seen |= 1
        elif tag == _SCHEMA_URL and not seen & 2 and scan(p, inner) >= 0:
            seen |= 2
        else:
            return FAIL, 0
        p = inner
    return kept, late


@part
def _record(  # noqa: C901, PLR0911, PLR0912, PLR0915 - one branch a field of the message
    p: int, end: int, start: int, now: np.uint64, latest: np.uint64, row: int, state: int
) -> int:  # pragma: no cover - compiled
    """1 for a row written, 0 for a record later than `latest`, or `FAIL`."""
    begin_row(state)
    doubles = load_int(state + DOUBLES)
    json_bytes = load_int(state + JSON_BYTES)
    store_int(row + RECORD * 8, p - start)
    store_int(row + RECORD_END * 8, end - start)
    time = U(0)
    observed = U(0)
    severity = np.int32(0)
    level, level_end, body, body_end, event, event_end = 0, 0, 0, 0, 0, 0
    trace, span_id = -1, -1
    seen = 0
    while p < end:
        tag = load8(p)
        p += 1
        if tag == _ATTRIBUTE:
            p, stop = span(p, end)
            if stop < 0 or attribute(p, stop, state) < 0:
                return FAIL
            p = stop
            continue
        if seen & 1 << (tag >> 3):
            return FAIL
        seen |= 1 << (tag >> 3)
        if tag == _TIME:
            time = load64(p)
            p += 8
        elif tag == _OBSERVED:
            observed = load64(p)
            p += 8
        elif tag == _FLAGS:
            p += 4
        elif tag in (_SEVERITY, _DROPPED):
            value, p = varint(p)
            if p < 0:
                return FAIL
            if tag == _SEVERITY:
                severity = np.int32(value & U(0xFFFFFFFF))
        elif tag in (_BODY, _TRACE, _SPAN, _LEVEL, _EVENT):
            p, stop = span(p, end)
            if stop < 0:
                return FAIL
            if tag == _BODY:
                body, body_end = _body(p, stop, state)
                if body < 0:
                    return FAIL
            elif tag == _TRACE:
                trace = p if stop - p == _TRACE_BYTES else -1
            elif tag == _SPAN:
                span_id = p if stop - p == _SPAN_BYTES else -1
            else:
                longer = scan(p, stop)
                if longer < 0:
                    return FAIL
                if tag == _LEVEL:
                    level, level_end = p, stop
                elif stop > p:
                    event, event_end = p, stop
                    add(state, JSON_BYTES, _EVENT_NAME_SIZE + 2 + stop - p + longer)
            p = stop
        else:
            return FAIL
    if p != end:
        return FAIL
    is_slow = load_int(state + SLOW)
    if time == U(0):
        time = observed if observed != U(0) else now
    if is_slow or time > latest:
        store_int(state + DOUBLES, doubles)
        store_int(state + JSON_BYTES, json_bytes)
    if time > latest:
        return FAIL if is_slow else 0
    store_int(row + TIME * 8, np.int64(time))
    store_int(row + SEVERITY * 8, np.int64(severity))
    store_int(row + LEVEL * 8, level - start)
    store_int(row + LEVEL_END * 8, level_end - start)
    store_int(row + BODY * 8, body - start)
    store_int(row + BODY_END * 8, body_end - start)
    store_int(row + TRACE * 8, trace - start if trace >= 0 else -1)
    store_int(row + SPAN * 8, span_id - start if span_id >= 0 else -1)
    store_int(row + EVENT * 8, event - start)
    store_int(row + EVENT_END * 8, event_end - start)
    store_int(row + SLOW_ROW * 8, load_int(state + SLOW_ROWS) if is_slow else -1)
    add(state, SLOW_ROWS, is_slow)
    return 1


@part
def _body(p: int, end: int, state: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """The text of an `AnyValue`; the first is `FAIL` when protobuf must judge it. What is no text is slow."""
    if p == end:
        return p, p
    if load8(p) != _STRING:
        slow(state)
        return p, p
    p, stop = span(p + 1, end)
    return (p, stop) if stop == end and scan(p, stop) >= 0 else (FAIL, 0)


@kernel
def render(
    start: int, rows: int, count: int, prefixes: int, tokens: int, sides: int, columns: int
) -> None:  # pragma: no cover - compiled
    """Write the columns of checked rows.

    `prefixes` are, by resource, (from, to) addresses of the members that every row of it begins with, `tokens` the
    texts of the doubles (`values.member`), `sides`, by slow row, (from, to) addresses of its body and its attributes.
    `columns` are addresses of time, severity, resource, then offsets and bytes of body, trace id, span id, attributes.
    """
    body_out = load_int(columns + 32)
    trace_out = load_int(columns + 48)
    span_out = load_int(columns + 64)
    json_out = load_int(columns + 80)
    for number in range(count):
        row = rows + number * (ROW * 8)
        resource = load_int(row + RESOURCE * 8)
        side = load_int(row + SLOW_ROW * 8)
        store_int(load_int(columns) + number * 8, load_int(row + TIME * 8))
        store8(load_int(columns + 8) + number, load_int(row + SEVERITY * 8))
        store32(load_int(columns + 16) + number * 4, resource)
        first, last = start + load_int(row + BODY * 8), start + load_int(row + BODY_END * 8)
        if side >= 0:
            first, last = load_int(sides + side * 32), load_int(sides + side * 32 + 8)
        body_out = copy(first, last, body_out)
        trace, span_id = load_int(row + TRACE * 8), load_int(row + SPAN * 8)
        if trace >= 0:
            trace_out = hexadecimal(start + trace, _TRACE_BYTES, trace_out)
        if span_id >= 0:
            span_out = hexadecimal(start + span_id, _SPAN_BYTES, span_out)
        if side >= 0:
            json_out = copy(load_int(sides + side * 32 + 16), load_int(sides + side * 32 + 24), json_out)
        else:
            tokens, json_out = _attributes(start, row, prefixes + resource * 16, tokens, json_out)
        store32(load_int(columns + 24) + number * 4 + 4, body_out - load_int(columns + 32))
        store32(load_int(columns + 40) + number * 4 + 4, trace_out - load_int(columns + 48))
        store32(load_int(columns + 56) + number * 4 + 4, span_out - load_int(columns + 64))
        store32(load_int(columns + 72) + number * 4 + 4, json_out - load_int(columns + 80))


@part
def _attributes(start: int, row: int, prefix: int, tokens: int, out: int) -> tuple[int, int]:  # pragma: no cover
    """The JSON object of one row: what the resource gives, the event's name, then its own attributes."""
    first = out
    out = copy(load_int(prefix), load_int(prefix + 8), out)
    event, event_end = start + load_int(row + EVENT * 8), start + load_int(row + EVENT_END * 8)
    if event < event_end:
        store_int(out, np.int64(_EVENT_NAME[0]))
        store_int(out + 8, np.int64(_EVENT_NAME[1]))
        out = quoted(event, event_end, out + _EVENT_NAME_SIZE)
    p, end = start + load_int(row + RECORD * 8), start + load_int(row + RECORD_END * 8)
    while p < end:
        tag = load8(p)
        p += 1
        if tag in (_TIME, _OBSERVED):
            p += 8
        elif tag == _FLAGS:
            p += 4
        elif tag in (_SEVERITY, _DROPPED):
            _, p = varint(p)
        else:
            p, stop = span(p, end)
            if tag == _ATTRIBUTE:
                tokens, out = member(p, stop, tokens, out)
            p = stop
    byte(_OPEN, first)
    return tokens, byte(_CLOSE, max(out, first + 1))
