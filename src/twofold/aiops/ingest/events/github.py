"""GitHub's webhooks: deployments and releases are changes, pipelines' results notices.

| event | becomes |
|---|---|
| `deployment_status` success, failure, error | a change: deploy, or rollback when the task says so |
| `deployment`, other states | a notice: nothing has changed yet |
| `workflow_run` completed | a notice with conclusion and durations |
| `release` published | a change |
| `push` to the default branch | a change; to another branch a notice |

Source: GitHub documentation, "Webhook events and payloads", "Validating webhook deliveries".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs

from twofold.aiops.ingest.events.notices import JSON, Notices, Reading, check_signature
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.wire import Ignored, at, load, parse_time, text_at
from twofold.errors import DecodeError
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind

FORM: Final = "application/x-www-form-urlencoded"
SHORT: Final = 12  # characters of a commit's hash that are shown
_SIGNATURE: Final = "x-hub-signature-256"
_DONE: Final = frozenset({"success", "failure", "error"})
_TAG: Final = re.compile(r"v?\d")


class GitHub(Notices):
    """`POST /webhooks/github`, JSON or form. The delivery's id is not the event's: what it tells of is."""

    name: ClassVar[str] = "github"
    path: ClassVar[str] = "/webhooks/github"
    media: ClassVar[tuple[str, ...]] = (JSON, FORM)

    @property
    def secured(self) -> bool:
        """Whether a secret is set."""
        return bool(self._config.github_secret)

    def verify(self, payload: Payload) -> None:
        """Check the HMAC of the body. Raises `Unauthenticated`."""
        given = payload.headers.get(_SIGNATURE, "").removeprefix("sha256=")
        check_signature(given, self._config.github_secret, payload.body, header=_SIGNATURE)

    def items(self, payload: Payload) -> list[Any]:
        """The one object of a delivery."""
        if payload.media != FORM:
            return [load(payload.body)]
        fields = parse_qs(payload.body.decode("utf-8", "replace"))
        if "payload" not in fields:
            raise DecodeError("the form has no field payload", reason="decode")
        return [load(fields["payload"][0].encode())]

    def read(self, item: Mapping[str, Any], reading: Reading) -> Event | Ignored:
        """The event of a delivery. Raises `DecodeError`."""
        name = reading.headers.get("x-github-event", "")
        if not name:
            raise DecodeError("header X-GitHub-Event is missing", reason="no_event_name")
        return event_of(name, item, reading.headers.get("x-github-delivery", ""), reading)


def event_of(name: str, item: Mapping[str, Any], delivery: str, reading: Reading) -> Event | Ignored:
    """The event of a webhook called `name`; events of no use here are ignored (`not_mapped`).

    An event that has no identity of its own takes that of its `delivery`.
    """
    read = _READERS.get(name)
    if read is None:
        return Ignored("ping" if name == "ping" else "not_mapped")
    if not text_at(item, "repository", "full_name"):
        raise DecodeError("repository.full_name is missing", reason="bad_field", field="repository")
    return read(item, delivery, reading)


def _deployment(item: Mapping[str, Any], delivery: str, reading: Reading) -> Event:
    deployment = at(item, "deployment")
    environment = text_at(deployment, "environment")
    return reading.event(
        "deployment",
        text_at(deployment, "id") or delivery,
        kind=EventKind.NOTICE,
        time=reading.time(deployment, "created_at"),
        entity=repository_entity(item, reading),
        title=f"deployment of {_name(item)} to {environment or 'production'} requested",
        link=text_at(item, "repository", "html_url"),
        attributes=_deployed(item),
    )


def _deployment_status(item: Mapping[str, Any], delivery: str, reading: Reading) -> Event:
    deployment, status = at(item, "deployment"), at(item, "deployment_status")
    state = text_at(status, "state")
    done = state in _DONE
    version = _version(item)
    rollback = "rollback" in text_at(deployment, "task").lower()
    words = "rollback of" if rollback else "deploy"
    environment = text_at(status, "environment") or text_at(deployment, "environment")
    return reading.event(
        "deployment_status",
        text_at(status, "id") or delivery,
        kind=EventKind.CHANGE if done else EventKind.NOTICE,
        time=reading.time(status, "created_at"),
        entity=repository_entity(item, reading),
        title=" ".join(filter(None, (words, _name(item), version, "to", environment or "production", state))),
        change=(ChangeKind.ROLLBACK if rollback else ChangeKind.DEPLOY) if done else None,
        version=version,
        link=text_at(status, "log_url") or text_at(status, "target_url"),
        attributes=_deployed(item) | {"state": state, "environment": environment},
    )


def _deployed(item: Mapping[str, Any]) -> dict[str, str]:
    deployment = at(item, "deployment")
    return {
        "repository": text_at(item, "repository", "full_name"),
        "environment": text_at(deployment, "environment"),
        "ref": text_at(deployment, "ref"),
        "commit": text_at(deployment, "sha"),
        "task": text_at(deployment, "task"),
        "by": text_at(deployment, "creator", "login") or text_at(item, "sender", "login"),
    }


def _version(item: Mapping[str, Any]) -> str:
    """What was deployed: the version that the payload names, a tag, else the commit."""
    deployment = at(item, "deployment")
    ref = text_at(deployment, "ref")
    return (
        text_at(deployment, "payload", "version")
        or (ref if _TAG.match(ref) and ref != text_at(deployment, "sha") else "")
        or text_at(deployment, "sha")[:SHORT]
    )


def _workflow_run(item: Mapping[str, Any], delivery: str, reading: Reading) -> Event | Ignored:
    run = at(item, "workflow_run")
    if text_at(item, "action") != "completed":
        return Ignored("not_finished")
    conclusion = text_at(run, "conclusion")
    attempt = text_at(run, "run_attempt", default="1")
    name = text_at(item, "workflow", "name") or text_at(run, "name")
    began = at(run, "run_started_at") or at(run, "created_at")
    return reading.event(
        "workflow_run",
        text_at(run, "id") or delivery,
        attempt,
        kind=EventKind.NOTICE,
        time=reading.time(run, "updated_at"),
        entity=repository_entity(item, reading),
        title=f"{name or 'pipeline'} of {_name(item)}: {conclusion}",
        state=conclusion,
        link=text_at(run, "html_url"),
        attributes={
            "repository": text_at(item, "repository", "full_name"),
            "pipeline": name,
            "run": text_at(run, "run_number"),
            "attempt": attempt,
            "conclusion": conclusion,
            "trigger": text_at(run, "event"),
            "branch": text_at(run, "head_branch"),
            "commit": text_at(run, "head_sha"),
            "committed": told(at(run, "head_commit", "timestamp")),
            "duration_s": seconds_between(began, at(run, "updated_at")),
            "queued_s": seconds_between(at(run, "created_at"), at(run, "run_started_at")),
        },
    )


def _release(item: Mapping[str, Any], delivery: str, reading: Reading) -> Event | Ignored:
    release = at(item, "release")
    if text_at(item, "action") != "published":
        return Ignored("not_published")
    tag = text_at(release, "tag_name")
    return reading.event(
        "release",
        text_at(release, "id") or delivery,
        kind=EventKind.CHANGE,
        time=reading.time(release, "published_at"),
        entity=repository_entity(item, reading),
        title=f"release {_name(item)} {tag}",
        change=ChangeKind.OTHER,
        version=tag,
        link=text_at(release, "html_url"),
        attributes={
            "repository": text_at(item, "repository", "full_name"),
            "name": text_at(release, "name"),
            "by": text_at(release, "author", "login"),
        },
    )


def _push(item: Mapping[str, Any], delivery: str, reading: Reading) -> Event:
    ref, commit = text_at(item, "ref"), text_at(item, "after")
    branch = ref.removeprefix("refs/heads/")
    main = branch == text_at(item, "repository", "default_branch")
    message = text_at(item, "head_commit", "message").partition("\n")[0]
    commits = at(item, "commits")
    return reading.event(
        "push",
        text_at(item, "repository", "full_name"),
        ref,
        commit or delivery,
        kind=EventKind.CHANGE if main else EventKind.NOTICE,
        time=reading.time(item, "head_commit", "timestamp") if at(item, "head_commit") else reading.now(),
        entity=repository_entity(item, reading),
        title=f"push to {_name(item)} {branch.removeprefix('refs/tags/')}" + (f": {message}" if message else ""),
        change=ChangeKind.OTHER if main else None,
        version=commit[:SHORT],
        link=text_at(item, "compare"),
        attributes={
            "repository": text_at(item, "repository", "full_name"),
            "branch": branch,
            "commit": commit,
            "committed": told(at(item, "head_commit", "timestamp")),
            "commits": str(len(commits)) if isinstance(commits, list) else "",
            "by": text_at(item, "pusher", "name"),
        },
    )


def repository_entity(item: Mapping[str, Any], reading: Reading) -> str:
    """The service of a repository: as the settings say, else of the same name."""
    full, name = text_at(item, "repository", "full_name"), _name(item)
    return reading.named(full, name) or entity_id(EntityKind.SERVICE, name)


def _name(item: Mapping[str, Any]) -> str:
    return text_at(item, "repository", "name") or text_at(item, "repository", "full_name").rpartition("/")[2]


def told(time: Any) -> str:
    """A time that a payload tells, in one form; empty when it tells none.

    >>> told("2021-04-28 21:50:00 +0200"), told(None)
    ('2021-04-28T19:50:00+00:00', '')
    """
    found = parse_time(time)
    return found.isoformat() if found else ""


def seconds_between(start: Any, end: Any) -> str:
    """Whole seconds between two times as text; empty when one is missing.

    >>> seconds_between("2024-01-01T00:00:00Z", "2024-01-01 00:05:00 UTC")
    '300'
    """
    first, last = parse_time(start), parse_time(end)
    return f"{(last - first).total_seconds():g}" if first and last and last >= first else ""


_READERS: Final[dict[str, Callable[[Mapping[str, Any], str, Reading], Event | Ignored]]] = {
    "deployment": _deployment,
    "deployment_status": _deployment_status,
    "workflow_run": _workflow_run,
    "release": _release,
    "push": _push,
}
