"""Named places where a fault test ends the process, as the kernel's memory killer would: in the middle of the work.

Nothing is armed in production: a place then costs one look at an empty dictionary. `config.failpoint` reads
what the environment names, the two processes arm it when they start.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

from twofold.errors import ConfigError

NAMES: Final = (
    "journal.append",  # written, not synced; and synced, not told
    "journal.delete",  # between the segments that nobody needs any more
    "recorder.flush",  # the history has the rows, the journal does not know it
    "history.commit",  # files stand, no version names them; and a version names them, unsynced
    "history.compact",  # the rewritten files stand; and they took the place of the old ones
    "catalog.save",  # definitions written, not synced
    "ledger.write",  # before and after the transaction's end
    "checkpoint.save",  # the state is saved, the journal does not know it
    "rescale",  # a new partition has its state, others not yet; and all have, and the layout says so
    "workflow.step",  # a step is begun; and done, its result not kept
)
"""All failpoints, with what is half done there. A place may be passed at two moments, which then alternate."""

_armed: dict[str, int] = {}
_lock = threading.Lock()


def arm(text: str) -> None:
    """End this process by SIGKILL at the n-th pass of a place: `name:n`; an empty text disarms.

    Raises:
        ConfigError: No such failpoint, or no count of passes.
    """
    _armed.clear()
    if not text:
        return
    name, _, passes = text.partition(":")
    if name not in NAMES or not passes.isdigit() or not int(passes):
        raise ConfigError(f"failpoint {text!r} is not <name>:<pass from 1>; names: {', '.join(NAMES)}", failpoint=text)
    _armed[name] = int(passes)


def reach(name: str) -> None:
    """Stand at a failpoint."""
    if _armed and name in _armed:
        _pass(name)


def _pass(name: str) -> None:
    with _lock:
        _armed[name] -= 1
        if not _armed[name]:
            os.kill(os.getpid(), signal.SIGKILL)
