"""The router under the shop's services and the control."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

from demo.asgi import BODY_LIMIT_BYTES, App, Refused, Request, Text


async def echo(request: Request) -> object:
    return {"id": request.path.get("id"), "query": dict(request.query), "body": request.body}


async def refuse(_: Request) -> object:
    raise Refused(409, "not now")


async def say(_: Request) -> object:
    return Text(b"up 1\n", "text/plain")


def app() -> App:
    made = App()
    made.add("GET", "/things/{id}", echo)
    made.add("POST", "/things", echo)
    made.add("POST", "/never", refuse)
    made.add("GET", "/metrics", say)
    return made


def ask(method: str, path: str, *parts: bytes, query: bytes = b"") -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[MutableMapping[str, Any]] = []
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": []}
    asyncio.run(app()(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_placeholders_query_and_body_reach_the_handler() -> None:
    status, headers, body = ask("GET", "/things/7", query=b"page=2")
    assert (status, json.loads(body)) == (200, {"id": "7", "query": {"page": "2"}, "body": None})
    assert headers[b"content-length"] == str(len(body)).encode()
    assert json.loads(ask("POST", "/things", b'{"a":', b" 1}")[2])["body"] == {"a": 1}


def test_text_is_sent_as_it_is() -> None:
    status, headers, body = ask("GET", "/metrics")
    assert (status, headers[b"content-type"], body) == (200, b"text/plain", b"up 1\n")


def test_every_refusal_has_its_status_and_a_reason() -> None:
    for call, status in (
        (("GET", "/nowhere"), 404),
        (("DELETE", "/things/7"), 405),
        (("POST", "/never"), 409),
        (("POST", "/things", b"{"), 400),
        (("POST", "/things", b"x" * (BODY_LIMIT_BYTES + 1)), 413),
    ):
        answered, _, body = ask(*call)
        assert answered == status
        assert json.loads(body)["error"]
