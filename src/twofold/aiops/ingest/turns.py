"""Turns at the slow way: series nobody has seen cost Python's time, and one sender may bring a million of them.

A thread that decodes the validated way holds the interpreter's lock as long as it is let. So one thread at a
time goes that way, tenants take turns, and whoever holds the turn pauses every two milliseconds or so: everyone else,
above all requests whose series are known, then waits for these and not for many times five.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

STEPS: Final = 128  # new series between two pauses: about two milliseconds of work
PAUSE_S: Final = 50e-6  # long enough that a waiting thread gets the interpreter's lock


class Turns:
    """One thread at a time; waiting tenants in turn, each tenant's threads in the order in which they came.

    Suits work that holds the interpreter's lock anyway, so that nothing is gained by doing it twice at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0
        self._tenant = ""
        self._steps = 0
        self._waiting: dict[str, deque[tuple[int, threading.Lock]]] = {}  # tenants in the order of their turns

    @contextmanager
    def turn(self, tenant: str) -> Iterator[None]:
        """Wait for the turn, and hold it for the block. Not reentrant."""
        self._take(tenant)
        try:
            yield
        finally:
            self._give()

    def step(self) -> None:
        """One new series is done: time to pause, or for another tenant's turn? Nothing to threads without the turn."""
        if self._holder != threading.get_ident():
            return
        self._steps += 1
        if self._steps % STEPS:
            return
        time.sleep(PAUSE_S)
        tenant = self._tenant
        with self._lock:
            others = any(name != tenant for name in self._waiting)
        if others:
            self._give()
            self._take(tenant)

    def _take(self, tenant: str) -> None:
        me = threading.get_ident()
        with self._lock:
            if not self._holder:
                self._holder, self._tenant = me, tenant
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.setdefault(tenant, deque()).append((me, gate))
        gate.acquire()  # until the turn is handed over, with the holder's name already in place

    def _give(self) -> None:
        with self._lock:
            if not self._waiting:
                self._holder = 0
                return
            tenant = next(iter(self._waiting))
            queue = self._waiting.pop(tenant)
            self._holder, gate = queue.popleft()
            self._tenant = tenant
            if queue:
                self._waiting[tenant] = queue  # behind the other tenants
            gate.release()
