"""One Delta table: files are durable before the log names them, the log before a caller goes on.

delta-rs writes the log; the Parquet files are ours, because it does not sync what it writes.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import (
    AddAction,
    CommitProperties,
    PostCommitHookProperties,
    RemoveAction,
    Transaction,
)

from twofold.errors import Conflict, Corrupt, Unavailable
from twofold.store.disk import translated
from twofold.store.failpoints import reach
from twofold.store.history.fileset import FileSet, file_path, file_set, sequence_of
from twofold.store.history.index import index_of
from twofold.store.history.layout import Layout
from twofold.store.history.place import FolderPlace, Place
from twofold.store.history.soundness import Soundness, crc_of

log = logging.getLogger(__name__)

_SETTINGS: Final = {
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_CHECKPOINT_EVERY: Final = 100
_PARQUET: Final = ".parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A written and synced file that no version names yet."""

    action: AddAction
    rows: int


class DeltaFiles:
    """Reads and commits the files of one table. Thread-safe; another process may compact the same table.

    Args:
        folder: The table's folder on this machine; made when absent.
        place: Where its log and files stand; in the folder by default.

    Raises:
        Corrupt: The table's log cannot be read even after what a power cut tears was set aside.
    """

    def __init__(self, folder: Path, layout: Layout, place: Place | None = None) -> None:
        self._place = place or FolderPlace(folder)
        self._folder = self._place.uri
        self._layout = layout
        self._lock = threading.RLock()
        self.soundness = Soundness(self._place, folder.parent / "quarantine" / folder.name)
        with translated(f"open the table in {folder}"):
            self._place.prepare()
            self._table = self._open()
            self._place.settle(self._table.version())
            self._place.copy(self._table.version())
        self._files = self._load()

    @property
    def lock(self) -> threading.RLock:
        """Held while a version is committed; who holds it sees no new one."""
        return self._lock

    def files(self) -> FileSet:
        """The newest version's files."""
        with self._lock:
            return self._newest()

    def _newest(self, *, surely: bool = False) -> FileSet:
        if self._place.newer(self._files.version, surely=surely):
            self._reload()
        return self._files

    def whole(self, files: FileSet) -> FileSet:
        """Files without those whose bytes are not what was written. Raises `Unavailable`."""
        damaged = self.soundness.damaged_of(files.paths)
        return files.pick(np.array([path not in damaged for path in files.paths], bool)) if damaged else files

    def transaction(self, name: str) -> int:
        """The number last committed under this name; -1 for none."""
        with self._lock:
            found = self._table.transaction_version(name)
            return -1 if found is None else found

    def write(self, rows: pa.Table, *, tenant: str, hour: int, sequence: int = 0, change: bool = True) -> NewFile:
        """Write sorted rows as a file and sync it. Raises `StorageFull` or `Unavailable`; then nothing is left.

        `sequence` is its place in the order of writing, 0 for the newest; `change` is False when the rows
        stood in the table before (compaction).
        """
        staged = file_path(hour, sequence or self.next_sequence(), secrets.token_hex(4))
        with translated(f"write {rows.num_rows} rows to {staged}"):
            written = self._place.stage(staged)
            try:
                self._write(rows, written, lasting=not change)
                target = written.with_stem(f"{written.stem}-{crc_of(written):08x}")
                path = f"{hour}/{target.name}"
                written.rename(target)
                self._place.keep(path)
            except BaseException:
                for left in written.parent.glob(f"{written.stem}*"):
                    left.unlink(missing_ok=True)
                raise
            size = target.stat().st_size
        self.soundness.trust(path)
        action = AddAction(
            path=path,
            size=size,
            partition_values={"tenant": tenant, "hour": str(hour)},
            modification_time=time.time_ns() // 1_000_000,
            data_change=change,
            stats=_statistics(rows, self._layout),
        )
        return NewFile(action=action, rows=rows.num_rows)

    def _write(self, rows: pa.Table, target: Path, *, lasting: bool) -> None:
        layout = self._layout
        with (
            pa.OSFile(str(target), "wb") as sink,
            pq.ParquetWriter(sink, rows.schema, **layout.options(rows, lasting=lasting)) as writer,
        ):
            sink.write(index_of(rows, layout.index, group=layout.group))
            writer.write_table(rows, row_group_size=layout.group)

    def discard(self, files: Sequence[NewFile]) -> None:
        """Remove files that were not committed."""
        self._place.delete([each.action.path for each in files])

    def next_sequence(self) -> int:
        """A place behind every file there is."""
        with self._lock:
            newest = sequence_of(self._files.paths[-1]) if len(self._files) else 0
        return max(newest + 1, time.time_ns())

    def commit(
        self,
        new: Sequence[NewFile],
        *,
        old: FileSet | None = None,
        change: bool = False,
        transactions: Mapping[str, int] | None = None,
    ) -> None:
        """Make a version that has the new files and lacks the old ones, durably and all at once.

        `change` says that rows of the old files are gone; compaction keeps them all.

        Raises:
            Conflict: One of these transactions stands in the table already.
            Unavailable: The log could not be written. With the fact `committed` the version stands, but nobody
                knows whether it survives power loss.
        """
        now = time.time_ns() // 1_000_000
        actions: list[AddAction | RemoveAction] = [each.action for each in new]
        if old is not None:
            actions += [
                RemoveAction(str(path), change, now, int(size), {"tenant": str(tenant), "hour": str(hour)})
                for path, size, tenant, hour in zip(old.paths, old.size_bytes, old.tenant, old.hour, strict=True)
            ]
        properties = CommitProperties(
            app_transactions=[Transaction(name, number) for name, number in (transactions or {}).items()]
        )
        with self._lock:
            self._newest(surely=True)
            for name, number in (transactions or {}).items():
                if self.transaction(name) >= number:
                    raise Conflict(f"{name} of {self._folder} stands at {self.transaction(name)} already, not {number}")
            try:
                reach("history.commit")
                self._table.create_write_transaction(
                    actions,
                    mode="append",
                    schema=self._layout.declared(),
                    partition_by=["tenant", "hour"],
                    commit_properties=properties,
                    post_commithook_properties=_NO_HOOKS,
                )
            except CommitFailedError as error:
                raise Conflict(f"another process writes to {self._folder}: {error}") from error
            except (DeltaError, OSError) as error:
                raise Unavailable(f"cannot commit to {self._folder}: {error}") from error
            reach("history.commit")
            self._reload()
            try:
                self._place.settle(self._files.version)
            except OSError as error:
                raise Unavailable(f"cannot sync the log of {self._folder}: {error}", committed=True) from error
            self._copy_newest()
            if self._files.version % _CHECKPOINT_EVERY == 0:
                self._checkpoint_when_possible()

    def path(self, relative: str) -> str:
        """Where a file stands."""
        return str(self._place.local(relative))

    def unneeded(self, kept_hours: int) -> list[str]:
        """Files that no version of the last hours names.

        Of S3-compatible storage the list holds folders too: Arrow puts an empty object there for each that it empties.
        """
        with self._lock:
            self.files()
            found: list[str] = self._table.vacuum(
                retention_hours=kept_hours, dry_run=True, enforce_retention_duration=False, full=True
            )
            return [path for path in found if path.endswith(_PARQUET)]

    def remove(self, paths: Sequence[str]) -> None:
        """Delete files."""
        with translated(f"delete files of {self._folder}"):
            self._place.delete(paths)

    def tidy(self) -> None:
        """Fold the log into a checkpoint and drop entries past their time."""
        with self._lock, translated(f"tidy the log of {self._folder}"):
            self.files()
            self._checkpoint_when_possible()
            self._table.cleanup_metadata()
            self._place.prune()

    def _open(self) -> deltalake.DeltaTable:
        options = dict(self._place.options) if self._place.options else None
        try:
            try:
                return deltalake.DeltaTable(self._folder, storage_options=options)
            except TableNotFoundError:
                self._create(options)
            return deltalake.DeltaTable(self._folder, storage_options=options)
        except DeltaError as error:
            raise Corrupt(
                f"the log of the table in {self._folder} is unreadable: {error}; restore it from a backup",
                folder=self._folder,
            ) from error

    def _create(self, options: dict[str, str] | None) -> None:
        try:
            deltalake.DeltaTable.create(
                self._folder,
                self._layout.declared(),
                mode="ignore",
                partition_by=["tenant", "hour"],
                configuration=_SETTINGS,
                storage_options=options,
            )
        except DeltaError as error:
            log.info("another process made the table in %s first: %s", self._folder, error)

    def _checkpoint_when_possible(self) -> None:
        try:
            self._checkpoint()
        except (DeltaError, OSError):  # a shortcut for opening; the log without it says the same
            log.exception("no checkpoint of %s; the next one is tried in %d versions", self._folder, _CHECKPOINT_EVERY)

    def _checkpoint(self) -> None:
        self._table.create_checkpoint()
        self._place.fold(self._files.version)

    def _copy_newest(self) -> None:
        try:
            self._place.copy(self._files.version)
        except OSError:  # the next commit or start tries again; until then there is one copy
            log.exception("the log of %s could not be copied", self._folder)

    def _reload(self) -> None:
        try:
            self._table.update_incremental()
        except DeltaError as error:
            raise Unavailable(f"cannot read the log of {self._folder}: {error}") from error
        self._files = self._load()

    def _load(self) -> FileSet:
        return file_set(self._table.version(), pa.table(self._table.get_add_actions(flatten=True)), self._layout)


def _statistics(rows: pa.Table, layout: Layout) -> str:
    lowest: dict[str, Any] = {}
    highest: dict[str, Any] = {}
    for name in layout.ranged:
        values = rows[name].to_numpy()
        lowest[name], highest[name] = int(values.min()), int(values.max())
    return json.dumps({"numRecords": rows.num_rows, "minValues": lowest, "maxValues": highest, "nullCount": {}})
