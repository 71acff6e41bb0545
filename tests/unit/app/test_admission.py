"""A listener without HTTP asks the same guard as all routes do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api_world import World, build_world
from twofold.api.auth import Config
from twofold.app.admission import admission
from twofold.errors import Denied, TwofoldError, Unauthenticated
from twofold.records.access import Role


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    built = build_world(tmp_path)
    yield built
    built.close()


def admitted(world: World, headers: dict[str, str] | None = None, address: str = "127.0.0.1") -> str:
    return asyncio.run(admission(world.api)("/v1/metrics", headers or {}, address))


def test_from_this_machine_no_token_is_asked_for(world: World) -> None:
    assert admitted(world) == admitted(world, address="::1") == "main"


def test_a_token_gives_its_tenant(world: World) -> None:
    token = world.token(Role.RESPONDER, tenant="acme")
    headers = {"authorization": f"Bearer {token}", "x-tenant": "other", "host": "evil.example"}
    assert admitted(world, headers, "203.0.113.7") == "acme"


@pytest.mark.parametrize(
    ("headers", "address", "error"),
    [
        ({}, "203.0.113.7", Unauthenticated),
        ({}, "", Unauthenticated),
        ({"x-forwarded-for": "203.0.113.7"}, "127.0.0.1", Unauthenticated),
        ({"authorization": "Bearer tf.main.wrong"}, "127.0.0.1", Unauthenticated),
    ],
)
def test_strangers_are_turned_away(
    world: World, headers: dict[str, str], address: str, error: type[TwofoldError]
) -> None:
    with pytest.raises(error):
        admitted(world, headers, address)


def test_a_token_without_the_permission_is_denied(world: World) -> None:
    with pytest.raises(Denied):
        admitted(world, {"authorization": f"Bearer {world.token(Role.VIEWER)}"})


def test_loopback_needs_a_token_where_that_is_configured(tmp_path: Path) -> None:
    world = build_world(tmp_path, Config(loopback_open=False))
    with pytest.raises(Unauthenticated):
        admitted(world)
    world.close()
