"""Answers calls: a server span, a duration and, on failure, an error log for each."""

from __future__ import annotations

import time
from http import HTTPStatus

from opentelemetry.trace import SpanKind, StatusCode

from ..asgi import App, Refused, Request, Route
from .call import PeerFailed
from .telemetry import Telemetry, extract

_QUIET = ("/metrics",)


class Service(App):
    """The router of one service, instrumented."""

    def __init__(self, telemetry: Telemetry) -> None:
        super().__init__()
        self._telemetry = telemetry

    async def answer(self, route: Route, request: Request) -> tuple[int, object]:
        """Status and body, in a server span that continues the caller's trace."""
        if route.template in _QUIET:
            return await super().answer(route, request)
        started = time.perf_counter()
        with self._telemetry.tracer.start_as_current_span(
            f"{route.method} {route.template}",
            context=extract(request.headers),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": route.method, "http.route": route.template},
        ) as span:
            status, body = await self._attempt(route, request, span)
            span.set_attribute("http.response.status_code", int(status))
        labels = {
            "http.request.method": route.method,
            "http.route": route.template,
            "http.response.status_code": str(int(status)),
        }
        self._telemetry.meter.time("http.server.request.duration", time.perf_counter() - started, labels)
        return status, body

    async def _attempt(self, route: Route, request: Request, span: object) -> tuple[int, object]:
        try:
            return await super().answer(route, request)
        except PeerFailed as error:
            status, reason = HTTPStatus.BAD_GATEWAY, str(error)
            self._telemetry.log.error("%s %s failed: %s", route.method, route.template, reason)  # noqa: TRY400 - the cause lies in another process; its trace is there
        except Exception as error:
            status, reason = HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}"
            self._telemetry.log.exception("%s %s failed: %s", route.method, route.template, reason)
            span.record_exception(error)  # type: ignore[attr-defined]
            span.set_attribute("error.type", type(error).__name__)  # type: ignore[attr-defined]
        span.set_status(StatusCode.ERROR, reason)  # type: ignore[attr-defined]
        return status, {"error": reason}


__all__ = ["Refused", "Request", "Service"]
