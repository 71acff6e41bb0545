"""One Delta table on this machine: files are synced before the log names them, the log before a caller goes on.

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
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import (
    AddAction,
    CommitProperties,
    PostCommitHookProperties,
    RemoveAction,
    Transaction,
)

from twofold.errors import Conflict, Corrupt, Unavailable
from twofold.store.disk import make_folder, sync_file, sync_folder, translated
from twofold.store.failpoints import reach
from twofold.store.history.fileset import FileSet, file_path, file_set, sequence_of
from twofold.store.history.layout import ROW_GROUP, Layout
from twofold.store.history.mirror import Mirror
from twofold.store.history.soundness import Soundness, crc_of

log = logging.getLogger(__name__)

_SETTINGS: Final = {
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_CHECKPOINT_EVERY: Final = 100
_NEWEST: Final = 10  # log entries that a crash can have left unsynced, with room


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A written and synced file that no version names yet."""

    action: AddAction
    rows: int


class DeltaFiles:
    """Reads and commits the files of one table. Thread-safe; another process may compact the same table.

    Args:
        folder: The table's folder; made when absent.

    Raises:
        Corrupt: The table's log cannot be read even after what a power cut tears was set aside.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._folder = folder
        self._log = folder / "_delta_log"
        self._layout = layout
        self._lock = threading.RLock()
        self._mirror = Mirror(self._log, folder.parent / "mirror" / folder.name)
        self.soundness = Soundness(folder, folder.parent / "quarantine" / folder.name)
        with translated(f"open the table in {folder}"):
            make_folder(self._log)
            self._mirror.mend()
            (self._log / "_last_checkpoint").unlink(missing_ok=True)  # a hint without a checksum; listing says the same
            self._table = self._open()
            self._sync_newest()
            self._mirror.complete([*self._log.glob("[0-9]*.json"), *self._log.glob("*.checkpoint*.parquet")])
        self._files = self._load()

    @property
    def lock(self) -> threading.RLock:
        """Held while a version is committed; who holds it sees no new one."""
        return self._lock

    def files(self) -> FileSet:
        """The newest version's files."""
        with self._lock:
            if self._entry(self._files.version + 1).exists():
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
        mark = secrets.token_hex(4)
        written = self._folder / file_path(hour, sequence or self.next_sequence(), mark)
        with translated(f"write {rows.num_rows} rows to {written.name}"):
            make_folder(written.parent)
            try:
                pq.write_table(rows, written, row_group_size=ROW_GROUP, **self._layout.options(lasting=not change))
                target = written.with_stem(f"{written.stem}-{crc_of(written):08x}")
                written.rename(target)
                sync_file(target)
                sync_folder(target.parent)
            except BaseException:
                for left in written.parent.glob(f"{written.stem}*"):
                    left.unlink(missing_ok=True)
                raise
            size = target.stat().st_size
        path = target.relative_to(self._folder).as_posix()
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

    def discard(self, files: Sequence[NewFile]) -> None:
        """Remove files that were not committed."""
        for each in files:
            (self._folder / each.action.path).unlink(missing_ok=True)

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
            self.files()
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
                self._sync_newest()
            except OSError as error:
                raise Unavailable(f"cannot sync the log of {self._folder}: {error}", committed=True) from error
            self._copy_newest()
            if self._files.version % _CHECKPOINT_EVERY == 0:
                self._checkpoint_when_possible()

    def path(self, relative: str) -> str:
        """Where a file stands."""
        return str(self._folder / relative)

    def unneeded(self, kept_hours: int) -> list[str]:
        """Files that no version of the last hours names."""
        with self._lock:
            self.files()
            found: list[str] = self._table.vacuum(
                retention_hours=kept_hours, dry_run=True, enforce_retention_duration=False, full=True
            )
            return found

    def remove(self, paths: Sequence[str]) -> None:
        """Delete files."""
        with translated(f"delete files of {self._folder}"):
            for path in paths:
                (self._folder / path).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Fold the log into a checkpoint and drop entries past their time."""
        with self._lock, translated(f"tidy the log of {self._folder}"):
            self.files()
            self._checkpoint_when_possible()
            self._table.cleanup_metadata()
            self._mirror.prune()

    def _open(self) -> deltalake.DeltaTable:
        self._set_torn_aside()
        try:
            if not deltalake.DeltaTable.is_deltatable(str(self._folder)):
                self._create()
            return deltalake.DeltaTable(str(self._folder))
        except DeltaError as error:
            raise Corrupt(
                f"the log of the table in {self._folder} is unreadable: {error}; restore it from a backup",
                folder=str(self._folder),
            ) from error

    def _create(self) -> None:
        try:
            deltalake.DeltaTable.create(
                str(self._folder),
                self._layout.declared(),
                mode="ignore",
                partition_by=["tenant", "hour"],
                configuration=_SETTINGS,
            )
        except DeltaError:
            if not deltalake.DeltaTable.is_deltatable(str(self._folder)):
                raise
            log.info("another process made the table in %s first", self._folder)

    def _set_torn_aside(self) -> None:
        """The newest entries may be torn by a power cut: nobody was told that they are durable, so they go."""
        for entry in sorted(self._log.glob("[0-9]*.json"), reverse=True):
            if _whole_entry(entry):
                break
            log.warning("%s is torn and set aside; the journal still holds its rows", entry.name)
            entry.replace(entry.with_suffix(".torn"))
        for checkpoint in self._log.glob("*.checkpoint.parquet"):
            try:
                pq.read_metadata(checkpoint)
            except (pa.ArrowException, OSError):
                log.warning("%s is torn and set aside; the log holds the same", checkpoint.name)
                checkpoint.replace(checkpoint.with_suffix(".torn"))
                (self._log / "_last_checkpoint").unlink(missing_ok=True)

    def _checkpoint_when_possible(self) -> None:
        try:
            self._checkpoint()
        except (DeltaError, OSError):  # a shortcut for opening; the log without it says the same
            log.exception("no checkpoint of %s; the next one is tried in %d versions", self._folder, _CHECKPOINT_EVERY)

    def _checkpoint(self) -> None:
        self._table.create_checkpoint()
        for written in self._log.glob(f"{self._files.version:020d}.checkpoint*.parquet"):
            sync_file(written)
            self._mirror.add(written)
        sync_file(self._log / "_last_checkpoint")
        sync_folder(self._log)

    def _sync_newest(self) -> None:
        for entry in self._newest():
            sync_file(entry)
        sync_folder(self._log)

    def _copy_newest(self) -> None:
        try:
            self._mirror.complete(self._newest())
        except OSError:  # the next commit or start tries again; until then there is one copy
            log.exception("the log of %s could not be copied", self._folder)

    def _newest(self) -> list[Path]:
        version = self._table.version()
        entries = (self._entry(number) for number in range(max(0, version - _NEWEST), version + 1))
        return [entry for entry in entries if entry.exists()]

    def _entry(self, version: int) -> Path:
        return self._log / f"{version:020d}.json"

    def _reload(self) -> None:
        try:
            self._table.update_incremental()
        except DeltaError as error:
            raise Unavailable(f"cannot read the log of {self._folder}: {error}") from error
        self._files = self._load()

    def _load(self) -> FileSet:
        return file_set(self._table.version(), pa.table(self._table.get_add_actions(flatten=True)), self._layout)


def _whole_entry(entry: Path) -> bool:
    data = entry.read_bytes()
    try:
        return bool(data) and all(isinstance(json.loads(line), dict) for line in data.splitlines())
    except ValueError:
        return False


def _statistics(rows: pa.Table, layout: Layout) -> str:
    lowest: dict[str, Any] = {}
    highest: dict[str, Any] = {}
    for name in layout.ranged:
        values = rows[name].to_numpy()
        lowest[name], highest[name] = int(values.min()), int(values.max())
    return json.dumps({"numRecords": rows.num_rows, "minValues": lowest, "maxValues": highest, "nullCount": {}})
