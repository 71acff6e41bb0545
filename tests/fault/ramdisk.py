"""A disk in memory that forgets, at a power cut, what nobody had synced: some of it, in any order, torn in pieces.

The kernel's FUSE protocol spoken directly (linux/fuse.h), so it needs root and /dev/fuse but no library. The model is
stricter than any one file system: bytes of a file survive by `fsync` of the file, names by `fsync` of their folder;
of everything else each page, each size and each change of a name survives or not by chance.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import select
import signal
import stat
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PAGE: Final = 4096
SECTOR: Final = 512
_IN: Final = struct.Struct("<IIQQIIIHH")
_OUT: Final = struct.Struct("<IiQ")
_ATTR: Final = struct.Struct("<6Q10I")
_BUFFER: Final = 1 << 18
_MAX_WRITE: Final = 1 << 17
_FLAGS: Final = 1 | 1 << 5 | 1 << 22  # asynchronous reads, large writes, `max_pages`
_SIZE_SET: Final = 1 << 3
_VALID_S: Final = 3600  # nobody but the kernel changes anything


class Failed(Exception):
    """A request that is answered by an error number."""


@dataclass(eq=False)
class Node:
    """A file or folder: as programs see it, and as a power cut would leave it."""

    number: int
    mode: int
    data: bytearray = field(default_factory=bytearray)
    kept: bytes = b""
    dirty: set[int] = field(default_factory=set)
    names: dict[str, Node] = field(default_factory=dict)
    kept_names: dict[str, Node] = field(default_factory=dict)
    changes: list[dict[str, Node | None]] = field(default_factory=list)

    @property
    def folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    def change(self, names: dict[str, Node | None]) -> None:
        """Names that change together; None removes."""
        for name, node in names.items():
            if node is None:
                self.names.pop(name, None)
            else:
                self.names[name] = node
        self.changes.append(names)

    def write(self, offset: int, data: bytes) -> None:
        if len(self.data) < offset:
            self.resize(offset)
        self.data[offset : offset + len(data)] = data
        self.dirty |= set(range(offset // PAGE, (offset + len(data) - 1) // PAGE + 1))

    def resize(self, size: int) -> None:
        old = len(self.data)
        self.data = self.data[:size] if size < old else self.data + bytes(size - old)
        self.dirty |= set(range(min(old, size) // PAGE, max(old, size) // PAGE + 1))

    def sync(self) -> None:
        self.kept, self.kept_names = bytes(self.data), dict(self.names)
        self.dirty.clear()
        self.changes.clear()

    def survivors(self, chance: random.Random) -> bytes:
        """The bytes after a power cut."""
        if not self.dirty:
            return self.kept
        size = chance.choice((len(self.kept), len(self.data), chance.randint(0, max(len(self.kept), len(self.data)))))
        size = max(size, min(len(self.kept), len(self.data)))
        found = bytearray(self.kept[:size].ljust(size, b"\0"))
        share = chance.random()
        for page in self.dirty:
            step = SECTOR if chance.random() < 0.2 else PAGE
            for at in range(page * PAGE, min((page + 1) * PAGE, size), step):
                if chance.random() < share:
                    new = self.data[at : min(at + step, size)]
                    found[at : at + len(new)] = new
        return bytes(found)

    def surviving_names(self, chance: random.Random) -> dict[str, Node]:
        """The names after a power cut: a beginning of the changes, or any of them."""
        found = dict(self.kept_names)
        until = chance.randint(0, len(self.changes))
        ordered = chance.random() < 0.5
        for number, names in enumerate(self.changes):
            if number < until if ordered else chance.random() < 0.5:
                for name, node in names.items():
                    if node is None:
                        found.pop(name, None)
                    else:
                        found[name] = node
        return found


class RamDisk:
    """The tree and its answers to the kernel."""

    def __init__(self, image: Path) -> None:
        self._nodes: dict[int, Node] = {}
        self.root = self._load(image)
        self.syncs = 0
        self._calls: dict[int, Callable[[Node, memoryview], bytes]] = {
            1: lambda node, body: self._entry(self._child(node, _text(body))),
            3: lambda node, _: struct.pack("<QII", _VALID_S, 0, 0) + _attr(node),
            4: self._setattr,
            8: lambda node, body: self._entry(self._make(node, _text(body[16:]), struct.unpack_from("<I", body)[0])),
            9: lambda node, body: self._entry(
                self._make(node, _text(body[8:]), stat.S_IFDIR | struct.unpack_from("<I", body)[0])
            ),
            10: self._unlink,
            11: self._unlink,
            12: lambda node, body: self._rename(node, body, 8),
            13: self._link,
            14: lambda *_: bytes(16),
            15: self._read,
            16: self._write,
            17: lambda *_: struct.pack("<5Q4I24x", 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19, PAGE, 255, PAGE, 0),
            18: lambda *_: b"",
            20: self._sync,
            25: lambda *_: b"",
            27: lambda *_: bytes(16),
            28: self._list,
            29: lambda *_: b"",
            30: self._sync,
            34: lambda *_: b"",
            35: self._create,
            45: lambda node, body: self._rename(node, body, 16),
        }

    def serve(self, fuse: int, woken: int) -> None:
        """Answer until the mount ends.

        Waits for requests and for `woken` at once: a signal that comes just before a blocking read would wait for the
        next request, which need not come.
        """
        while True:
            select.select([fuse, woken], [], [])
            if select.select([woken], [], [], 0)[0]:
                os.read(woken, 64)
                continue
            try:
                request = memoryview(os.read(fuse, _BUFFER))
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue
                return
            _, opcode, unique, nodeid, *_ = _IN.unpack_from(request)
            body = request[_IN.size :]
            if opcode in (2, 42):  # forget: nodes stay until the cut
                continue
            if opcode == 26:
                answer, code = _welcome(), 0
            else:
                answer, code = self._answer(opcode, nodeid, body)
            try:
                os.write(fuse, _OUT.pack(_OUT.size + len(answer), -code, unique) + answer)
            except OSError as error:
                if error.errno != errno.ENOENT:  # the caller was interrupted
                    return

    def cut(self, image: Path, chance: random.Random) -> None:
        """Write what survives to a new folder."""
        self._survive(self.root, image, chance)

    def _survive(self, node: Node, path: Path, chance: random.Random) -> None:
        if not node.folder:
            path.write_bytes(node.survivors(chance))
            return
        path.mkdir()
        for name, child in sorted(node.surviving_names(chance).items()):
            self._survive(child, path / name, chance)

    def _answer(self, opcode: int, nodeid: int, body: memoryview) -> tuple[bytes, int]:
        call = self._calls.get(opcode)
        if call is None:
            return b"", errno.ENOSYS
        try:
            return call(self._nodes[nodeid], body), 0
        except Failed as error:
            return b"", int(error.args[0])

    def _load(self, path: Path) -> Node:
        node = self._new(stat.S_IFDIR | 0o700 if path.is_dir() else stat.S_IFREG | 0o600)
        if path.is_dir():
            node.names = {each.name: self._load(each) for each in path.iterdir()}
        else:
            node.data = bytearray(path.read_bytes())
        node.sync()
        return node

    def _new(self, mode: int) -> Node:
        node = Node(len(self._nodes) + 1, mode)
        self._nodes[node.number] = node
        return node

    def _child(self, node: Node, name: str) -> Node:
        if name not in node.names:
            raise Failed(errno.ENOENT)
        return node.names[name]

    def _make(self, node: Node, name: str, mode: int) -> Node:
        if name in node.names:
            raise Failed(errno.EEXIST)
        made = self._new(mode)
        node.change({name: made})
        return made

    def _entry(self, node: Node) -> bytes:
        return struct.pack("<4Q2I", node.number, 0, _VALID_S, _VALID_S, 0, 0) + _attr(node)

    def _create(self, node: Node, body: memoryview) -> bytes:
        mode = struct.unpack_from("<4I", body)[1]
        return self._entry(self._make(node, _text(body[16:]), stat.S_IFREG | mode)) + bytes(16)

    def _setattr(self, node: Node, body: memoryview) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", body)
        if valid & _SIZE_SET:
            node.resize(size)
        return struct.pack("<QII", _VALID_S, 0, 0) + _attr(node)

    def _unlink(self, node: Node, body: memoryview) -> bytes:
        child = self._child(node, _text(body))
        if child.names:
            raise Failed(errno.ENOTEMPTY)
        node.change({_text(body): None})
        return b""

    def _link(self, node: Node, body: memoryview) -> bytes:
        linked = self._nodes[struct.unpack_from("<Q", body)[0]]
        if _text(body[8:]) in node.names:
            raise Failed(errno.EEXIST)
        node.change({_text(body[8:]): linked})
        return self._entry(linked)

    def _rename(self, node: Node, body: memoryview, head: int) -> bytes:
        other = self._nodes[struct.unpack_from("<Q", body)[0]]
        old, new = bytes(body[head:]).split(b"\0")[:2]
        moved = self._child(node, old.decode())
        if head > 8 and struct.unpack_from("<I", body, 8)[0] & 1 and new.decode() in other.names:
            raise Failed(errno.EEXIST)  # RENAME_NOREPLACE
        if node is other:
            node.change({old.decode(): None, new.decode(): moved})
        else:
            node.change({old.decode(): None})
            other.change({new.decode(): moved})
        return b""

    def _read(self, node: Node, body: memoryview) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(node.data[offset : offset + size])

    def _write(self, node: Node, body: memoryview) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        node.write(offset, bytes(body[40 : 40 + size]))
        return struct.pack("<II", size, 0)

    def _sync(self, node: Node, _: memoryview) -> bytes:
        node.sync()
        self.syncs += 1
        return b""

    def _list(self, node: Node, body: memoryview) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        found = b""
        for number, (name, child) in enumerate(list(node.names.items())[offset:], offset + 1):
            raw = name.encode()
            entry = struct.pack("<QQII", child.number, number, len(raw), child.mode >> 12) + raw
            entry = entry.ljust(-(-len(entry) // 8) * 8, b"\0")
            if len(found) + len(entry) > size:
                break
            found += entry
        return found


def _text(body: memoryview) -> str:
    return bytes(body).split(b"\0")[0].decode()


def _attr(node: Node) -> bytes:
    size = len(node.data)
    return _ATTR.pack(node.number, size, -(-size // SECTOR), *[0] * 6, node.mode, 1, 0, 0, 0, PAGE, 0)


def _welcome() -> bytes:
    return struct.pack("<4I2H2I2H2I24x", 7, 31, 1 << 17, _FLAGS, 16, 12, _MAX_WRITE, 1, _MAX_WRITE // PAGE, 0, 0, 0)


def mount(folder: Path) -> int:
    """The kernel's end of a new FUSE mount. Raises `OSError` where that is not allowed."""
    fuse = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fuse},rootmode=40000,user_id={os.geteuid()},group_id={os.getegid()}"
    if libc.mount(b"ramdisk", os.fsencode(folder), b"fuse", 0, options.encode()):
        code = ctypes.get_errno()
        os.close(fuse)
        raise OSError(code, os.strerror(code))
    return fuse


def unmount(folder: Path) -> None:
    """Take the mount away, whoever still uses it."""
    ctypes.CDLL(None).umount2(os.fsencode(folder), 2)


def main(folder: Path, image: Path, after: Path, seed: int) -> None:
    """Serve `image` at `folder` until SIGUSR1, the power cut: nothing is answered any more, `after` is what is left."""
    disk = RamDisk(image)
    fuse = mount(folder)

    def cut(*_: object) -> None:
        disk.cut(after, random.Random(seed))  # noqa: S311 - repeatable on purpose
        unmount(folder)
        os._exit(0)

    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGUSR1, cut)
    print("mounted", flush=True)  # noqa: T201 - who started it waits for that
    disk.serve(fuse, woken)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
