"""Live updates: one poller, many pages, none of them lied to."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from tests.api_world import NOW, World
from twofold.api import stream
from twofold.api.stream import Feed
from twofold.errors import Overloaded, Unavailable
from twofold.records.access import Role, Setting


def a_setting(name: str, tenant: str = "main") -> Setting:
    return Setting(id=name, value="v", changed=NOW, author="ann", tenant=tenant)


def told(event: bytes) -> list[str]:
    """Ids of the changes in a piece of the stream."""
    return [json.loads(line[6:])["id"] for line in event.decode().splitlines() if line.startswith("data: ")]


async def take(events: AsyncIterator[bytes], most: int) -> list[str]:
    found: list[str] = []
    while len(found) < most:
        found += told(await asyncio.wait_for(anext(events), 5.0))
    return found


def test_a_page_hears_what_comes_and_only_of_its_tenant(world: World) -> None:
    async def go() -> list[list[str]]:
        feed = Feed(world.ledger, poll_s=0.01)
        world.ledger.put(a_setting("before"))
        pages = [await feed.follow("main", None), await feed.follow("acme", None)]
        for page in pages:
            await anext(page)
        world.ledger.put(a_setting("one"), a_setting("other", "acme"))
        world.ledger.put(a_setting("two"))
        heard = [await take(pages[0], 2), await take(pages[1], 1)]
        await feed.close()
        return heard

    assert asyncio.run(go()) == [["one", "two"], ["other"]]


def test_a_page_that_comes_back_hears_what_it_missed_once(world: World) -> None:
    async def go() -> list[str]:
        feed = Feed(world.ledger, poll_s=0.01)
        world.ledger.put(a_setting("seen"))
        last = world.ledger.head()
        world.ledger.put(a_setting("missed"))
        page = await feed.follow("main", last)
        await asyncio.sleep(0.05)
        world.ledger.put(a_setting("new"))
        heard = await take(page, 2)
        world.ledger.put(a_setting("newer"))
        heard += await take(page, 1)
        await feed.close()
        return heard

    assert asyncio.run(go()) == ["missed", "new", "newer"]


def test_a_slow_page_is_cut_and_holds_up_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes back with its last id and gets the rest."""
    monkeypatch.setattr(stream, "QUEUE", 3)
    monkeypatch.setattr(stream._Follower, "__init__", _small)

    async def go() -> tuple[list[str], int]:
        feed = Feed(world.ledger, poll_s=0.01)
        slow, quick = await feed.follow("main", None), await feed.follow("main", None)
        for page in (slow, quick):
            await anext(page)
            reading = asyncio.ensure_future(anext(page))
            await asyncio.sleep(0)
            reading.cancel() if page is slow else None
        for batch in range(4):
            world.ledger.put(a_setting(f"{batch}a"), a_setting(f"{batch}b"))
            await asyncio.sleep(0.05)
        rest = [event async for event in slow]
        await feed.close()
        return [name for event in rest for name in told(event)], len(feed._followers)

    heard, followers = asyncio.run(go())
    assert len(heard) <= 3
    assert followers == 0


def _small(self: Any, tenant: str) -> None:
    self.tenant, self.queue, self.lost = tenant, asyncio.Queue(3), False


def test_nobody_polls_when_nobody_follows(world: World) -> None:
    async def go() -> bool:
        feed = Feed(world.ledger, poll_s=0.01)
        page = await feed.follow("main", None)
        await anext(page)
        await page.aclose()  # type: ignore[attr-defined]  # it is a generator
        await asyncio.sleep(0.1)
        return feed._task is not None and feed._task.done()

    assert asyncio.run(go())


def test_a_ledger_that_is_away_for_a_while_only_delays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> list[str]:
        feed = Feed(world.ledger, poll_s=0.01)
        page = await feed.follow("main", None)
        await anext(page)
        reading = asyncio.ensure_future(take(page, 1))
        await asyncio.sleep(0.05)
        whole, away = world.ledger.changes, [True] * 3

        def changes(after: int, limit: int = 1000) -> Any:
            if away:
                away.pop()
                raise Unavailable("the ledger restarts")
            return whole(after, limit)

        monkeypatch.setattr(world.ledger, "changes", changes)
        world.ledger.put(a_setting("late"))
        heard = await reading
        await feed.close()
        return heard

    assert asyncio.run(go()) == ["late"]


def test_a_page_that_left_before_it_was_answered_leaves_nothing_behind(world: World) -> None:
    async def go() -> int:
        feed = Feed(world.ledger)
        page = await feed.follow("main", None)
        await page.aclose()  # type: ignore[attr-defined]  # it is a generator
        return len(feed._followers)

    assert asyncio.run(go()) == 0


def test_too_many_pages_are_told_to_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_FOLLOWERS", 1)

    async def go() -> None:
        feed = Feed(world.ledger)
        await anext(await feed.follow("main", None))
        try:
            await feed.follow("main", None)
        finally:
            await feed.close()

    with pytest.raises(Overloaded):
        asyncio.run(go())


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """The API behind a real server on a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(world.api, log_level="warning", timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def test_events_come_over_http_as_they_happen_and_the_server_still_stops(world: World) -> None:
    async def go() -> list[str]:
        headers = {"cookie": f"twofold_session={world.session(Role.VIEWER)}"}
        async with (
            served(world) as url,
            httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client,
            client.stream("GET", "/api/v1/stream") as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            await anext(lines)
            world.ledger.put(a_setting("live"))
            return [await asyncio.wait_for(anext(lines), 5.0) for _ in range(4)]

    lines = asyncio.run(go())
    assert lines[1].startswith("id: ")
    assert lines[2] == "event: change"
    assert json.loads(lines[3].removeprefix("data: "))["table"] == "settings"
