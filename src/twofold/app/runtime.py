"""How the interpreter and the allocator run in a process of many threads and large arrays."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import mmap
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from twofold.flow.background import Background

_TRIM, _MMAP, _ARENAS = -1, -3, -8  # numbers of `mallopt` in glibc's malloc.h
_KEPT_BYTES: Final = 64 << 20
_MAPPED_BYTES: Final = 32 << 20
_MOST_ARENAS: Final = 4
_NEW_OBJECTS: Final = 20_000
SWITCH_S: Final = 0.0005  # measured: 1 % of the CPU at full load, a third of the wait of others while series are new


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


def take_short_turns() -> None:
    """A thread that waits for the interpreter's lock gets it after half a millisecond, where the default is five.

    A request needs the lock some five times, and waits for it each time when another tenant's new series are at work.
    """
    sys.setswitchinterval(SWITCH_S)


class Spare(Background):
    """Gives memory back to the system that the allocator holds and nobody uses.

    What a burst needed lies between what is still in use, so the allocator keeps all of it: a checkpoint or a flush
    of some hundred megabytes would count as resident for ever. Giving it back costs the faults of taking it again, so
    a good deal is left. Where the C library is another one, nothing happens.

    Args:
        from_bytes: A process smaller than this keeps what it has: it takes it again soon.
        most_bytes: A larger one may grow by so much before it is looked through again.
        every_s: Pause between looks.
        quiet_looks: After so many looks without growth a process gives back what little is spare, too.
    """

    def __init__(
        self,
        from_bytes: int = 768 << 20,
        most_bytes: int = 64 << 20,
        every_s: float = 0.5,
        quiet_looks: int = 10,
    ) -> None:
        super().__init__("spare-memory")
        self._quiet_looks = quiet_looks
        self._quiet = 0
        self._seen_bytes = 0
        self._from_bytes = from_bytes
        self._most_bytes = most_bytes
        self._every_s = every_s
        self._left_bytes = 0
        self._trim: Callable[[int], int] | None = None
        if sys.platform == "linux":
            with suppress(OSError, AttributeError):
                self._trim = ctypes.CDLL("libc.so.6").malloc_trim

    def give_back(self) -> bool:
        """Give back what is spare if the process grew by much, or grows no more; says whether it did."""
        resident = _resident_bytes()
        self._quiet = self._quiet + 1 if resident <= self._seen_bytes else 0
        self._seen_bytes = resident
        limit_bytes = self._left_bytes + (self._most_bytes if self._quiet != self._quiet_looks else 0)
        if self._trim is None or resident <= max(self._from_bytes, limit_bytes):
            return False
        self._trim(0)
        self._left_bytes = _resident_bytes()
        return True

    def loop(self) -> None:
        """Look every now and then."""
        while not self.stopping.wait(self._every_s):
            self.give_back()


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - called every second
        return int(file.read().split()[1]) * mmap.PAGESIZE


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
