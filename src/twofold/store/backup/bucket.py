"""The part of a data folder that stands in S3-compatible storage, file by file, under the names it would have here.

A backup holds both parts in one tree, as a data folder without such storage has them: so it can be checked without
the service, and restored to a bucket or to a folder, whichever is configured then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Final, Self, cast

from twofold.errors import Conflict
from twofold.store.s3 import S3Config, reached

if TYPE_CHECKING:
    from twofold.store.backup.manifest import Entry

AWAY: Final = ("history", "blobs")
LOG: Final = "_delta_log"
_PINS: Final = "pins"


def away(path: PurePath) -> bool:
    """Whether a file of a data folder stands in the storage, where one is configured. Pins stay on the machine."""
    return path.parts[0] in AWAY and path.parts[:2] != (AWAY[0], _PINS)


class Bucket:
    """Objects below the configured prefix."""

    def __init__(self, config: S3Config) -> None:
        self._config = config
        with reached(f"open {config.url}"):
            self._files = config.open()

    def __str__(self) -> str:
        return self._config.url

    def list(self, below: str) -> list[tuple[PurePath, int]]:
        """Files and their sizes, by name. Raises `Unavailable`."""
        from pyarrow.fs import FileSelector  # noqa: PLC0415 - as in `S3Config.open`

        root = self._config.path()
        with reached(f"list {below} of {self}"):
            selector = FileSelector(self._config.path(*PurePath(below).parts), recursive=True, allow_not_found=True)
            found = self._files.get_file_info(selector)
        named = ((PurePath(each.path).relative_to(root), each.size) for each in found if each.is_file)
        return sorted(named)

    @contextmanager
    def open(self, path: PurePath) -> Iterator[tuple[IO[bytes], int]]:
        """A file to read, and its size. Raises `FileNotFoundError` and `Unavailable`."""
        with (
            reached(f"fetch {path} of {self}"),
            self._files.open_input_file(self._config.path(*path.parts)) as file,
        ):
            yield cast("IO[bytes]", file), file.size()

    def write(self, path: PurePath, chunks: Iterable[bytes]) -> None:
        """Store a file. Raises `Unavailable`; it may be there in part then."""
        with (
            reached(f"send {path} to {self}"),
            self._files.open_output_stream(self._config.path(*path.parts)) as stream,
        ):
            for chunk in chunks:
                stream.write(chunk)

    def delete(self, paths: Iterable[PurePath]) -> None:
        """Remove files, those that are not there too. Raises `Unavailable`."""
        for path in paths:
            try:
                with reached(f"delete {path} of {self}"):
                    self._files.delete_file(self._config.path(*path.parts))
            except FileNotFoundError:
                continue

    def check_empty(self) -> None:
        """Raise `Conflict` when it holds what a restore would mix with."""
        for part in AWAY:
            if found := self.list(part):
                raise Conflict(f"{self} holds {found[0][0]} and more; restore below a new prefix", storage=str(self))


class Uploads:
    """What a restore sends: all of it or, when that fails, nothing. The log of a table goes last."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._sent: list[PurePath] = []

    @staticmethod
    def order(entry: Entry) -> bool:
        """Sorts entries of a table's log behind the files that they name."""
        return LOG in PurePath(entry.path).parts

    def send(self, path: PurePath, chunks: Iterable[bytes]) -> None:
        """One file. Raises `Unavailable`, and whatever `chunks` raises."""
        self._sent.append(path)
        self._bucket.write(path, chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._bucket.delete(reversed(self._sent))
