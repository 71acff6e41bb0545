"""API tokens: everybody makes their own, at most with their own permissions; an admin sees and revokes all."""

from __future__ import annotations

from fastapi import Request

from twofold.api.credentials import API, check_scopes, issue_token
from twofold.api.router import After, Caller, Limit, Svc, page, router, where
from twofold.api.routes.session import guard_of, revoked
from twofold.api.rules import needs
from twofold.api.views.access import CreatedToken, NewToken, TokenView
from twofold.api.views.page import Page
from twofold.errors import NotFound
from twofold.records.access import Permission, Token, User

routes = router("tokens")


@routes.get("/tokens", operation_id="list_tokens", openapi_extra=needs(Permission.READ))
def list_tokens(caller: Caller, services: Svc, limit: Limit = 100, after: After = "") -> Page[TokenView]:
    """API tokens that are not revoked, newest first."""
    owner = "" if Permission.ADMIN in caller.permissions else caller.user
    conditions = where(kind=API, revoked=False, user=owner)
    found = page(services.ledger, Token, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)
    return Page(items=[_view(token) for token in found.items], next=found.next)


@routes.post(
    "/tokens", operation_id="create_token", status_code=201, openapi_extra=needs(Permission.READ, "name", "scopes")
)
def create_token(body: NewToken, caller: Caller, services: Svc) -> CreatedToken:
    """Make a token of one's own; the answer holds the secret, this once."""
    check_scopes(body.scopes, caller.permissions)
    user = services.ledger.get(User, caller.user, tenant=caller.tenant)
    token, secret = issue_token(
        services.ledger, user, name=body.name, kind=API, scopes=body.scopes, lasts_s=body.expires_in_s
    )
    return CreatedToken(token=_view(token), secret=secret)


@routes.delete("/tokens/{token}", operation_id="revoke_token", status_code=204, openapi_extra=needs(Permission.READ))
def revoke_token(token: str, request: Request, caller: Caller, services: Svc) -> None:
    """Revoke a token at once: one's own, or any as an admin."""
    found = services.ledger.get(Token, token, tenant=caller.tenant)
    if found.user != caller.user and Permission.ADMIN not in caller.permissions:
        raise NotFound(f"no Token {token!r}", kind="Token", id=token)
    services.ledger.update(Token, token, revoked, tenant=caller.tenant)
    guard_of(request).forget()


def _view(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        user=token.user,
        name=token.name,
        kind=token.kind,
        scopes=list(token.scopes),
        created=token.created,
        expires=token.expires,
        revoked=token.revoked,
    )
