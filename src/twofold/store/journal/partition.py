"""The files of one partition: segments that only grow at the end, and where their readers are.

A segment is named by the sequence number of its first byte. Sequence numbers count bytes over all
segments, so a position (segment, offset) is the number segment + offset, distances are bytes, and
the end of one segment is the start of the next.
"""

from __future__ import annotations

import bisect
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twofold.errors import Conflict, Corrupt
from twofold.records.frame import Frame, Position
from twofold.store.disk import make_folder, sync_data, sync_folder, translate, translated
from twofold.store.failpoints import reach
from twofold.store.journal import recovery
from twofold.store.journal.codec import decode_frame, frame_size
from twofold.store.journal.commits import Commits
from twofold.store.journal.tail import Tail

log = logging.getLogger(__name__)

SUFFIX: Final = ".log"
READ_BYTES: Final = 16 << 20  # most bytes of one read, so that a reader far behind stays small
_CHUNK: Final = 1 << 20
_IOV_MAX: Final = 512  # buffers of one system call; POSIX promises 16, Linux and macOS take 1024


def sequence(position: Position) -> int:
    """Sequence number of the byte at a position.

    >>> sequence(Position(1000, 24))
    1024
    """
    return position.segment + position.offset


class Partition:
    """One folder of segments with one writer and many readers.

    `stage`, `write`, `sync`, `publish` and `rollback` are the writer's and are called by one thread at a time;
    all else may be called from any thread.

    Args:
        first: Sequence number of the first segment of an empty partition.
        consumers: Who must have committed before a segment is deleted.
        quarantine: Folder for copies of damaged bytes.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        *,
        first: int,
        segment_bytes: int,
        tail_bytes: int,
        consumers: Sequence[str],
        quarantine: Path,
    ) -> None:
        self._folder = folder
        self._number = number
        self._segment_bytes = segment_bytes
        self._quarantine = quarantine
        self._changed = threading.Condition()
        self._tail = Tail(tail_bytes)
        self._closed = False
        self._damage: dict[tuple[int, int], int] = {}
        make_folder(folder)
        self._starts = sorted(int(path.stem) for path in folder.glob(f"*{SUFFIX}"))
        if not self._starts:
            self._create(first)
        self._fd = os.open(self._path(self._starts[-1]), os.O_RDWR)
        self._end = self._starts[-1] + recovery.recover(self._fd)
        self._written = self._end
        self._fresh: list[tuple[Position, Frame]] = []
        self._buffers: list[bytes] = []
        self._commits = Commits(folder / "committed.json", consumers)

    # The writer's part

    def stage(self, head: bytes, frame: Frame) -> Position:
        """Place a frame behind the last; returns the position after it. Raises `OSError`."""
        if not self._fresh and self._written - self._starts[-1] >= self._segment_bytes:
            self._roll()
        start = self._starts[-1]
        self._buffers += (head, frame.payload)
        self._written += len(head) + len(frame.payload)
        after = Position(start, self._written - start)
        self._fresh.append((after, frame))
        return after

    def write(self) -> None:
        """Write what was placed; not durable and not visible yet. Raises `OSError`."""
        _write_all(self._fd, self._buffers, self._end - self._starts[-1])
        self._buffers.clear()

    def sync(self) -> None:
        """Make what was written durable. Raises `OSError`, after which the file's state is unknown."""
        sync_data(self._fd)

    def publish(self) -> None:
        """Show what was synced to readers."""
        with self._changed:
            for after, frame in self._fresh:
                self._tail.add(self._end, after, frame)
                self._end = sequence(after)
            self._fresh.clear()
            self._changed.notify_all()

    def rollback(self) -> None:
        """Take back what was written and not published. Raises `OSError`."""
        self._fresh.clear()
        self._buffers.clear()
        self._written = self._end
        os.ftruncate(self._fd, self._end - self._starts[-1])

    def _roll(self) -> None:
        start = self._written
        self._create(start)
        old, self._fd = self._fd, os.open(self._path(start), os.O_RDWR)
        os.close(old)

    def _create(self, start: int) -> None:
        os.close(os.open(self._path(start), os.O_RDWR | os.O_CREAT, 0o600))
        sync_folder(self._folder)
        with self._changed:
            self._starts = [*self._starts, start]

    # The readers' part

    def read(self, start: Position, limit: int) -> list[tuple[Position, Frame]]:
        """See `Journal.read`."""
        with self._changed:
            starts, end = self._starts, self._end
            at = max(sequence(start), starts[0])
            found = self._tail.read(at, limit)
        if found or at >= end or limit < 1:
            return found
        index = bisect.bisect_right(starts, at) - 1
        segment = starts[index]
        stop = starts[index + 1] if index + 1 < len(starts) else end
        return self._read_segment(segment, at - segment, stop - segment, limit)

    def _read_segment(self, segment: int, offset: int, stop: int, limit: int) -> list[tuple[Position, Frame]]:
        path = self._path(segment)
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError as error:
            raise self._corrupt(segment, offset, stop, f"segment {path.name} is missing") from error
        except OSError as error:
            raise translate(error, f"read segment {path.name}") from error
        try:
            with translated(f"read segment {path.name}"):
                found = _frames(fd, offset, stop, limit, self._number)
                if found:
                    return [(Position(segment, after), frame) for after, frame in found]
                after = recovery.next_frame(fd, offset, stop)
                recovery.keep(fd, offset, after, self._quarantine / f"p{self._number}-{segment}-{offset}.bin")
        finally:
            os.close(fd)
        raise self._corrupt(segment, offset, after, f"a frame of segment {path.name} fails its check")

    def _corrupt(self, segment: int, offset: int, after: int, what: str) -> Corrupt:
        with self._changed:
            known = (segment, offset) in self._damage
            self._damage[segment, offset] = after - offset
        if not known:
            log.error("%s: %d bytes at %d of partition %d are lost", what, after - offset, offset, self._number)
        return Corrupt(
            f"{what}: {after - offset} bytes at offset {offset} of partition {self._number} are set aside in "
            f"{self._quarantine}; all else can be read",
            partition=self._number,
            segment=segment,
            offset=offset,
            size_bytes=after - offset,
            next=Position(segment, after),
        )

    def wait(self, start: Position, timeout_s: float) -> bool:
        """See `Journal.wait`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._end > sequence(start), timeout_s)
            return not self._closed and self._end > sequence(start)

    def end(self) -> Position:
        """Behind the last durable frame."""
        with self._changed:
            return self._position(self._end)

    def oldest(self) -> Position:
        """The first byte that is kept."""
        with self._changed:
            return Position(self._starts[0], 0)

    def _position(self, number: int) -> Position:
        start = self._starts[max(0, bisect.bisect_right(self._starts, number) - 1)]
        return Position(start, number - start)

    # The consumers' part

    def commit(self, consumer: str, position: Position) -> None:
        """See `Journal.commit`."""
        with self._changed:
            end = self._end
        if sequence(position) > end:
            raise Conflict(f"{consumer} commits {position}, but partition {self._number} ends at {self.end()}")
        with translated(f"commit the position of {consumer}"):
            self._commits.set(consumer, position)
            self._drop(self._commits.lowest())

    def committed(self, consumer: str) -> Position:
        """See `Journal.committed`."""
        return max(self._commits.get(consumer), self.oldest(), key=sequence)

    def unread_bytes(self) -> int:
        """Bytes that the slowest consumer has not committed."""
        with self._changed:
            return self._end - max(self._commits.lowest(), self._starts[0])

    def damaged_bytes(self) -> int:
        """Bytes that readers met and that fail their check, since start."""
        with self._changed:
            return sum(self._damage.values())

    def size_bytes(self) -> int:
        """Bytes kept."""
        with self._changed:
            return self._end - self._starts[0]

    def _drop(self, before: int) -> None:
        with self._changed:
            keep = bisect.bisect_right(self._starts, before) - 1
            dropped = self._starts[: max(0, keep)]
            self._starts = self._starts[len(dropped) :]
        for start in dropped:
            reach("journal.delete")
            self._path(start).unlink(missing_ok=True)
        if dropped:
            sync_folder(self._folder)

    def close(self) -> None:
        """Wake those who wait and release the files."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        os.close(self._fd)

    def _path(self, start: int) -> Path:
        return self._folder / f"{start:020d}{SUFFIX}"


def _write_all(fd: int, buffers: Sequence[bytes], offset: int) -> None:
    views = [memoryview(each) for each in buffers if each]
    while views:
        done = os.pwritev(fd, views[:_IOV_MAX], offset)
        offset += done
        whole = 0
        while whole < len(views) and done >= len(views[whole]):
            done -= len(views[whole])
            whole += 1
        del views[:whole]
        if done:
            views[0] = views[0][done:]


def _frames(fd: int, offset: int, stop: int, limit: int, partition: int) -> list[tuple[int, Frame]]:
    """Intact frames from `offset` on, each with the offset after it, until a bound or damage."""
    found: list[tuple[int, Frame]] = []
    enough = offset + READ_BYTES
    while offset < min(stop, enough) and len(found) < limit:
        data = os.pread(fd, min(_CHUNK, stop - offset), offset)
        size = frame_size(data, 0)
        if len(data) < size <= stop - offset:
            data = os.pread(fd, size, offset)
        at = 0
        while len(found) < limit and (frame := decode_frame(data, at, partition)) is not None:
            at += frame_size(data, at)
            found.append((offset + at, frame))
        if not at:
            break
        offset += at
    return found
