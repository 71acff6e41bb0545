"""Calls between services: client spans, W3C trace context, short timeouts."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
from opentelemetry.trace import SpanKind, StatusCode

from .config import Config
from .telemetry import Telemetry, inject

TIMEOUT_S = 2.0
_FIRST_ERROR_STATUS = 400


class PeerFailed(Exception):
    """A call to another service did not give a good answer.

    Attributes:
        status: What it answered, 0 when it did not answer.
    """

    def __init__(self, peer: str, status: int, reason: str) -> None:
        super().__init__(f"{peer}: {reason}")
        self.peer = peer
        self.status = status


class Caller:
    """Calls peers by name over kept connections; every call is a client span."""

    def __init__(self, config: Config, telemetry: Telemetry) -> None:
        self._config = config
        self._telemetry = telemetry
        # The shop speaks plain HTTP on loopback; an empty trust store saves 20 MB a process.
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )

    async def call(
        self,
        peer: str,
        method: str,
        template: str,
        *,
        path: Mapping[str, object] | None = None,
        query: Mapping[str, object] | None = None,
        body: Any = None,
    ) -> Any:
        """Ask another service of the shop and return its decoded answer.

        Args:
            peer: The service's name.
            method: HTTP method.
            template: Path with placeholders, such as `/products/{id}`; names the span.
            path: Values of the placeholders.
            query: Query parameters.
            body: Sent as JSON unless None.

        Raises:
            PeerFailed: No answer within 2 s, or a status of 400 and above.
        """
        base = httpx.URL(self._config.peers[peer])
        attributes: dict[str, str | int] = {
            "peer.service": peer,
            "server.address": peer,
            "server.port": base.port or 80,
        }
        asked = f"?{urlencode(query)}" if query else ""
        url = base.copy_with(raw_path=f"{template.format(**(path or {}))}{asked}".encode())
        return await self.fetch(method, url, template, peer=peer, attributes=attributes, body=body)

    async def fetch(
        self,
        method: str,
        url: httpx.URL,
        template: str,
        *,
        peer: str,
        attributes: Mapping[str, str | int],
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        tolerated: tuple[int, ...] = (),
    ) -> Any:
        """The same for an address outside the shop. Statuses in `tolerated` raise, but are no error of the span."""
        named = {"http.request.method": method, "url.template": template, **attributes}
        with self._telemetry.tracer.start_as_current_span(
            f"{method} {template}",
            kind=SpanKind.CLIENT,
            attributes=named,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                answer = await self._client.request(method, url, json=body, headers=inject(dict(headers or {})))
            except httpx.HTTPError as error:
                span.set_attribute("error.type", type(error).__name__)
                reason = f"no answer ({type(error).__name__})"
                span.set_status(StatusCode.ERROR, reason)
                raise PeerFailed(peer, 0, reason) from error
            span.set_attribute("http.response.status_code", answer.status_code)
            if answer.status_code >= _FIRST_ERROR_STATUS:
                reason = f"answered {answer.status_code}"
                if answer.status_code not in tolerated:
                    span.set_attribute("error.type", str(answer.status_code))
                    span.set_status(StatusCode.ERROR, reason)
                raise PeerFailed(peer, answer.status_code, reason)
            return answer.json()

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()
