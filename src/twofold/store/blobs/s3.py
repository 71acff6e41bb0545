"""Blobs in S3-compatible storage: one object a key. A put is atomic, as the service promises for whole objects."""

from __future__ import annotations

from collections.abc import Iterable

from twofold.errors import NotFound
from twofold.store.blobs.keys import (
    CONTENT,
    NAMED,
    PLAIN,
    check_name,
    check_prefix,
    check_put,
    content_key,
    opened,
    parts_of,
    seal,
)
from twofold.store.s3 import S3Config, reached


class S3Blobs:
    """Blobs below one prefix of a bucket; any number of machines may share it.

    Suits models, snapshots and checkpoints. Each call is a request of some ten milliseconds.

    Args:
        folder: Name below the configured prefix.
    """

    def __init__(self, config: S3Config, folder: str = "blobs") -> None:
        self._root = config.path(folder)
        with reached(f"open the blobs at {self._root}"):
            self._files = config.open()

    def add(self, data: bytes) -> str:
        """See `Blobs.add`. Raises `Unavailable`."""
        key = content_key(data)
        if not self.exists(key):
            self._write(key, PLAIN, data)
        return key

    def put(self, key: str, data: bytes) -> None:
        """See `Blobs.put`. Raises `InputError` and `Unavailable`; what was there stays then."""
        check_put(key, data)
        if key.startswith(CONTENT):
            self.add(data)
        else:
            self._write(key, NAMED, seal(data))

    def stream(self, key: str, parts: Iterable[bytes | memoryview]) -> None:
        """See `Blobs.stream`; the object is sent as one, so its parts stand together in memory for as long."""
        check_name(key)
        self._write(key, NAMED, seal(b"".join(parts)))

    def get(self, key: str) -> bytes:
        """See `Blobs.get`. Raises `Unavailable` when the service does not answer."""
        return bytes(self.view(key))

    def view(self, key: str) -> memoryview:
        """See `Blobs.view`."""
        named = not key.startswith(CONTENT)
        path = self._path(key, NAMED if named else PLAIN)
        try:
            with reached(f"read blob {key}"), self._files.open_input_stream(path) as stream:
                kept: bytes = stream.read()
        except FileNotFoundError as error:
            raise NotFound(f"no blob {key}", key=key) from error
        return opened(key, kept, named=named)

    def exists(self, key: str) -> bool:
        """See `Blobs.exists`."""
        path = self._path(key, PLAIN if key.startswith(CONTENT) else NAMED)
        with reached(f"look for blob {key}"):
            return bool(self._files.get_file_info(path).is_file)

    def keys(self, prefix: str) -> list[str]:
        """See `Blobs.keys`."""
        from pyarrow.fs import FileSelector  # noqa: PLC0415 - as in `S3Config.open`

        check_prefix(prefix)
        folder = "/".join(part for part in (self._root, prefix.rpartition("/")[0]) if part)
        with reached(f"list the blobs below {folder}"):
            found = self._files.get_file_info(FileSelector(folder, recursive=True, allow_not_found=True))
        names = (each.path.removeprefix(f"{self._root}/") for each in found if each.is_file)
        keys = (name.removesuffix(end) for name in names for end in (PLAIN, NAMED) if name.endswith(end))
        return sorted(key for key in keys if key.startswith(prefix))

    def delete(self, key: str) -> None:
        """See `Blobs.delete`."""
        path = self._path(key, PLAIN if key.startswith(CONTENT) else NAMED)
        try:
            with reached(f"delete blob {key}"):
                self._files.delete_file(path)
        except FileNotFoundError:
            return

    def _write(self, key: str, suffix: str, data: bytes) -> None:
        with (
            reached(f"store blob {key} of {len(data)} bytes"),
            self._files.open_output_stream(self._path(key, suffix)) as stream,
        ):
            stream.write(data)

    def _path(self, key: str, suffix: str) -> str:
        *folders, name = parts_of(key)
        return "/".join((self._root, *folders, name + suffix))
