"""The short way for metrics whose series are all known; everything else takes the validated way.

A walker gives rows that carry a hash of their series' bytes in place of a sid. When every hash is
known the request is decoded. Otherwise the validated way decodes it, and since both give the same
rows in the same order, the hashes are learnt from it. Compiling takes seconds on a fresh
installation, so it happens in a thread, and until then nothing takes the short way.

A series that was refused is known, too: else one metric past its limit would slow down everything that
is sent with it. Once a minute it takes the validated way again, for limits may have room by then.
"""

from __future__ import annotations

import importlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from twofold.aiops.ingest.rows import DROPPED, Ints, Rows

MAX_BYTES: Final = 32 << 20  # larger bodies take the validated way: the walker's rows would need twice their size
MAX_KNOWN: Final = 4_000_000  # hashes a tenant; a restarted sender has a new one for every series
ROW_BYTES: Final = 32
_BYTES_PER_ROW: Final = 8  # no real request has shorter ones
_FIRST_PLACES: Final = 4096
MAX_REFUSED: Final = 200_000  # refused hashes a tenant; more of them take the validated way each time
RETRY_S: Final = 60.0
_REFUSED: Final = DROPPED - 16  # in the table: `_REFUSED - sid` for a sid below zero

log = logging.getLogger(__name__)

_Table = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]  # see `walk.table`


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walker gave: rows of (hash, time, value, point), 32 bytes each."""

    rows: npt.NDArray[np.uint8]
    count: int
    points: int


class _Kernels:
    """Compiled functions, ready to be called."""

    def __init__(self, walker: str) -> None:
        folder = f"{__package__}.walk"
        self.walk: Callable[..., tuple[int, int]] = importlib.import_module(f"{folder}.{walker}").walk
        self.table: Any = importlib.import_module(f"{folder}.table")
        self.padding: int = importlib.import_module(f"{folder}.pointer").PADDING


class Known:
    """Hashes of series that were decoded before, by tenant. Thread-safe.

    Args:
        walker: Module of `walk` that reads this protocol.
        clock: Seconds that only grow.
    """

    def __init__(self, walker: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._walker = walker
        self._clock = clock
        self._refused: dict[str, int] = {}
        self._retry: dict[str, float] = {}
        self._kernels: _Kernels | None = None
        self._seed = np.uint64(secrets.randbits(64))
        self._tables: dict[str, _Table] = {}
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def warm(self) -> bool:
        """Whether kernels are compiled."""
        return self._kernels is not None

    def compile(self) -> None:
        """Compile, or load what an earlier run compiled. Takes seconds; blocking."""
        kernels = _Kernels(self._walker)
        walked = self._walk(kernels, b"")
        if walked is not None:
            places, pairs = table = _empty(1)
            self._gather(kernels, walked, table)
            kernels.table.insert(walked.rows.ctypes.data, 0, places, pairs, 0, np.empty(0, np.int64))
            kernels.table.index(places, pairs, 0)
        self._kernels = kernels

    def decode(self, body: bytes, tenant: str, validated: Callable[[], Rows]) -> Rows:
        """Rows of a request: the short way when all its series are known, else as `validated` gives them."""
        walked = self.walk(body)
        rows = None if walked is None else self.rows(walked, tenant)
        if rows is None:
            rows = validated()
            if walked is not None:
                self.learn(walked, rows, tenant)
        return rows

    def walk(self, body: bytes) -> Walked | None:
        """Rows of a request; None when kernels are cold or the walker gives up."""
        if self._kernels is None or len(body) > MAX_BYTES:
            return None
        return self._walk(self._kernels, body)

    def rows(self, walked: Walked, tenant: str) -> Rows | None:
        """The same rows with sids; None when a series is unknown."""
        table = self._tables.get(tenant)
        if table is None or self._kernels is None:
            return None
        rows = self._gather(self._kernels, walked, table)
        return rows if rows is None or not walked.count or rows.sid.max() < _REFUSED else self._told(rows, tenant)

    def _told(self, rows: Rows, tenant: str) -> Rows | None:
        """Rows with the sids below zero of refused series; None when it is time to ask again."""
        refused = (rows.sid >= _REFUSED) & (rows.sid < DROPPED)
        if not refused.any():
            return rows
        now_s = self._clock()
        if now_s >= self._retry.get(tenant, 0.0):
            self._retry[tenant] = now_s + RETRY_S
            return None
        rows.sid = np.where(refused, _REFUSED - rows.sid, rows.sid)
        return rows

    def learn(self, walked: Walked, rows: Rows, tenant: str) -> None:
        """Take the sids that the validated way found for the same request."""
        if self._kernels is None or rows.rejected or rows.dropped or len(rows.sid) != walked.count:
            return  # some points made no rows there, so rows do not correspond one to one
        with self._lock:
            table = self._roomy(self._kernels, tenant, walked.count)
            sids, refused = self._with_refused(rows.sid, tenant)
            held = self._counts[tenant]
            added = self._kernels.table.insert(walked.rows.ctypes.data, walked.count, *table, held, sids)
            self._counts[tenant] = held + added
            self._refused[tenant] = self._refused.get(tenant, 0) + min(refused, added)
            self._tables[tenant] = table

    def _with_refused(self, sids: Ints, tenant: str) -> tuple[Ints, int]:
        """The sids as the table holds them, and how many are refused; as many of these as there is room for."""
        refused = sids < 0
        if not refused.any():
            return sids, 0
        self._retry.setdefault(tenant, self._clock() + RETRY_S)
        room = MAX_REFUSED - self._refused.get(tenant, 0)
        taken = refused & (np.cumsum(refused) <= room)
        return np.where(taken, _REFUSED - sids, sids), int(taken.sum())

    def _walk(self, kernels: _Kernels, body: bytes) -> Walked | None:
        size = len(body)
        padded = np.empty(size + kernels.padding, np.uint8)
        padded[:size] = np.frombuffer(body, np.uint8)
        padded[size:] = 0
        room = size // _BYTES_PER_ROW + 1
        rows = np.empty(room * ROW_BYTES, np.uint8)
        count, points = kernels.walk(padded.ctypes.data, size, self._seed, rows.ctypes.data, room)
        return None if count < 0 else Walked(rows, count, points)

    @staticmethod
    def _gather(kernels: _Kernels, walked: Walked, table: _Table) -> Rows | None:
        count = walked.count
        sid, time_ns = np.empty(count, np.int64), np.empty(count, np.int64)
        value, point = np.empty(count, np.float64), np.empty(count, np.int32)
        missing = kernels.table.gather(walked.rows.ctypes.data, count, *table, sid, time_ns, value, point)
        return None if missing else Rows(sid, time_ns, value, point, walked.points)

    def _roomy(self, kernels: _Kernels, tenant: str, more: int) -> _Table:
        """The tenant's table, at most half full once `more` are in; begun anew past `MAX_KNOWN`."""
        table = self._tables.get(tenant)
        held = self._counts.get(tenant, 0)
        if table is None or held + more > MAX_KNOWN:
            table, held = _empty(_FIRST_PLACES), 0
            self._refused[tenant] = 0
        self._counts[tenant] = held
        places, pairs = table
        room = len(places)
        while room < 2 * (held + more):
            room *= 2
        if room > len(places):
            table = _empty(room)
            table[1][: 2 * held] = pairs[: 2 * held]
            kernels.table.index(*table, held)
        return table


def _empty(places: int) -> _Table:
    """Room for half as many pairs; places are a power of two."""
    return np.zeros(places, np.int32), np.zeros(max(places, 2), np.uint64)


class Compiles(Protocol):
    """What has kernels."""

    def compile(self) -> None:
        """Compile them; blocking."""
        ...


def compile_in_background(*ways: Compiles, note: Callable[[int], None] = lambda _: None) -> threading.Thread:
    """Compile all of them in one thread, which does not keep the process alive; `note` hears how many are left."""
    note(len(ways))

    def run() -> None:
        try:
            for left, each in zip(reversed(range(len(ways))), ways, strict=True):
                each.compile()
                note(left)
        except Exception:
            log.exception("kernels do not compile; requests are decoded without them")

    thread = threading.Thread(target=run, name="ingest-kernels", daemon=True)
    thread.start()
    return thread
