"""Walks an OTLP `ExportTraceServiceRequest`: `walk` checks and measures every span, `render` writes the columns.

Takes fields in any order. Gives up on unknown fields and on fields that come twice. A span whose attributes
`values` leaves to protobuf is slow: the caller hands in its attributes, and whether it failed and its peer.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.aiops.ingest.walk.distinct import hash_number, text_number
from twofold.aiops.ingest.walk.events import count_exception, event, kept, link, status
from twofold.aiops.ingest.walk.peer import FAILED_NEW, FAILED_OLD, SAID_NEW, http_status, note
from twofold.aiops.ingest.walk.pointer import FAIL, U, load8, load64, load_int, round_, span, store8, store32, store_int
from twofold.aiops.ingest.walk.text import byte, copy, hexadecimal, scan, varint
from twofold.aiops.ingest.walk.values import (
    DOUBLES,
    JSON_BYTES,
    SLOW,
    SLOW_ROWS,
    add,
    attribute,
    begin_row,
    member,
    pair,
    scope,
)
from twofold.stats.jit import kernel, part

_RESOURCE_SPANS: Final = 10
_HEAD, _INNER, _SCHEMA_URL = 10, 18, 26  # the same in ResourceSpans and ScopeSpans
_TRACE, _SPAN, _TRACE_STATE, _PARENT, _NAME, _KIND, _START, _END = 10, 18, 26, 34, 42, 48, 57, 65
_ATTRIBUTE, _DROPPED, _EVENT, _EVENTS_DROPPED, _LINK, _LINKS_DROPPED, _STATUS = 74, 80, 90, 96, 106, 112, 122
_FLAGS, _FLAGS_MORE, _FLAGS_BIT = 0x85, 1, 1 << 16
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_FIRST_ASKING, _LAST_KIND = 3, 5
_OPEN, _CLOSE = 0x7B, 0x7D

ROW: Final = 18
"""Numbers of a row."""
(
    RESOURCE,
    START,
    DURATION,
    TRACE,
    SPAN,
    PARENT,
    NAME,
    KIND,
    ERROR,
    RECORD,
    RECORD_END,
    MESSAGE,
    MESSAGE_END,
    EXCEPTION,
    EXCEPTION_END,
    PEER,
    SLOW_ROW,
) = range(17)
"""Where each number stands in a row; places are addresses, 0 for none. Peer 0 is none, else its number + 1."""

(
    W_STATE,
    W_LATEST,
    W_SEED,
    W_ROOM,
    W_ROWS,
    W_RESOURCES,
    W_PLACES,
    W_NAME_TABLE,
    W_NAMES,
    W_PEER_TABLE,
    W_PEERS,
    W_COUNT,
    W_BAD_ID,
    W_NO_TIME,
    W_FUTURE,
) = range(0, 120, 8)
WORK: Final = 15
"""Numbers of a block that the caller fills up to the peers; the rest is counted: rows, and spans refused, by reason."""


@kernel
def walk(start: int, size: int, work: int) -> int:  # pragma: no cover - compiled
    """Number of resources; `FAIL` when the walker gives up."""
    p = start
    end = start + size
    number = 0
    while p < end:
        if load8(p) != _RESOURCE_SPANS or number >= load_int(work + W_ROOM):
            return FAIL
        p, inner = span(p + 1, end)
        if inner < 0 or _resource(p, inner, number, work) < 0:
            return FAIL
        number += 1
        p = inner
    return number


@part
def _resource(p: int, end: int, number: int, work: int) -> int:  # pragma: no cover - compiled
    place = load_int(work + W_RESOURCES) + (number << 4)
    store_int(place, p)
    store_int(place + 8, p)
    seen = 0
    while p < end:
        tag = load8(p)
        p, inner = span(p + 1, end)
        if inner < 0:
            return FAIL
        if tag == _INNER:
            if _scope(p, inner, number, work) < 0:
                return FAIL
        elif tag == _HEAD and not seen & 1:
            seen |= 1
            store_int(place, p)
            store_int(place + 8, inner)
        elif tag == _SCHEMA_URL and not seen & 2 and scan(p, inner) >= 0:
            seen |= 2
        else:
            return FAIL
        p = inner
    return 0


@part
def _scope(p: int, end: int, number: int, work: int) -> int:  # pragma: no cover - compiled
    seen = 0
    while p < end:
        tag = load8(p)
        p, inner = span(p + 1, end)
        if inner < 0:
            return FAIL
        if tag == _INNER:
            if _span(p, inner, number, work) < 0:
                return FAIL
        elif tag == _HEAD and not seen & 1 and scope(p, inner, load_int(work + W_STATE)) >= 0:
            seen |= 1
        elif tag == _SCHEMA_URL and not seen & 2 and scan(p, inner) >= 0:
            seen |= 2
        else:
            return FAIL
        p = inner
    return 0


@part
def _span(  # noqa: C901, PLR0911, PLR0912, PLR0915 - one branch a field of the message
    p: int, end: int, number: int, work: int
) -> int:  # pragma: no cover - compiled
    """Write a row, or count why the span is refused; `FAIL` when protobuf must judge it."""
    count = load_int(work + W_COUNT)
    if count >= load_int(work + W_ROOM):
        return FAIL
    row = load_int(work + W_ROWS) + count * (ROW * 8)
    state = load_int(work + W_STATE)
    begin_row(state)
    doubles = load_int(state + DOUBLES)
    json_bytes = load_int(state + JSON_BYTES)
    store_int(row + RECORD * 8, p)
    store_int(row + RECORD_END * 8, end)
    first = U(0)
    last = U(0)
    kind = np.int32(0)
    peer = load64(work + W_SEED)
    name, name_end = p, p
    trace, trace_size, own, own_size, parent, parent_size = 0, 0, 0, 0, 0, 0
    message, message_end, exception, exception_end = 0, 0, 0, 0
    failed = 0
    http = 0
    seen = 0
    while p < end:
        tag = load8(p)
        p += 1
        if tag == _ATTRIBUTE:
            p, stop = span(p, end)
            if stop < 0 or attribute(p, stop, state) < 0:
                return FAIL
            key, key_end, value, value_end = pair(p, stop)
            http |= http_status(key, key_end, value, value_end)
            peer = note(key, key_end, value, value_end, peer)
            p = stop
            continue
        if tag in (_EVENT, _LINK):
            p, stop = span(p, end)
            if stop < 0:
                return FAIL
            if tag == _LINK:
                if link(p, stop, state) < 0:
                    return FAIL
            else:
                is_exception = event(p, stop, state)
                if is_exception < 0:
                    return FAIL
                if is_exception and exception == 0:
                    exception, exception_end = p, stop
                    count_exception(p, stop, state)
            p = stop
            continue
        bit = _FLAGS_BIT if tag == _FLAGS else 1 << (tag >> 3)
        if seen & bit:
            return FAIL
        seen |= bit
        if tag == _START:
            first = load64(p)
            p += 8
        elif tag == _END:
            last = load64(p)
            p += 8
        elif tag == _FLAGS and load8(p) == _FLAGS_MORE:
            p += 5
        elif tag in (_KIND, _DROPPED, _EVENTS_DROPPED, _LINKS_DROPPED):
            number_, p = varint(p)
            if p < 0:
                return FAIL
            if tag == _KIND:
                kind = np.int32(number_ & U(0xFFFFFFFF))
        elif tag in (_TRACE, _SPAN, _TRACE_STATE, _PARENT, _NAME, _STATUS):
            p, stop = span(p, end)
            if stop < 0:
                return FAIL
            if tag == _TRACE:
                trace, trace_size = p, stop - p
            elif tag == _SPAN:
                own, own_size = p, stop - p
            elif tag == _PARENT:
                parent, parent_size = p, stop - p
            elif tag == _STATUS:
                failed, message, message_end = status(p, stop, state)
                if failed < 0:
                    return FAIL
            elif scan(p, stop) < 0:
                return FAIL
            elif tag == _NAME:
                name, name_end = p, stop
            p = stop
        else:
            return FAIL
    if p != end:
        return FAIL
    is_slow = load_int(state + SLOW)
    fault = 0
    sized = trace_size == _TRACE_BYTES and own_size == _SPAN_BYTES
    if not sized or load64(own) == U(0) or load64(trace) | load64(trace + 8) == U(0):
        fault = W_BAD_ID
    elif first == U(0):
        fault = W_NO_TIME
    elif max(first, last) > load64(work + W_LATEST):
        fault = W_FUTURE
    if is_slow or fault:
        store_int(state + DOUBLES, doubles)
        store_int(state + JSON_BYTES, json_bytes)
    if fault:
        add(work, fault, 1)
        return FAIL if is_slow else 0
    if kind < 0 or kind > _LAST_KIND:
        kind = np.int32(0)
    places = load_int(work + W_PLACES)
    named = 0
    if kind >= _FIRST_ASKING and not is_slow:
        h = round_(peer, U(kind))
        named = 1 + hash_number(h, load_int(work + W_PEER_TABLE), places, load_int(work + W_PEERS), count)
        if named == 0:
            return FAIL
    if http & (FAILED_NEW if http & SAID_NEW else FAILED_OLD):
        failed = 1
    names, seed = load_int(work + W_NAMES), load64(work + W_SEED)
    called = text_number(name, name_end, load_int(work + W_NAME_TABLE), places, names, seed)
    if called < 0:
        return FAIL
    store_int(row + RESOURCE * 8, number)
    store_int(row + START * 8, np.int64(first))
    store_int(row + DURATION * 8, np.int64(last - first) if last > first else 0)
    store_int(row + TRACE * 8, trace)
    store_int(row + SPAN * 8, own)
    store_int(row + PARENT * 8, parent if parent_size == _SPAN_BYTES and load64(parent) != U(0) else 0)
    store_int(row + NAME * 8, called)
    store_int(row + KIND * 8, np.int64(kind))
    store_int(row + ERROR * 8, failed)
    store_int(row + MESSAGE * 8, message)
    store_int(row + MESSAGE_END * 8, message_end)
    store_int(row + EXCEPTION * 8, exception)
    store_int(row + EXCEPTION_END * 8, exception_end)
    store_int(row + PEER * 8, named)
    store_int(row + SLOW_ROW * 8, load_int(state + SLOW_ROWS) if is_slow else -1)
    add(state, SLOW_ROWS, is_slow)
    add(work, W_COUNT, 1)
    return 0


@kernel
def render(
    rows: int, count: int, prefixes: int, tokens: int, sides: int, columns: int
) -> None:  # pragma: no cover - compiled
    """Write the columns of checked rows.

    `prefixes` are, by resource, (from, to) addresses of the members that every row of it begins with, `tokens` the
    texts of the doubles (`values.member`), `sides`, by slow row, (from, to) addresses of its attributes. `columns` are
    addresses of start, duration, kind, error, resource, name, peer, then offsets and bytes of trace id, span id,
    parent id, attributes.
    """
    trace_out = load_int(columns + 64)
    span_out = load_int(columns + 80)
    parent_out = load_int(columns + 96)
    json_out = load_int(columns + 112)
    for number in range(count):
        row = rows + number * (ROW * 8)
        resource = load_int(row + RESOURCE * 8)
        side = load_int(row + SLOW_ROW * 8)
        parent = load_int(row + PARENT * 8)
        store_int(load_int(columns) + number * 8, load_int(row + START * 8))
        store_int(load_int(columns + 8) + number * 8, load_int(row + DURATION * 8))
        store8(load_int(columns + 16) + number, load_int(row + KIND * 8))
        store8(load_int(columns + 24) + number, load_int(row + ERROR * 8))
        store32(load_int(columns + 32) + number * 4, resource)
        store32(load_int(columns + 40) + number * 4, load_int(row + NAME * 8))
        store32(load_int(columns + 48) + number * 4, load_int(row + PEER * 8))
        trace_out = hexadecimal(load_int(row + TRACE * 8), _TRACE_BYTES, trace_out)
        span_out = hexadecimal(load_int(row + SPAN * 8), _SPAN_BYTES, span_out)
        if parent:
            parent_out = hexadecimal(parent, _SPAN_BYTES, parent_out)
        if side >= 0:
            json_out = copy(load_int(sides + side * 16), load_int(sides + side * 16 + 8), json_out)
        else:
            tokens, json_out = _attributes(row, prefixes + resource * 16, tokens, json_out)
        store32(load_int(columns + 56) + number * 4 + 4, trace_out - load_int(columns + 64))
        store32(load_int(columns + 72) + number * 4 + 4, span_out - load_int(columns + 80))
        store32(load_int(columns + 88) + number * 4 + 4, parent_out - load_int(columns + 96))
        store32(load_int(columns + 104) + number * 4 + 4, json_out - load_int(columns + 112))


@part
def _attributes(row: int, prefix: int, tokens: int, out: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """The JSON object of one row: what the resource, status and exception give, then its own attributes."""
    first = out
    out = copy(load_int(prefix), load_int(prefix + 8), out)
    message, message_end = load_int(row + MESSAGE * 8), load_int(row + MESSAGE_END * 8)
    out = kept(message, message_end, load_int(row + EXCEPTION * 8), load_int(row + EXCEPTION_END * 8), out)
    p, end = load_int(row + RECORD * 8), load_int(row + RECORD_END * 8)
    while p < end:
        tag = load8(p)
        p += 1
        if tag in (_START, _END):
            p += 8
        elif tag == _FLAGS:
            p += 5
        elif tag in (_KIND, _DROPPED, _EVENTS_DROPPED, _LINKS_DROPPED):
            _, p = varint(p)
        else:
            p, stop = span(p, end)
            if tag == _ATTRIBUTE:
                tokens, out = member(p, stop, tokens, out)
            p = stop
    byte(_OPEN, first)
    return tokens, byte(_CLOSE, max(out, first + 1))
