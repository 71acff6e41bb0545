"""Deployments, releases and pipelines of GitHub, GitLab and Argo CD become changes and notices."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.unit.ingest.mutation import mutated, repeatable
from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.capture import Capture, read_capture, shift
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.events.config import WebhookConfig
from twofold.records.access import Permission
from twofold.records.codec import from_json
from twofold.records.event import Event
from twofold.records.frame import FrameKind
from twofold.records.time import to_ns

HOUR_NS = 3600 * 10**9
REPOSITORY = {
    "name": "Hello-World",
    "full_name": "Codertocat/Hello-World",
    "default_branch": "master",
    "html_url": "https://github.com/Codertocat/Hello-World",
}
DEPLOYMENT = {
    "id": 145988746,
    "sha": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
    "ref": "master",
    "task": "deploy",
    "environment": "production",
    "creator": {"login": "Codertocat"},
    "created_at": "2019-05-15T15:20:53Z",
}
# GitHub documentation, "Webhook events and payloads", shortened
DEPLOYMENT_STATUS = {
    "action": "created",
    "deployment_status": {
        "id": 209916254,
        "state": "success",
        "created_at": "2019-05-15T15:20:53Z",
        "target_url": "https://example.com/log",
    },
    "deployment": DEPLOYMENT,
    "repository": REPOSITORY,
    "sender": {"login": "Codertocat"},
}
WORKFLOW_RUN = {
    "action": "completed",
    "workflow_run": {
        "id": 289782451,
        "name": "Dump event payload",
        "run_number": 2,
        "run_attempt": 1,
        "event": "push",
        "head_branch": "master",
        "head_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625",
        "conclusion": "failure",
        "html_url": "https://github.com/Codertocat/Hello-World/actions/runs/289782451",
        "created_at": "2020-10-05T14:25:30Z",
        "run_started_at": "2020-10-05T14:25:34Z",
        "updated_at": "2020-10-05T14:27:34Z",
    },
    "repository": REPOSITORY,
}
RELEASE = {
    "action": "published",
    "release": {"id": 17372790, "tag_name": "0.0.1", "published_at": "2019-05-15T15:20:53Z"},
    "repository": REPOSITORY,
}
PUSH = {
    "ref": "refs/heads/master",
    "after": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    "compare": "https://github.com/Codertocat/Hello-World/compare/6113728f27ae",
    "commits": [{"id": "6113728f27ae"}],
    "head_commit": {"message": "Adding a .gitignore\n\nlong", "timestamp": "2019-05-15T15:20:41Z"},
    "pusher": {"name": "Codertocat"},
    "repository": REPOSITORY,
}
# GitLab documentation, "Webhook events", shortened
GITLAB_PROJECT = {
    "path_with_namespace": "root/test-deployment-webhooks",
    "default_branch": "master",
    "web_url": "http://10.126.0.2:3000/root/test-deployment-webhooks",
}
GITLAB_DEPLOYMENT = {
    "object_kind": "deployment",
    "status": "success",
    "status_changed_at": "2021-04-28 21:50:00 +0200",
    "deployment_id": 15,
    "deployable_url": "http://10.126.0.2:3000/root/test-deployment-webhooks/-/jobs/796",
    "environment": "staging",
    "project": GITLAB_PROJECT,
    "short_sha": "279484c0",
    "user": {"username": "root"},
    "commit_title": "Add new file",
}
GITLAB_PIPELINE = {
    "object_kind": "pipeline",
    "object_attributes": {
        "id": 31,
        "ref": "master",
        "sha": "bcbb5ec396a2c0f828686f14fac9b80b780504f2",
        "source": "merge_request_event",
        "status": "success",
        "created_at": "2016-08-12 15:23:28 UTC",
        "finished_at": "2016-08-12 15:26:29 UTC",
        "duration": 63,
        "queued_duration": 10,
    },
    "project": GITLAB_PROJECT,
}
ARGOCD = {
    "app": "guestbook",
    "project": "default",
    "namespace": "shop",
    "phase": "Succeeded",
    "health": "Healthy",
    "revision": "53e28ff20cc530b9ada2173fbbd64d48338583ba",
    "started_at": "2026-01-01T00:00:00Z",
    "finished_at": "2026-01-01T00:00:12Z",
    "url": "https://argocd.example.com/applications/guestbook",
    "about": "sync",
}


def github(bench: Bench, name: str, body: dict[str, Any], **headers: str) -> Any:
    return bench.client.post(
        "/webhooks/github", json=body, headers={"x-github-event": name, "x-github-delivery": "d1"} | headers
    )


def events(bench: Bench) -> list[Event]:
    return [from_json(Event, row) for row in bench.rows(FrameKind.EVENTS)]


def test_a_finished_deployment_is_a_change_of_the_repositorys_service(bench: Bench) -> None:
    assert github(bench, "deployment_status", DEPLOYMENT_STATUS).json()["stored"] == 1
    (event,) = events(bench)
    assert (event.kind, event.change, event.entity, event.version) == (
        "change",
        "deploy",
        "service:Hello-World",
        "f95f852bd8fc",
    )
    assert event.title == "deploy Hello-World f95f852bd8fc to production success"
    assert event.attributes["by"] == "Codertocat"


@pytest.mark.parametrize(
    ("state", "kind"), [("failure", "change"), ("error", "change"), ("in_progress", "notice"), ("queued", "notice")]
)
def test_a_deployment_changes_something_when_it_ends(bench: Bench, state: str, kind: str) -> None:
    status = DEPLOYMENT_STATUS["deployment_status"] | {"state": state}  # type: ignore[operator]  # a dict
    github(bench, "deployment_status", DEPLOYMENT_STATUS | {"deployment_status": status})
    assert events(bench)[0].kind == kind


def test_a_tag_is_the_version_and_a_rollback_is_one(bench: Bench) -> None:
    deployment = DEPLOYMENT | {"ref": "v1.4.2", "task": "deploy:rollback"}
    github(bench, "deployment_status", DEPLOYMENT_STATUS | {"deployment": deployment})
    (event,) = events(bench)
    assert (event.change, event.version) == ("rollback", "v1.4.2")


def test_a_redelivery_is_the_same_event(bench: Bench) -> None:
    for delivery in ("d1", "d2"):
        github(bench, "deployment_status", DEPLOYMENT_STATUS, **{"x-github-delivery": delivery})
    assert len({event.id for event in events(bench)}) == 1


def test_a_pipelines_result_keeps_its_durations(bench: Bench) -> None:
    github(bench, "workflow_run", WORKFLOW_RUN)
    (event,) = events(bench)
    assert (event.kind, event.state) == ("notice", "failure")
    assert (event.attributes["duration_s"], event.attributes["queued_s"]) == ("120", "4")
    assert github(bench, "workflow_run", WORKFLOW_RUN | {"action": "requested"}).json()["dropped"] == {
        "not_finished": 1
    }


def test_githubs_published_example_names_its_pipeline_elsewhere_and_tells_the_commits_time(bench: Bench) -> None:
    """Facts of `workflow_run` completed among the payload examples of octokit/webhooks."""
    example = {
        "action": "completed",
        "workflow": {"name": "test", "path": ".github/workflows/test.yml"},
        "workflow_run": {
            "id": 289782451,
            "name": "",
            "conclusion": "success",
            "event": "repository_dispatch",
            "head_branch": "master",
            "head_sha": "3484a3fb816e0859fd6e1cea078d76385ff50625",
            "head_commit": {"timestamp": "2020-10-05T16:32:07Z"},
            "created_at": "2020-10-05T16:33:24Z",
            "updated_at": "2020-10-05T16:33:54Z",
        },
        "repository": {"name": "octo-repo", "full_name": "octo-org/octo-repo", "default_branch": "master"},
    }
    github(bench, "workflow_run", example)
    (event,) = events(bench)
    assert event.attributes["pipeline"] == "test"
    assert event.attributes["duration_s"] == "30", "of the whole run, when nobody says when it left the queue"
    assert event.attributes["committed"] == "2020-10-05T16:32:07+00:00"


def test_gitlabs_pipeline_tells_the_commits_time(bench: Bench) -> None:
    commit = {"id": "bcbb5ec396a2c0f828686f14fac9b80b780504f2", "timestamp": "2016-08-12T17:23:21+02:00"}
    bench.client.post("/webhooks/gitlab", json=GITLAB_PIPELINE | {"commit": commit})
    (event,) = events(bench)
    assert event.attributes["committed"] == "2016-08-12T15:23:21+00:00"


def test_releases_and_pushes_to_the_default_branch_are_changes(bench: Bench) -> None:
    github(bench, "release", RELEASE)
    github(bench, "push", PUSH)
    github(bench, "push", PUSH | {"ref": "refs/heads/topic"})
    release, push, topic = events(bench)
    assert (release.change, release.version) == ("other", "0.0.1")
    assert (push.kind, push.title) == ("change", "push to Hello-World master: Adding a .gitignore")
    assert topic.kind == "notice"


def test_what_is_of_no_use_is_counted_and_no_fault(bench: Bench) -> None:
    assert github(bench, "ping", {"zen": "x"}).status_code == 200
    assert github(bench, "issues", {"action": "opened"}).status_code == 200
    assert bench.counts.total(Item.EVENTS).dropped == {"ping": 1, "not_mapped": 1}
    assert bench.client.post("/webhooks/github", json=PUSH).status_code == 400, "no event name"
    assert github(bench, "push", {"ref": "x"}).status_code == 400


def test_a_form_is_read_like_json(bench: Bench) -> None:
    form = {"content-type": "application/x-www-form-urlencoded", "x-github-event": "push"}
    body = urlencode({"payload": json.dumps(PUSH)})
    assert bench.client.post("/webhooks/github", content=body, headers=form).status_code == 200
    assert bench.client.post("/webhooks/github", content="a=b", headers=form).status_code == 400


def test_githubs_signature_is_checked_and_counted() -> None:
    """The pair of secret, body and digest is the one that GitHub's documentation gives to test with."""
    secret, body = "It's a Secret to Everybody", b"Hello, World!"
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() == digest
    bench = Bench(config=IngestConfig(walker=False, webhooks=WebhookConfig(github_secret=secret)))
    headers = {"content-type": "application/json", "x-github-event": "push"}
    signed = headers | {"x-hub-signature-256": f"sha256={digest}"}
    assert bench.client.post("/webhooks/github", content=body, headers=signed).status_code == 400, "signed, not JSON"
    assert bench.client.post("/webhooks/github", content=body + b"!", headers=signed).status_code == 401
    assert bench.client.post("/webhooks/github", content=body, headers=headers).status_code == 401


def test_a_route_with_a_secret_asks_for_the_signature_alone() -> None:
    webhooks = WebhookConfig(gitlab_token="t")  # noqa: S106 - only of this test
    bench = Bench(config=IngestConfig(walker=False, webhooks=webhooks))
    permissions = bench.ingest.permissions()
    assert permissions["POST /webhooks/gitlab"] is Permission.PUBLIC
    assert permissions["POST /webhooks/github"] is Permission.SEND
    assert [key for key, value in permissions.items() if value is Permission.PUBLIC] == ["POST /webhooks/gitlab"]
    post = bench.client.post
    assert post("/webhooks/gitlab", json=GITLAB_DEPLOYMENT, headers={"x-gitlab-token": "t"}).status_code == 200
    assert post("/webhooks/gitlab", json=GITLAB_DEPLOYMENT, headers={"x-gitlab-token": "no"}).status_code == 401


def test_gitlabs_deployment_and_pipeline(bench: Bench) -> None:
    for body in (GITLAB_DEPLOYMENT, GITLAB_PIPELINE, GITLAB_DEPLOYMENT | {"status": "running"}):
        assert bench.client.post("/webhooks/gitlab", json=body).status_code == 200
    deploy, pipeline, running = events(bench)
    assert (deploy.kind, deploy.entity) == ("change", "service:test-deployment-webhooks")
    assert deploy.time.isoformat() == "2021-04-28T19:50:00+00:00"
    assert (pipeline.kind, pipeline.attributes["duration_s"]) == ("notice", "63")
    assert running.kind == "notice"
    answer = bench.client.post("/webhooks/gitlab", json={"object_kind": "note"}).json()
    assert answer["dropped"] == {"not_mapped": 1}


def test_gitlabs_release_and_push(bench: Bench) -> None:
    release = {
        "object_kind": "release",
        "action": "create",
        "id": 1,
        "tag": "v1.1",
        "released_at": "2020-11-02 12:55:12 UTC",
        "project": GITLAB_PROJECT,
    }
    push = {
        "object_kind": "push",
        "ref": "refs/heads/master",
        "after": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
        "commits": [{"message": "fix", "timestamp": "2012-01-03T23:36:29+02:00", "url": "http://x"}],
        "project": GITLAB_PROJECT,
    }
    for body in (release, push, release | {"action": "update"}):
        assert bench.client.post("/webhooks/gitlab", json=body).status_code == 200
    first, second = events(bench)
    assert (first.version, second.version) == ("v1.1", "da1560886d4f")
    assert bench.counts.total(Item.EVENTS).dropped == {"not_published": 1}


def test_argo_cds_sync_is_a_change_and_its_health_an_alert(bench: Bench) -> None:
    degraded = ARGOCD | {"about": "health", "health": "Degraded"}
    for body in (ARGOCD, degraded, degraded | {"health": "Healthy"}, degraded | {"health": "Progressing"}):
        assert bench.client.post("/webhooks/argocd", json=body).status_code == 200
    sync, bad, good = events(bench)
    assert (sync.change, sync.version, sync.attributes["duration_s"]) == ("deploy", "53e28ff20cc5", "12")
    assert (bad.state, good.state) == ("firing", "resolved")
    assert bad.attributes["fingerprint"] == good.attributes["fingerprint"]
    assert bench.client.post("/webhooks/argocd", json={"app": ""}).status_code == 400
    assert bench.client.post("/webhooks/argocd", json=ARGOCD | {"about": "x"}).status_code == 400


def fill(bench: Bench) -> None:
    """One delivery of every kind."""
    github(bench, "deployment_status", DEPLOYMENT_STATUS)
    form = {"content-type": "application/x-www-form-urlencoded", "x-github-event": "push"}
    bench.client.post("/webhooks/github", content=urlencode({"payload": json.dumps(PUSH)}), headers=form)
    bench.client.post("/webhooks/gitlab", json=GITLAB_PIPELINE)
    bench.client.post("/webhooks/argocd", json=ARGOCD)
    event = {"ce-specversion": "1.0", "ce-type": "t", "ce-id": "1", "ce-source": "s", "ce-time": "2018-04-05T17:31:00Z"}
    bench.client.post("/webhooks/cloudevents", headers=event)


def test_captured_deliveries_shift_in_time_and_keep_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    first = Bench(capture=Capture(path))
    fill(first)
    first.capture.close()
    again = Bench(now_ns=NOW_NS + HOUR_NS)
    for request in read_capture(path):
        body, headers = shift(request, HOUR_NS).encoded()
        assert not {"x-gitlab-token", "authorization", "host"} & set(headers)
        assert again.client.post(request.path, content=body, headers=headers).status_code == 200
    moved = [to_ns(event.time) - HOUR_NS for event in events(again)]
    assert moved == [to_ns(event.time) for event in events(first)]
    assert [event.title for event in events(again)] == [event.title for event in events(first)]


def test_no_bytes_make_a_webhook_fail(bench: Bench) -> None:
    """Mutations of good bodies are answered, never with 5xx; conservation holds over all of them."""
    chance = repeatable(7)
    bodies: dict[str, list[dict[str, Any]]] = {
        "/webhooks/github": [DEPLOYMENT_STATUS, PUSH, RELEASE, WORKFLOW_RUN],
        "/webhooks/gitlab": [GITLAB_DEPLOYMENT, GITLAB_PIPELINE],
        "/webhooks/argocd": [ARGOCD],
    }
    for path, good in bodies.items():
        corpus = [json.dumps(each).encode() for each in good]
        for name in ("deployment_status", "push", "release", "workflow_run"):
            for _ in range(40):
                headers = {"content-type": "application/json", "x-github-event": name}
                answer = bench.client.post(path, content=mutated(corpus, chance), headers=headers)
                assert answer.status_code in {200, 400}
