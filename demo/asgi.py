"""A router for small JSON services, as plain ASGI. The shop's processes add spans to it, the control a token."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

BODY_LIMIT_BYTES = 256 * 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call, parsed.

    Attributes:
        path: Values of the template's placeholders.
        headers: Names in lower case.
        body: Decoded JSON, None when empty.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None


@dataclass(frozen=True, slots=True)
class Text:
    """An answer that is not JSON."""

    content: bytes
    content_type: str


class Refused(Exception):
    """The request is answered with this status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


Handler = Callable[[Request], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path template such as `/products/{id}`, and who answers."""

    method: str
    template: str
    handler: Handler

    def match(self, path: str) -> dict[str, str] | None:
        """The placeholders' values when `path` fits the template, else None."""
        wanted, given = self.template.split("/"), path.split("/")
        if len(wanted) != len(given):
            return None
        values = {}
        for name, value in zip(wanted, given, strict=True):
            if name.startswith("{"):
                values[name[1:-1]] = value
            elif name != value:
                return None
        return values


class App:
    """Routes requests to handlers and writes their results as JSON. Subclasses wrap `answer`."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def add(self, method: str, template: str, handler: Handler) -> None:
        """Answer `method` on `template` with `handler`."""
        self._routes.append(Route(method, template, handler))

    async def answer(self, route: Route, request: Request) -> tuple[int, object]:
        """Status and body for one routed request."""
        try:
            return HTTPStatus.OK, await route.handler(request)
        except Refused as refused:
            return refused.status, {"error": refused.reason}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP exchange."""
        try:
            route, values = self._find(scope["method"], scope["path"])
            request = Request(
                path=values,
                query=dict(parse_qsl(scope["query_string"].decode("latin-1"))),
                headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
                body=_parse(await _read(receive)),
            )
            status, body = await self.answer(route, request)
        except Refused as refused:
            status, body = refused.status, {"error": refused.reason}
        await _reply(send, status, body)

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        found = [(route, values) for route in self._routes if (values := route.match(path)) is not None]
        for route, values in found:
            if route.method == method:
                return route, values
        if found:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} answers {sorted(r.method for r, _ in found)}")
        raise Refused(HTTPStatus.NOT_FOUND, f"no such path: {path}")


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(HTTPStatus.BAD_REQUEST, "the caller left before its body was read")
        body += bytes(message.get("body", b""))
        if len(body) > BODY_LIMIT_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"body larger than {BODY_LIMIT_BYTES} bytes")
        if not message.get("more_body", False):
            return body


def _parse(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"body is not JSON: {error}") from error


async def _reply(send: Send, status: int, body: object) -> None:
    if isinstance(body, Text):
        content, kind = body.content, body.content_type
    else:
        content, kind = json.dumps(body).encode(), "application/json"
    headers = [(b"content-type", kind.encode("latin-1")), (b"content-length", str(len(content)).encode("latin-1"))]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": content})
