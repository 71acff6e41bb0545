"""The token that commands on this machine use: made at each start, kept in a file for the owner alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from twofold.api.credentials import issue_token
from twofold.api.rules import ALL_SCOPES
from twofold.records.access import Role, Token, User
from twofold.records.entity import DEFAULT_TENANT
from twofold.store.ledger import Ledger

NAME: Final = "local commands"


def local_token(ledger: Ledger, *, tenant: str = DEFAULT_TENANT) -> str:
    """A fresh token of the first admin, empty when there is none; the ones of earlier starts are revoked."""
    admins = ledger.find(
        User, tenant=tenant, where={"role": Role.ADMIN, "disabled": False}, newest_first=False, limit=1
    )
    if not admins:
        return ""
    old = ledger.find(Token, tenant=tenant, where={"user": admins[0].id, "revoked": False}, limit=1000)
    ledger.put(*(replace(token, revoked=True) for token in old if token.name == NAME))
    return issue_token(ledger, admins[0], name=NAME, kind="api", scopes=[ALL_SCOPES], lasts_s=None)[1]
