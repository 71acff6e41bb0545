"""Builds the ASGI apps: the whole of port 7070, and the OTLP-only listener. Every route stands behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twofold.api import problems, schema
from twofold.api.auth import Config, Guard
from twofold.api.credentials import FailureLimit
from twofold.api.routes import ROUTERS
from twofold.api.rules import Part, Rule, Rules, api_rules
from twofold.api.services import Services
from twofold.api.stream import Feed
from twofold.errors import TwofoldError
from twofold.records.access import Permission
from twofold.web import ui


def create_api(services: Services, config: Config | None = None, parts: Sequence[Part] = ()) -> Guard:
    """The app of the main port: REST, UI, and the parts that other rooms bring.

    Raises:
        ConfigError: A route, ours or a part's, declares no permission; or two answer the same path.
    """
    config = config or Config()
    app = _rest(services, config)
    rules = [rule for router in ROUTERS for rule in api_rules(router.routes, app)]
    rules += [rule for part in parts for rule in part.rules()]
    rules.append(Rule(method="GET", path="/openapi.json", permission=Permission.PUBLIC, app=app, operation="openapi"))
    return Guard(Rules(rules), services.ledger, config, lifespan=app, ui=ui())


def create_listener(services: Services, config: Config | None = None, parts: Sequence[Part] = ()) -> Guard:
    """An app of parts alone, for a port that speaks one protocol: same guard, no REST, no UI.

    Raises:
        ConfigError: As `create_api`.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    rules = [rule for part in parts for rule in part.rules()]
    return Guard(Rules(rules), services.ledger, config or Config(), lifespan=app)


def _rest(services: Services, config: Config) -> FastAPI:
    feed = Feed(services.ledger)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await feed.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_middleware(_BodyLimit, most=config.max_body_bytes)
    app.state.services = services
    app.state.config = config
    app.state.feed = feed
    app.state.log_ins = FailureLimit()
    for router in ROUTERS:
        app.include_router(router)
    document = partial(schema.document, app)
    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to change the document
    app.add_route("/openapi.json", lambda _request: JSONResponse(document()))
    app.add_exception_handler(TwofoldError, _ours)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _framework)
    return app


class _BodyLimit:
    """Refuses a body past the limit while it is read. FastAPI's own limit answers in plain text."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise HTTPException(413, f"the body is larger than {self._most} bytes")
            return message

        await self._app(scope, limited, send)


async def _ours(request: Request, error: Exception) -> Response:
    return problems.answer(error, instance=request.url.path)


async def _unfit(request: Request, error: Exception) -> Response:
    """A request that does not fit the document: every misfit with its place, without what was sent."""
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    facts = [{"where": ".".join(map(str, each["loc"])), "what": each["msg"]} for each in found]
    detail = "; ".join(f"{fact['where']}: {fact['what']}" for fact in facts) or "the request does not fit"
    body = problems.problem(422, detail, instance=request.url.path, slug="invalid-request", facts={"errors": facts})
    return Response(body, 422, media_type=problems.MEDIA_TYPE)


async def _framework(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: unknown paths and methods, bodies past the limit."""
    status, detail = (error.status_code, str(error.detail)) if isinstance(error, HTTPException) else (500, "")
    headers = dict(getattr(error, "headers", None) or {})
    return Response(problems.problem(status, detail, instance=request.url.path), status, headers, problems.MEDIA_TYPE)
