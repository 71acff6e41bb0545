"""Checkpoints: the state of every pipeline of a partition, and the journal position it stands for, in one blob.

    TWOFOLD-STATE 1
    {"position": [segment, offset], "partitions": n, "arrays": [[tenant, lane, stage, mark, field, bytes], …]}
    the arrays, each in NumPy's own format (NEP 1)

Written array by array and read when a stage asks: the state of a million series is hundreds of megabytes, and stands
in memory once. Before, a checkpoint was NumPy's zip of arrays, which is still read.
"""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from twofold.errors import Corrupt, NotFound
from twofold.flow.stage import State
from twofold.records.frame import Lane, Position
from twofold.store.blobs import Blobs

MAGIC: Final = b"TWOFOLD-STATE 1\n"
_LONGEST_HEAD: Final = 10 + (1 << 16)  # NumPy's format 1.0: magic, length of 16 bits, and so many bytes
_SEPARATOR: Final = "\x1f"
_POSITION: Final = "position"
_PARTITIONS: Final = "partitions"
_FAULTS: Final = (ValueError, KeyError, TypeError, IndexError, OSError, EOFError, zipfile.BadZipFile)

Array = npt.NDArray[Any]
Key = tuple[str, Lane]
"""Tenant and lane: one pipeline of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a partition's stages knew at one position.

    Attributes:
        partitions: Number of partitions that they stood for: with more, part of it is another's.
    """

    position: Position
    states: Mapping[Key, Mapping[str, State]]
    partitions: int = 1


def save(blobs: Blobs, name: str, checkpoint: Checkpoint) -> None:
    """Store durably under a name, replacing the previous one atomically."""
    named: list[tuple[list[str], bytes, Array]] = []
    for (tenant, lane), stages in checkpoint.states.items():
        for stage, state in stages.items():
            for field, value in state.items():
                mark, array = ("b", np.frombuffer(value, np.uint8)) if isinstance(value, bytes) else ("a", value)
                whole = np.asarray(array, order="C")
                named.append(([tenant, lane.name, stage, mark, field], _head(whole), whole))
    arrays = [[*names, len(head) + array.nbytes] for names, head, array in named]
    header = orjson.dumps({_POSITION: list(checkpoint.position), _PARTITIONS: checkpoint.partitions, "arrays": arrays})
    parts = itertools.chain.from_iterable((head, _bytes(array)) for _, head, array in named)
    blobs.stream(name, itertools.chain((MAGIC, header, b"\n"), parts))


def load(blobs: Blobs, name: str) -> Checkpoint | None:
    """The checkpoint of that name, or None when there is none. Its arrays are read when they are asked for.

    Raises:
        Corrupt: The blob is not a checkpoint, or damaged. What was learnt is lost; the journal is not.
    """
    try:
        data = blobs.view(name)
    except NotFound:
        return None
    try:
        if bytes(data[: len(MAGIC)]) != MAGIC:
            return _zipped(data)
        line = bytes(data[len(MAGIC) :][: 1 << 24]).partition(b"\n")[0]
        header = orjson.loads(line)
        at = len(MAGIC) + len(line) + 1
        states: dict[Key, dict[str, _Stored]] = {}
        for tenant, lane, stage, mark, field, size in header["arrays"]:
            stored = states.setdefault((tenant, Lane[lane]), {}).setdefault(stage, _Stored(name))
            stored.parts[field] = (mark == "b", data[at : at + size])
            at += size
        position = Position(*(int(each) for each in header[_POSITION]))
        partitions = int(header.get(_PARTITIONS, 1))
    except _FAULTS as error:
        raise _corrupt(name, error) from error
    if at != len(data):
        raise _corrupt(name, f"{len(data)} bytes, must be {at}")
    return Checkpoint(position=position, states=states, partitions=partitions)


class _Stored(Mapping[str, "Array | bytes"]):
    """A stage's state over a blob's bytes. Arrays are read only: whoever goes on with one copies it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.parts: dict[str, tuple[bool, memoryview]] = {}

    def __getitem__(self, field: str) -> Array | bytes:
        is_bytes, part = self.parts[field]
        try:
            array = _array(part)
        except _FAULTS as error:
            raise _corrupt(self._name, error) from error
        return array.tobytes() if is_bytes else array

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)


def _array(part: memoryview) -> Array:
    head = io.BytesIO(part[:_LONGEST_HEAD])
    if np.lib.format.read_magic(head) != (1, 0):
        raise ValueError("an array of another format")
    shape, by_column, kind = np.lib.format.read_array_header_1_0(head)
    if kind.hasobject or by_column:
        raise ValueError("an array of Python objects, or stored by column")
    return np.frombuffer(part[head.tell() :], kind).reshape(shape)


def _head(array: Array) -> bytes:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    return head.getvalue()


def _bytes(array: Array) -> memoryview | bytes:
    return array.reshape(-1).view(np.uint8).data if array.size else b""


def _zipped(data: memoryview) -> Checkpoint:
    """A checkpoint of an older version."""
    states: dict[Key, dict[str, dict[str, Array | bytes]]] = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        segment, offset = (int(x) for x in arrays[_POSITION])
        for key in arrays.files:
            if key == _POSITION:
                continue
            tenant, lane, stage, mark, field = key.split(_SEPARATOR)
            value = arrays[key]
            stage_state = states.setdefault((tenant, Lane[lane]), {}).setdefault(stage, {})
            stage_state[field] = value.tobytes() if mark == "b" else value
    return Checkpoint(position=Position(segment, offset), states=states)


def _corrupt(name: str, why: object) -> Corrupt:
    return Corrupt(f"checkpoint {name} cannot be read: {why}", blob=name)
