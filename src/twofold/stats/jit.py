"""Compile a kernel to machine code that runs without the interpreter's lock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

_HERE = Path(__file__).parent


@cache
def _digest(folder: Path) -> str:
    """Of all sources that a kernel of the folder may be made of."""
    found = hashlib.sha256()
    for path in sorted({*_HERE.glob("*.py"), *folder.glob("*.py")}):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def kernel(function: F) -> F:
    """Compile on first call and keep the result on disk, beside the module or in the user's cache folder.

    For functions called from Python. They may use arrays, records, numbers and functions marked `part`;
    the lock is released, and division by zero gives infinity or NaN as in NumPy.

    Numba's own cache sees only changes of the function's file, not of the files its parts stand in. The
    digest of the sources in the function's name makes every change a new entry.
    """
    function.__qualname__ += "_" + _digest(Path(function.__code__.co_filename).parent)
    return cast("F", njit(cache=True, nogil=True, error_model="numpy")(function))


def part(function: F) -> F:
    """Compile as a part of the kernels that call it."""
    return cast("F", njit(error_model="numpy")(function))


def lean_kernel(function: F) -> F:
    """As `kernel`, without reference counts: eight times faster where many small parts hand arrays on.

    For functions that neither make arrays nor slice them; their parts are `lean_part`.
    """
    function.__qualname__ += "_" + _digest(Path(function.__code__.co_filename).parent)
    return cast("F", njit(cache=True, nogil=True, error_model="numpy", _nrt=False)(function))


def lean_part(function: F) -> F:
    """Compile as a part of the lean kernels that call it, in the place of the call."""
    return cast("F", njit(error_model="numpy", _nrt=False, forceinline=True)(function))
