"""Makers of log records and spans of every shape, and memory that ends where nobody may read on."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.unit.ingest.null import NOW_NS

PAGE = mmap.PAGESIZE

# What JSON escapes, what UTF-8 makes long, what ends near a word of eight bytes, what other rows hold as well.
words = st.one_of(
    st.sampled_from(["", "a", "host-1", "x" * 40, "12345678", "123456789", 'say "hi"', "back\\slash", "ünï", "日本語"]),
    st.text(max_size=12),
    st.text(st.characters(max_codepoint=0x9F), max_size=20),
)
keys = st.one_of(
    st.sampled_from(["a", "b", "http.route", "service.version", "host.name", "event.name", "exception.type", "🗝"]),
    words,
)
numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 9, 10, -1, 2**63 - 1, -(2**63)]), st.integers(-500, 1000)
)
plain = st.one_of(
    words.map(lambda text: AnyValue(string_value=text)),
    numbers.map(lambda number: AnyValue(int_value=number)),
    st.booleans().map(lambda value: AnyValue(bool_value=value)),
    st.floats().map(lambda value: AnyValue(double_value=value)),
    st.just(AnyValue()),
)


@st.composite
def nested(draw: st.DrawFn) -> AnyValue:
    """A value that only protobuf takes apart."""
    made = AnyValue()
    match draw(st.integers(0, 2)):
        case 0:
            made.bytes_value = draw(st.binary(max_size=9))
        case 1:
            made.array_value.values.extend(draw(st.lists(plain, max_size=3)))
        case _:
            made.kvlist_value.values.extend(draw(attribute_lists(plain)))
    return made


@st.composite
def attribute_lists(draw: st.DrawFn, values: st.SearchStrategy[AnyValue]) -> list[KeyValue]:
    """Attributes; now and then a key that comes twice, or no value."""
    found = [KeyValue(key=key, value=draw(values)) for key in draw(st.lists(keys, max_size=6, unique=True))]
    if found and draw(st.integers(0, 9)) == 0:
        found.append(KeyValue(key=found[0].key, value=draw(values)))
    if draw(st.integers(0, 9)) == 0:
        found.append(KeyValue(key="bare"))
    return found


values = st.one_of(plain, plain, plain, nested())
attributes_of = attribute_lists(values)
times = st.one_of(st.just(0), st.just(NOW_NS), st.integers(0, NOW_NS), st.sampled_from([NOW_NS + 10**15, 2**64 - 1]))
resources = st.dictionaries(
    st.sampled_from(["service.name", "service.namespace", "service.version", "host.name", "k8s.pod.name", "other"]),
    words,
    max_size=4,
)


class Guarded:
    """Memory that ends at a page nobody may touch: a byte too far ends the process."""

    def __init__(self, size: int) -> None:
        pages = -(-size // PAGE) + 1
        self._map = mmap.mmap(-1, pages * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(ctypes.c_void_p(start + (pages - 1) * PAGE), PAGE, 0) == 0
        self._end = (pages - 1) * PAGE
        self._start = start

    def place(self, body: bytes) -> int:
        """Address of these bytes, put right before the guard."""
        self._map[self._end - len(body) : self._end] = body
        return self._start + self._end - len(body)

    def last(self, size: int) -> int:
        """Address of the last `size` bytes."""
        return self._start + self._end - size


def outcome_facts(outcome: Any) -> tuple[Any, ...]:
    """What two ways must agree on, beside the rows."""
    return outcome.item, outcome.received, outcome.stored, outcome.rows, dict(outcome.rejected), dict(outcome.dropped)
