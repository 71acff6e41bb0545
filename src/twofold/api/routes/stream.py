"""Live updates: what changed in the ledger, as Server-Sent Events."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Header, Request
from starlette.responses import StreamingResponse

from twofold.api.router import Caller, router
from twofold.api.rules import needs
from twofold.api.stream import Feed
from twofold.records.access import Permission

routes = router("stream")


@routes.get(
    "/stream",
    operation_id="stream_changes",
    openapi_extra=needs(Permission.READ),
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/ChangeNotice"}}}}},
)
async def stream_changes(
    request: Request, caller: Caller, last_event_id: Annotated[int | None, Header(ge=0)] = None
) -> StreamingResponse:
    """Events named `change`; `data` is `{seq, table, id}`, `id` is the seq, so a broken stream goes on where it was."""
    feed = cast("Feed", request.app.state.feed)
    return StreamingResponse(
        await feed.follow(caller.tenant, last_event_id),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )
