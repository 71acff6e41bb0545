"""What every route module shares: its router, the services, who calls, paging, and the audit before the act."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar, cast

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from twofold.api.rules import Identity, Rule
from twofold.api.services import Services
from twofold.api.views.page import Page
from twofold.records.access import Permission
from twofold.store.ledger import Ledger
from twofold.store.ledger.audit import append_audit

R = TypeVar("R")
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_QUOTED: Final = 500  # characters of a body's field that an audit record keeps


def services_of(request: Request) -> Services:
    """The bundle that `create_api` was given."""
    return cast("Services", request.app.state.services)


def identity_of(request: Request) -> Identity:
    """Who calls, as the guard found."""
    return cast("Identity", request.state.identity)


Svc = Annotated[Services, Depends(services_of)]
Caller = Annotated[Identity, Depends(identity_of)]
Limit = Annotated[int, Query(ge=1, le=1000)]
After = Annotated[str, Query(max_length=400, description="`next` of the page before")]
Filter = Annotated[str, Query(max_length=400)]


async def audited(request: Request) -> None:
    """Write the audit record of an act before the act; when it cannot be written the act does not happen.

    Public routes (log-in) and reads write none here.
    """
    rule = cast("Rule", request.state.rule)
    if request.method in SAFE or rule.permission is Permission.PUBLIC:
        return
    identity = identity_of(request)
    detail = await _quoted(request, rule)
    await run_in_threadpool(
        append_audit,
        services_of(request).ledger,
        actor=identity.name,
        action=rule.operation,
        target=request.url.path.removeprefix("/api/v1/"),
        tenant=identity.tenant,
        detail=detail,
    )


async def _quoted(request: Request, rule: Rule) -> dict[str, str]:
    body: Any = await request.json() if rule.audit and await request.body() else {}
    if not isinstance(body, dict):
        return {}
    return {name: str(body[name])[:_QUOTED] for name in rule.audit if name in body}


def router(tag: str) -> APIRouter:
    """A router under `/api/v1` whose acts are audited."""
    return APIRouter(prefix="/api/v1", tags=[tag], dependencies=[Depends(audited)])


def where(**conditions: Any) -> dict[str, Any]:
    """Only the conditions that are set."""
    return {name: value for name, value in conditions.items() if value not in ("", None)}


def page(
    ledger: Ledger,
    kind: type[R],
    *,
    tenant: str,
    limit: int,
    after: str,
    conditions: dict[str, Any] | None = None,
    since: datetime | None = None,
    newest_first: bool = True,
) -> Page[R]:
    """One page of records; asks for one more than shown to know whether there is a next."""
    found = ledger.find(
        kind,
        tenant=tenant,
        where=conditions,
        since=since,
        limit=limit + 1,
        after=after,
        newest_first=newest_first,
    )
    return cut(found, limit)


def cut(found: Sequence[R], limit: int) -> Page[R]:
    """The first `limit` records as a page."""
    items = list(found[:limit])
    return Page(items=items, next=cast("Any", items[-1]).id if len(found) > limit else "")
