"""Status, events and links of a span, checked; of these the status's message and the first exception are kept."""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.aiops.ingest.walk.pointer import FAIL, U, load8, load64, span, store_int
from twofold.aiops.ingest.walk.text import quoted, scan, varint
from twofold.aiops.ingest.walk.values import JSON_BYTES, add, member, pair, skipped, slow
from twofold.stats.jit import part

_EVENT_TIME, _EVENT_NAME, _EVENT_ATTRIBUTE, _EVENT_DROPPED = 9, 18, 26, 32
_LINK_TRACE, _LINK_SPAN, _LINK_STATE, _LINK_ATTRIBUTE, _LINK_DROPPED, _LINK_FLAGS = 10, 18, 26, 34, 40, 53
_STATUS_MESSAGE, _STATUS_CODE = 18, 24
_STRING: Final = 10
_FAILED: Final = 2


def _words(text: bytes) -> tuple[np.uint64, ...]:
    return tuple(U(int.from_bytes(text[at : at + 8], "little")) for at in range(0, len(text), 8))


_DESCRIPTION: Final = _words(b',"otel.status_description":')
_DESCRIPTION_SIZE: Final = 27
_EXCEPTION: Final = _words(b"exception")
_EXCEPTION_SIZE: Final = 9
_TYPE: Final = _words(b"exception.type")
_TYPE_SIZE: Final = 14
_MESSAGE: Final = _words(b"exception.message")
_MESSAGE_SIZE: Final = 17


@part
def status(p: int, end: int, state: int) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """1 for failed, and the message from and to; `FAIL` when protobuf must judge it."""
    failed, message, message_end, seen = 0, 0, 0, 0
    while p < end:
        tag = load8(p)
        p += 1
        if tag == _STATUS_CODE and not seen & 1:
            seen |= 1
            code, p = varint(p)
            if p < 0:
                return FAIL, 0, 0
            failed = 1 if code & U(0xFFFFFFFF) == U(_FAILED) else 0
        elif tag == _STATUS_MESSAGE and not seen & 2:
            seen |= 2
            message, message_end = span(p, end)
            p = message_end
            longer = scan(message, p) if p >= 0 else FAIL
            if longer < 0:
                return FAIL, 0, 0
            if p > message:
                add(state, JSON_BYTES, _DESCRIPTION_SIZE + p - message + longer + 2)
        else:
            return FAIL, 0, 0
    return failed if p == end else FAIL, message, message_end


@part
def event(p: int, end: int, state: int) -> int:  # noqa: C901 - one branch a field # pragma: no cover - compiled
    """Check an event: 1 for an exception, 0 for another; `FAIL` when protobuf must judge it."""
    exception, seen = 0, 0
    while p < end:
        tag = load8(p)
        p += 1
        if tag == _EVENT_ATTRIBUTE:
            p, stop = span(p, end)
            if stop < 0 or skipped(p, stop, state) < 0:
                return FAIL
            p = stop
            continue
        if seen & 1 << (tag >> 3):
            return FAIL
        seen |= 1 << (tag >> 3)
        if tag == _EVENT_TIME:
            p += 8
        elif tag == _EVENT_DROPPED:
            _, p = varint(p)
            if p < 0:
                return FAIL
        elif tag == _EVENT_NAME:
            p, stop = span(p, end)
            if stop < 0 or scan(p, stop) < 0:
                return FAIL
            if stop - p == _EXCEPTION_SIZE and load64(p) == _EXCEPTION[0] and U(load8(p + 8)) == _EXCEPTION[1]:
                exception = 1
            p = stop
        else:
            return FAIL
    return exception if p == end else FAIL


@part
def _told(key: int, end: int) -> bool:  # pragma: no cover - compiled
    """Whether this attribute of an exception is kept."""
    if end - key == _TYPE_SIZE:
        return bool(load64(key) == _TYPE[0] and load64(key + 8) & U(0xFFFFFFFFFFFF) == _TYPE[1])
    if end - key == _MESSAGE_SIZE:
        same = load64(key) == _MESSAGE[0] and load64(key + 8) == _MESSAGE[1]
        return bool(same and U(load8(key + 16)) == _MESSAGE[2])
    return False


@part
def count_exception(p: int, end: int, state: int) -> None:  # pragma: no cover - compiled
    """Count the JSON of what is kept of a checked exception; slow when it is no text or comes twice."""
    seen = 0
    while p < end:
        tag, p, stop = _event_field(p, end)
        if tag == _EVENT_ATTRIBUTE:
            key, key_end, value, value_end = pair(p, stop)
            if _told(key, key_end):
                bit = 1 << (key_end - key)
                if seen & bit or value == value_end or load8(value) != _STRING:
                    slow(state)
                    return
                seen |= bit
                value, value_end = span(value + 1, value_end)
                add(state, JSON_BYTES, key_end - key + 4 + value_end - value + scan(value, value_end) + 2)
        p = stop


@part
def _event_field(p: int, end: int) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """Tag of the next field of a checked event, and where what it holds begins and ends."""
    tag = load8(p)
    p += 1
    if tag == _EVENT_TIME:
        return tag, p, p + 8
    if tag == _EVENT_DROPPED:
        _, stop = varint(p)
        return tag, p, stop
    p, stop = span(p, end)
    return tag, p, stop


@part
def link(p: int, end: int, state: int) -> int:  # pragma: no cover - compiled
    """Check a link, which is not kept; `FAIL` when protobuf must judge it."""
    while p < end:
        tag = load8(p)
        p += 1
        if tag == _LINK_FLAGS:
            p += 4
        elif tag == _LINK_DROPPED:
            _, p = varint(p)
            if p < 0:
                return FAIL
        elif tag in (_LINK_TRACE, _LINK_SPAN, _LINK_STATE, _LINK_ATTRIBUTE):
            p, stop = span(p, end)
            if stop < 0 or (tag == _LINK_STATE and scan(p, stop) < 0):
                return FAIL
            if tag == _LINK_ATTRIBUTE and skipped(p, stop, state) < 0:
                return FAIL
            p = stop
        else:
            return FAIL
    return 0 if p == end else FAIL


@part
def kept(status: int, status_end: int, p: int, end: int, out: int) -> int:  # pragma: no cover - compiled
    """Write what is kept of a checked status's message and of a checked exception; gives the place after it."""
    if status < status_end:
        for word in range(4):
            store_int(out + word * 8, int(_DESCRIPTION[word]))
        out = quoted(status, status_end, out + _DESCRIPTION_SIZE)
    while p < end:
        tag, p, stop = _event_field(p, end)
        if tag == _EVENT_ATTRIBUTE:
            key, key_end, _, _ = pair(p, stop)
            if _told(key, key_end):
                _, out = member(p, stop, 0, out)
        p = stop
    return out
