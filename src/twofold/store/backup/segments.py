"""The journal's part of a backup: segments are held open, so that none is lost between the first look and the copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import IO

from twofold.errors import Unavailable
from twofold.store.journal.partition import SUFFIX


class HeldSegments(AbstractContextManager["HeldSegments"]):
    """All segments of a journal from now on.

    Made first, before checkpoints and tables are copied: their positions then lie within what `files` gives later,
    and what was committed is noted as it was before.
    """

    def __init__(self, root: Path) -> None:
        self._stack = ExitStack()
        self._partitions = sorted(each for each in root.glob("p[0-9]*") if each.is_dir())
        self._commits = {each: _read(each / "committed.json") for each in self._partitions}
        self._held: dict[Path, dict[int, IO[bytes]]] = {}
        for partition in self._partitions:
            self._held[partition] = self._hold(partition, {})

    def commits(self) -> Iterator[tuple[Path, bytes]]:
        """Each partition's committed positions, as they were at the beginning."""
        for partition, data in self._commits.items():
            if data is not None:
                yield partition / "committed.json", data

    def files(self) -> Iterator[tuple[Path, IO[bytes], int]]:
        """Every segment with its bytes as of now.

        Raises:
            Unavailable: Segments came and went meanwhile; begin anew.
        """
        for partition in self._partitions:
            first = self._held[partition]
            found = self._hold(partition, first)
            last = max(first, default=-1)
            for start in sorted(found):
                size = os.fstat(found[start].fileno()).st_size
                later = [other for other in found if other > start]
                if start >= last and later and min(later) != start + size:
                    raise Unavailable(f"segments of {partition.name} were given back during the backup; try again")
                yield partition / f"{start:020d}{SUFFIX}", found[start], size

    def _hold(self, partition: Path, known: dict[int, IO[bytes]]) -> dict[int, IO[bytes]]:
        held = dict(known)
        for path in sorted(partition.glob(f"*{SUFFIX}")):
            start = int(path.stem)
            if start not in held:
                try:
                    held[start] = self._stack.enter_context(path.open("rb"))
                except FileNotFoundError:  # everyone had read it, and it went between listing and opening
                    continue
        return held

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
