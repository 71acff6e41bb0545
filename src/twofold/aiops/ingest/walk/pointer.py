"""Reading a protobuf message by address: loads, lengths, hashes.

Memory is read through addresses, not arrays: an array handed to a compiled function costs
reference counts at every call. Every buffer carries `PADDING` bytes of zeros past its end, so a
fixed number of bytes may be read before the position is checked.

The hash multiplies 64 by 64 bits and folds the 128 that come out, as wyhash does (Wang Yi, public domain), but
with the hash so far in both factors: it begins as a random number of the process's, so there is no factor that
anybody outside knows, and no two texts that meet whatever the number is. MurmurHash64A, which stood here, has
such texts for every seed (Aumasson, Bernstein, Boßlet 2012, "Hash-flooding DoS reloaded").
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from twofold.stats.jit import part

U: Final = np.uint64
PADDING: Final = 32
FAIL: Final = -1

_ODD: Final = U(0xA0761D6478BD642F)
_HALF: Final = U(32)
_ALL: Final = U(0xFFFFFFFFFFFFFFFF)
_LOW7: Final = 0x7F
_ALIGN: Final = 1  # addresses inside a message are not aligned


def _load(result: Any, bits: ir.Type, *, widen: bool = False) -> Any:
    def make(_context: Any, address: Any) -> Any:  # noqa: ARG001 - numba asks for the argument's name
        def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            found = builder.load(builder.inttoptr(arguments[0], bits.as_pointer()))
            found.align = _ALIGN
            return builder.zext(found, ir.IntType(64)) if widen else found

        return result(types.int64), build

    return intrinsic(make)


def _store(kind: Any, bits: ir.Type | None = None) -> Any:
    def make(_context: Any, address: Any, value: Any) -> Any:  # noqa: ARG001 - numba asks for the arguments' names
        def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            value = builder.trunc(arguments[1], bits) if bits else arguments[1]
            place = builder.inttoptr(arguments[0], value.type.as_pointer())
            builder.store(value, place).align = _ALIGN
            return context.get_dummy_value()

        return types.void(types.int64, kind), build

    return intrinsic(make)


load8: Final = _load(types.int64, ir.IntType(8), widen=True)
load64: Final = _load(types.uint64, ir.IntType(64))
load_int: Final = _load(types.int64, ir.IntType(64))
load_double: Final = _load(types.float64, ir.DoubleType())
store_uint: Final = _store(types.uint64)
store_int: Final = _store(types.int64)
store_double: Final = _store(types.float64)
store8: Final = _store(types.int64, ir.IntType(8))
store32: Final = _store(types.int64, ir.IntType(32))


@part
def span(p: int, end: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """Start and end of the length-delimited field whose length stands at `p`; the end is `FAIL` past `end`.

    Lengths of more than four bytes (256 MiB) fail too.
    """
    size = load8(p)
    p += 1
    if size > _LOW7:
        size &= _LOW7
        shift = 7
        while True:
            byte = load8(p)
            p += 1
            size |= (byte & _LOW7) << shift
            if byte <= _LOW7:
                break
            shift += 7
            if shift > 21:  # noqa: PLR2004 - four bytes of seven bits
                return p, FAIL
    if size > end - p:
        return p, FAIL
    return p, p + size


def _make_fold(_context: Any, a: Any, b: Any) -> Any:  # noqa: ARG001 - numba asks for the arguments' names
    def build(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        product = builder.mul(*(builder.zext(each, wide) for each in arguments))
        upper = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word)
        return builder.xor(builder.trunc(product, word), upper)

    return types.uint64(types.uint64, types.uint64), build


_fold: Final = intrinsic(_make_fold)


@part
def _mix(h: np.uint64, x: np.uint64, y: np.uint64) -> np.uint64:  # pragma: no cover - compiled
    """One round: 128 bits more into the hash."""
    mixed: np.uint64 = _fold(h ^ x, ((h << _HALF) | (h >> _HALF)) ^ _ODD ^ y)
    return mixed


@part
def round_(h: np.uint64, x: np.uint64) -> np.uint64:  # pragma: no cover - compiled
    """64 bits more into the hash."""
    return _mix(h, x, U(0))


@part
def digest(p: int, end: int, h: np.uint64, tag: int) -> np.uint64:  # pragma: no cover - compiled
    """The hash with the field `tag` of these bytes; their number counts too."""
    left = end - p
    h = _mix(h, (U(left) << U(8)) | U(tag), _first(p, left))
    p += 8
    while p + 16 <= end:
        h = _mix(h, load64(p), load64(p + 8))
        p += 16
    if p < end:
        h = _mix(h, _first(p, end - p), _first(p + 8, end - p - 8))
    return h


@part
def _first(p: int, size: int) -> np.uint64:  # pragma: no cover - compiled
    """The first eight of so many bytes, as a number; what is absent is zero."""
    if size <= 0:
        return U(0)
    word: np.uint64 = load64(p)
    return word if size >= 8 else word & (_ALL >> U(64 - 8 * size))  # noqa: PLR2004 - bytes of a word


@part
def finish(h: np.uint64, row: int) -> np.uint64:  # pragma: no cover - compiled
    """Hash of row number `row` of a point; never 0, which marks an empty place in a table."""
    h = _mix(h, U(row), U(0))
    return h if h != U(0) else U(1)


@part
def put(
    out: int, row: int, h: np.uint64, time_ns: int, value: float, point: int
) -> None:  # pragma: no cover - compiled
    """Write one row: hash, time, value, point; 32 bytes."""
    place = out + (row << 5)
    store_uint(place, h)
    store_int(place + 8, time_ns)
    store_double(place + 16, value)
    store_int(place + 24, point)
