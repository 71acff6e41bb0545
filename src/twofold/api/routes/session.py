"""Log in, who am I, log out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from fastapi import Request, Response

from twofold.api.auth import COOKIE, Config, Guard
from twofold.api.credentials import SESSION, FailureLimit, check_log_in, issue_token
from twofold.api.router import Caller, Svc, router
from twofold.api.rules import ALL_SCOPES, ROLES, needs
from twofold.api.views.access import LogIn, Me, SessionView
from twofold.errors import Unauthenticated
from twofold.records.access import Permission, Token, User
from twofold.store.ledger.audit import append_audit

routes = router("session")


@routes.post("/session", operation_id="log_in", openapi_extra=needs(Permission.PUBLIC))
def log_in(body: LogIn, request: Request, response: Response, services: Svc) -> SessionView:
    """Start a session: sets the cookie `twofold_session`. Five failures of a name or address make it wait."""
    limit = cast("FailureLimit", request.app.state.log_ins)
    keys = (f"name:{body.name}", f"address:{request.client.host if request.client else ''}")
    limit.check(*keys)
    try:
        user = check_log_in(services.ledger, body.name, body.secret)
    except Unauthenticated:
        limit.failed(*keys)
        raise
    limit.passed(*keys)
    append_audit(services.ledger, actor=user.name, action="log_in", target="session", tenant=user.tenant)
    config = cast("Config", request.app.state.config)
    _token, text = issue_token(
        services.ledger, user, name="session", kind=SESSION, scopes=(ALL_SCOPES,), lasts_s=config.session_s
    )
    response.set_cookie(
        COOKIE,
        text,
        max_age=int(config.session_s),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return SessionView(
        user=Me(id=user.id, name=user.name, role=user.role),
        permissions=sorted(ROLES[user.role]),
        tenant=user.tenant,
    )


@routes.get("/session", operation_id="who_am_i", openapi_extra=needs(Permission.READ))
def who_am_i(caller: Caller, services: Svc) -> SessionView:
    """The user behind the credentials and what they may do."""
    user = services.ledger.get(User, caller.user, tenant=caller.tenant)
    return SessionView(
        user=Me(id=user.id, name=user.name, role=user.role),
        permissions=sorted(caller.permissions),
        tenant=caller.tenant,
    )


@routes.delete("/session", operation_id="log_out", status_code=204, openapi_extra=needs(Permission.READ))
def log_out(request: Request, response: Response, caller: Caller, services: Svc) -> None:
    """End the session (or revoke the token that the call carried)."""
    services.ledger.update(Token, caller.token, revoked, tenant=caller.tenant)
    guard_of(request).forget()
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def revoked(token: Token) -> Token:
    """The token, no longer valid."""
    return replace(token, revoked=True)


def guard_of(request: Request) -> Guard:
    """The guard in front of this request, to make it ask the ledger again."""
    state: Any = request.state
    return cast("Guard", state.guard)
