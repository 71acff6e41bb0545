"""Real trouble, in bounds: memory that is never freed, a core kept busy, a folder filled up.

Each stands inside the service that it hurts and is switched by the control. A restart cures all.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path

LEAK_PER_S = 4_000_000
LEAK_LIMIT_BYTES = 200_000_000
HOG_SHARE = 0.6
FILL_PER_S = 1_500_000
_TICK_S = 0.25
_SLICE_S = 0.1
_LINES = 40
_LINE_BYTES = 270  # one line of a forgotten session, dict and its own values, on CPython 3.11 to 3.14
_SESSION_BYTES = _LINES * _LINE_BYTES


class Leak:
    """Sessions that nobody forgets. The more objects live, the longer each garbage collection halts the process."""

    def __init__(self, limit_bytes: int = LEAK_LIMIT_BYTES) -> None:
        self._kept: list[list[dict[str, object]]] = []
        self._limit = limit_bytes // _SESSION_BYTES
        self._on = False

    @property
    def kept_bytes(self) -> int:
        """About how much is kept now."""
        return len(self._kept) * _SESSION_BYTES

    @property
    def limit_bytes(self) -> int:
        """The most that is ever kept."""
        return self._limit * _SESSION_BYTES

    def switch(self, on: bool) -> None:  # noqa: FBT001 - a switch's value
        """Begin to leak, or free everything."""
        self._on = on
        if not on:
            self._kept.clear()

    async def work(self) -> None:
        """Leak 4 MB/s up to 200 MB while switched on; collect twice a second, as a busy process would."""
        turn = 0
        while True:
            await asyncio.sleep(_TICK_S)
            if not self._on:
                continue
            for _ in range(int(LEAK_PER_S * _TICK_S / _SESSION_BYTES)):
                if len(self._kept) < self._limit:
                    self._kept.append([{"line": number, "at": time.time()} for number in range(_LINES)])
            turn += 1
            if turn % 2 == 0:
                gc.collect()


class Hog:
    """A thread that computes without pause for 60 of each 100 ms and holds the interpreter meanwhile."""

    def __init__(self, share: float = HOG_SHARE) -> None:
        self._share = share
        self._on = threading.Event()
        self._thread: threading.Thread | None = None

    def switch(self, on: bool) -> None:  # noqa: FBT001 - a switch's value
        """Begin or stop."""
        if not on:
            self._on.clear()
            return
        self._on.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._burn, name="hog", daemon=True)
            self._thread.start()

    def _burn(self) -> None:
        size = self._calibrate()
        while self._on.is_set():
            started = time.thread_time()
            sum(range(size))  # one call into C: no other thread runs until it returns
            spent = time.thread_time() - started
            time.sleep(spent * (1 - self._share) / self._share)

    def _calibrate(self) -> int:
        """How many numbers to add up for one slice of work; also right on slow machines."""
        started, size = time.thread_time(), 200_000
        sum(range(size))
        return int(size * self._share * _SLICE_S / max(time.thread_time() - started, 1e-4))


class Filler:
    """A debug log that somebody forgot to turn off. Writes to the disk until the folder's budget is used up."""

    def __init__(self, path: Path, budget_bytes: int) -> None:
        self._path = path
        self._path.unlink(missing_ok=True)  # logs rotate at start
        self._budget = budget_bytes
        self._on = False

    def switch(self, on: bool) -> None:  # noqa: FBT001 - a switch's value
        """Begin to fill, or remove the log."""
        self._on = on
        if not on:
            self._path.unlink(missing_ok=True)

    async def work(self) -> None:
        """Append 1.5 MB/s while switched on."""
        line = b"debug: cache lookup in shard 7 took longer than the average of the last hour\n"
        chunk = line * int(FILL_PER_S * _TICK_S / len(line))
        while True:
            await asyncio.sleep(_TICK_S)
            if self._on and (not self._path.exists() or self._path.stat().st_size < self._budget):
                with self._path.open("ab") as file:
                    file.write(chunk)
