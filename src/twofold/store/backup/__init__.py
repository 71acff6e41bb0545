"""Backups of a data folder: taken while it is in use, checked, and put back.

`snapshot` takes one, `vessel` is the folder or archive it lies in, `manifest` lists its files with their
checksums, `checks` looks into every file, `restore` puts it back.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told the bytes done and the bytes in all, as far as known."""


def silent(done: int, total: int) -> None:
    """Tells nobody."""
    del done, total
