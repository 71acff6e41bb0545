"""A sender that signs needs no token, and one that does not sign gets nowhere, from another machine too."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from tests.api_world import build_world
from tests.unit.ingest.null import Bench
from tests.unit.ingest.test_webhooks_alerts import ENQUEUE, TRIGGER
from tests.unit.ingest.test_webhooks_git import GITLAB_DEPLOYMENT, PUSH
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.events.config import WebhookConfig
from twofold.api.app import create_api
from twofold.api.auth import Guard
from twofold.api.rules import Part
from twofold.records.access import Permission
from twofold.records.frame import FrameKind

SECRETS = WebhookConfig(github_secret="g", gitlab_token="l", pagerduty_keys=("samplekeyhere",))  # noqa: S106 - a test's
BODY = json.dumps(PUSH).encode()
SIGNED = {
    "content-type": "application/json",
    "x-github-event": "push",
    "x-hub-signature-256": "sha256=" + hmac.new(b"g", BODY, hashlib.sha256).hexdigest(),
}


@pytest.fixture
def bench() -> Bench:
    return Bench(config=IngestConfig(walker=False, webhooks=SECRETS))


@pytest.fixture
def api(tmp_path: Path, bench: Bench) -> Iterator[Guard]:
    world = build_world(tmp_path)
    part = Part(app=Starlette(routes=bench.ingest.routes()), permissions=bench.ingest.permissions())
    yield create_api(world.services, None, [part])
    world.close()


def post(api: Guard, path: str, content: bytes, headers: dict[str, str], address: str = "203.0.113.7") -> int:
    async def go() -> int:
        transport = httpx.ASGITransport(api, client=(address, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7070") as client:
            answer = await client.post(path, content=content, headers=headers)
            return answer.status_code

    return asyncio.run(go())


def test_a_signed_delivery_from_afar_is_taken_without_a_token(api: Guard, bench: Bench) -> None:
    assert post(api, "/webhooks/github", BODY, SIGNED) == 200
    plain = {"content-type": "application/json"}
    assert post(api, "/webhooks/gitlab", json.dumps(GITLAB_DEPLOYMENT).encode(), plain | {"x-gitlab-token": "l"}) == 200
    assert post(api, ENQUEUE, json.dumps(TRIGGER).encode(), plain) == 202
    assert len(bench.rows(FrameKind.EVENTS)) == 3


@pytest.mark.parametrize("address", ["203.0.113.7", "127.0.0.1"])
def test_an_unsigned_delivery_is_401_from_anywhere(api: Guard, bench: Bench, address: str) -> None:
    unsigned = {name: value for name, value in SIGNED.items() if "signature" not in name}
    assert post(api, "/webhooks/github", BODY, unsigned, address) == 401
    assert post(api, "/webhooks/github", BODY + b" ", SIGNED, address) == 401
    assert not bench.journal.frames


def test_a_receiver_without_a_secret_still_asks_for_a_token_from_afar(api: Guard) -> None:
    headers = {"content-type": "application/json"}
    assert post(api, "/webhooks/argocd", b'{"app": "x"}', headers) == 401
    assert post(api, "/webhooks/argocd", b'{"app": "x"}', headers, "127.0.0.1") == 200
    assert post(api, "/v1/changes", b"{}", headers) == 401


def test_without_secrets_nothing_is_public() -> None:
    assert Permission.PUBLIC not in Bench().ingest.permissions().values()
