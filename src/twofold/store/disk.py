"""What every engine on files needs: names that survive power loss, and the operating system's errors in our words."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from twofold.errors import Conflict, StorageFull, TwofoldError, Unavailable

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of errors that mean: no space."""
TEMPORARY: Final = ".tmp-"
"""How names of unfinished files begin."""

sync_data = getattr(os, "fdatasync", os.fsync)
"""Flush a file's bytes (and what is needed to read them back) to the device; macOS knows only `fsync`."""


def translate(error: OSError, doing: str) -> TwofoldError:
    """The error of the tree for an error of the operating system.

    >>> import errno
    >>> type(translate(OSError(errno.ENOSPC, "No space left on device"), "write a blob")).__name__
    'StorageFull'
    """
    if error.errno in FULL:
        return StorageFull(f"no space left to {doing}: {error}; free space or add some", errno=error.errno)
    return Unavailable(f"cannot {doing}: {error}", errno=error.errno)


def sync_folder(folder: Path) -> None:
    """Make names that were added to or removed from a folder durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable that another library wrote."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents; each new name is durable."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_folder(each.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Write a whole file durably; see `replacing`."""
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that durably takes the path's place at the end of the block.

    Readers see the old bytes or the new ones, never a mix.

    Raises:
        OSError: As the operating system gave it; the old bytes stand, nothing is left over.
    """
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


class FolderLock:
    """One owner of a folder at a time, among all processes; released by the system when the owner dies.

    Raises:
        Conflict: Another owner holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise Conflict(f"{folder} is open in another process; stop it first", folder=str(folder)) from error

    def release(self) -> None:
        """Let others in. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise errors of the operating system as `StorageFull` or `Unavailable`."""
    try:
        yield
    except OSError as error:
        raise translate(error, doing) from error
