"""Rows grouped by a small code, and rows found by an id, without sorting and without comparing texts."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.stats.jit import kernel, part

Int64s = npt.NDArray[np.int64]

NOWHERE: Final = -1
IDDIGITS: Final = 16
_MOST: Final = 1 << 20  # codes told apart in a table; more are sorted
_MIX: Final = np.uint64(secrets.randbits(64) | 1)  # by chance: senders choose ids, and must not choose their places

DIGITS: Final = np.full(256, -1, np.int64)
DIGITS[list(b"0123456789abcdef")] = np.arange(16)


def first_of_each(code: Int64s, space: int) -> tuple[Int64s, Int64s]:
    """The first row of each code that occurs, ascending by code, and of each row the number of its code in that list.

    The same as `np.unique(code, return_index=True, return_inverse=True)[1:]`, in linear time for a small space.

    Args:
        code: Shape (rows,).
        space: Codes are from 0 to one less.

    >>> first, inverse = first_of_each(np.array([5, 2, 5]), 8)
    >>> first.tolist(), inverse.tolist()
    ([1, 0], [1, 0, 1])
    """
    if space > max(_MOST, 4 * len(code)):
        _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        return first, inverse
    place = np.full(space, NOWHERE, np.int64)
    place[code[::-1]] = np.arange(len(code) - 1, -1, -1)  # of rows with one code the last assignment stays: the first
    codes = np.flatnonzero(place != NOWHERE)
    first = place[codes]
    place[codes] = np.arange(len(codes))
    return first, place[code]


def present(code: Int64s, space: int) -> Int64s:
    """The codes that occur, ascending: `np.unique(code)` in linear time for a small space.

    >>> present(np.array([5, 2, 5]), 8).tolist()
    [2, 5]
    """
    if space > max(_MOST, 4 * len(code)):
        return np.unique(code)
    seen = np.zeros(space, np.bool_)
    seen[code] = True
    return np.flatnonzero(seen)


def stable_order(key: Int64s) -> Int64s:
    """`np.argsort(key, kind="stable")`, in less time where few keys are equal.

    >>> stable_order(np.array([3, 1, 3, 2])).tolist()
    [1, 3, 0, 2]
    """
    order = np.argsort(key)
    by_key = key[order]
    same = by_key[1:] == by_key[:-1]
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        rows = order[tied]
        order[tied] = rows[np.lexsort((rows, key[rows]))]
    return order


def id_keys(column: pa.StringArray) -> Int64s | None:
    """Ids of 16 lower-case hexadecimal digits as numbers, 0 for an empty one; None when there is any other text.

    An id of sixteen zeros counts as any other text, so that no two different texts get one number.

    >>> id_keys(pa.array(["00000000000000ff", ""])).tolist()
    [255, 0]
    """
    _, offsets, data = column.buffers()
    keys = np.empty(len(column), np.int64)
    if not len(column):
        return keys
    at = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    texts = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
    return keys if _keys(at, texts, keys) else None


def id_numbers(column: pa.StringArray) -> Int64s:
    """Ids as numbers, 0 for an empty one. A text that `id_keys` does not take gets a number from its digest.

    >>> id_numbers(pa.array(["00000000000000ff", "", "x"])).tolist()[:2]
    [255, 0]
    """
    keys = id_keys(column)
    return keys if keys is not None else np.array([_id_number(text) for text in column.to_pylist()], np.int64)


def _id_number(text: str) -> int:
    known = id_keys(pa.array([text], pa.string()))
    if known is not None:
        return int(known[0])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True) or 1


@kernel
def _keys(at: npt.NDArray[np.int32], texts: npt.NDArray[np.uint8], keys: Int64s) -> bool:  # pragma: no cover - compiled
    for row in range(len(keys)):
        size = at[row + 1] - at[row]
        found = 0
        wrong = 0
        if size == IDDIGITS:
            for place in range(at[row], at[row] + IDDIGITS):
                digit = DIGITS[texts[place]]
                found = found << 4 | digit & 15
                wrong |= digit
        if wrong < 0:
            return False
        if size not in (0, IDDIGITS) or (size > 0 and found == 0):
            return False
        keys[row] = found
    return True


def first_with(keys: Int64s, wanted: Int64s) -> Int64s:
    """Of each wanted number the first place in `keys` that holds it, or `NOWHERE`.

    >>> first_with(np.array([7, 9, 7]), np.array([9, 8, 7])).tolist()
    [1, -1, 0]
    """
    found = np.full(len(wanted), NOWHERE, np.int64)
    if len(wanted) and len(keys):
        places = 1 << (2 * len(wanted)).bit_length()
        _first_with(keys, wanted, np.full(places, NOWHERE, np.int32), found, _MIX)
    return found


@part
def _place(
    table: npt.NDArray[np.int32], wanted: Int64s, key: int, mix: np.uint64
) -> int:  # pragma: no cover - compiled
    """Where a number stands in the table, or would."""
    mask = len(table) - 1
    place = int(np.int64((np.uint64(key) * mix) >> np.uint64(32))) & mask
    while table[place] != NOWHERE and wanted[table[place]] != key:
        place = (place + 1) & mask
    return place


@kernel
def _first_with(
    keys: Int64s, wanted: Int64s, table: npt.NDArray[np.int32], found: Int64s, mix: np.uint64
) -> None:  # pragma: no cover - compiled
    """The table leads to the first row of `wanted` with a number; `found` of later ones is taken from it at the end."""
    for row in range(len(wanted)):
        place = _place(table, wanted, wanted[row], mix)
        if table[place] == NOWHERE:
            table[place] = row
    for row in range(len(keys)):
        first = table[_place(table, wanted, keys[row], mix)]
        if first != NOWHERE and found[first] == NOWHERE:
            found[first] = row
    for row in range(len(wanted)):
        found[row] = found[table[_place(table, wanted, wanted[row], mix)]]
