"""The catalog's file: one definition a line, each with its check, appended and synced."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from twofold.store.disk import make_folder, sync_data, sync_folder, translate, translated
from twofold.store.failpoints import reach

log = logging.getLogger(__name__)

_TAB: Final = b"\t"  # JSON text never holds one


class Line(NamedTuple):
    """One definition as it is stored."""

    tenant: str
    sid: int
    identity: bytes
    rest: bytes


class Lines:
    """Lines of `crc, tenant, sid, identity, rest` between tabs.

    A torn last line is written over by the next append; a damaged line is left out, logged and counted
    (its sid comes again with the next registration, since sids are deterministic).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0  # of all whole lines read or written
        self.damaged = 0

    def read(self) -> Iterator[Line]:
        """Lines that were not read before. Raises `Unavailable`."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._size)
                for raw in file:
                    if not raw.endswith(b"\n"):
                        return
                    self._size += len(raw)
                    line = _parse(raw[:-1])
                    if line is None:
                        self.damaged += 1
                        log.error("a line of %s fails its check and is left out: %r", self._path, raw[:200])
                    else:
                        yield line
        except FileNotFoundError:
            return
        except OSError as error:
            raise translate(error, f"read {self._path}") from error

    def append(self, lines: Sequence[Line]) -> None:
        """Write lines durably. Raises `StorageFull` or `Unavailable`; then none of them counts as written."""
        if not lines:
            return
        data = b"".join(_format(line) for line in lines)
        with translated(f"save {len(lines)} series definitions"):
            new = not self._path.exists()
            make_folder(self._path.parent)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.ftruncate(fd, self._size)
                _write(fd, data, self._size)
                reach("catalog.save")
                sync_data(fd)
            finally:
                os.close(fd)
            if new:
                sync_folder(self._path.parent)
        self._size += len(data)


def _write(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        offset += done
        view = view[done:]


def _format(line: Line) -> bytes:
    body = _TAB.join((orjson.dumps(line.tenant), b"%d" % line.sid, line.identity, line.rest))
    return b"%08x\t%b\n" % (zlib.crc32(body), body)


def _parse(raw: bytes) -> Line | None:
    crc, _, body = raw.partition(_TAB)
    try:
        if int(crc, 16) != zlib.crc32(body):
            return None
        tenant, sid, identity, rest = body.split(_TAB)
        return Line(orjson.loads(tenant), int(sid), identity, rest)
    except ValueError:
        return None
