"""GitLab's webhooks: deployments, releases and pushes as GitHub's, pipelines' results as notices.

Source: GitLab documentation, "Webhook events".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from twofold.aiops.ingest.events.github import SHORT, seconds_between, told
from twofold.aiops.ingest.events.notices import Notices, Reading, check_token
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.wire import Ignored, at, load, text_at
from twofold.errors import DecodeError
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind

_HEADER: Final = "x-gitlab-token"
_DEPLOYED: Final = frozenset({"success", "failed"})
_FINISHED: Final = frozenset({"success", "failed", "canceled", "skipped"})


class GitLab(Notices):
    """`POST /webhooks/gitlab`: deployment, pipeline, release, push and tag push events."""

    name: ClassVar[str] = "gitlab"
    path: ClassVar[str] = "/webhooks/gitlab"

    @property
    def secured(self) -> bool:
        """Whether a token is set."""
        return bool(self._config.gitlab_token)

    def verify(self, payload: Payload) -> None:
        """Compare the token. Raises `Unauthenticated`."""
        check_token(payload.headers.get(_HEADER, ""), self._config.gitlab_token, header=_HEADER)

    def items(self, payload: Payload) -> list[Any]:
        """The one object of a delivery."""
        return [load(payload.body)]

    def read(self, item: Mapping[str, Any], reading: Reading) -> Event | Ignored:
        """The event of a delivery. Raises `DecodeError`."""
        name = text_at(item, "object_kind")
        if not name:
            raise DecodeError("object_kind is missing", reason="no_event_name")
        read = _READERS.get(name)
        if read is None:
            return Ignored("not_mapped")
        if not text_at(item, "project", "path_with_namespace"):
            raise DecodeError("project.path_with_namespace is missing", reason="bad_field", field="project")
        return read(item, reading)


def _deployment(item: Mapping[str, Any], reading: Reading) -> Event:
    status, environment = text_at(item, "status"), text_at(item, "environment")
    done = status in _DEPLOYED
    version = text_at(item, "ref") if text_at(item, "tag") else text_at(item, "short_sha")
    return reading.event(
        "deployment",
        _path(item),
        text_at(item, "deployment_id"),
        status,
        kind=EventKind.CHANGE if done else EventKind.NOTICE,
        time=reading.time(item, "status_changed_at"),
        entity=_entity(item, reading),
        title=" ".join(filter(None, ("deploy", _name(item), version, "to", environment, status))),
        change=ChangeKind.DEPLOY if done else None,
        version=version,
        link=text_at(item, "deployable_url") or text_at(item, "commit_url"),
        attributes={
            "repository": _path(item),
            "environment": environment,
            "state": status,
            "commit": text_at(item, "short_sha"),
            "commit_title": text_at(item, "commit_title"),
            "by": text_at(item, "user", "username"),
        },
    )


def _pipeline(item: Mapping[str, Any], reading: Reading) -> Event | Ignored:
    run = at(item, "object_attributes")
    status = text_at(run, "status")
    if status not in _FINISHED:
        return Ignored("not_finished")
    name = text_at(run, "name") or "pipeline"
    return reading.event(
        "pipeline",
        _path(item),
        text_at(run, "id"),
        text_at(run, "finished_at"),
        kind=EventKind.NOTICE,
        time=reading.time(run, "finished_at"),
        entity=_entity(item, reading),
        title=f"{name} of {_name(item)}: {status}",
        state=status,
        link=text_at(run, "url") or f"{text_at(item, 'project', 'web_url')}/-/pipelines/{text_at(run, 'id')}",
        attributes={
            "repository": _path(item),
            "pipeline": name,
            "run": text_at(run, "id"),
            "conclusion": status,
            "trigger": text_at(run, "source"),
            "branch": text_at(run, "ref"),
            "commit": text_at(run, "sha"),
            "committed": told(at(item, "commit", "timestamp")),
            "duration_s": text_at(run, "duration") or seconds_between(at(run, "created_at"), at(run, "finished_at")),
            "queued_s": text_at(run, "queued_duration"),
        },
    )


def _release(item: Mapping[str, Any], reading: Reading) -> Event | Ignored:
    if text_at(item, "action") != "create":
        return Ignored("not_published")
    tag = text_at(item, "tag")
    return reading.event(
        "release",
        _path(item),
        text_at(item, "id"),
        tag,
        kind=EventKind.CHANGE,
        time=reading.time(item, "released_at") if item.get("released_at") else reading.time(item, "created_at"),
        entity=_entity(item, reading),
        title=f"release {_name(item)} {tag}",
        change=ChangeKind.OTHER,
        version=tag,
        link=text_at(item, "url"),
        attributes={"repository": _path(item), "name": text_at(item, "name")},
    )


def _push(item: Mapping[str, Any], reading: Reading) -> Event:
    ref, commit = text_at(item, "ref"), text_at(item, "after")
    branch = ref.removeprefix("refs/heads/")
    main = branch == text_at(item, "project", "default_branch")
    commits = at(item, "commits")
    last = commits[-1] if isinstance(commits, list) and commits else {}
    message = text_at(last, "message").partition("\n")[0]
    return reading.event(
        "push",
        _path(item),
        ref,
        commit,
        kind=EventKind.CHANGE if main else EventKind.NOTICE,
        time=reading.time(last, "timestamp"),
        entity=_entity(item, reading),
        title=f"push to {_name(item)} {branch.removeprefix('refs/tags/')}" + (f": {message}" if message else ""),
        change=ChangeKind.OTHER if main else None,
        version=commit[:SHORT],
        link=text_at(last, "url"),
        attributes={
            "repository": _path(item),
            "branch": branch,
            "commit": commit,
            "committed": told(at(last, "timestamp")),
            "commits": text_at(item, "total_commits_count"),
            "by": text_at(item, "user_username"),
        },
    )


def _path(item: Mapping[str, Any]) -> str:
    return text_at(item, "project", "path_with_namespace")


def _name(item: Mapping[str, Any]) -> str:
    return _path(item).rpartition("/")[2]


def _entity(item: Mapping[str, Any], reading: Reading) -> str:
    """The service of a project: as the settings say, else of the same name as its path's end."""
    return reading.named(_path(item), _name(item)) or entity_id(EntityKind.SERVICE, _name(item))


_READERS: Final[dict[str, Callable[[Mapping[str, Any], Reading], Event | Ignored]]] = {
    "deployment": _deployment,
    "pipeline": _pipeline,
    "release": _release,
    "push": _push,
    "tag_push": _push,
}
