"""The wall clock for receivers: one that jumps does not take event time with it at once.

Event time follows the receivers' clock and never goes back. A clock set a day ahead by mistake, if only for a second,
would leave every detector waiting for a day to pass.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine sleeps; Linux has it


def since_boot_ns() -> int:
    """Nanoseconds that really passed since the machine started."""
    return time.clock_gettime_ns(_BOOT)


class SteadyClock:
    """Wall time in nanoseconds. A jump counts once the clock has stayed there; small corrections count at once.

    Suits one process. Wrong for as long as `settle_s` when a clock that was wrong is set right.

    Args:
        jump_s: A difference to what really passed above this is a jump.
        settle_s: Time after which a clock that jumped is believed.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        passed_ns: Callable[[], int] = since_boot_ns,
        *,
        jump_s: float = 30.0,
        settle_s: float = 120.0,
    ) -> None:
        self._wall_ns = wall_ns
        self._passed_ns = passed_ns
        self._jump_ns = int(jump_s * 1e9)
        self._settle_ns = int(settle_s * 1e9)
        self._lock = threading.Lock()
        self._offset = wall_ns() - passed_ns()
        self._elsewhere = self._offset
        self._since = 0
        self.jumps = 0

    def __call__(self) -> int:
        """Nanoseconds since the epoch."""
        with self._lock:
            passed = self._passed_ns()
            offset = self._wall_ns() - passed
            if abs(offset - self._offset) <= self._jump_ns:
                self._offset = self._elsewhere = offset
            elif abs(offset - self._elsewhere) > self._jump_ns:
                self._elsewhere, self._since = offset, passed
                self.jumps += 1
                log.warning("the clock jumped by %.0f s; it counts when it stays there", (offset - self._offset) / 1e9)
            elif passed - self._since >= self._settle_ns:
                self._offset = offset
            return passed + self._offset
