"""The journal on this machine: append-only files, one sync for all who wait (group commit)."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twofold.errors import ConfigError, NotFound, Overloaded, TooLarge, TwofoldError, Unavailable
from twofold.records.frame import Frame, Position, Source
from twofold.store.disk import FolderLock, make_folder, translate, translated
from twofold.store.failpoints import reach
from twofold.store.journal.codec import encode_frame
from twofold.store.journal.partition import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """How the journal keeps frames.

    Attributes:
        segment_bytes: Size past which a new file is begun; space is given back in this unit.
        frame_bytes: Largest payload of one frame.
        unread_bytes: Received frames are refused past so many bytes that a consumer has not committed.
        tail_bytes: Newest payloads of a partition kept in memory, for consumers that keep up.
        consumers: Who must have committed before a segment is deleted.
    """

    segment_bytes: int = 64 << 20
    frame_bytes: int = 64 << 20
    unread_bytes: int = 4 << 30
    tail_bytes: int = 32 << 20
    consumers: tuple[str, ...] = ("history", "pipeline")


@dataclass(slots=True, eq=False)
class _Call:
    """One `append` on its way through the group commit."""

    items: list[tuple[bytes, Frame]]
    positions: list[Position] = field(default_factory=list)
    error: TwofoldError | None = None
    done: bool = False


class SegmentJournal:
    """Frames in segment files below `root/p<partition>/`.

    Whoever finds no sync under way leads: it writes the frames of all calls that wait, in order, and
    syncs once for all. So the cost of a sync is shared by as many calls as came during the previous one.
    A failed write is taken back and the journal goes on; after a failed sync nobody knows what the
    device holds, so it only reads from then on (fsyncgate, PostgreSQL 2018).

    Args:
        root: The folder; made when absent. One process at a time.
        partitions: Their number; a journal that has more keeps them.

    Raises:
        Conflict: Another process has it open.
        ConfigError: Fewer partitions than the folder holds, or none.
    """

    def __init__(self, root: Path, partitions: int = 1, *, config: JournalConfig | None = None) -> None:
        self._config = config or JournalConfig()
        with translated(f"open the journal in {root}"):
            make_folder(root)
            self._lock = FolderLock(root)
            try:
                self._partitions = self._open(root, partitions)
            except BaseException:
                self._lock.release()
                raise
        self._turn = threading.Condition()
        self._waiting: list[_Call] = []
        self._leading = False
        self._closed = False
        self._failure: TwofoldError | None = None

    def _open(self, root: Path, partitions: int) -> list[Partition]:
        held = len(list(root.glob("p[0-9]*")))
        if partitions < max(1, held):
            raise ConfigError(
                f"{partitions} partitions configured, {root} holds {held}; set at least {max(1, held)}", held=held
            )
        # A new journal starts past every position that an older, lost one can have given out (below 1 GB/s),
        # so what readers noted about that one never hides new frames.
        first = time.time_ns()
        return [
            Partition(
                root / f"p{number}",
                number,
                first=first,
                segment_bytes=self._config.segment_bytes,
                tail_bytes=self._config.tail_bytes,
                consumers=self._config.consumers,
                quarantine=root / "quarantine",
            )
            for number in range(partitions)
        ]

    def append(self, frames: Sequence[Frame]) -> Sequence[Position]:
        """See `Journal.append`.

        Raises:
            TooLarge: A frame past `frame_bytes`; nothing of this call is kept.
        """
        if not frames:
            return []
        self._admit(frames)
        call = _Call([(encode_frame(frame)[0], frame) for frame in frames])
        with self._turn:
            if self._closed:
                raise Unavailable("the journal is closed")
            self._waiting.append(call)
            while self._leading and not call.done:
                self._turn.wait()
            if not call.done:
                self._leading = True
                group, self._waiting = self._waiting, []
        if not call.done:
            self._lead(group)
        if call.error is not None:
            raise call.error
        return call.positions

    def _admit(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._partition(frame.partition)
            if len(frame.payload) > self._config.frame_bytes:
                raise TooLarge(
                    f"a frame of {len(frame.payload)} bytes, limit {self._config.frame_bytes}; send smaller batches",
                    reason="frame_bytes",
                )
        if all(frame.source is Source.DERIVED for frame in frames):
            return  # made by a consumer: refusing them would keep it from ever catching up
        for number in {frame.partition for frame in frames}:
            unread = self._partitions[number].unread_bytes()
            if unread > self._config.unread_bytes:
                raise Overloaded(
                    f"partition {number} holds {unread} bytes that nobody has worked off yet, "
                    f"limit {self._config.unread_bytes}",
                    retry_after_s=5,
                    unread_bytes=unread,
                )

    def _lead(self, group: list[_Call]) -> None:
        error: TwofoldError | None = None
        try:
            error = self._failure or self._write(group)
        except BaseException:
            error = Unavailable("the journal's writer was interrupted")
            self._failure = error
            raise
        finally:
            with self._turn:
                for call in group:
                    call.error = error
                    call.done = True
                self._leading = False
                self._turn.notify_all()

    def _write(self, group: list[_Call]) -> TwofoldError | None:
        touched: dict[int, Partition] = {}
        try:
            for call in group:
                for head, frame in call.items:
                    partition = touched.setdefault(frame.partition, self._partitions[frame.partition])
                    call.positions.append(partition.stage(head, frame))
            for partition in touched.values():
                partition.write()
            reach("journal.append")
        except OSError as error:
            return self._take_back(touched, error)
        try:
            for partition in touched.values():
                partition.sync()
            reach("journal.append")
        except OSError as error:
            self._failure = Unavailable(
                f"the journal's device failed to sync: {error}; reading goes on, appending does not. "
                "Check the device, then restart",
                errno=error.errno,
            )
            return self._failure
        for partition in touched.values():
            partition.publish()
        return None

    def _take_back(self, touched: dict[int, Partition], cause: OSError) -> TwofoldError:
        try:
            for partition in touched.values():
                partition.rollback()
        except OSError as error:
            self._failure = translate(error, "take back a failed write; the journal only reads until a restart")
        return translate(cause, "append to the journal")

    def read(self, partition: int, start: Position, limit: int = 256) -> Sequence[tuple[Position, Frame]]:
        """See `Journal.read`. Damaged bytes are copied to `quarantine/`, once."""
        return self._partition(partition).read(start, limit)

    def wait(self, partition: int, start: Position, timeout_s: float) -> bool:
        """See `Journal.wait`."""
        return self._partition(partition).wait(start, timeout_s)

    def commit(self, consumer: str, partition: int, position: Position) -> None:
        """See `Journal.commit`. Raises `Conflict` for a position past the end."""
        self._partition(partition).commit(consumer, position)

    def committed(self, consumer: str, partition: int) -> Position:
        """See `Journal.committed`."""
        return self._partition(partition).committed(consumer)

    def partitions(self) -> range:
        """See `Journal.partitions`."""
        return range(len(self._partitions))

    def end(self, partition: int) -> Position:
        """Behind the last durable frame of a partition."""
        return self._partition(partition).end()

    def size_bytes(self) -> int:
        """Bytes kept in all partitions."""
        return sum(each.size_bytes() for each in self._partitions)

    def unread_bytes(self) -> int:
        """Bytes that the slowest consumer has not committed, summed over partitions."""
        return sum(each.unread_bytes() for each in self._partitions)

    def damaged_bytes(self) -> int:
        """Bytes that readers met and that fail their check, since start."""
        return sum(each.damaged_bytes() for each in self._partitions)

    def close(self) -> None:
        """See `Journal.close`. Calls under way finish first."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            self._turn.wait_for(lambda: not self._leading and not self._waiting)
        for partition in self._partitions:
            partition.close()
        self._lock.release()

    def _partition(self, number: int) -> Partition:
        if not 0 <= number < len(self._partitions):
            raise NotFound(f"no partition {number}, there are {len(self._partitions)}", partition=number)
        return self._partitions[number]
