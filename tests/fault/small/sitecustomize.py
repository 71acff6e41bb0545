"""Small numbers for a real `twofold up`, whose processes find this on their path: segments and compactions by seconds.

The program is the same. What takes gigabytes or hours until it happens for the first time happens at once.
"""

from __future__ import annotations

import faulthandler
import signal
import sys

from twofold.store.history.compact import CompactConfig
from twofold.store.journal.segments import JournalConfig


def _set(kind: type, **values: object) -> None:
    """Other defaults for a dataclass."""
    kind.__init__.__kwdefaults__.update(values)  # type: ignore[misc]  # on purpose, for this process


faulthandler.register(signal.SIGUSR1)  # where it stands, for a test that waits in vain
_set(JournalConfig, segment_bytes=20_000, tail_bytes=8_000)
_set(CompactConfig, small_rows=100_000, small_files=2, settle_s=0.0)
if "worker" in sys.orig_argv:
    from twofold.app import work

    work._COMPACT_S = 1.0  # type: ignore[misc]  # as above
