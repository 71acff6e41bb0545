"""What stands behind the first four bytes of a file of lines or spans: where in it a search has to look.

Readers of Parquet go by the offsets in the footer and never see it. Lines have a filter for each row group, with its
range of times and its highest severity; spans a sorted list of hashes of trace ids, each with its row group. The
index has a checksum of its own and is left out of the file's, so that a damaged one costs time, not rows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.errors import Corrupt
from twofold.store.history.grams import TRACE, Words, entity_number, filter_of, id_hashes

Ints = npt.NDArray[np.int64]

AT: Final = 4  # behind Parquet's own first bytes
_MAGIC: Final = b"TwofoldI"
_HEAD: Final = struct.Struct("<8sIIQI")  # magic, kind, checksum, length, nothing
BODY_AT: Final = AT + _HEAD.size
"""Where an index begins; a multiple of eight."""


class IndexKind(IntEnum):
    """What an index is of. Numbers are stored: never reuse one."""

    NONE = 0
    LINES = 1
    TRACES = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineIndex:
    """One entry a row group.

    Attributes:
        words, begin: The filter of the n-th row group is `words[begin[n]:begin[n + 1]]`; see `grams`.
        severity: Highest one.
    """

    first_ns: Ints
    last_ns: Ints
    severity: Ints
    begin: Ints
    words: Words


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TraceIndex:
    """Sorted by hash; a trace that stands in two row groups is there twice."""

    hashes: npt.NDArray[np.uint32]
    groups: npt.NDArray[np.uint32]

    def groups_of(self, wanted: np.uint32) -> list[int]:
        """Row groups that may hold spans of a trace, by the hash of its id."""
        low, high = self.hashes.searchsorted(wanted), self.hashes.searchsorted(wanted, "right")
        found: list[int] = self.groups[low:high].tolist()
        return found


Index = LineIndex | TraceIndex
_KINDS: Final[dict[IndexKind, type[Index]]] = {IndexKind.LINES: LineIndex, IndexKind.TRACES: TraceIndex}
_TYPES: Final[dict[str, type]] = {"words": np.uint64, "hashes": np.uint32, "groups": np.uint32}


def index_of(rows: pa.Table, kind: IndexKind, *, group: int) -> bytes:
    """The index of rows that are written in row groups of so many, with its head; nothing where the kind is none."""
    if kind is IndexKind.NONE:
        return b""
    built = _of_lines(rows, group) if kind is IndexKind.LINES else _of_traces(rows, group)
    arrays = [getattr(built, each.name) for each in fields(built)]
    sizes = np.array([len(each) for each in arrays], np.int64)
    body = b"".join(each.tobytes() + bytes(-each.nbytes % 8) for each in (sizes, *arrays))
    return _HEAD.pack(_MAGIC, kind, zlib.crc32(body), len(body), 0) + body


def parsed(data: memoryview) -> Index | None:
    """The index in the first bytes of a file, in place; None without one. Raises `Corrupt`."""
    extent = extent_of(bytes(data[:BODY_AT]))
    if extent is None:
        return None
    _, kind, checksum, length, _ = _HEAD.unpack(data[AT:BODY_AT])
    body = data[BODY_AT : BODY_AT + length]
    if kind not in _KINDS or len(body) != length or zlib.crc32(body) != checksum:
        raise Corrupt(f"an index of {length} bytes fails its check")
    form = _KINDS[IndexKind(kind)]
    names = [each.name for each in fields(form)]
    sizes = np.frombuffer(body, np.int64, len(names))
    at = sizes.nbytes
    found: dict[str, npt.NDArray[Any]] = {}
    for name, size in zip(names, sizes.tolist(), strict=True):
        found[name] = np.frombuffer(body, _TYPES.get(name, np.int64), size, at)
        at += found[name].nbytes + -found[name].nbytes % 8
    return form(**found)


def extent_of(head: bytes) -> tuple[int, int] | None:
    """First byte of an index and the one behind it, by the first bytes of a file; None without an index."""
    if len(head) < BODY_AT or head[AT : AT + len(_MAGIC)] != _MAGIC:
        return None
    return BODY_AT, BODY_AT + int(_HEAD.unpack(head[AT:BODY_AT])[3])


def is_whole(path: Path) -> bool:
    """Whether a file's index is whole; also when it has none. Raises `OSError`."""
    with path.open("rb") as file:
        extent = extent_of(file.read(BODY_AT))
        if extent is None:
            return True
        file.seek(0)
        try:
            parsed(memoryview(file.read(extent[1])))
        except Corrupt:
            return False
    return True


def _of_lines(rows: pa.Table, group: int) -> LineIndex:
    first, last, severity, words = [], [], [], []
    for part in _parts(rows, group):
        times = part["time_ns"].to_numpy()
        first.append(int(times.min()))
        last.append(int(times.max()))
        severity.append(int(part["severity"].to_numpy().max()))
        others = [entity_number(each) for each in part["entity"].unique().to_pylist()]
        traces = id_hashes(whole(part["trace_id"])).astype(np.uint64) | np.uint64(TRACE)
        numbers = np.concatenate([np.array(others, np.uint64), traces])
        words.append(filter_of(whole(part["body"]), numbers))
    return LineIndex(
        first_ns=np.array(first, np.int64),
        last_ns=np.array(last, np.int64),
        severity=np.array(severity, np.int64),
        begin=np.cumsum([0, *map(len, words)], dtype=np.int64),
        words=np.concatenate([np.empty(0, np.uint64), *words]),
    )


def _of_traces(rows: pa.Table, group: int) -> TraceIndex:
    found = [np.empty(0, np.uint64)]
    for number, part in enumerate(_parts(rows, group)):
        distinct = np.unique(id_hashes(whole(part["trace_id"]))).astype(np.uint64)
        found.append(distinct << np.uint64(32) | np.uint64(number))
    both = np.sort(np.concatenate(found))
    return TraceIndex(hashes=(both >> np.uint64(32)).astype(np.uint32), groups=both.astype(np.uint32))


def _parts(rows: pa.Table, group: int) -> Iterator[pa.Table]:
    return (rows.slice(at, group) for at in range(0, rows.num_rows, group))


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, of plain values."""
    one = column.combine_chunks()
    if isinstance(one, pa.ChunkedArray):  # what it gives depends on the number of chunks
        one = pa.concat_arrays(one.chunks) if one.num_chunks else pa.array([], column.type)
    return one.dictionary_decode() if pa.types.is_dictionary(one.type) else one
