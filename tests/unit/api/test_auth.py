"""The guard: who calls, may they, and is the call meant for us."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from tests.api_world import SECRET, World, build_world
from twofold.api.auth import SECURITY_HEADERS, Config, Guard
from twofold.api.credentials import (
    FailureLimit,
    bootstrap_admin,
    check_log_in,
    find_token,
    hash_secret,
    issue_token,
    new_user,
    verify_secret,
)
from twofold.api.rules import Rule, Rules
from twofold.errors import Conflict, InputError, Overloaded, StorageFull, Unauthenticated
from twofold.records.access import Audit, Permission, Role, Token, User
from twofold.records.incident import Incident
from twofold.store.ledger.audit import check_chain

LOG_IN = {"name": "viewer", "secret": SECRET}


ask = World.ask


# --- secrets and tokens


def test_a_secret_is_verified_by_its_hash_alone() -> None:
    hashed = hash_secret(SECRET)
    assert SECRET not in hashed
    assert hashed != hash_secret(SECRET)
    assert verify_secret(SECRET, hashed)
    assert not verify_secret(SECRET + " ", hashed)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(InputError, match="needs 12"):
        hash_secret("short")


def test_the_first_admin_is_made_once(world: World) -> None:
    secret = bootstrap_admin(world.ledger)
    assert secret is not None
    assert len(secret) >= 20
    assert check_log_in(world.ledger, "admin", secret).role is Role.ADMIN
    assert bootstrap_admin(world.ledger) is None


def test_a_name_is_taken_once(world: World) -> None:
    new_user(world.ledger, name="ann", role=Role.VIEWER, secret="", tenant="main")
    with pytest.raises(Conflict, match="ann"):
        new_user(world.ledger, name="ann", role=Role.ADMIN, secret="", tenant="main")
    new_user(world.ledger, name="ann", role=Role.VIEWER, secret=SECRET, tenant="acme")
    assert check_log_in(world.ledger, "acme/ann", SECRET).tenant == "acme"
    with pytest.raises(InputError):
        new_user(world.ledger, name="acme/bob", role=Role.VIEWER, secret="", tenant="main")


def test_only_the_hash_of_a_token_is_stored(world: World) -> None:
    text = world.token(Role.VIEWER)
    (stored,) = world.ledger.find(Token, tenant="main")
    assert text not in repr(stored)
    assert find_token(world.ledger, text)[0] == stored


def test_a_token_names_its_tenant_but_cannot_choose_it(world: World) -> None:
    _tf, _tenant, random = world.token(Role.VIEWER).split(".")
    world.user(Role.VIEWER, tenant="acme")
    with pytest.raises(Unauthenticated):
        find_token(world.ledger, f"tf.acme.{random}")


def test_expired_revoked_and_disabled_all_end_a_token(world: World) -> None:
    user = world.user(Role.VIEWER)
    _, expired = issue_token(world.ledger, user, name="t", kind="api", scopes=["read"], lasts_s=-1.0)
    token, live = issue_token(world.ledger, user, name="t", kind="api", scopes=["read"], lasts_s=60.0)
    with pytest.raises(Unauthenticated):
        find_token(world.ledger, expired)
    world.ledger.put(replace(user, disabled=True))
    with pytest.raises(Unauthenticated, match="disabled"):
        find_token(world.ledger, live)
    world.ledger.put(user, replace(token, revoked=True))
    with pytest.raises(Unauthenticated, match="revoked"):
        find_token(world.ledger, live)


def test_scopes_narrow_what_a_role_may_do(world: World) -> None:
    token = world.token(Role.ADMIN, scopes=[Permission.SEND])
    headers = {"authorization": f"Bearer {token}"}
    assert ask(world, "POST", "/v1/metrics", headers=headers, address="203.0.113.7").status_code == 200
    assert ask(world, "GET", "/api/v1/incidents", headers=headers).status_code == 403


def test_a_scope_beyond_the_role_gives_nothing(world: World) -> None:
    token = world.token(Role.VIEWER, scopes=[Permission.READ, Permission.ADMIN])
    headers = {"authorization": f"Bearer {token}"}
    assert ask(world, "GET", "/api/v1/users", headers=headers).status_code == 403


# --- log-in and session


def test_a_log_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(world: World) -> None:
    world.user(Role.VIEWER)
    answer = ask(world, "POST", "/api/v1/session", json=LOG_IN)
    assert answer.json()["permissions"] == ["read"]
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("twofold_session=tf.main.")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_wrong_unknown_and_disabled_answer_alike(world: World) -> None:
    world.ledger.put(replace(world.user(Role.APPROVER), disabled=True))
    world.user(Role.VIEWER)
    bodies = [LOG_IN | {"secret": "wrong wrong wrong"}, LOG_IN | {"name": "nobody"}, LOG_IN | {"name": "approver"}]
    answers = [ask(world, "POST", "/api/v1/session", json=body) for body in bodies]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json()["detail"] for answer in answers}) == 1


def test_the_sixth_try_must_wait_even_with_the_right_secret(world: World) -> None:
    world.user(Role.VIEWER)

    async def go() -> list[httpx.Response]:
        async with world.client() as client:
            bodies = [LOG_IN | {"secret": "wrong wrong wrong"}] * 5 + [LOG_IN]
            return [await client.post("/api/v1/session", json=body) for body in bodies]

    *_, last = asyncio.run(go())
    assert last.status_code == 429
    assert 0 < int(last.headers["retry-after"]) <= 301


def test_failures_are_forgotten_after_the_window_and_after_success() -> None:
    now = 0.0
    limit = FailureLimit(most=2, window_s=10.0, clock=lambda: now)
    for _ in range(2):
        limit.check("ann")
        limit.failed("ann")
    with pytest.raises(Overloaded):
        limit.check("ann")
    limit.check("bob")
    now = 11.0
    limit.check("ann")
    limit.failed("ann")
    limit.failed("ann")
    limit.passed("ann")
    limit.check("ann")


def test_a_session_reads_and_acts_only_with_the_header_against_forgery(world: World) -> None:
    cookie = {"cookie": f"twofold_session={world.session(Role.RESPONDER)}"}
    assert ask(world, "GET", "/api/v1/session", headers=cookie).json()["user"]["name"] == "responder"
    body = {"runbook": "restart"}
    assert ask(world, "POST", "/api/v1/executions", headers=cookie, json=body).status_code == 403
    safe = cookie | {"x-twofold-csrf": "1"}
    assert ask(world, "POST", "/api/v1/executions", headers=safe, json=body).status_code == 201
    foreign = safe | {"origin": "https://evil.example"}
    assert ask(world, "POST", "/api/v1/executions", headers=foreign, json=body).status_code == 403
    own = safe | {"origin": "http://localhost:7070"}
    assert ask(world, "POST", "/api/v1/executions", headers=own, json=body).status_code == 201


def test_an_api_token_in_a_cookie_is_no_session(world: World) -> None:
    cookie = {"cookie": f"twofold_session={world.token(Role.ADMIN)}"}
    assert ask(world, "GET", "/api/v1/incidents", headers=cookie).status_code == 401


def test_a_log_out_ends_the_session_at_once(world: World) -> None:
    headers = {"cookie": f"twofold_session={world.session(Role.VIEWER)}", "x-twofold-csrf": "1"}

    async def go() -> list[int]:
        async with world.client(headers=headers) as client:
            calls = [("GET", "session"), ("DELETE", "session"), ("GET", "session")]
            return [(await client.request(method, f"/api/v1/{path}")).status_code for method, path in calls]

    assert asyncio.run(go()) == [200, 204, 401]


def test_a_foreign_page_cannot_log_its_visitor_in(world: World) -> None:
    world.user(Role.VIEWER)
    foreign = {"origin": "https://evil.example"}
    assert ask(world, "POST", "/api/v1/session", json=LOG_IN, headers=foreign).status_code == 403


# --- this machine, other machines, other names


def test_telemetry_and_inference_from_this_machine_need_no_token(world: World) -> None:
    for path in ("/v1/metrics", "/v2/models/ranker/infer"):
        assert ask(world, "POST", path).json() == {"tenant": "main", "caller": "loopback"}
        assert ask(world, "POST", path, address="::1").status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        {"address": "203.0.113.7"},
        {"headers": {"x-forwarded-for": "127.0.0.1"}},
        {"headers": {"forwarded": "for=127.0.0.1"}},
        {"headers": {"origin": "https://evil.example"}},
        {"headers": {"origin": "null"}},
    ],
    ids=str,
)
def test_whoever_may_come_from_elsewhere_needs_one(world: World, kind: dict[str, Any]) -> None:
    assert ask(world, "POST", "/v1/metrics", **kind).status_code == 401


def test_the_tenant_comes_from_the_token_and_from_nothing_else(world: World) -> None:
    headers = {"x-tenant": "acme", "x-scope-orgid": "acme", "x-twofold-tenant": "acme"}
    assert ask(world, "POST", "/v1/metrics", headers=headers).json()["tenant"] == "main"
    assert ask(world, "POST", "/v1/metrics", Role.RESPONDER, tenant="acme").json()["tenant"] == "acme"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7070", "localhost.evil.example", "", "[bad"])
def test_a_rebound_name_does_not_reach_us(world: World, host: str) -> None:
    """Not even what is public: a page under another name could read it."""
    for path in ("/", "/healthz", "/api/v1/home"):
        assert ask(world, "GET", path, headers={"host": host}).status_code == 403


def test_addresses_localhost_and_configured_names_do(tmp_path: Path) -> None:
    world = build_world(tmp_path, Config(hosts=("ops.example",)))
    for host in ("127.0.0.1:7070", "[::1]:7070", "localhost", "192.0.2.4", "ops.example:443"):
        assert ask(world, "GET", "/healthz", headers={"host": host}).status_code == 200, host
    world.close()


# --- answers


def test_every_answer_carries_the_security_headers(world: World) -> None:
    for path, role in (("/", None), ("/healthz", None), ("/api/v1/home", None), ("/api/v1/home", Role.VIEWER)):
        answer = ask(world, "GET", path, role)
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert ask(world, "GET", "/api/v1/home", Role.VIEWER).headers["cache-control"] == "no-store"


def test_an_unexpected_error_tells_nothing_and_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("the secret is 42")

    rule = Rule(method="GET", path="/v2/fail", permission=Permission.PUBLIC, app=fail)
    guard = Guard(Rules([rule]), world.ledger, Config(), lifespan=PlainTextResponse(""))

    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://localhost") as client:
            return await client.get("/v2/fail")

    answer = asyncio.run(go())
    assert answer.status_code == 500
    assert "42" not in answer.text
    assert "the secret is 42" in caplog.text


def test_an_error_after_the_answer_began_cuts_it(world: World) -> None:
    async def begin(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise StorageFull("in the middle")

    rule = Rule(method="GET", path="/v2/begin", permission=Permission.PUBLIC, app=begin)
    guard = Guard(Rules([rule]), world.ledger, Config(), lifespan=PlainTextResponse(""))

    async def go() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://localhost") as client:
            await client.get("/v2/begin")

    with pytest.raises(StorageFull):
        asyncio.run(go())


def test_a_websocket_is_turned_away(world: World) -> None:
    sent: list[Any] = []

    async def go() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        await world.api({"type": "websocket", "path": "/api/v1/stream", "headers": []}, receive, send)

    asyncio.run(go())
    assert sent == [{"type": "websocket.close", "code": 1008}]


# --- users, tokens, audit


def test_an_admin_makes_a_user_whose_secret_is_told_once(world: World) -> None:
    made = ask(world, "POST", "/api/v1/users", Role.ADMIN, json={"name": "bob", "role": "approver"}).json()
    assert check_log_in(world.ledger, "bob", made["secret"]).role is Role.APPROVER
    listed = ask(world, "GET", "/api/v1/users", Role.ADMIN)
    assert {user["name"] for user in listed.json()["items"]} == {"admin", "bob"}
    assert "scrypt" not in listed.text


def test_a_user_is_changed_but_the_last_admin_stays(world: World) -> None:
    user = world.user(Role.VIEWER)
    changed = ask(world, "PATCH", f"/api/v1/users/{user.id}", Role.ADMIN, json={"role": "responder"})
    assert changed.json()["role"] == "responder"
    for body in ({"disabled": True}, {"role": "viewer"}):
        assert ask(world, "PATCH", "/api/v1/users/admin", Role.ADMIN, json=body).status_code == 409
    new_secret = {"secret": "another secret, long"}
    assert ask(world, "PATCH", "/api/v1/users/admin", Role.ADMIN, json=new_secret).status_code == 200
    assert check_log_in(world.ledger, "admin", "another secret, long").id == "admin"


def test_a_disabled_user_is_out_at_once(world: World) -> None:
    async def go() -> list[int]:
        async with world.client(Role.VIEWER) as viewer, world.client(Role.ADMIN) as admin:
            return [
                (await viewer.get("/api/v1/home")).status_code,
                (await admin.patch("/api/v1/users/viewer", json={"disabled": True})).status_code,
                (await viewer.get("/api/v1/home")).status_code,
            ]

    assert asyncio.run(go()) == [200, 200, 401]


def test_everybody_makes_tokens_of_their_own_within_their_permissions(world: World) -> None:
    made = ask(world, "POST", "/api/v1/tokens", Role.VIEWER, json={"name": "ci", "scopes": ["read"]})
    assert made.status_code == 201
    headers = {"authorization": f"Bearer {made.json()['secret']}"}
    assert ask(world, "GET", "/api/v1/home", headers=headers).status_code == 200
    assert ask(world, "POST", "/api/v1/tokens", Role.VIEWER, json={"name": "x", "scopes": ["admin"]}).status_code == 400
    assert ask(world, "POST", "/api/v1/tokens", headers=headers, json={"name": "x", "scopes": ["*"]}).status_code == 400


def test_a_token_is_revoked_by_its_owner_or_an_admin_and_nobody_else(world: World) -> None:
    made = ask(world, "POST", "/api/v1/tokens", Role.VIEWER, json={"name": "ci", "scopes": ["read"]}).json()
    path = f"/api/v1/tokens/{made['token']['id']}"
    assert ask(world, "DELETE", path, Role.RESPONDER).status_code == 404
    assert ask(world, "DELETE", path, Role.VIEWER).status_code == 204
    headers = {"authorization": f"Bearer {made['secret']}"}
    assert ask(world, "GET", "/api/v1/home", headers=headers).status_code == 401
    assert made["token"]["id"] not in ask(world, "GET", "/api/v1/tokens", Role.ADMIN).text


def test_an_act_whose_audit_cannot_be_written_does_not_happen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = Incident(
        id="i1",
        title="slow",
        state="open",  # type: ignore[arg-type]  # the enum's value
        severity="warning",  # type: ignore[arg-type]  # the enum's value
        start=datetime.now(UTC),
        detected=datetime.now(UTC) - timedelta(seconds=1),
        last_seen=datetime.now(UTC),
    )
    world.ledger.put(incident)
    whole = world.ledger.append_next

    def full(kind: type[Any], *rest: Any, **more: Any) -> Any:
        if kind is Audit:
            raise StorageFull("no space left on the ledger's disk")
        return whole(kind, *rest, **more)

    token = world.token(Role.RESPONDER)
    monkeypatch.setattr(world.ledger, "append_next", full)
    headers = {"authorization": f"Bearer {token}"}
    answer = ask(world, "POST", "/api/v1/incidents/i1/resolve", headers=headers)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert world.ledger.get(Incident, "i1", tenant="main").state == "open"


def test_the_audit_tells_who_did_what_with_which_reason_and_no_secret(world: World) -> None:
    ask(world, "POST", "/api/v1/users", Role.ADMIN, json={"name": "bob", "role": "viewer", "secret": SECRET})
    ask(world, "POST", "/api/v1/models/ranker/rollback", Role.ML_ENGINEER, json={"reason": "drift"})
    listed = ask(world, "GET", "/api/v1/audit", Role.ADMIN)
    told = [(entry["actor"], entry["action"], entry["target"], entry["detail"]) for entry in listed.json()["items"]]
    assert told == [
        ("ml-engineer", "roll_back_model", "models/ranker/rollback", {"reason": "drift"}),
        ("admin", "create_user", "users", {"name": "bob", "role": "viewer"}),
    ]
    assert SECRET not in listed.text
    check_chain(world.ledger.find(Audit, tenant="main", newest_first=False))


def test_tenants_do_not_see_each_other(world: World) -> None:
    world.user(Role.ADMIN)
    names = ask(world, "GET", "/api/v1/users", Role.ADMIN, tenant="acme").json()["items"]
    assert [user["name"] for user in names] == ["admin"]
    assert world.ledger.count(User, tenant="main") == 1
    assert ask(world, "PATCH", "/api/v1/users/viewer", Role.ADMIN, tenant="acme", json={}).status_code == 404
