"""`twofold backfill`: send a capture through the backfill lane, moved in time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from twofold.cli.client import Api, connect
from twofold.cli.output import Exit, fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx

    from twofold.aiops.ingest.capture import Captured

TOGETHER_NS: Final = 2 * 10**9
"""Requests of so much recorded time are sent as few, and together: receivers allow for more lateness than that."""


def backfill(
    capture: Annotated[Path, typer.Argument(help="Written by `twofold up --capture`.")],
    ends_now: Annotated[bool, typer.Option(help="Move it in time so that it ends now.")] = True,
) -> None:
    """Send a recorded capture as history: any age is taken, no notices, no actions."""
    sent = send(connect(), capture, ends_now=ends_now)
    typer.echo(f"{sent} requests sent; incidents found in them appear as backfilled")


def send(api: Api, capture: Path, *, ends_now: bool) -> int:
    """Send every request of a capture in order, a few at a time; returns how many. Draws a progress bar."""
    import asyncio
    import time

    import httpx
    from rich.progress import Progress

    from twofold.aiops.ingest.capture import merged, read_capture, shift

    times = [request.time_ns for request in read_capture(capture)]
    if not times:
        fail(f"{capture} holds no request")
    delta_ns = time.time_ns() - max(times) if ends_now else 0

    async def run() -> None:
        with Progress(transient=True) as progress:
            task = progress.add_task("backfill", total=len(times))
            async with _client(api) as client:
                for chunk in _chunks(shift(request, delta_ns) for request in read_capture(capture)):
                    await asyncio.gather(*(_post(client, request) for request in merged(chunk)))
                    progress.advance(task, len(chunk))

    try:
        asyncio.run(run())
    except httpx.HTTPError as error:
        fail(f"{api.url} went away in the middle ({type(error).__name__}); send it again", Exit.UNREACHABLE)
    return len(times)


def _client(api: Api) -> httpx.AsyncClient:
    import httpx

    headers = {"x-twofold-lane": "backfill"} | ({"authorization": f"Bearer {api.token}"} if api.token else {})
    return httpx.AsyncClient(base_url=api.url, headers=headers, timeout=60.0, trust_env=False)


async def _post(client: httpx.AsyncClient, request: Captured) -> None:
    """Send one request; wait and send again while the server is busy."""
    import asyncio

    body, headers = request.encoded()
    while True:
        answer = await client.post(request.path, content=body, headers=headers)
        if answer.status_code not in (429, 503):
            break
        await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
    if answer.is_error:
        fail(f"{request.path} answered {answer.status_code}: {answer.text[:300]}")


def _chunks(requests: Iterator[Captured]) -> Iterator[Sequence[Captured]]:
    from itertools import groupby

    for _, chunk in groupby(requests, key=lambda request: request.time_ns // TOGETHER_NS):
        yield list(chunk)
