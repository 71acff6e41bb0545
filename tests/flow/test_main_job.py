"""The main job on real parts: a shop breaks, one incident tells why, a second person approves, it recovers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from demo.score import RECORDED
from demo.stack import Stack
from twofold.aiops.ingest.capture import Capture, read_capture
from twofold.cli.backfill import send
from twofold.cli.client import Api

T = TypeVar("T")
CHROMIUM = os.environ.get("TWOFOLD_CHROMIUM", "/usr/bin/chromium")


def _until(limit_s: float, ask: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        found = ask()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {limit_s:.0f} s: {what}")


def _quiet_part(target: Path) -> Path:
    """The recorded minutes before the first fault: what is usual for this shop."""
    truth = json.loads(RECORDED.with_suffix(RECORDED.suffix + ".json").read_text())
    first_ns = int(datetime.fromisoformat(truth["items"][0]["started"]).timestamp() - 5) * 10**9
    with Capture(target) as capture:
        for request in read_capture(RECORDED):
            if request.time_ns < first_ns:
                capture.record(request.path, request.media, request.body, request.time_ns, request.lane)
    return target


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("main-job")
    with Stack(data=folder / "data", fixed_ports=False) as stack:
        stack.start_twofold()
        stack.train_and_release()
        send(Api(stack.url, stack.token), _quiet_part(folder / "quiet.capture"), ends_now=True)
        stack.start_shop()
        yield stack


def _incidents(api: httpx.Client) -> list[dict[str, Any]]:
    items = api.get("/api/v1/incidents", params={"backfilled": "false"}).raise_for_status().json()["items"]
    return [item for item in items if not item["merged_into"]]


def _execution(api: httpx.Client, incident: str, *states: str) -> dict[str, Any] | None:
    items = api.get("/api/v1/executions", params={"incident": incident}).raise_for_status().json()["items"]
    return next((item for item in items if item["state"] in states), None)


@pytest.mark.web
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("main-job")
def test_a_bad_deploy_is_found_explained_rolled_back_by_a_second_person_and_verified(stack: Stack) -> None:
    secret, _ = stack.new_user("robin", "approver")
    time.sleep(20)
    with stack.api() as api:
        assert _incidents(api) == [], "nothing is open while all is well"
        api.post("/api/v1/demo/faults/bad_deploy", json={"seconds": 400}).raise_for_status()
        began = time.monotonic()
        incident = _until(60, lambda: next(iter(_incidents(api)), None), "an incident")["id"]
        detected_s = time.monotonic() - began

        def explained() -> dict[str, Any] | None:
            found: dict[str, Any] = api.get(f"/api/v1/incidents/{incident}").raise_for_status().json()
            suspects = (found["diagnosis"] or {"suspects": []})["suspects"]
            return found if suspects and suspects[0]["entity"] == "service:checkout" else None

        found = _until(60, explained, "checkout as the first suspect")
        first = found["diagnosis"]["suspects"][0]
        assert first["change"], "the deploy is named"
        assert {"series", "change"} <= {evidence["kind"] for evidence in first["evidence"]}
        proposal = _until(60, lambda: _execution(api, incident, "proposed"), "a proposed runbook")
        assert proposal["runbook"] == "rollback-deploy"
        refused = api.post(f"/api/v1/executions/{proposal['id']}/approve", json={"approval_hash": "0" * 64})
        assert refused.status_code == httpx.codes.CONFLICT
        _approve_in_the_browser(stack.url, secret, incident)
        _until(200, lambda: _execution(api, incident, "succeeded"), "a verified recovery")
        _until(120, lambda: all(one["state"] == "resolved" for one in _incidents(api)), "the incident resolved")
        assert len(_incidents(api)) == 1, "one fault, one incident"
        story = api.get(f"/api/v1/incidents/{incident}").json()["timeline"]
        told = {line["kind"] for line in story}
        wanted = {"opened", "alert", "change", "diagnosis", "proposed", "approved", "step", "verified", "resolved"}
        assert wanted <= told
        assert any(line["actor"] == "robin" for line in story)
        acts = api.get("/api/v1/audit").json()["items"]
        assert any(act["action"].startswith("runbook.step:") and act["actor"] == "robin" for act in acts)
        _verdict_becomes_a_dataset(api, incident)
    assert detected_s < 60


def _approve_in_the_browser(url: str, secret: str, incident: str) -> None:
    from playwright.sync_api import expect, sync_playwright  # noqa: PLC0415 - only this test drives a browser

    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}; tests/debian-packages installs it")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}/incidents/{incident}")
        page.get_by_label("Name").fill("robin")
        page.get_by_label("Secret").fill(secret)
        page.keyboard.press("Enter")
        button = page.get_by_role("button", name="Approve and run")
        expect(button).to_be_visible(timeout=20_000)
        expect(page.get_by_text("checkout").first).to_be_visible()
        button.click()
        expect(button).to_be_hidden(timeout=20_000)
        browser.close()


def _verdict_becomes_a_dataset(api: httpx.Client, incident: str) -> None:
    body = {"subject": "suspect", "ref": "service:checkout", "incident": incident, "value": "right", "note": ""}
    api.post("/api/v1/verdicts", json=body).raise_for_status()
    given = api.get("/api/v1/verdicts").raise_for_status().json()["items"]
    assert given[0]["value"] == "right"
