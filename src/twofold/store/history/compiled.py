"""The compiled ways of a search: mark what a block of lines holds, find the lines that hold a needle.

Indices are unsigned or of slices, so that the compiler needs no test for negative ones and compares 32 bytes at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint8, uint64

from twofold.store.history.grams import (
    DIGITS,
    LONG,
    LONG_BITS,
    MULTIPLY_1,
    MULTIPLY_2,
    NUMBER,
    ONE,
    OTHER_BITS,
    SHAPE_BITS,
    SHAPES,
    THREE,
    TWO,
)

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]

_STRIDE = 64
_LAST_SHAPE, _LAST_TWO, _LAST_ONE = SHAPES - 1, 4095, 63
_LONG_MASK, _DIGITS_MASK = (1 << 8 * LONG) - 1, (1 << 8 * DIGITS) - 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba has no types
def mark_pieces(
    data: Bytes, begin: Ints, lower: Bytes, classes: Bytes, words: Words, seen: Words
) -> None:  # pragma: no cover - compiled
    """Set the bits of all pieces of the lines; `seen` is a bit for each piece by classes, all zero."""
    for row in range(len(begin) - 1):
        low, high = uint64(begin[row]), uint64(begin[row + 1])
        first = low + uint64(LONG - 1)
        last, shape, digits = uint64(0), uint64(0), uint64(0)
        for at in range(low, high):
            byte = data[at]
            shape = ((shape << uint64(6)) | uint64(classes[byte])) & uint64(_LAST_SHAPE)
            seen[shape >> uint64(6)] |= uint64(1) << (shape & uint64(63))
            last = (last << uint64(8)) | uint64(lower[byte])
            if at >= first and last & uint64(_LONG_MASK):
                _mark(words, last & uint64(_LONG_MASK), LONG_BITS)
            digits = digits + uint64(1) if uint8(byte - uint8(48)) < uint8(10) else uint64(0)
            if digits >= uint64(DIGITS):
                _mark(words, (last & uint64(_DIGITS_MASK)) | uint64(NUMBER), OTHER_BITS)
    for place in range(uint64(len(seen))):
        if seen[place]:
            for bit in range(uint64(64)):
                if (seen[place] >> bit) & uint64(1):
                    shape = (place << uint64(6)) | bit
                    _mark(words, shape | uint64(THREE), SHAPE_BITS)
                    _mark(words, (shape & uint64(_LAST_TWO)) | uint64(TWO), OTHER_BITS)
                    _mark(words, (shape & uint64(_LAST_ONE)) | uint64(ONE), OTHER_BITS)


@njit(inline="always")  # type: ignore[untyped-decorator]  # numba has no types
def _mark(words: Words, number: int, count: int) -> None:  # pragma: no cover - compiled
    mixed = number * uint64(MULTIPLY_1)
    mixed ^= mixed >> uint64(32)
    mixed *= uint64(MULTIPLY_2)
    bits = uint64(0)
    for bit in range(uint64(count)):
        bits |= uint64(1) << ((mixed >> (uint64(6) * bit)) & uint64(63))
    words[(mixed >> uint64(48)) & uint64(len(words) - 1)] |= bits


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]  # numba has no types
def holding(
    data: Bytes, begin: Ints, case: Bytes, value: Bytes, first: int, second: int, found: npt.NDArray[np.bool_]
) -> None:  # pragma: no cover - compiled
    """Mark the lines that hold the needle: bytes `value`, once `case` is set in the data's.

    `first` and `second` are places in the needle whose bytes are seldom; only where both fit is the rest compared.
    """
    size = len(value)
    case_1, value_1, case_2, value_2 = case[first], value[first], case[second], value[second]
    row, at, end = 0, 0, len(data) - size + 1
    while at < end:
        if at + _STRIDE <= end:
            ahead, behind = data[at + first : at + first + _STRIDE], data[at + second : at + second + _STRIDE]
            any_fits = uint8(0)
            for step in range(uint64(_STRIDE)):
                any_fits |= uint8(((ahead[step] | case_1) == value_1) & ((behind[step] | case_2) == value_2))
            if not any_fits:
                at += _STRIDE
                continue
        stop = min(at + _STRIDE, end)
        while at < stop:
            if _fits(data, at, case, value):
                while begin[row + 1] <= at:
                    row += 1
                if at + size <= begin[row + 1]:
                    found[row] = True
                    at = begin[row + 1]
                    continue
            at += 1


@njit(inline="always")  # type: ignore[untyped-decorator]  # numba has no types
def _fits(data: Bytes, at: int, case: Bytes, value: Bytes) -> bool:  # pragma: no cover - compiled
    for step in range(len(value)):  # noqa: SIM110 - compiled
        if (data[at + step] | case[step]) != value[step]:
            return False
    return True
