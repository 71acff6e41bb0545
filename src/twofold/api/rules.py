"""Who may call what: identities, what each role may do, and the table of all routes with their permissions.

Nothing is open by omission: a route without a rule stops start-up, a request without a rule is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from re import Pattern
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, Route, compile_path
from starlette.types import ASGIApp

from twofold.errors import ConfigError
from twofold.records.access import Permission, Role
from twofold.records.entity import DEFAULT_TENANT

_VIEWER: Final = frozenset({Permission.READ})
_RESPONDER: Final = _VIEWER | {Permission.RESPOND, Permission.BREAK, Permission.SEND}
_APPROVER: Final = _RESPONDER | {Permission.APPROVE}
ROLES: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.VIEWER: _VIEWER,
    Role.RESPONDER: _RESPONDER,
    Role.APPROVER: _APPROVER,
    Role.ML_ENGINEER: _RESPONDER | {Permission.TRAIN, Permission.RELEASE, Permission.INFER},
    Role.ADMIN: frozenset(Permission) - {Permission.PUBLIC},
}
ALL_SCOPES: Final = "*"  # scope of a session: everything that the role may do
RESERVED: Final = (
    "/api/",
    "/v1/",
    "/v2/",
    "/webhooks/",
    "/prometheus/",
    "/loki/",
    "/elasticsearch/",
)  # never answered by the UI


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who calls. The tenant comes from here and from nowhere else."""

    user: str
    name: str
    role: Role | None
    permissions: frozenset[Permission]
    tenant: str = DEFAULT_TENANT
    token: str = ""
    cookie: bool = False


LOOPBACK: Final = Identity(
    user="", name="loopback", role=None, permissions=frozenset({Permission.SEND, Permission.INFER})
)
NOBODY: Final = Identity(user="", name="", role=None, permissions=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One route: who may call it and which app answers.

    Attributes:
        audit: Fields of the body that the audit record quotes.
    """

    method: str
    path: str
    permission: Permission
    app: ASGIApp
    operation: str = ""
    audit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An app that answers beside the REST API: receivers, inference.

    Attributes:
        permissions: `"POST /v1/metrics"` to the permission it asks for; path parameters in braces, as in Starlette.
    """

    app: ASGIApp
    permissions: Mapping[str, Permission]

    def rules(self) -> Sequence[Rule]:
        """Its rules. Raises `ConfigError` when one of its routes has none."""
        rules = [_part_rule(self.app, key, permission) for key, permission in self.permissions.items()]
        known = {(rule.method, rule.path) for rule in rules}
        missing = sorted(f"{m} {p}" for m, p in _routes(getattr(self.app, "routes", ())) if (m, p) not in known)
        if missing:
            raise ConfigError(f"no permission declared for {', '.join(missing)}; add each to the part's table")
        return rules


class Rules:
    """All routes, by method and path. Literal paths are one look-up, patterns a scan in the order given.

    Raises:
        ConfigError: Two rules for one method and path.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.all = tuple(rules)
        self._literal: dict[tuple[str, str], Rule] = {}
        self._patterns: list[tuple[str, Pattern[str], Rule]] = []
        for rule in self.all:
            key = (rule.method, rule.path)
            if "{" in rule.path:
                self._patterns.append((rule.method, compile_path(rule.path)[0], rule))
            elif key in self._literal:
                raise ConfigError(f"{rule.method} {rule.path} is answered twice; remove one of its parts")
            else:
                self._literal[key] = rule

    def find(self, method: str, path: str) -> Rule | None:
        """The rule of a request; HEAD counts as GET."""
        method = "GET" if method == "HEAD" else method
        if rule := self._literal.get((method, path)):
            return rule
        return next((rule for m, pattern, rule in self._patterns if m == method and pattern.match(path)), None)


def needs(permission: Permission, *audit: str) -> dict[str, Any]:
    """A REST route's `openapi_extra`: its permission, and the body's fields that its audit record quotes."""
    return {"x-permission": permission.value} | ({"x-audit": list(audit)} if audit else {})


def api_rules(routes: Iterable[BaseRoute], app: ASGIApp) -> Sequence[Rule]:
    """The rules of REST routes, from what they declare by `needs`. Raises `ConfigError` when one declares nothing."""
    rules = []
    for route in routes:
        if not isinstance(route, APIRoute):
            raise ConfigError(f"{route!r} declares no permission; add it with `openapi_extra=needs(…)`")
        extra = route.openapi_extra or {}
        if "x-permission" not in extra:
            raise ConfigError(f"{route.path} declares no permission; add `openapi_extra=needs(…)`")
        rules += [
            Rule(
                method=method,
                path=route.path,
                permission=Permission(extra["x-permission"]),
                app=app,
                operation=route.operation_id or route.name,
                audit=tuple(extra.get("x-audit", ())),
            )
            for method in sorted(route.methods or ())
        ]
    return rules


def _part_rule(app: ASGIApp, key: str, permission: Permission) -> Rule:
    method, _, path = key.partition(" ")
    if not path.startswith("/") or method != method.upper():
        raise ConfigError(f"{key!r} is not like 'POST /v1/metrics'")
    return Rule(method=method, path=path, permission=permission, app=app, operation=key)


def _routes(routes: Iterable[BaseRoute], prefix: str = "") -> Iterable[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _routes(route.routes, prefix + route.path)
        elif isinstance(route, Route):
            yield from ((m, prefix + route.path) for m in route.methods or {"GET"} if m != "HEAD")
        else:
            raise ConfigError(f"{route!r} cannot be guarded; use Starlette's Route")
