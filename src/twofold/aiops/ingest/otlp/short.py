"""What the short ways of log records and spans share: buffers for the compiled walkers, resources, text columns.

A walker reads a whole request or gives up; then the validated way, protobuf walked in Python, decides. Rows
with a value that the walker does not write (arrays, maps, bytes, a key twice) are *slow*: their part of
the request goes through protobuf and their texts are handed back to the walker.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from twofold.aiops.ingest.entities import Naming
from twofold.aiops.ingest.otlp.message import KEPT, pick
from twofold.aiops.ingest.otlp.message import texts as labels_of
from twofold.stats.codes import first_of_each

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

MAX_BYTES: Final = 32 << 20  # larger requests take the validated way
FEW: Final = 16  # rows that even the smallest request has room for
MAX_RESOURCES: Final = 8192  # kept with their entities; past it they are forgotten and learnt anew
_LIMIT: Final = (1 << 31) - 1  # of the bytes of an Arrow text column


class Kernels:
    """The compiled functions of one signal, and their block of state with the reserved keys in it."""

    def __init__(self, walker: str, reserved: Iterable[str]) -> None:
        folder = f"{__package__.rpartition('.')[0]}.walk"
        module: Any = importlib.import_module(f"{folder}.{walker}")
        values: Any = importlib.import_module(f"{folder}.values")
        self.module = module
        self.walk: Callable[..., Any] = module.walk
        self.render: Callable[..., None] = module.render
        self.padding: int = importlib.import_module(f"{folder}.pointer").PADDING
        self.row: int = module.ROW
        self.values = values
        self._keys = [self.padded(key.encode()) for key in reserved]
        self._state = np.zeros(values.STATE // 8, np.int64)
        for key in self._keys:
            values.reserve(self._state.ctypes.data, key.ctypes.data, len(key) - self.padding)

    def padded(self, data: bytes) -> Bytes:
        """A copy with zeros behind it, as walkers need it."""
        found = np.empty(len(data) + self.padding, np.uint8)
        found[: len(data)] = np.frombuffer(data, np.uint8)
        found[len(data) :] = 0
        return found

    def state(self, doubles: npt.NDArray[np.float64]) -> Ints:
        """A fresh block of state for one request."""
        made = self._state.copy()
        made[self.values.DOUBLES_AT // 8] = doubles.ctypes.data
        return made

    def count(self, state: Ints, name: str) -> int:
        """One of the numbers that a walk left in its state."""
        return int(state[getattr(self.values, name) // 8])

    def tokens(self, state: Ints, doubles: npt.NDArray[np.float64]) -> Bytes:
        """The texts of all doubles that were met, with a comma behind each."""
        count = self.count(state, "DOUBLES")
        found = orjson.dumps(doubles[:count].tolist())[1:-1]
        return self.padded(found + b"," if count else b"")

    def addresses(self, parts: Sequence[bytes]) -> tuple[Ints, Bytes]:
        """(from, to) addresses of texts that stand in one buffer, which must be kept alive."""
        ends = np.cumsum([0, *map(len, parts)])
        buffer = self.padded(b"".join(parts))
        return np.stack([ends[:-1], ends[1:]], 1).ravel() + buffer.ctypes.data, buffer


class TextColumn:
    """Room for a column of texts that a walker writes."""

    def __init__(self, count: int, size_bytes: int, padding: int) -> None:
        self._count = count
        self.offsets = np.zeros(count + 1, np.int32)
        self.data = np.empty(size_bytes + padding, np.uint8)

    def array(self) -> pa.Array:
        """The column, over the written memory."""
        data = pa.py_buffer(self.data).slice(0, int(self.offsets[-1]))
        return pa.StringArray.from_buffers(self._count, pa.py_buffer(self.offsets), data)


class Resources:
    """What a resource gives to its rows: the entity, and the attributes that are kept; by its bytes, thread-safe.

    Args:
        parse: Makes a protobuf `Resource` of bytes, nested as deep as in a request. Raises protobuf's error.
    """

    def __init__(self, naming: Naming, parse: Callable[[bytes], Any]) -> None:
        self._naming = naming
        self._parse = parse
        self._known: dict[tuple[str, bytes], tuple[str, dict[str, str], bytes]] = {}

    def get(self, tenant: str, data: bytes) -> tuple[str, dict[str, str], bytes]:
        """Entity, kept attributes, and these as members of a JSON object with a comma before each."""
        found = self._known.get((tenant, data))
        if found is None:
            attributes = labels_of(self._parse(data).attributes)
            kept = pick(attributes, KEPT)
            members = b"," + orjson.dumps(kept)[1:-1] if kept else b""
            found = (self._naming.resource(attributes, tenant=tenant), kept, members)
            if len(self._known) >= MAX_RESOURCES:
                self._known = {}
            self._known[tenant, data] = found
        return found


class Short:
    """The short way of one signal; nothing takes it before `compile`."""

    walker: ClassVar[str]
    reserved: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        self.kernels: Kernels | None = None

    @property
    def warm(self) -> bool:
        """Whether kernels are compiled."""
        return self.kernels is not None

    def compile(self) -> None:
        """Compile, or load what an earlier run compiled. Takes seconds; blocking."""
        kernels = Kernels(self.walker, self.reserved)
        self.warm_up(kernels)
        self.kernels = kernels

    def warm_up(self, kernels: Kernels) -> None:
        """Call every kernel once."""
        raise NotImplementedError


def coded(names: Sequence[str], code: npt.NDArray[np.int32]) -> pa.Array:
    """A dictionary column from the name that each code stands for; names may repeat.

    The dictionary holds what occurs, in the order of first occurrence, as if it were made from the texts.
    """
    numbers: dict[str, int] = {}
    number = np.array([numbers.setdefault(name, len(numbers)) for name in names] or [0], np.int64)[code]
    first, _ = first_of_each(number, len(numbers))
    used = number[np.sort(first)]
    place = np.empty(len(numbers), np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    texts = list(numbers)
    found = [texts[each] for each in used.tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(place[number]), pa.array(found, pa.string()))


def nested(tag: int, parts: Iterable[bytes]) -> bytes:
    """Length-delimited fields of one tag."""
    return b"".join(bytes([tag]) + _length(len(part)) + part for part in parts)


def _length(size: int) -> bytes:
    found = bytearray()
    while size > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(size & 0x7F | 0x80)
        size >>= 7
    found.append(size)
    return bytes(found)


def fits(*columns: int) -> bool:
    """Whether columns of so many bytes can be made."""
    return max(columns) <= _LIMIT
