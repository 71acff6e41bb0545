"""The durable log of accepted telemetry. A 2xx answer means: appended here and synced (promise P1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from twofold.errors import Corrupt
from twofold.records.frame import Frame, Position


class Journal(Protocol):
    """An append-only log of frames in partitions.

    Engines: `segments` (files on this machine). Beyond one machine the same three verbs
    (append, read from a position, commit) stand over NATS JetStream or Kafka.
    """

    def append(self, frames: Sequence[Frame]) -> Sequence[Position]:
        """Write all frames and return once they survive power loss. Callable from many threads (group commit).

        Returns the position after each frame. Either all frames of the call are durable or it raises.

        Raises:
            StorageFull: No space; nothing of this call is kept.
            Unavailable: The device failed to sync; the journal is read-only from then on.
            Overloaded: More unread bytes than the limit allows.
        """
        ...

    def read(self, partition: int, start: Position, limit: int = 256) -> Sequence[tuple[Position, Frame]]:
        """Up to `limit` durable frames at or after `start`, each with the position after it. Empty at the end.

        Raises:
            Corrupt: A frame fails its check (a torn tail is not corruption). `after_damage` says where to read on.
        """
        ...

    def wait(self, partition: int, start: Position, timeout_s: float) -> bool:
        """Block until a durable frame stands at or after `start`; False on timeout or close."""
        ...

    def commit(self, consumer: str, partition: int, position: Position) -> None:
        """Durably note that `consumer` needs nothing before `position`. Segments that nobody needs are deleted."""
        ...

    def committed(self, consumer: str, partition: int) -> Position:
        """The consumer's last committed position, or the oldest kept one."""
        ...

    def partitions(self) -> range:
        """The partition numbers."""
        ...

    def close(self) -> None:
        """Sync and release files."""
        ...


def after_damage(error: Corrupt) -> Position:
    """Where a reader goes on after `Journal.read` raised. It counts and logs the loss, and the rest is read."""
    following = error.facts.get("next")
    if not isinstance(following, Position):
        raise error
    return following


def read_past_damage(
    journal: Journal, partition: int, start: Position, limit: int = 256
) -> tuple[Sequence[tuple[Position, Frame]], list[Corrupt]]:
    """`Journal.read` that goes on behind damaged frames, which are given back for the caller to count and tell.

    Raises:
        Corrupt: Damage behind which nothing can be read.
    """
    lost: list[Corrupt] = []
    while True:
        try:
            return journal.read(partition, start, limit), lost
        except Corrupt as error:
            start = after_damage(error)
            lost.append(error)


def batches(journal: Journal, partition: int, start: Position) -> Iterator[tuple[Position, Frame]]:
    """All durable frames from `start` to the present end, behind damage too."""
    while found := read_past_damage(journal, partition, start)[0]:
        yield from found
        start = found[-1][0]
