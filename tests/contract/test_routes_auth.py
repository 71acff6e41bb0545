"""No route answers anybody it should not: every route of the whole port, walked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from tests.api_world import World, build_world
from twofold.api.auth import Config
from twofold.api.routes import ROUTERS
from twofold.api.rules import ROLES, Part, Rule, Rules, api_rules
from twofold.errors import ConfigError
from twofold.records.access import Audit, Permission, Role

PUBLIC = {
    "POST /api/v1/session",
    "GET /healthz",
    "GET /readyz",
    "GET /openapi.json",
    "GET /v2/health/live",
}
"""All that is open to everybody; a new line here is a decision."""
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    built = build_world(tmp_path_factory.mktemp("world"))
    yield built
    built.close()


def path_of(rule: Rule) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", "x", rule.path)


def ask(world: World, rule: Rule, role: Role | None = None, address: str = "127.0.0.1") -> httpx.Response:
    async def go() -> httpx.Response:
        async with world.client(role, address=address) as client:
            return await client.request(rule.method, path_of(rule), json={} if rule.method in UNSAFE else None)

    return asyncio.run(go())


def guarded(world: World) -> list[Rule]:
    return [
        rule
        for rule in world.api.rules.all
        if rule.permission is not Permission.PUBLIC and rule.path != "/api/v1/stream"  # endless once it is allowed
    ]


def test_the_walk_covers_the_whole_api(world: World) -> None:
    """Every path of the OpenAPI document and of the parts has a rule, and there are many."""
    declared = {(rule.method, rule.path) for rule in world.api.rules.all}
    routes = {(m, r.path) for router in ROUTERS for r in router.routes for m in r.methods}  # type: ignore[attr-defined]  # APIRoute
    assert len(declared) > 50
    assert routes | {("POST", "/v1/metrics"), ("POST", "/v2/models/{model}/infer")} <= declared


def test_only_what_is_listed_is_public(world: World) -> None:
    public = {f"{r.method} {r.path}" for r in world.api.rules.all if r.permission is Permission.PUBLIC}
    assert public == PUBLIC


def test_without_credentials_no_route_answers(world: World) -> None:
    """From another machine none at all; from this one, telemetry and inference only."""
    for rule in world.api.rules.all:
        if rule.permission is Permission.PUBLIC:
            continue
        assert ask(world, rule, address="203.0.113.7").status_code == 401, rule
        expected = 200 if rule.permission in {Permission.SEND, Permission.INFER} else 401
        assert ask(world, rule).status_code == expected, rule


def test_a_token_that_is_not_ours_opens_nothing(world: World) -> None:
    async def go(rule: Rule, token: str) -> int:
        async with world.client(headers={"authorization": token}) as client:
            return (await client.request(rule.method, path_of(rule))).status_code

    for rule in guarded(world):
        for token in ("Bearer tf.main.guess", "Bearer nonsense", "Basic YTpi", "Bearer "):
            assert asyncio.run(go(rule, token)) == 401, (rule, token)


@pytest.mark.parametrize("role", Role)
def test_a_role_is_refused_everything_that_its_table_does_not_hold(world: World, role: Role) -> None:
    for rule in guarded(world):
        status = ask(world, rule, role).status_code
        assert (status == 403) == (rule.permission not in ROLES[role]), (rule, status)
        assert status not in {401, 500}, (rule, status)


def test_what_no_rule_names_is_closed_and_not_there(world: World) -> None:
    for path in ("/api/v1/nothing", "/api/v2/incidents", "/v1/secrets", "/v2/models/x/delete", "/webhooks/other"):
        rule = Rule(method="GET", path=path, permission=Permission.READ, app=PlainTextResponse(""))
        assert ask(world, rule).status_code == 401, path
        assert ask(world, rule, Role.ADMIN).status_code == 404, path


def test_every_act_is_in_the_audit_before_it_is_done(world: World) -> None:
    """Also one that is then refused for its body: what was tried is told."""
    for rule in guarded(world):
        if rule.method not in UNSAFE or not rule.path.startswith("/api/v1/"):
            continue
        before = world.ledger.count(Audit, tenant="main")
        ask(world, rule, Role.ADMIN)
        (entry, *_) = world.ledger.find(Audit, tenant="main", limit=1)
        assert world.ledger.count(Audit, tenant="main") == before + 1, rule
        assert (entry.actor, entry.action) == ("admin", rule.operation)


def test_a_rest_route_without_a_permission_stops_start_up() -> None:
    router = APIRouter()

    @router.get("/forgotten")
    def forgotten() -> None:
        """Declares nothing."""

    with pytest.raises(ConfigError, match="/forgotten declares no permission"):
        api_rules(router.routes, PlainTextResponse(""))


async def _nothing(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("")


@pytest.mark.parametrize(
    "route",
    [Route("/v1/forgotten", _nothing), Mount("/v1", routes=[Route("/forgotten", _nothing)])],
    ids=["flat", "mounted"],
)
def test_a_parts_route_without_a_permission_stops_start_up(route: Route | Mount) -> None:
    part = Part(app=Starlette(routes=[route]), permissions={"POST /v1/logs": Permission.SEND})
    with pytest.raises(ConfigError, match="GET /v1/forgotten"):
        part.rules()


def test_what_cannot_be_guarded_stops_start_up() -> None:
    with pytest.raises(ConfigError, match="cannot be guarded"):
        Part(app=Starlette(routes=[WebSocketRoute("/ws", _nothing)]), permissions={}).rules()
    with pytest.raises(ConfigError, match="is not like"):
        Part(app=Starlette(), permissions={"metrics": Permission.SEND}).rules()


def test_two_rules_for_one_path_stop_start_up() -> None:
    rule = Rule(method="GET", path="/x", permission=Permission.READ, app=PlainTextResponse(""))
    with pytest.raises(ConfigError, match="answered twice"):
        Rules([rule, rule])


def test_a_guard_told_so_lets_nobody_in_from_this_machine_either(tmp_path: Path) -> None:
    strict = build_world(tmp_path, Config(loopback_open=False))
    rule = next(rule for rule in strict.api.rules.all if rule.permission is Permission.SEND)
    assert ask(strict, rule).status_code == 401
    assert ask(strict, rule, Role.RESPONDER).status_code == 200
    strict.close()
