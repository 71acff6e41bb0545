"""What stands after a crash: the torn tail is cut off, damage before it is stepped over."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twofold.store.disk import make_folder, replace_file
from twofold.store.journal.codec import MAGIC, decode_frame, frame_size

log = logging.getLogger(__name__)

_CHUNK: Final = 4 << 20


def recover(fd: int) -> int:
    """Cut the torn tail off the newest segment; returns its size.

    The tail is what stands behind the last intact frame: it was never acknowledged. Damage with
    intact frames behind it is no torn tail and stays, for the reader to report.
    """
    size = os.fstat(fd).st_size
    end = at = 0
    while at < size:
        after = _intact(fd, at, size)
        if after:
            end = at = after
        else:
            at = next_frame(fd, at, size)
    if end < size:
        log.warning("cut a torn tail of %d bytes off the journal", size - end)
        os.ftruncate(fd, end)
        os.fsync(fd)
    return end


def next_frame(fd: int, damaged: int, stop: int) -> int:
    """Offset of the first intact frame behind a damaged one, or `stop`."""
    at = damaged + 1
    while at < stop:
        data = os.pread(fd, min(_CHUNK, stop - at), at)
        if not data:
            break
        hit = data.find(MAGIC)
        while hit >= 0:
            if _intact(fd, at + hit, stop):
                return at + hit
            hit = data.find(MAGIC, hit + 1)
        at += max(1, len(data) - len(MAGIC) + 1)
    return stop


def damages(path: Path) -> Iterator[tuple[int, int, bool]]:
    """Start and end of every stretch of a segment without an intact frame, and whether it is the tail."""
    fd = os.open(path, os.O_RDONLY)
    try:
        at, size = 0, os.fstat(fd).st_size
        while at < size:
            after = _intact(fd, at, size)
            if not after:
                after = next_frame(fd, at, size)
                yield at, after, after == size
            at = after
    finally:
        os.close(fd)


def keep(fd: int, start: int, stop: int, path: Path) -> None:
    """Copy damaged bytes aside, once, before their segment is deleted."""
    if not path.exists():
        make_folder(path.parent)
        replace_file(path, os.pread(fd, stop - start, start))


def _intact(fd: int, offset: int, stop: int) -> int:
    """Offset behind the intact frame at `offset`; 0 when none stands there."""
    size = frame_size(os.pread(fd, 12, offset), 0)
    if not size or offset + size > stop or decode_frame(os.pread(fd, size, offset), 0) is None:
        return 0
    return offset + size
