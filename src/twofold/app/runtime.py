"""How the interpreter and the allocator run in a process of many threads and large arrays."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_TRIM, _MMAP, _ARENAS = -1, -3, -8  # numbers of `mallopt` in glibc's malloc.h
_KEPT_BYTES: Final = 64 << 20
_MAPPED_BYTES: Final = 32 << 20
_MOST_ARENAS: Final = 4
_NEW_OBJECTS: Final = 20_000


def tune_memory() -> None:
    """Reuse freed memory instead of giving it back and faulting it in again; few arenas, so that little is kept twice.

    Arrays of a request are larger than what glibc takes from its heap by default: each would be mapped, cleared by
    the kernel page by page, and unmapped. Nothing happens where the C library is another one.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for option, value in ((_MMAP, _MAPPED_BYTES), (_TRIM, _KEPT_BYTES), (_ARENAS, _MOST_ARENAS)):
            libc.mallopt(option, value)


def settle_objects() -> None:
    """Modules and wiring live as long as the process: the collector need not look at them again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 20)


def release_objects() -> None:
    """Undo `settle_objects` before the end: native libraries complain of objects that outlive them."""
    gc.unfreeze()
    gc.collect()


def event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the fastest loop there is here; None for Python's own."""
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made
