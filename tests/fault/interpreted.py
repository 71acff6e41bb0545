"""The walkers' sources run by the interpreter: as slow as Python, but coverage sees them, and every address is checked.

Import it before anything that loads a walker. Numbers wrap as the compiled ones do; a load or store over an edge of
the request and its padding raises. (Pages that nobody may touch stand behind it in `tests.unit.ingest.test_walk`.)
"""

from __future__ import annotations

import ctypes
import importlib
import inspect
import struct
import types
from typing import Any, Final, Self

import numpy as np

from twofold.aiops.ingest import known
from twofold.stats import jit

_MASK: Final = (1 << 64) - 1
_SIGN: Final = 1 << 63


class Word(int):
    """64 bits without sign."""

    def __new__(cls, value: Any = 0) -> Self:
        return super().__new__(cls, int(value) & _MASK)


def _wrapping(name: str) -> Any:
    plain = getattr(int, name)

    def operation(self: Word, other: Any) -> Any:
        return Word(plain(self, int(other)))

    return operation


for _name in ("add", "sub", "mul", "and", "or", "xor", "lshift", "rshift", "floordiv", "mod"):
    setattr(Word, f"__{_name}__", _wrapping(f"__{_name}__"))
    setattr(Word, f"__r{_name}__", _wrapping(f"__r{_name}__"))
Word.__invert__ = lambda self: Word(_MASK ^ int(self))  # type: ignore[method-assign]


def signed(value: Any) -> int:
    """64 bits with a sign, as a cast makes them."""
    return (int(value) + _SIGN & _MASK) - _SIGN


class _Memory:
    """Reads and writes by address; a request's edges are watched to the byte."""

    def __init__(self) -> None:
        self.start = self.stop = 0

    def watch(self, start: int, stop: int) -> None:
        """The request's bytes with their padding."""
        self.start, self.stop = start, stop

    def check(self, address: int, size: int) -> None:
        """Raise for what lies over an edge of the request."""
        for edge in (self.start, self.stop):
            if address < edge < address + size:
                raise AssertionError(f"{size} bytes at {address - self.start} of {self.stop - self.start}")


MEMORY: Final = _Memory()


def _load(form: str) -> Any:
    size, kind = struct.calcsize(form), (Word if form in ("B", "Q") else None)

    def load(address: int) -> Any:
        MEMORY.check(address, size)
        (found,) = struct.unpack(f"<{form}", ctypes.string_at(int(address), size))
        return int(found) if form == "B" else Word(found) if kind else found

    return load


def _store(form: str, mask: int = 0) -> Any:
    def store(address: int, value: Any) -> None:
        data = struct.pack(f"<{form}", int(value) & mask if mask else value)
        MEMORY.check(address, len(data))
        ctypes.memmove(int(address), data, len(data))

    return store


def _fold(a: int, b: int) -> Word:
    product = int(a) * int(b)
    return Word(product ^ product >> 64)


def _kernel(function: Any) -> Any:
    """A function called from outside: its numbers are ours from then on, and its request is watched."""
    watched = list(inspect.signature(function).parameters)[:2] == ["start", "size"]

    def call(*arguments: Any) -> Any:
        if watched:
            MEMORY.watch(arguments[0], arguments[0] + arguments[1] + _pointer.PADDING)
        return function(*(Word(each) if isinstance(each, np.uint64) else each for each in arguments))

    return call


jit.kernel = _kernel
jit.part = lambda function: function
_pointer = importlib.import_module("twofold.aiops.ingest.walk.pointer")
_replaced: dict[str, Any] = {
    "U": Word,
    "load8": _load("B"),
    "load64": _load("Q"),
    "load_int": _load("q"),
    "load_double": _load("d"),
    "store_uint": _store("Q", _MASK),
    "store_int": _store("q"),
    "store_double": _store("d"),
    "store8": _store("B", 0xFF),
    "store32": _store("I", 0xFFFFFFFF),
    "_fold": _fold,
    "_ODD": Word(_pointer._ODD),
    "_HALF": Word(_pointer._HALF),
    "_ALL": Word(_pointer._ALL),
}
vars(_pointer).update(_replaced)
_numbers = types.SimpleNamespace(
    **{name: getattr(np, name) for name in ("ndarray", "float64", "empty", "zeros", "frombuffer", "errstate")},
    int32=lambda value: (int(value) + (1 << 31) & 0xFFFFFFFF) - (1 << 31),
    int64=signed,
    uint64=Word,
)
for _module in ("text", "values", "distinct", "peer", "events", "table", "otlp", "write", "write2", "logs", "spans"):
    _loaded = importlib.import_module(f"twofold.aiops.ingest.walk.{_module}")
    if hasattr(_loaded, "np") and _module != "table":  # which works on arrays
        _loaded.np = _numbers  # type: ignore[attr-defined]
_table = importlib.import_module("twofold.aiops.ingest.walk.table")
_find = _table._find
_table._find = lambda places, pairs, h: _find(places, pairs, Word(h))  # type: ignore[attr-defined]  # from an array it is numpy's
vars(known)["secrets"] = types.SimpleNamespace(randbits=lambda _: 0x9E3779B97F4A7C15)  # one seed for every run
