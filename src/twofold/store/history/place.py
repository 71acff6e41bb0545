"""Where a table stands: a folder of this machine, or S3-compatible storage with a folder that keeps what was read.

The table's code is the same over both. A folder needs syncing, mending and cleaning up after crashes, which the
service does by itself; the service needs files to be sent and fetched.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from twofold.errors import Unavailable
from twofold.store.disk import make_folder, sync_file, sync_folder
from twofold.store.history.mirror import Mirror
from twofold.store.s3 import S3Config, reached

log = logging.getLogger(__name__)

_NEWEST: Final = 10  # log entries that a crash can have left unsynced, with room
_LOOK_S: Final = 5.0
_RECENT_S: Final = 600.0


class Place(Protocol):
    """Holds the log and the files of one table."""

    uri: str
    options: Mapping[str, str] | None

    def prepare(self) -> None:
        """Before the log is read: mend what a crash or a flipped bit left. Raises `OSError`."""
        ...

    def settle(self, version: int) -> None:
        """Make the newest entries of the log durable. Raises `OSError`."""
        ...

    def copy(self, version: int) -> None:
        """Keep a second copy of the newest entries. Raises `OSError`."""
        ...

    def fold(self, version: int) -> None:
        """Make the checkpoint of a version durable. Raises `OSError`."""
        ...

    def prune(self) -> None:
        """Forget copies of entries that are gone."""
        ...

    def newer(self, version: int, *, surely: bool = False) -> bool:
        """Whether the log goes on behind a version; found out now with `surely`, else within some seconds."""
        ...

    def local(self, path: str) -> Path:
        """A file of the table on this machine. Raises `FileNotFoundError` and `Unavailable`."""
        ...

    def again(self, path: str) -> bool:
        """Get the bytes of a damaged file anew; False where there is no other copy."""
        ...

    def stage(self, path: str) -> Path:
        """Where a new file is written."""
        ...

    def keep(self, path: str) -> None:
        """Make a written file durable. Raises `OSError` and `Unavailable`."""
        ...

    def delete(self, paths: Sequence[str]) -> None:
        """Remove files that no version needs. Raises `OSError` and `Unavailable`."""
        ...


class FolderPlace:
    """A table in a folder."""

    def __init__(self, folder: Path) -> None:
        self.uri = str(folder)
        self.options: Mapping[str, str] | None = None
        self._folder = folder
        self._log = folder / "_delta_log"
        self._mirror = Mirror(self._log, folder.parent / "mirror" / folder.name)

    def prepare(self) -> None:
        """See `Place.prepare`."""
        make_folder(self._log)
        self._mirror.mend()
        (self._log / "_last_checkpoint").unlink(missing_ok=True)  # a hint without a checksum; listing says the same
        self._set_torn_aside()

    def settle(self, version: int) -> None:
        """See `Place.settle`."""
        for entry in self._newest(version):
            sync_file(entry)
        sync_folder(self._log)

    def copy(self, version: int) -> None:
        """See `Place.copy`. All that has none yet: a crash came in between, or a version of before made it."""
        self._mirror.complete([*self._newest(version), *self._log.glob("*.checkpoint*.parquet")])
        if not version % _NEWEST:
            self._mirror.complete(self._log.glob("[0-9]*.json"))

    def fold(self, version: int) -> None:
        """See `Place.fold`."""
        for written in self._log.glob(f"{version:020d}.checkpoint*.parquet"):
            sync_file(written)
            self._mirror.add(written)
        sync_file(self._log / "_last_checkpoint")
        sync_folder(self._log)

    def prune(self) -> None:
        """See `Place.prune`."""
        self._mirror.prune()

    def newer(self, version: int, *, surely: bool = False) -> bool:
        """See `Place.newer`; always found out now."""
        del surely
        return self._entry(version + 1).exists()

    def local(self, path: str) -> Path:
        """See `Place.local`."""
        return self._folder / path

    def again(self, path: str) -> bool:
        """See `Place.again`."""
        del path
        return False

    def stage(self, path: str) -> Path:
        """See `Place.stage`."""
        target = self._folder / path
        make_folder(target.parent)
        return target

    def keep(self, path: str) -> None:
        """See `Place.keep`."""
        sync_file(self._folder / path)
        sync_folder((self._folder / path).parent)

    def delete(self, paths: Sequence[str]) -> None:
        """See `Place.delete`."""
        for path in paths:
            (self._folder / path).unlink(missing_ok=True)

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

    def _newest(self, version: int) -> Iterator[Path]:
        entries = (self._entry(number) for number in range(max(0, version - _NEWEST), version + 1))
        return (entry for entry in entries if entry.exists())

    def _entry(self, version: int) -> Path:
        return self._log / f"{version:020d}.json"


class S3Place:
    """A table in a bucket. Files that this machine wrote or read stay in a folder, up to a number of bytes.

    Args:
        folder: On this machine.
        name: Of the table, below the configured prefix.
        cache_bytes: Files that were read least recently go past it, but none of the last ten minutes.
    """

    def __init__(self, config: S3Config, name: str, folder: Path, *, cache_bytes: int) -> None:
        self._root = config.path("history", name)
        self.uri = f"s3://{self._root}"
        self.options: Mapping[str, str] | None = config.options()
        self._folder = folder
        self._limit = cache_bytes
        self._files = config.open()
        self._looked = 0.0

    def prepare(self) -> None:
        """See `Place.prepare`. The service gives whole objects or none."""
        make_folder(self._folder)

    def settle(self, version: int) -> None:
        """See `Place.settle`. What the service took is durable."""

    def copy(self, version: int) -> None:
        """See `Place.copy`. The service keeps copies."""

    def fold(self, version: int) -> None:
        """See `Place.fold`."""

    def prune(self) -> None:
        """See `Place.prune`."""

    def newer(self, version: int, *, surely: bool = False) -> bool:
        """See `Place.newer`."""
        now = time.monotonic()
        if not surely and now - self._looked < _LOOK_S:
            return False
        try:
            with reached(f"look at the log of {self.uri}"):
                found = self._files.get_file_info(f"{self._root}/_delta_log/{version + 1:020d}.json")
        except Unavailable as error:
            if surely:
                raise
            log.warning("readers go on with version %d: %s", version, error)
            return False
        finally:
            self._looked = time.monotonic()
        return bool(found.is_file)

    def local(self, path: str) -> Path:
        """See `Place.local`; fetches what is not here."""
        target = self._folder / path
        if target.exists():
            target.touch()
            return target
        make_folder(target.parent)
        partial = target.with_name(f"{target.name}.partial")
        with (
            reached(f"fetch {path} of {self.uri}"),
            self._files.open_input_stream(f"{self._root}/{path}") as source,
            partial.open("wb") as file,
        ):
            while data := source.read(1 << 20):
                file.write(data)
        partial.replace(target)
        self._make_room()
        return target

    def again(self, path: str) -> bool:
        """See `Place.again`."""
        (self._folder / path).unlink(missing_ok=True)
        try:
            self.local(path)
        except FileNotFoundError:
            return False
        return True

    def stage(self, path: str) -> Path:
        """See `Place.stage`."""
        target = self._folder / path
        make_folder(target.parent)
        return target

    def keep(self, path: str) -> None:
        """See `Place.keep`."""
        with (
            reached(f"send {path} to {self.uri}"),
            (self._folder / path).open("rb") as file,
            self._files.open_output_stream(f"{self._root}/{path}") as stream,
        ):
            while data := file.read(1 << 20):
                stream.write(data)
        self._make_room()

    def delete(self, paths: Sequence[str]) -> None:
        """See `Place.delete`."""
        for path in paths:
            (self._folder / path).unlink(missing_ok=True)
            try:
                with reached(f"delete {path} of {self.uri}"):
                    self._files.delete_file(f"{self._root}/{path}")
            except FileNotFoundError:
                continue

    def _make_room(self) -> None:
        held = [(path.stat().st_mtime, path.stat().st_size, path) for path in self._folder.glob("*/*.parquet")]
        size, recent = sum(each[1] for each in held), time.time() - _RECENT_S
        for used, freed, path in sorted(held):
            if size <= self._limit or used > recent:
                return
            path.unlink(missing_ok=True)
            size -= freed


def _whole_entry(entry: Path) -> bool:
    data = entry.read_bytes()
    try:
        return bool(data) and all(isinstance(json.loads(line), dict) for line in data.splitlines())
    except ValueError:
        return False
