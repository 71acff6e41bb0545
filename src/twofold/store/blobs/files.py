"""Blobs as files: one a key, named as the key, written aside and renamed into place."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Final

from twofold.errors import Corrupt, InputError, NotFound
from twofold.store.disk import TEMPORARY, make_folder, replace_file, sync_folder, translate, translated

CONTENT: Final = "sha256/"
MAX_KEY_CHARS: Final = 512
_SUFFIX: Final = ".blob"  # so that `a` and `a/b` can both be keys
_PART: Final = re.compile(r"(?!\.)[A-Za-z0-9._@+=:, -]{1,200}(?<!\.blob)")
_ABANDONED_S: Final = 3600.0


class FileBlobs:
    """Blobs below one folder; several processes may share it.

    Suits models, snapshots and checkpoints of one machine. Reads and writes whole blobs, so it is
    no place for what does not fit in memory.

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
        key = CONTENT + hashlib.sha256(data).hexdigest()
        if not self.exists(key):
            self._write(key, data)
        return key

    def put(self, key: str, data: bytes) -> None:
        """See `Blobs.put`.

        Raises:
            InputError: No valid key, or a content key of other bytes (`reason="blob_key"`).
            StorageFull: No space; what was there stays.
        """
        if key.startswith(CONTENT) and key != CONTENT + hashlib.sha256(data).hexdigest():
            raise InputError(f"{key} is the content key of other bytes; use add()", reason="blob_key", key=key)
        self._write(key, data)

    def get(self, key: str) -> bytes:
        """See `Blobs.get`."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"no blob {key}", key=key) from error
        except OSError as error:
            raise translate(error, f"read blob {key}") from error
        if key.startswith(CONTENT) and key != CONTENT + hashlib.sha256(data).hexdigest():
            raise Corrupt(f"the bytes of blob {key} do not match its key; restore it from a backup", key=key)
        return data

    def exists(self, key: str) -> bool:
        """See `Blobs.exists`."""
        return self._path(key).is_file()

    def keys(self, prefix: str) -> list[str]:
        """See `Blobs.keys`."""
        folder = self._root / prefix.rpartition("/")[0]
        if not folder.resolve().is_relative_to(self._root.resolve()):
            raise InputError(f"prefix {prefix!r} leaves the store", reason="blob_key", key=prefix)
        found = (str(path.relative_to(self._root)) for path in folder.rglob(f"*{_SUFFIX}"))
        return sorted(key for name in found if (key := name.removesuffix(_SUFFIX)).startswith(prefix))

    def delete(self, key: str) -> None:
        """See `Blobs.delete`."""
        path = self._path(key)
        with translated(f"delete blob {key}"):
            if path.exists():
                path.unlink(missing_ok=True)
                sync_folder(path.parent)

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with translated(f"store blob {key} of {len(data)} bytes"):
            make_folder(path.parent)
            replace_file(path, data)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if len(key) > MAX_KEY_CHARS or not all(_PART.fullmatch(part) for part in parts):
            raise InputError(
                f"{key!r} is no blob key: parts of letters, digits and ._@+=:,- between slashes, "
                f"none starting with a dot, at most {MAX_KEY_CHARS} characters",
                reason="blob_key",
                key=key,
            )
        return self._root.joinpath(*parts[:-1], parts[-1] + _SUFFIX)

    def _sweep(self) -> None:
        """Remove what a killed process left half-written; younger files may be at work in another process."""
        limit = time.time() - _ABANDONED_S
        for path in self._root.rglob(f"{TEMPORARY}*"):
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)
