"""The one outermost layer over every route: who calls, may they, and is the call meant for us. Default-deny."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twofold.api.credentials import SESSION, find_token
from twofold.api.problems import answer
from twofold.api.rules import ALL_SCOPES, LOOPBACK, NOBODY, RESERVED, ROLES, Identity, Rule, Rules
from twofold.errors import Denied, NotFound, TwofoldError, Unauthenticated
from twofold.records.access import Permission
from twofold.store.ledger import Ledger

COOKIE: Final = "twofold_session"
TENANT_KEY: Final = "twofold.tenant"  # read by receivers, which know nothing of this module
CSRF_HEADER: Final = "x-twofold-csrf"
_OPEN_ON_LOOPBACK: Final = frozenset({Permission.SEND, Permission.INFER})
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")
_REMEMBER_S: Final = 1.0  # how long a checked token is trusted without asking the ledger again
_REMEMBERED: Final = 4096
_LOG: Final = logging.getLogger("twofold.api")

SECURITY_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How strict the guard is."""

    hosts: tuple[str, ...] = ()
    """Host names, besides localhost and IP addresses, under which Twofold is reached."""
    loopback_open: bool = True
    """Telemetry and inference from this machine need no token."""
    session_s: float = 12 * 3600.0
    """How long a log-in lasts."""
    max_body_bytes: int = 1 << 20
    """Largest body of a REST call; receivers have limits of their own."""


class Guard:
    """ASGI app: finds the rule of each request, checks it, and hands over to the rule's app.

    Apps behind it find the tenant under `TENANT_KEY` in the scope, and `identity` and `rule` in `request.state`.

    Args:
        ui: Answers GET of every path that is not reserved; public.
        lifespan: Gets the lifespan events.
    """

    def __init__(
        self, rules: Rules, ledger: Ledger, config: Config, *, lifespan: ASGIApp, ui: ASGIApp | None = None
    ) -> None:
        self.rules = rules
        self._ledger = ledger
        self._config = config
        self._lifespan = lifespan
        self._ui = ui and Rule(method="GET", path="/", permission=Permission.PUBLIC, app=ui, operation="ui")
        self._known: dict[str, tuple[float, Identity]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, _Reply(send, scope))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        try:
            rule, identity = await self.admit(scope)
            state = scope.setdefault("state", {})
            state |= {"identity": identity, "rule": rule, "guard": self}
            scope[TENANT_KEY] = identity.tenant
            await rule.app(scope, receive, reply)
        except TwofoldError as error:
            await reply.fail(error, receive)
        except Exception as error:  # noqa: BLE001 - the HTTP boundary: logged, answered as 500
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            await reply.fail(error, receive)

    async def admit(self, scope: Scope) -> tuple[Rule, Identity]:
        """The rule that answers, and who calls. Raises `Denied`, `Unauthenticated` or `NotFound`."""
        headers = Headers(scope=scope)
        _check_host(headers, self._config.hosts)
        rule = self._rule(scope["method"], scope["path"])
        if rule is not None and rule.permission is Permission.PUBLIC:
            _check_origin(scope, headers)
            return rule, NOBODY
        identity = await self._identify(headers)
        if identity is None and rule is not None and self._open(rule, scope, headers):
            return rule, LOOPBACK
        if identity is None:
            raise Unauthenticated("log in, or send `Authorization: Bearer <token>`")
        if rule is None:
            raise NotFound(f"nothing answers {scope['method']} {scope['path']}; see /openapi.json")
        if rule.permission not in identity.permissions:
            raise Denied(
                f"{identity.name} lacks the permission {rule.permission.value}", permission=rule.permission.value
            )
        if identity.cookie:
            _check_csrf(scope, headers)
        return rule, identity

    def _rule(self, method: str, path: str) -> Rule | None:
        rule = self.rules.find(method, path)
        if rule is None and method in {"GET", "HEAD"} and not f"{path}/".startswith(RESERVED):
            return self._ui
        return rule

    def _open(self, rule: Rule, scope: Scope, headers: Headers) -> bool:
        """Whether this call from this machine needs no token. A browser on a foreign page does."""
        return (
            self._config.loopback_open
            and rule.permission in _OPEN_ON_LOOPBACK
            and _is_loopback(scope)
            and not any(name in headers for name in _FORWARDED)
            and _same_origin(headers)
        )

    async def _identify(self, headers: Headers) -> Identity | None:
        """Who the credentials name; None when there are none. Raises `Unauthenticated` for bad ones."""
        text, cookie = _credentials(headers)
        if not text:
            return None
        now = time.monotonic()
        key = f"{cookie}{text}"
        if (known := self._known.get(key)) and known[0] > now:
            return known[1]
        identity = await run_in_threadpool(self._look_up, text, cookie=cookie)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = (now + _REMEMBER_S, identity)
        return identity

    def _look_up(self, text: str, *, cookie: bool) -> Identity:
        token, user = find_token(self._ledger, text)
        if cookie and token.kind != SESSION:
            raise Unauthenticated("an API token is not a session; send it as `Authorization: Bearer`")
        held = ROLES[user.role]
        if ALL_SCOPES not in token.scopes:
            held &= {permission for permission in Permission if permission.value in token.scopes}
        return Identity(
            user=user.id,
            name=user.name,
            role=user.role,
            permissions=held,
            tenant=user.tenant,
            token=token.id,
            cookie=cookie,
        )

    def forget(self) -> None:
        """Ask the ledger again for every token: after a log-out, a revocation or a change of a user."""
        self._known.clear()


class _Reply:
    """`send` with the security headers, that knows whether an answer has begun."""

    def __init__(self, send: Send, scope: Scope) -> None:
        self._send = send
        self._scope = scope
        self._begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            _harden(message, self._scope["path"])
        await self._send(message)

    async def fail(self, error: Exception, receive: Receive) -> None:
        """Answer with the error's problem, unless an answer has begun: then cut the connection."""
        if self._begun:
            raise error
        await answer(error, instance=self._scope["path"])(self._scope, receive, self)


def _harden(message: MutableMapping[str, Any], path: str) -> None:
    headers = MutableHeaders(raw=message.setdefault("headers", []))
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if path.startswith("/api/"):
        headers.setdefault("cache-control", "no-store")


def _credentials(headers: Headers) -> tuple[str, bool]:
    """Token text, and whether a cookie carried it. A header wins over a cookie."""
    if authorization := headers.get("authorization", ""):
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise Unauthenticated("only `Authorization: Bearer <token>` is understood")
        return text.strip(), False
    text = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    return text, bool(text)


def _check_host(headers: Headers, hosts: Sequence[str]) -> None:
    """Refuse names that are not ours: a page that rebinds its own name to this machine must not reach us.

    An IP address cannot be rebound.
    """
    name = _host_name(headers.get("host", ""))
    if name == "localhost" or name.endswith(".localhost") or name in hosts or _is_address(name):
        return
    raise Denied(f"host {name!r} is not served here; add it to the configured hosts", host=name)


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(scope: Scope) -> bool:
    client = scope.get("client") or ("", 0)
    return _is_address(client[0]) and ipaddress.ip_address(client[0]).is_loopback


def _same_origin(headers: Headers) -> bool:
    """Whether the request comes from no page at all or from a page of ours. A proxy may have taken TLS off."""
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host", "")


def _check_origin(scope: Scope, headers: Headers) -> None:
    if scope["method"] not in {"GET", "HEAD"} and not _same_origin(headers):
        raise Denied("a page of another origin may not call this", origin=headers.get("origin"))


def _check_csrf(scope: Scope, headers: Headers) -> None:
    """A cookie travels with calls that another page makes; a header of ours does not."""
    if scope["method"] in {"GET", "HEAD"}:
        return
    _check_origin(scope, headers)
    if headers.get(CSRF_HEADER) != "1":
        raise Denied("with a session cookie, unsafe methods need the header `X-Twofold-CSRF: 1`", reason="csrf")
