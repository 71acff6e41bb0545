"""When counters began to count: a zero goes before the first sample of a counter that is young.

Without it the increase before a counter's first sample is lost, and so is a reset whose first sample is
already past the last one before. Only a start within the last minutes is taken: an older counter was
known before this process, or its first increase says nothing of now.

Source: Prometheus, "created timestamps zero ingestion"; OpenTelemetry metrics data model, "Resets and gaps".
"""

from __future__ import annotations

import threading
from typing import Final

from twofold.records.time import SECOND_NS

YOUNG_NS: Final = 600 * SECOND_NS
LIMIT: Final = 1_000_000  # starts remembered a tenant; once more a zero is written twice, which history knows


class Starts:
    """Starts whose zero is in the journal, by tenant and sid. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, int]] = {}
        self._lock = threading.Lock()

    def request(self, tenant: str, oldest_ns: int = 0) -> Beginnings:
        """The starts of one request; before `oldest_ns` no zero is taken."""
        return Beginnings(self._known.setdefault(tenant, {}), self._lock, oldest_ns)


class Beginnings:
    """Starts that one request tells of; `keep` them when its samples are durable."""

    def __init__(self, known: dict[int, int], lock: threading.Lock, oldest_ns: int) -> None:
        self._known = known
        self._lock = lock
        self._oldest_ns = oldest_ns
        self._new: dict[int, int] = {}

    def is_new(self, sid: int, start_ns: int, time_ns: int) -> bool:
        """Whether a zero belongs at `start_ns`, before the sample at `time_ns`."""
        if not max(0, self._oldest_ns) < start_ns < time_ns <= start_ns + YOUNG_NS or sid < 0:
            return False
        if self._known.get(sid) == start_ns or self._new.get(sid) == start_ns:
            return False
        self._new[sid] = start_ns
        return True

    def keep(self) -> None:
        """Their zeros are durable now."""
        if self._new:
            with self._lock:
                if len(self._known) >= LIMIT:
                    self._known.clear()
                self._known.update(self._new)
