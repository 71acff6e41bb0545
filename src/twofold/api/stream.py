"""One task follows the ledger for every live page: it polls once, and hands on to bounded queues."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from starlette.concurrency import run_in_threadpool

from twofold.errors import Overloaded, TwofoldError
from twofold.store.ledger import Change, Ledger

POLL_S: Final = 0.25
HEARTBEAT_S: Final = 15.0  # proxies cut silent streams
MOST_FOLLOWERS: Final = 200
QUEUE: Final = 1000  # changes a slow page may lag; then its stream ends and the browser comes back with its last id
REPLAY: Final = 1000  # changes handed to a page that comes back; further ones it gets as it reads
_LOG: Final = logging.getLogger("twofold.api")


@dataclass(eq=False)
class _Follower:
    tenant: str
    queue: asyncio.Queue[Change | None] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    lost: bool = False


class Feed:
    """Fan-out of the ledger's change feed. Polls only while somebody follows.

    Args:
        poll_s: Time between two looks at the ledger: the most that a page lags.
    """

    def __init__(self, ledger: Ledger, *, poll_s: float = POLL_S) -> None:
        self._ledger = ledger
        self._poll_s = poll_s
        self._followers: set[_Follower] = set()
        self._task: asyncio.Task[None] | None = None

    async def follow(self, tenant: str, last_seq: int | None) -> AsyncIterator[bytes]:
        """Server-Sent Events of one tenant's changes after `last_seq`, or from now on.

        Raises:
            Overloaded: Too many pages are open.
        """
        if len(self._followers) >= MOST_FOLLOWERS:
            raise Overloaded(f"{MOST_FOLLOWERS} live pages are open already", retry_after_s=10, limit=MOST_FOLLOWERS)
        head = await run_in_threadpool(self._ledger.head)
        return self._events(_Follower(tenant), head, head if last_seq is None else min(last_seq, head))

    async def _events(self, follower: _Follower, head: int, start: int) -> AsyncIterator[bytes]:
        """First what was missed, then what comes; a seq is never sent twice.

        Joins when it is first read, so a page that left before leaves nothing behind.
        """
        self._followers.add(follower)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll(head), name="ledger-feed")
        try:
            yield b"retry: 1000\n\n"
            seen = start
            while missed := await run_in_threadpool(self._ledger.changes, seen, REPLAY):
                seen = missed[-1].seq
                yield b"".join(_event(change) for change in missed if change.tenant == follower.tenant)
            while not (follower.lost and follower.queue.empty()):
                try:
                    change = await asyncio.wait_for(follower.queue.get(), HEARTBEAT_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if change is None:
                    return
                if change.seq > seen:
                    yield _event(change)
        finally:
            self._followers.discard(follower)

    async def _poll(self, seq: int) -> None:
        while self._followers:
            await asyncio.sleep(self._poll_s)
            try:
                changes = await run_in_threadpool(self._ledger.changes, seq)
            except TwofoldError as error:
                _LOG.warning("live pages wait for the ledger: %s", error)
                continue
            if changes:
                seq = changes[-1].seq
                self._hand_out(changes)

    def _hand_out(self, changes: Sequence[Change]) -> None:
        for follower in tuple(self._followers):
            mine = [change for change in changes if change.tenant == follower.tenant]
            if len(mine) > follower.queue.maxsize - follower.queue.qsize():
                follower.lost = True
                self._followers.discard(follower)
                continue
            for change in mine:
                follower.queue.put_nowait(change)

    async def close(self) -> None:
        """End every stream."""
        for follower in self._followers:
            follower.lost = True
            if not follower.queue.full():
                follower.queue.put_nowait(None)
        self._followers.clear()
        if self._task is not None:
            self._task.cancel()


def _event(change: Change) -> bytes:
    data = orjson.dumps({"seq": change.seq, "table": change.table, "id": change.id}).decode()
    return f"id: {change.seq}\nevent: change\ndata: {data}\n\n".encode()
