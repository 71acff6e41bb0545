"""Open Inference Protocol v2 over REST: thin routes over the data plane. Errors are `{"error": text}`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from twofold import __version__
from twofold.errors import InputError, NotFound, Overloaded, TooLarge, TwofoldError
from twofold.mlops.serve import protocol
from twofold.mlops.serve.plane import DataPlane, refused
from twofold.records.access import Permission

MAX_BODY_BYTES: Final = 8 << 20
_JSON: Final = "application/json"

PERMISSIONS: Final[tuple[tuple[str, str, Permission], ...]] = (
    ("POST", "/v2/models/{model}/infer", Permission.INFER),
    ("POST", "/v2/models/{model}/versions/{version}/infer", Permission.INFER),
    ("GET", "/v2", Permission.PUBLIC),
    ("GET", "/v2/", Permission.PUBLIC),
    ("GET", "/v2/health/live", Permission.PUBLIC),
    ("GET", "/v2/health/ready", Permission.PUBLIC),
    ("GET", "/v2/models/{model}", Permission.INFER),
    ("GET", "/v2/models/{model}/ready", Permission.INFER),
    ("GET", "/v2/models/{model}/versions/{version}", Permission.INFER),
    ("GET", "/v2/models/{model}/versions/{version}/ready", Permission.INFER),
)
"""What each route asks for: (method, path pattern, permission). The auth layer reads this table; the busiest first."""


def routes(plane: DataPlane) -> list[Route]:
    """The protocol's routes, in the order of `PERMISSIONS`."""
    endpoints = _endpoints(plane)
    return [Route(path, _guarded(endpoints[_kind(path)]), methods=[method]) for method, path, _ in PERMISSIONS]


def _kind(path: str) -> str:
    """`/v2/models/{model}/versions/{version}/infer` is of the kind `infer`."""
    last = path.rstrip("/").rsplit("/", 1)[-1]
    if path.startswith("/v2/health/"):
        return last
    return {"v2": "server", "{model}": "model", "{version}": "model", "ready": "model_ready"}.get(last, last)


def _endpoints(plane: DataPlane) -> dict[str, Callable[[Request], Awaitable[Response]]]:
    async def live(_request: Request) -> Response:
        return _reply({"live": True})

    async def ready(_request: Request) -> Response:
        return _reply({"ready": plane.ready}, 200 if plane.ready else 503)

    async def server(_request: Request) -> Response:
        return _reply({"name": "twofold", "version": __version__, "extensions": []})

    async def model(request: Request) -> Response:
        chosen = plane.models.choose(_part(request, "model"), _part(request, "version"), "")
        versions = [one.version.version for one in plane.models.route(chosen.version.model).all()]
        return Response(protocol.metadata(chosen.version, versions), media_type=_JSON)

    async def model_ready(request: Request) -> Response:
        chosen = plane.models.choose(_part(request, "model"), _part(request, "version"), "")
        return _reply({"name": chosen.version.model, "ready": True})

    async def infer(request: Request) -> Response:
        body = await _body(request)
        request_id = request.headers.get("x-request-id", "")[: protocol.MAX_ID]
        found = await plane.infer(_part(request, "model"), _part(request, "version"), body, request_id)
        return Response(found, media_type=_JSON)

    return {"live": live, "ready": ready, "server": server, "model": model, "model_ready": model_ready, "infer": infer}


def _guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Our errors as the protocol's."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except TwofoldError as error:
            refused(error)
            headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Overloaded) else None
            return _reply({"error": error.message}, _status(error), headers)

    return guarded


def _status(error: TwofoldError) -> int:
    kinds = ((TooLarge, 413), (InputError, 400), (NotFound, 404), (Overloaded, 429))
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


def _part(request: Request, name: str) -> str:
    return str(request.path_params.get(name, ""))


def _reply(content: dict[str, object], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status_code=status, headers=headers, media_type=_JSON)


async def _body(request: Request) -> bytes:
    """The body, read no further than the limit. Raises `TooLarge`."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes; send fewer rows", reason="body_bytes")
        parts.append(part)
    return b"".join(parts)
