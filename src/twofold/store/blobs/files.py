"""Blobs as files: one a key, named as the key, written aside and renamed into place.

A content key is the check of its bytes. A named blob begins with the CRC-32 of the rest, in eight digits and a
line's end; older versions kept it as it was, which is still read.
"""

from __future__ import annotations

import hashlib
import re
import time
import zlib
from pathlib import Path
from typing import Final

from twofold.errors import Corrupt, InputError, NotFound
from twofold.store.disk import TEMPORARY, make_folder, replace_file, sync_folder, translate, translated

CONTENT: Final = "sha256/"
MAX_KEY_CHARS: Final = 512
_SUFFIX: Final = ".blob"  # so that `a` and `a/b` can both be keys
_NAMED: Final = ".named"  # of blobs with a checksum before them
_PART: Final = re.compile(r"(?!\.)[A-Za-z0-9._@+=:, -]{1,200}(?<!\.blob)(?<!\.named)")
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
            self._write(self._path(key), key, data)
        return key

    def put(self, key: str, data: bytes) -> None:
        """See `Blobs.put`.

        Raises:
            InputError: No valid key, or a content key of other bytes (`reason="blob_key"`).
            StorageFull: No space; what was there stays.
        """
        if key.startswith(CONTENT) and key != CONTENT + hashlib.sha256(data).hexdigest():
            raise InputError(f"{key} is the content key of other bytes; use add()", reason="blob_key", key=key)
        if key.startswith(CONTENT):
            self.add(data)
            return
        self._write(self._path(key, _NAMED), key, b"%08x\n" % zlib.crc32(data) + data)
        self._remove(key, self._path(key))

    def get(self, key: str) -> bytes:
        """See `Blobs.get`."""
        plain = self._path(key)
        try:
            if key.startswith(CONTENT) or not (named := self._path(key, _NAMED)).exists():
                data, whole = plain.read_bytes(), True
            else:
                head, _, data = named.read_bytes().partition(b"\n")
                whole = head == b"%08x" % zlib.crc32(data)
        except FileNotFoundError as error:
            raise NotFound(f"no blob {key}", key=key) from error
        except OSError as error:
            raise translate(error, f"read blob {key}") from error
        if key.startswith(CONTENT):
            whole = key == CONTENT + hashlib.sha256(data).hexdigest()
        if not whole:
            raise Corrupt(f"the bytes of blob {key} fail their check; restore it from a backup", key=key)
        return data

    def exists(self, key: str) -> bool:
        """See `Blobs.exists`."""
        return self._path(key).is_file() or self._path(key, _NAMED).is_file()

    def keys(self, prefix: str) -> list[str]:
        """See `Blobs.keys`."""
        folder = self._root / prefix.rpartition("/")[0]
        if not folder.resolve().is_relative_to(self._root.resolve()):
            raise InputError(f"prefix {prefix!r} leaves the store", reason="blob_key", key=prefix)
        found = {
            str(path.relative_to(self._root)).removesuffix(suffix)
            for suffix in (_SUFFIX, _NAMED)
            for path in folder.rglob(f"*{suffix}")
        }
        return sorted(key for key in found if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """See `Blobs.delete`."""
        for suffix in (_SUFFIX, _NAMED):
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

    def _path(self, key: str, suffix: str = _SUFFIX) -> Path:
        parts = key.split("/")
        if len(key) > MAX_KEY_CHARS or not all(_PART.fullmatch(part) for part in parts):
            raise InputError(
                f"{key!r} is no blob key: parts of letters, digits and ._@+=:,- between slashes, "
                f"none starting with a dot, at most {MAX_KEY_CHARS} characters",
                reason="blob_key",
                key=key,
            )
        return self._root.joinpath(*parts[:-1], parts[-1] + suffix)

    def _sweep(self) -> None:
        """Remove what a killed process left half-written; younger files may be at work in another process."""
        limit = time.time() - _ABANDONED_S
        for path in self._root.rglob(f"{TEMPORARY}*"):
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)
