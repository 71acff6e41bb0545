"""Where a backup lies: a folder, or one `.tar` file. Either appears under its name only when it is complete."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Final, Protocol

from twofold.errors import Conflict, Corrupt, NotFound
from twofold.store.backup.manifest import NAME, Entry, Manifest, decode
from twofold.store.disk import make_folder, sync_file, sync_folder

ARCHIVE: Final = ".tar"
_PARTIAL: Final = ".partial"
_CHUNK: Final = 1 << 20


class Writer(Protocol):
    """Takes the files of a backup."""

    def add(self, path: str, source: IO[bytes], size: int) -> Entry:
        """Copy `size` bytes. Raises `OSError`, and `Corrupt` when the source ends before."""
        ...


@contextmanager
def create(target: Path) -> Iterator[Writer]:
    """A new backup; give it its manifest by `finish` as the last thing in the block.

    Raises:
        Conflict: Something stands there already.
    """
    if target.exists():
        raise Conflict(f"{target} is there already; choose another name or remove it", target=str(target))
    make_folder(target.parent)
    partial = target.with_name(target.name + _PARTIAL)
    _remove(partial)
    writer = _Archive(partial) if target.suffix == ARCHIVE else _Folder(partial)
    try:
        with writer:
            yield writer
        partial.rename(target)
        sync_folder(target.parent)
    except BaseException:
        _remove(partial)
        raise


def finish(writer: Writer, manifest: Manifest) -> None:
    """Write the list of files, which makes the backup complete."""
    data = manifest.encode()
    writer.add(NAME, io.BytesIO(data), len(data))


class _Folder(AbstractContextManager["_Folder"]):
    def __init__(self, root: Path) -> None:
        self._root = root
        make_folder(root)

    def add(self, path: str, source: IO[bytes], size: int) -> Entry:
        target = self._root / path
        make_folder(target.parent)
        hashed = _Hashed(source, size, path)
        with target.open("xb") as file:
            shutil.copyfileobj(hashed, file, _CHUNK)
        sync_file(target)
        return hashed.entry()

    def __exit__(self, *_: object) -> None:
        for folder in (self._root, *(each for each in self._root.rglob("*") if each.is_dir())):
            sync_folder(folder)


class _Archive(AbstractContextManager["_Archive"]):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._tar = tarfile.open(path, "x", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `__exit__`

    def add(self, path: str, source: IO[bytes], size: int) -> Entry:
        info = tarfile.TarInfo(path)
        info.size, info.mode = size, 0o600
        hashed = _Hashed(source, size, path)
        self._tar.addfile(info, hashed)
        return hashed.entry()

    def __exit__(self, *_: object) -> None:
        self._tar.close()
        sync_file(self._path)


class _Hashed:
    """Exactly `size` bytes of a file that may be growing, hashed on the way."""

    def __init__(self, source: IO[bytes], size: int, path: str) -> None:
        self._source = source
        self._left = self._size = size
        self._path = path
        self._sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._source.read(wanted)
        if len(data) < wanted:
            raise Corrupt(f"{self._path} became shorter while it was read", path=self._path)
        self._left -= len(data)
        self._sha256.update(data)
        return data

    def entry(self) -> Entry:
        return Entry(path=self._path, size=self._size, sha256=self._sha256.hexdigest())


class Reader(AbstractContextManager["Reader"]):
    """A backup that is there.

    Raises:
        NotFound: Nothing stands there.
        Corrupt: It is no backup, or incomplete.
    """

    def __init__(self, source: Path) -> None:
        if not source.exists():
            raise NotFound(f"no backup at {source}", source=str(source))
        self._root = source
        self._tar: tarfile.TarFile | None = None
        if not source.is_dir():
            try:
                self._tar = tarfile.open(source)  # noqa: SIM115 - closed by `__exit__`
            except (tarfile.TarError, EOFError, ValueError) as error:
                raise Corrupt(f"{source} is no readable archive: {error}", source=str(source)) from error
        try:
            self._members = self._listed()
            with self.open(NAME) as file:
                self.manifest = decode(file.read())
        except BaseException as error:
            self.__exit__()
            if isinstance(error, (NotFound, OSError, tarfile.TarError, EOFError, ValueError)):
                raise Corrupt(f"{source} has no readable {NAME}: no backup, or not a complete one") from error
            raise

    def _listed(self) -> dict[str, tarfile.TarInfo]:
        return {each.name: each for each in self._tar.getmembers() if each.isfile()} if self._tar else {}

    def names(self) -> set[str]:
        """Files that are there, the manifest left out."""
        if self._tar is not None:
            return self._members.keys() - {NAME}
        found = (each for each in self._root.rglob("*") if each.is_file() or each.is_symlink())
        return {each.relative_to(self._root).as_posix() for each in found} - {NAME}

    def open(self, path: str) -> IO[bytes]:
        """A file of the backup. Raises `NotFound`, and `OSError` on reading."""
        try:
            if self._tar is None:
                return (self._root / path).open("rb")
            file = self._tar.extractfile(self._members[path])
        except (KeyError, FileNotFoundError) as error:
            raise NotFound(f"{path} is missing", path=path) from error
        assert file is not None, "only regular files are listed"  # noqa: S101 - for the type
        return file

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """A file's bytes; at the end, when they are not what the manifest says, `Corrupt`. Raises `NotFound`."""
        sha256, size = hashlib.sha256(), 0
        with self.open(entry.path) as file:
            try:
                while data := file.read(_CHUNK):
                    size += len(data)
                    sha256.update(data)
                    yield data
            except (OSError, tarfile.TarError) as error:
                raise Corrupt(f"{entry.path} cannot be read: {error}", path=entry.path) from error
        if (size, sha256.hexdigest()) != (entry.size, entry.sha256):
            raise Corrupt(
                f"{entry.path} is not what was backed up: {size} bytes with SHA-256 {sha256.hexdigest()[:12]}…, "
                f"must be {entry.size} with {entry.sha256[:12]}…",
                path=entry.path,
            )

    def __exit__(self, *_: object) -> None:
        if self._tar is not None:
            self._tar.close()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
