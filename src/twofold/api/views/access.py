"""People, sessions and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from twofold.api.views.page import Name, View
from twofold.records.access import Role


class LogIn(View):
    """Name (or `tenant/name`) and secret."""

    name: Name
    secret: Annotated[str, Field(min_length=1, max_length=400)]


class UserView(View):
    """A user without the secret's hash."""

    id: str
    name: str
    role: Role
    created: datetime
    disabled: bool


class Me(View):
    """Who is logged in and what they may do."""

    id: str
    name: str
    role: Role


class SessionView(View):
    """The present session."""

    user: Me
    permissions: list[str]
    tenant: str


class NewUser(View):
    """Without `secret` one is made up and told once."""

    name: Name
    role: Role
    secret: Annotated[str, Field(max_length=400)] = ""


class UserChange(View):
    """What is left out stays."""

    role: Role | None = None
    disabled: bool | None = None
    secret: Annotated[str, Field(max_length=400)] | None = None


class CreatedUser(View):
    """The secret is shown this once."""

    user: UserView
    secret: str


class TokenView(View):
    """A token without its hash."""

    id: str
    user: str
    name: str
    kind: str
    scopes: list[str]
    created: datetime
    expires: datetime | None
    revoked: bool


class NewToken(View):
    """Scopes are permissions, at most those of the caller."""

    name: Name
    scopes: Annotated[list[str], Field(min_length=1, max_length=20)]
    expires_in_s: Annotated[int, Field(gt=0, le=10 * 366 * 86400)] | None = None


class CreatedToken(View):
    """The secret is shown this once."""

    token: TokenView
    secret: str
