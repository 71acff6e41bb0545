"""Ties a process to the life of its parent: no process of the demo outlives its control.

Two ropes, because each alone has a gap: the kernel's parent-death signal (Linux only) and the
end of standard input, which the parent holds open.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent `parent` (a pid) dies. Elsewhere than Linux does nothing."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def follow_stdin(on_line: Callable[[str], None], *, grace_s: float = 1.5) -> None:
    """Hand each line of standard input to `on_line`, from a thread; at its end stop this process.

    The end is SIGTERM to ourselves, and a hard exit when that takes longer than `grace_s`.
    """

    def follow() -> None:
        for line in sys.stdin:
            on_line(line)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os._exit(0)

    threading.Thread(target=follow, name="lifeline", daemon=True).start()
