"""Users: only an admin sees and makes them."""

from __future__ import annotations

from dataclasses import replace

from fastapi import Request

from twofold.api.credentials import hash_secret, new_user
from twofold.api.router import After, Caller, Limit, Svc, page, router
from twofold.api.routes.session import guard_of
from twofold.api.rules import needs
from twofold.api.views.access import CreatedUser, NewUser, UserChange, UserView
from twofold.api.views.page import Page
from twofold.errors import Conflict
from twofold.records.access import Permission, Role, User

routes = router("users")


@routes.get("/users", operation_id="list_users", openapi_extra=needs(Permission.ADMIN))
def list_users(caller: Caller, services: Svc, limit: Limit = 100, after: After = "") -> Page[UserView]:
    """Everybody who may log in."""
    found = page(services.ledger, User, tenant=caller.tenant, limit=limit, after=after, newest_first=False)
    return Page(items=[_view(user) for user in found.items], next=found.next)


@routes.post(
    "/users", operation_id="create_user", status_code=201, openapi_extra=needs(Permission.ADMIN, "name", "role")
)
def create_user(body: NewUser, caller: Caller, services: Svc) -> CreatedUser:
    """Make a user; the answer holds the secret, this once."""
    user, secret = new_user(services.ledger, name=body.name, role=body.role, secret=body.secret, tenant=caller.tenant)
    return CreatedUser(user=_view(user), secret=secret)


@routes.patch("/users/{user}", operation_id="change_user", openapi_extra=needs(Permission.ADMIN, "role", "disabled"))
def change_user(user: str, body: UserChange, request: Request, caller: Caller, services: Svc) -> UserView:
    """Change role or secret, disable or enable. The last admin stays one."""
    secret_hash = hash_secret(body.secret) if body.secret is not None else None

    def change(present: User) -> User:
        return replace(
            present,
            role=present.role if body.role is None else body.role,
            disabled=present.disabled if body.disabled is None else body.disabled,
            secret_hash=present.secret_hash if secret_hash is None else secret_hash,
        )

    admins = services.ledger.find(User, tenant=caller.tenant, where={"role": Role.ADMIN, "disabled": False})
    losing = body.disabled is True or body.role not in {None, Role.ADMIN}
    if losing and [admin.id for admin in admins] == [user]:
        raise Conflict(f"{user!r} is the last admin; make another one first")
    changed = services.ledger.update(User, user, change, tenant=caller.tenant)
    guard_of(request).forget()
    return _view(changed)


def _view(user: User) -> UserView:
    return UserView(id=user.id, name=user.name, role=user.role, created=user.created, disabled=user.disabled)
