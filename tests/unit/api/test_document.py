"""The OpenAPI document, problems, and the process's own routes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from prometheus_client import Counter

from tests.api_world import World, build_world
from twofold import errors
from twofold.api import schema
from twofold.api.auth import Config
from twofold.api.problems import answer, status_of
from twofold.api.services import Pulse
from twofold.records.access import Role

ask = World.ask
COMMITTED = Path(__file__).parents[3] / "web" / "openapi.json"


def test_the_committed_document_is_what_the_code_says() -> None:
    """`python -m twofold.api.schema > web/openapi.json` makes it so; the web client is generated from it."""
    assert COMMITTED.read_bytes() == schema.dump()


def test_the_served_document_is_the_same_and_needs_no_token(world: World) -> None:
    served = ask(world, "GET", "/openapi.json").json()
    assert served == schema.document(schema.bare_app())
    assert served["openapi"].startswith("3.1")


def operations() -> dict[str, Any]:
    paths = schema.document(schema.bare_app())["paths"]
    return {f"{method} {path}": operation for path, item in paths.items() for method, operation in item.items()}


def test_every_operation_has_an_id_of_its_own_a_tag_a_permission_and_answers() -> None:
    every = operations()
    ids = [operation["operationId"] for operation in every.values()]
    assert len(set(ids)) == len(ids) > 40
    for name, operation in every.items():
        assert operation["tags"], name
        assert operation["x-permission"], name
        assert operation["responses"]["default"]["content"]["application/problem+json"], name
        good = [response for status, response in operation["responses"].items() if status[0] == "2"]
        assert good, name
        assert good[0].get("content") or "204" in operation["responses"], name
        assert operation["description"], name


def test_members_of_answers_are_never_optional() -> None:
    """So the generated client need not ask whether they are there."""
    found = schema.document(schema.bare_app())["components"]["schemas"]
    assert set(found["Incident"]["required"]) == set(found["Incident"]["properties"])
    assert set(found["NewExecution"]["required"]) == {"runbook"}


def test_an_answer_fits_the_document(world: World) -> None:
    found = schema.document(schema.bare_app())
    home = found["components"]["schemas"]["Home"] | {"components": found["components"]}
    jsonschema.validate(ask(world, "GET", "/api/v1/home", Role.VIEWER).json(), home)


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (errors.InputError("x"), 400, None),
        (errors.DecodeError("x"), 400, None),
        (errors.TooLarge("x"), 413, None),
        (errors.NotFound("x"), 404, None),
        (errors.Conflict("x"), 409, None),
        (errors.Denied("x"), 403, None),
        (errors.Unauthenticated("x"), 401, ("www-authenticate", "Bearer")),
        (errors.Unsupported("x"), 501, None),
        (errors.Overloaded("x", retry_after_s=7), 429, ("retry-after", "7")),
        (errors.Unavailable("x"), 503, ("retry-after", "5")),
        (errors.StorageFull("x"), 503, ("retry-after", "5")),
        (errors.Corrupt("x"), 500, None),
        (RuntimeError("x"), 500, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_error_has_its_answer(error: Exception, status: int, header: tuple[str, str] | None) -> None:
    made = answer(error, instance="/here")
    assert made.status_code == status_of(error) == status
    assert made.media_type == "application/problem+json"
    if header:
        assert made.headers[header[0]] == header[1]


def test_every_error_of_the_tree_has_an_answer_that_is_not_a_surprise() -> None:
    """A new kind of error is a decision about its status."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TwofoldError)]
    surprises = {kind.__name__ for kind in kinds if status_of(kind("x")) == 500}
    assert surprises == {"TwofoldError", "Permanent", "ConfigError", "Corrupt"}


def test_a_problem_tells_its_facts_but_facts_never_hide_the_problem() -> None:
    import orjson  # noqa: PLC0415 - only here

    body = orjson.loads(answer(errors.TooLarge("9 > 8", reason="rows", limit=8, status="x"), instance="/here").body)
    assert body == {
        "type": "urn:twofold:problem:too-large",
        "title": "Too large",
        "status": 413,
        "detail": "9 > 8",
        "instance": "/here",
        "reason": "rows",
        "limit": 8,
    }


def test_a_body_that_does_not_fit_is_told_where_without_what_was_sent(world: World) -> None:
    body = {"name": "x", "secret": ["my secret"], "more": 1}
    found = ask(world, "POST", "/api/v1/session", json=body)
    assert found.status_code == 422
    assert found.headers["content-type"] == "application/problem+json"
    assert {fault["where"] for fault in found.json()["errors"]} == {"body.secret", "body.more"}
    assert "my secret" not in found.text


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b"null", b'{"a": NaN}'])
def test_bytes_that_are_no_body_are_told(world: World, content: bytes) -> None:
    found = ask(world, "POST", "/api/v1/session", content=content, headers={"content-type": "application/json"})
    assert found.status_code == 422
    assert found.json()["title"] == "Bad input"


def test_a_body_past_the_limit_is_refused_unread(tmp_path: Path) -> None:
    world = build_world(tmp_path, Config(max_body_bytes=1000))
    found = ask(world, "POST", "/api/v1/verdicts", Role.RESPONDER, json={"note": "x" * 2000})
    assert found.status_code == 413
    assert found.json()["status"] == 413
    world.close()


def test_a_known_path_by_another_method_is_not_there(world: World) -> None:
    assert ask(world, "DELETE", "/api/v1/home", Role.ADMIN).status_code == 404


def test_ready_says_what_is_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(world, "GET", "/healthz").json() == {"status": "ok"}
    assert ask(world, "GET", "/readyz").json() == {"ready": True, "problems": {}}

    class Ill:
        def pulse(self) -> Pulse:
            return Pulse(points_per_s=5.0, lag_s=1.0, journal_bytes=7)

        def problems(self) -> dict[str, str]:
            return {"journal": "the device failed to sync"}

    monkeypatch.setattr(type(world.services.pulse), "problems", lambda _self: Ill().problems())
    found = ask(world, "GET", "/readyz")
    assert (found.status_code, found.json()["problems"]) == (503, {"journal": "the device failed to sync"})


def test_metrics_are_of_this_registry_and_for_who_may_read(world: World) -> None:
    Counter("twofold_things", "Things", registry=world.services.registry).inc()
    assert ask(world, "GET", "/metrics").status_code == 401
    found = ask(world, "GET", "/metrics", Role.VIEWER)
    assert "twofold_things_total 1.0" in found.text
    assert found.headers["content-type"].startswith("text/plain")
