"""The one outgoing HTTP client: resolves once, checks the address, connects to just that address.

A name that resolves to an inner address today and to another tomorrow (DNS rebinding) cannot lead it
astray, and redirects are checked like first requests. Destinations that an administrator has declared
in configuration (`trusted`) may be private; anything else must be public.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from twofold.errors import Denied, Permanent, TooLarge, Unavailable

_SCHEMES: Final = frozenset({"http", "https"})
_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = 3
_REDIRECT_STATUS: Final = frozenset({301, 302, 303, 307, 308})
_HARMLESS: Final = frozenset({"content-type", "idempotency-key"})
_LATER: Final = frozenset({408, 425, 429})
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Refused(Permanent):
    """The other side answered with a client error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingConfig:
    """Limits of outgoing calls.

    Attributes:
        timeout_s: Connect, read and write, each.
        response_bytes: Largest answer read.
    """

    timeout_s: float = 10.0
    response_bytes: int = 1 << 20


def origin(url: str) -> str:
    """Scheme, host and port of a URL, the unit of trust.

    >>> origin("http://Shop.local/x?y")
    'http://shop.local:80'

    Raises:
        Denied: Not http(s), no host, a port that is none, or credentials inside the URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Denied(f"{url!r} is not a URL: {error}", url=url) from error
    if parts.scheme not in _SCHEMES or not parts.hostname or "@" in parts.netloc:
        raise Denied(f"{url!r} is not a plain http(s) URL without credentials", url=url)
    return f"{parts.scheme}://{_literal(parts.hostname.lower())}:{port or _PORTS[parts.scheme]}"


class Outgoing:
    """Thread-safe client for calls to other systems.

    Args:
        trusted: Origins (`http://127.0.0.1:9000`) that configuration declares; only these may be private.
    """

    def __init__(self, trusted: Collection[str] = (), config: OutgoingConfig | None = None) -> None:
        self._config = config or OutgoingConfig()
        self._trusted = frozenset(origin(url) for url in trusted)
        self._client = httpx.Client(timeout=self._config.timeout_s, follow_redirects=False, trust_env=False)

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> tuple[int, bytes]:
        """Status and body of the answer, after at most three redirects.

        A redirect to another origin takes no headers along but the content's type and the idempotency key:
        credentials are for whom they were declared.

        Raises:
            Denied: The URL or the address it resolves to is not allowed.
            Refused: The answer is 4xx, but 408, 425 and 429.
            Unavailable: One of these, 5xx, a timeout or no connection. Without an answer the fact `sent` says
                whether the request may have arrived.
            TooLarge: The answer is longer than `response_bytes`.
        """
        status, body, _ = self._followed(method, url, dict(headers or {}), content)
        return status, body

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> tuple[bytes, str]:
        """Body of the answer and what its Content-Type says it is. Raises as `request` does."""
        _, body, answered = self._followed("GET", url, dict(headers or {}), b"")
        return body, answered.get("content-type", "")

    def _followed(
        self, method: str, url: str, sent: Mapping[str, str], content: bytes
    ) -> tuple[int, bytes, httpx.Headers]:
        for _ in range(_REDIRECTS + 1):
            status, body, answered = self._once(method, url, sent, content)
            location = answered.get("location", "")
            if status not in _REDIRECT_STATUS or not location:
                return status, body, answered
            onward = urljoin(url, location)
            if origin(onward) != origin(url):
                sent = {name: value for name, value in sent.items() if name.lower() in _HARMLESS}
            url = onward
            if status == httpx.codes.SEE_OTHER:
                method, content = "GET", b""
        raise Unavailable(f"more than {_REDIRECTS} redirects from {url}", url=url)

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> tuple[int, bytes, httpx.Headers]:
        address = self._resolve(url)
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
        pinned = parts._replace(netloc=f"{_literal(address)}{port}").geturl()
        try:
            with self._client.stream(
                method,
                pinned,
                headers={**headers, "host": f"{_literal(host)}{port}", "accept-encoding": "identity"},
                content=content,
                extensions={"sni_hostname": host},
            ) as answer:
                body = b""
                for chunk in answer.iter_raw():  # never unpacked: a small answer stays small
                    body += chunk
                    if len(body) > self._config.response_bytes:
                        limit = self._config.response_bytes
                        raise TooLarge(f"{url} answered more than {limit} bytes", reason="response_too_large", url=url)
        except httpx.HTTPError as error:
            sent = not isinstance(error, _UNSENT)
            text = f"{method} {url} failed: {str(error) or type(error).__name__}"
            raise Unavailable(text, url=url, sent=sent) from error
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status_code in _LATER:
            raise Unavailable(f"{method} {url} answered {answer.status_code}", url=url, status=answer.status_code)
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            raise Refused(f"{method} {url} answered {answer.status_code}: {body[:200]!r}", status=answer.status_code)
        return answer.status_code, body, answer.headers

    def _resolve(self, url: str) -> str:
        where = origin(url)
        parts = urlsplit(url)
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port or _PORTS[parts.scheme], type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unavailable(f"{parts.hostname} does not resolve: {error}", url=url) from error
        address = str(found[0][4][0])
        if where not in self._trusted and not _public(address):
            raise Denied(
                f"{where} resolves to {address}, which is not public; declare it in the configuration to allow it",
                url=url,
                address=address,
            )
        return address


def _literal(host: str) -> str:
    """A host as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def _public(address: str) -> bool:
    """Whether an address is one of the public internet, and no way round into another network."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and (found.sixtofour or found.teredo or found in _NAT64):
        return False
    return found.is_global and not found.is_multicast
