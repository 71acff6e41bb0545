"""A ledger that is brought up to date by a process that ends at a given statement."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import sqlalchemy as sa
from alembic import command, config, script  # noqa: F401 - imported here once, not in every process

from twofold.store.ledger.sql import open_ledger


def open_until(path: str, number: int, when: str) -> None:
    """Open a ledger; SIGKILL before or after its n-th statement (0: never)."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, f"{when}_cursor_execute", count)
    open_ledger(Path(path)).close()
    Path(path).with_suffix(".statements").write_text(str(seen))
