"""The files of one table version, as arrays to choose from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.store.history.layout import Layout

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileSet:
    """Files oldest first: of equal rows, the later file holds the last.

    Attributes:
        paths: Relative to the table's folder.
        first_sid, last_sid: Range of sids; 0 in tables without.
    """

    version: int
    paths: npt.NDArray[np.object_]
    tenant: npt.NDArray[np.object_]
    hour: Ints
    rows: Ints
    size_bytes: Ints
    first_ns: Ints
    last_ns: Ints
    first_sid: Ints
    last_sid: Ints

    def __len__(self) -> int:
        return len(self.paths)

    def pick(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> FileSet:
        """A part of the files, in the same order."""
        arrays = {name: getattr(self, name)[chosen] for name in ARRAYS}
        return FileSet(version=self.version, **arrays)

    def first(self, count: int) -> FileSet:
        """The oldest files."""
        return self.pick(np.arange(count))

    def holding(self, *, tenant: str, start_ns: int, end_ns: int, sids: Ints | None = None) -> FileSet:
        """Files that may hold a tenant's rows in [start_ns, end_ns), and of any of the sorted sids."""
        chosen = (self.tenant == tenant) & (self.last_ns >= start_ns) & (self.first_ns < end_ns)
        if sids is not None and chosen.any():
            chosen &= np.searchsorted(sids, self.first_sid) < np.searchsorted(sids, self.last_sid, "right")
        return self.pick(chosen)

    def parted(self) -> bool:
        """Whether no two files share a series, or in tables without series a time: as a sorted rewrite leaves them."""
        by_sid = bool(self.last_sid.any())
        first, last = (self.first_sid, self.last_sid) if by_sid else (self.first_ns, self.last_ns)
        order = np.argsort(first, kind="stable")
        return not bool(np.any(first[order][1:] <= last[order][:-1]))

    def apart(self) -> npt.NDArray[np.bool_]:
        """Which files share no (sid, time) rectangle with another: no row of theirs stands anywhere else."""
        alone = np.ones(len(self), bool)
        for index in range(len(self)):
            meets = (
                (self.first_ns <= self.last_ns[index])
                & (self.last_ns >= self.first_ns[index])
                & (self.first_sid <= self.last_sid[index])
                & (self.last_sid >= self.first_sid[index])
            )
            alone[index] = np.count_nonzero(meets) <= 1
        return alone


ARRAYS = ("paths", "tenant", "hour", "rows", "size_bytes", "first_ns", "last_ns", "first_sid", "last_sid")
"""Fields of a `FileSet` with one value a file."""


def file_set(version: int, actions: pa.Table, layout: Layout) -> FileSet:
    """The files that a version's add actions name."""
    size = actions.num_rows

    def ints(name: str) -> Ints:
        column = actions[name] if name in actions.column_names else None
        return np.zeros(size, np.int64) if column is None else column.to_numpy().astype(np.int64)

    paths = np.array(actions["path"].to_pylist() if size else [], object)
    order = np.argsort(np.array([sequence_of(path) for path in paths], np.int64), kind="stable")
    found = FileSet(
        version=version,
        paths=paths,
        tenant=np.array(actions["partition.tenant"].to_pylist() if size else [], object),
        hour=ints("partition.hour"),
        rows=ints("num_records"),
        size_bytes=ints("size_bytes"),
        first_ns=ints(f"min.{layout.time}"),
        last_ns=ints(f"max.{layout.time}"),
        first_sid=ints("min.sid"),
        last_sid=ints("max.sid"),
    )
    return found.pick(order)


def file_path(hour: int, sequence: int, mark: str) -> str:
    """Name of a file: its window, its place in the order of writing, a random mark.

    >>> file_path(495000, 17, "ab12")
    '495000/00000000000000000017-ab12.parquet'
    """
    return f"{hour}/{sequence:020d}-{mark}.parquet"


def sequence_of(path: str) -> int:
    """Place of a file in the order of writing; 0 for names that are not ours.

    >>> sequence_of("495000/00000000000000000017-ab12.parquet")
    17
    """
    number = path.rpartition("/")[2].partition("-")[0]
    return int(number) if number.isdigit() else 0
