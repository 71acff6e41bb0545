"""Blobs as files: one a key, named as the key, written aside and renamed into place."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from twofold.errors import NotFound
from twofold.store.blobs.keys import (
    CONTENT,
    NAMED,
    PLAIN,
    check_name,
    check_prefix,
    check_put,
    content_key,
    head_of,
    opened,
    parts_of,
    seal,
)
from twofold.store.disk import TEMPORARY, make_folder, replace_file, replacing, sync_folder, translate, translated

_ABANDONED_S: Final = 3600.0


class FileBlobs:
    """Blobs below one folder; several processes may share it.

    Suits models, snapshots and checkpoints of one machine. `put` and `get` hold the whole blob in memory, `stream`
    and `view` do not.

    Args:
        root: The folder; made when absent.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        with translated(f"open the blobs in {root}"):
            make_folder(root)
            self._sweep()

    def add(self, data: bytes) -> str:
        """See `Blobs.add`. Raises `StorageFull`."""
        key = content_key(data)
        if not self.exists(key):
            self._write(self._path(key), key, data)
        return key

    def put(self, key: str, data: bytes) -> None:
        """See `Blobs.put`.

        Raises:
            InputError: No valid key, or a content key of other bytes (`reason="blob_key"`).
            StorageFull: No space; what was there stays.
        """
        check_put(key, data)
        if key.startswith(CONTENT):
            self.add(data)
            return
        self._write(self._path(key, NAMED), key, seal(data))
        self._remove(key, self._path(key))

    def stream(self, key: str, parts: Iterable[bytes | memoryview]) -> None:
        """See `Blobs.stream`. Raises as `put` does."""
        check_name(key)
        path = self._path(key, NAMED)
        with translated(f"store blob {key}"):
            make_folder(path.parent)
            with replacing(path) as file:
                crc = 0
                file.write(head_of(crc))
                for part in parts:
                    crc = zlib.crc32(part, crc)
                    file.write(part)
                file.seek(0)
                file.write(head_of(crc))
        self._remove(key, self._path(key))

    def get(self, key: str) -> bytes:
        """See `Blobs.get`."""
        return bytes(self.view(key))

    def view(self, key: str) -> memoryview:
        """See `Blobs.view`."""
        path = self._path(key, NAMED)
        named = not key.startswith(CONTENT) and path.exists()
        try:
            kept = (path if named else self._path(key)).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"no blob {key}", key=key) from error
        except OSError as error:
            raise translate(error, f"read blob {key}") from error
        return opened(key, kept, named=named)

    def exists(self, key: str) -> bool:
        """See `Blobs.exists`."""
        return self._path(key).is_file() or self._path(key, NAMED).is_file()

    def keys(self, prefix: str) -> list[str]:
        """See `Blobs.keys`."""
        check_prefix(prefix)
        folder = self._root / prefix.rpartition("/")[0]
        found = {
            str(path.relative_to(self._root)).removesuffix(suffix)
            for suffix in (PLAIN, NAMED)
            for path in folder.rglob(f"*{suffix}")
        }
        return sorted(key for key in found if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """See `Blobs.delete`."""
        for suffix in (PLAIN, NAMED):
            self._remove(key, self._path(key, suffix))

    def _remove(self, key: str, path: Path) -> None:
        with translated(f"delete blob {key}"):
            if path.exists():
                path.unlink(missing_ok=True)
                sync_folder(path.parent)

    def _write(self, path: Path, key: str, data: bytes) -> None:
        with translated(f"store blob {key} of {len(data)} bytes"):
            make_folder(path.parent)
            replace_file(path, data)

    def _path(self, key: str, suffix: str = PLAIN) -> Path:
        *folders, name = parts_of(key)
        return self._root.joinpath(*folders, name + suffix)

    def _sweep(self) -> None:
        """Remove what a killed process left half-written; younger files may be at work in another process."""
        limit = time.time() - _ABANDONED_S
        for path in self._root.rglob(f"{TEMPORARY}*"):
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)
