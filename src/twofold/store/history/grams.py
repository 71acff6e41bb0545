"""Which short pieces of text a block of lines holds, as bits: a search reads only blocks that may hold its needle.

Text is compared in lower case, character by character as Unicode's simple mapping has it, so the bits are of lower
case too. Pieces of one to three characters go by 64 classes of bytes, pieces of five by their bytes. A filter answers
"no" surely and "yes" with some errors (Bloom 1970, "Space/time trade-offs in hash coding with allowable errors"); all
bits of a piece stand in one word of 64, so that each costs one access to memory (Putze et al. 2007).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Hashes = npt.NDArray[np.uint64]
Int32s = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

LONG: Final = 5
"""Bytes of a long piece."""
DIGITS: Final = 6
CLASSES: Final = 64
SHAPES: Final = CLASSES**3
BITS_PER_BYTE: Final = 2
"""Bits of a filter for each byte of text before it is folded; text that repeats itself, as logs do, ends with one."""
LONG_BITS, SHAPE_BITS, OTHER_BITS = 2, 4, 5
"""Bits of a piece in its word. A needle has many long pieces and few of the others."""
LEAST_WORDS, MOST_WORDS = 16, 1 << 16
_FIRST_BITS: Final = 1 << 14  # pieces of one to three characters are many in the first lines already
_SPARSE: Final = 0.3  # share of bits below which a filter is folded in half
_AT_ONCE: Final = 256
_NAMED: Final = b"abcdefghijklmnopqrstuvwxyz0123456789 ._-/:=,\"'()[]{}<>"
MULTIPLY_1, MULTIPLY_2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
THREE, TWO, ONE, TRACE, ENTITY, NUMBER = (each << 60 for each in range(1, 7))
"""What a number is, in its highest bits: a piece by classes, a trace id, an entity, digits. Long pieces have none."""
_ASCII: Final = 0x80
_NO_BYTES: Final = np.frombuffer(bytes(1), np.uint8)[:0]  # cannot be written to, as all data of Arrow
_TEN: Final = np.uint64(10)
_ALL_DIGITS: Final = 0x010101010101
_ID: Final = 32


def _lowered() -> Bytes:
    found = np.arange(256, dtype=np.uint8)
    found[65:91] += 32
    return found


def _classes() -> Bytes:
    """0 stands before the first byte of a line; bytes that are seldom share what the named ones leave."""
    found = np.zeros(256, np.uint8)
    for number, byte in enumerate(_NAMED, 1):
        found[byte] = number
    first = len(_NAMED) + 1
    for byte in range(256):
        if not found[byte]:
            found[byte] = first + byte % (CLASSES - first)
    found[65:91] = found[97:123]
    return found


LOWER: Final = _lowered()
CLASS: Final = _classes()


def folded(texts: pa.Array) -> pa.Array:
    """Texts in which a search compares bytes but for the case of ASCII letters; nulls are empty."""
    whole = pc.fill_null(texts, "") if texts.null_count else texts
    if not len(data_of(whole)[0]) or data_of(whole)[0].max() < _ASCII:
        return whole
    try:
        return pc.utf8_lower(whole)
    except pa.ArrowInvalid:  # no UTF-8: other letters than ASCII's count as they stand
        return whole


def needle_of(text: str) -> bytes:
    """What is searched for, in lower case.

    >>> needle_of("ÄRGER 42").decode()
    'ärger 42'
    """
    found: bytes = pc.utf8_lower(pa.scalar(text)).as_buffer().to_pybytes()
    return found


def data_of(texts: pa.Array) -> tuple[Bytes, Int32s]:
    """Bytes of all texts, and where in them each begins; the last number is their end."""
    _, offsets, data = texts.buffers()
    if not len(texts):
        return _NO_BYTES, np.zeros(1, np.int32)
    begin = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    if data is None:
        return _NO_BYTES, begin - begin[0]
    return np.frombuffer(data, np.uint8, int(begin[-1] - begin[0]), int(begin[0])), begin - begin[0]


def has_compiler() -> bool:
    """Whether the compiler is loaded anyway. The worker does without its 150 MB, and takes five times as long."""
    return "numba" in sys.modules


def filter_of(texts: pa.Array, others: Hashes) -> Words:
    """The filter of a block of lines, and of other numbers."""
    data, begin = data_of(folded(texts))
    size = (len(data) * BITS_PER_BYTE + _FIRST_BITS) // 64
    words = np.zeros(min(MOST_WORDS, 1 << size.bit_length()), np.uint64)
    if has_compiler():
        from twofold.store.history.compiled import mark_pieces  # noqa: PLC0415 - see `has_compiler`

        mark_pieces(data, begin, LOWER, CLASS, words, np.zeros(SHAPES // 64, np.uint64))
    else:
        _mark_pieces(data, begin, words)
    _mark(words, others, OTHER_BITS)
    return _shrunk(words)


def _mark_pieces(data: Bytes, begin: Int32s, words: Words) -> None:
    """As the compiled way does, a few lines at a time so that all stays in the processor's cache."""
    seen, bits = np.zeros(SHAPES, bool), np.zeros(len(words) * 64, bool)
    for row in range(0, len(begin) - 1, _AT_ONCE):
        some = begin[row : row + _AT_ONCE + 1]
        if some[-1] > some[0]:
            _see(data[some[0] : some[-1]], some - some[0], seen, bits, np.uint32(len(words) - 1))
    words |= np.packbits(bits, bitorder="little").view(np.uint64)
    two, one = seen.reshape(CLASSES, -1).any(0), seen.reshape(-1, CLASSES).any(0)
    for kind, shapes, count in ((THREE, seen, SHAPE_BITS), (TWO, two, OTHER_BITS), (ONE, one, OTHER_BITS)):
        _mark(words, np.flatnonzero(shapes).astype(np.uint64) | np.uint64(kind), count)


def _see(data: Bytes, begin: Int32s, seen: Bools, bits: Bools, last: np.uint32) -> None:
    """Note the shapes of some lines, and the bits of their long pieces."""
    starts = begin[:-1][begin[1:] > begin[:-1]]
    one = CLASS.take(data).astype(np.uint32)
    before = _shifted(one, starts)
    seen[one | before << np.uint32(6) | _shifted(before, starts) << np.uint32(12)] = True
    if len(data) < LONG:
        return
    low = LOWER.take(data).astype(np.uint64)
    _set(bits, _pieces(low, starts, LONG), LONG_BITS, last)
    digits = np.flatnonzero(
        _pieces((low - np.uint64(ord("0")) < _TEN).astype(np.uint64), starts, DIGITS) == _ALL_DIGITS
    )
    if len(digits):
        _set(bits, _pieces(low, starts, DIGITS)[digits] | np.uint64(NUMBER), OTHER_BITS, last)


def _pieces(low: Hashes, starts: Int32s, size: int) -> Hashes:
    """All pieces of so many bytes as numbers; 0 for those that begin in a line before."""
    if len(low) < size:
        return np.zeros(0, np.uint64)
    found = low[size - 1 :].copy()
    for back in range(1, size):
        found |= low[size - 1 - back : len(low) - back] << np.uint64(8 * back)
    for into in range(1, size):
        crossing = starts - into
        found[crossing[(crossing >= 0) & (crossing < len(found))]] = 0
    return found


def _set(bits: Bools, numbers: Hashes, count: int, last: np.uint32) -> None:
    """As `_mark`, over a byte for each bit: quicker for numbers by the thousand."""
    mixed = _mixed(numbers[numbers > 0])
    place = (mixed >> np.uint64(48)).astype(np.uint32) & last
    place <<= np.uint32(6)
    for bit in range(count):
        bits[place | (mixed >> np.uint64(6 * bit)).astype(np.uint32) & np.uint32(63)] = True


def _shifted(values: npt.NDArray[np.uint32], starts: Int32s) -> npt.NDArray[np.uint32]:
    found = np.zeros_like(values)
    found[1:] = values[:-1]
    found[starts] = 0
    return found


def _mixed(numbers: Hashes) -> Hashes:
    mixed = numbers * np.uint64(MULTIPLY_1)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(MULTIPLY_2)
    return mixed


def _places(numbers: Hashes, bits: int, words: int) -> tuple[npt.NDArray[np.intp], Words]:
    """Of each number its word and its bits there."""
    mixed = _mixed(numbers)
    masks = np.zeros(len(numbers), np.uint64)
    for bit in range(bits):
        masks |= np.uint64(1) << ((mixed >> np.uint64(6 * bit)) & np.uint64(63))
    return ((mixed >> np.uint64(48)) & np.uint64(words - 1)).astype(np.intp), masks


def _mark(words: Words, numbers: Hashes, bits: int) -> None:
    places, masks = _places(numbers, bits, len(words))
    np.bitwise_or.at(words, places, masks)


def _shrunk(words: Words) -> Words:
    while len(words) > LEAST_WORDS and np.bitwise_count(words).sum() < _SPARSE * 64 * len(words):
        words = words[: len(words) // 2] | words[len(words) // 2 :]
    return words


class Probe:
    """What a block must hold to be read.

    Args:
        needle: As `needle_of` gives it; empty asks for nothing.
        others: Numbers beside the text, such as `entity_number` gives.
    """

    def __init__(self, needle: bytes, others: Sequence[int] = ()) -> None:
        data = np.frombuffer(needle, np.uint8)
        classes = [int(each) for each in CLASS[data]]
        size = min(3, len(classes))
        kind = (0, ONE, TWO, THREE)[size]
        shapes = [
            sum(each << 6 * (size - 1 - place) for place, each in enumerate(classes[at : at + size])) | kind
            for at in range(len(classes) - size + 1 if size else 0)
        ]
        long = [_number(needle, at, LONG) for at in range(len(needle) - LONG + 1)]
        digits = [
            _number(needle, at, DIGITS) | NUMBER
            for at in range(len(needle) - DIGITS + 1)
            if needle[at : at + DIGITS].isdigit()
        ]
        asked = (
            ([*others, *digits], OTHER_BITS),
            (long, LONG_BITS),
            (shapes, SHAPE_BITS if kind == THREE else OTHER_BITS),
        )
        self._asked = [(np.array(sorted({*numbers} - {0}), np.uint64), bits) for numbers, bits in asked]
        self._known: dict[int, Sequence[tuple[int, np.uint64]]] = {}

    def passes(self, words: Words, begin: npt.NDArray[np.int64], filters: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Those of the filters that may hold all of it; the n-th one is `words[begin[n]:begin[n + 1]]`."""
        sizes = np.diff(begin)[filters]
        left = [filters]
        for size in np.unique(sizes).tolist():
            own = filters[sizes == size]
            for place, mask in self._bits(size):
                own = own[words[begin[own] + place] & mask == mask]
                if not len(own):
                    break
            left.append(own)
        return np.sort(np.concatenate(left[1:] or left))

    def _bits(self, size: int) -> Sequence[tuple[int, np.uint64]]:
        """Word and bits of all that is asked, in filters of so many words; what few blocks hold first."""
        if size not in self._known:
            found = [zip(*_places(numbers, bits, size), strict=True) for numbers, bits in self._asked]
            self._known[size] = [(int(place), mask) for some in found for place, mask in some]
        return self._known[size]


def _number(needle: bytes, at: int, size: int) -> int:
    return int.from_bytes(needle[at : at + size], "big")


def entity_number(entity: str) -> int:
    """An entity among the other numbers of a filter."""
    return zlib.crc32(entity.encode()) | ENTITY


def trace_number(trace_id: str) -> int:
    """A trace id among the other numbers of a filter."""
    return int(id_hashes(pa.array([trace_id]))[0]) | TRACE


def id_hashes(ids: pa.Array) -> npt.NDArray[np.uint32]:
    """A well spread number of each id; 0 of an empty one. Quick for ids of 32 characters, as traces have."""
    data, begin = data_of(ids)
    size = np.diff(begin)
    usual = size == _ID
    found = np.zeros(len(ids), np.uint32)
    if usual.any():
        same = data if _ID * np.count_nonzero(usual) == len(data) else data_of(ids.filter(pa.array(usual)))[0]
        mixed = np.zeros(len(same) // _ID, np.uint64)
        with np.errstate(over="ignore"):
            for part in np.frombuffer(same.tobytes(), "<u8").reshape(-1, 4).T:
                mixed = (mixed ^ part) * np.uint64(MULTIPLY_1)
                mixed ^= mixed >> np.uint64(29)
        found[usual] = mixed >> np.uint64(32)
    for row in np.flatnonzero(~usual & (size > 0)).tolist():
        found[row] = zlib.crc32(data[begin[row] : begin[row + 1]].tobytes())
    return found
