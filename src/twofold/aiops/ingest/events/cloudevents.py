"""CloudEvents 1.0 over HTTP: one event as JSON (structured), a list (batched), or headers and a body (binary).

Types that are known become changes and alerts: CDEvents of services and incidents, and GitHub's webhooks under
`com.github.`; any other event is kept as a notice.

Source: CloudEvents 1.0.2, HTTP protocol binding, JSON event format and HTTP webhooks; CDEvents 0.4, CloudEvents
binding.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import unquote, unquote_to_bytes

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from twofold.aiops.ingest.entities import UNKNOWN
from twofold.aiops.ingest.events import github
from twofold.aiops.ingest.events.notices import Notices, Reading, is_entity
from twofold.aiops.ingest.receiver import ANY_MEDIA, Payload, problem
from twofold.aiops.ingest.wire import Ignored, at, load, text_at, text_of
from twofold.errors import DecodeError
from twofold.records.access import Permission
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"
_PREFIX: Final = "ce-"
_GITHUB: Final = "com.github."
_CDEVENTS: Final = "dev.cdevents."
_CORE: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data", "data_base64"}
)
_KEPT_BYTES: Final = 2048  # of an event's data, as an attribute
_CHANGES: Final = {
    "service.deployed": ChangeKind.DEPLOY,
    "service.upgraded": ChangeKind.DEPLOY,
    "service.rolledback": ChangeKind.ROLLBACK,
    "service.removed": ChangeKind.DEPLOY,
    "service.published": ChangeKind.CONFIG,
    "environment.modified": ChangeKind.CONFIG,
}
_RUNS: Final = frozenset({"pipelinerun.started", "pipelinerun.finished"})
_INCIDENTS: Final = {"incident.detected": "firing", "incident.reported": "firing", "incident.resolved": "resolved"}


class CloudEvents(Notices):
    """`POST /webhooks/cloudevents`. Source and id together are the event's identity, as the specification says."""

    name: ClassVar[str] = "cloudevents"
    path: ClassVar[str] = "/webhooks/cloudevents"
    media: ClassVar[tuple[str, ...]] = (ANY_MEDIA,)

    def items(self, payload: Payload) -> list[Any]:
        """The events in the shape of the JSON format, whatever mode they came in."""
        if payload.media == BATCHED:
            found = load(payload.body)
            if not isinstance(found, list):
                raise DecodeError(f"a batch is a JSON array, this is {type(found).__name__}", reason="decode")
            return found
        if payload.media == STRUCTURED:
            return [load(payload.body)]
        if payload.media.startswith("application/cloudevents"):
            raise DecodeError(f"event format {payload.media!r} is not JSON", reason="format")
        return [_binary(payload)]

    def read(self, item: Mapping[str, Any], reading: Reading) -> Event | Ignored:
        """The event in our words. Raises `DecodeError` when a required attribute is missing."""
        version = text_of(item, "specversion")
        if version != "1.0":
            raise DecodeError(f"specversion {version[:20]!r} is not 1.0", reason="specversion")
        kind, source, key = (_required(item, name) for name in ("type", "source", "id"))
        data = _data(item)
        if kind.startswith(_GITHUB) and isinstance(data, dict):
            return github.event_of(kind.removeprefix(_GITHUB).partition(".")[0], data, f"{source}\0{key}", reading)
        if kind.startswith(_CDEVENTS):
            return _cdevent(item, kind.removeprefix(_CDEVENTS), data, reading)
        entity, subject = text_at(data, "entity", limit=512), text_at(item, "subject")
        return reading.event(
            source,
            key,
            kind=EventKind.NOTICE,
            time=reading.time(item, "time"),
            entity=entity if is_entity(entity) else reading.named(subject, source) or UNKNOWN,
            title=text_at(data, "title") or " ".join(filter(None, (kind, subject))),
            link=text_at(item, "dataschema"),
            attributes=_attributes(item, data),
        )


PERMISSIONS: Final = [("OPTIONS", CloudEvents.path, Permission.SEND)]


def routes() -> list[Route]:
    """The question that a sender asks before it sends anything: may I? Whoever may send, may."""
    return [Route(CloudEvents.path, _may_send, methods=["OPTIONS"], name="cloudevents_handshake")]


async def _may_send(request: Request) -> Response:
    asked = request.headers.get("webhook-request-origin", "")
    if not asked:
        return problem(DecodeError("header WebHook-Request-Origin is missing", reason="no_origin"))
    allowed = {"webhook-allowed-origin": asked, "allow": "POST, OPTIONS"}
    if "webhook-request-rate" in request.headers:
        allowed["webhook-allowed-rate"] = "*"  # too much at once is told with 429
    return Response(headers=allowed)


def _required(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise DecodeError(f"attribute {name} is required and must be text", reason="bad_field", field=name)
    return text_of(item, name)


def _binary(payload: Payload) -> dict[str, Any]:
    """An event in binary mode: attributes are headers, the body is the data."""
    item: dict[str, Any] = {
        name.removeprefix(_PREFIX): _unescaped(value)
        for name, value in payload.headers.items()
        if name.startswith(_PREFIX)
    }
    if not item:
        raise DecodeError(
            f"Content-Type {payload.media[:80]!r} is no event format and there is no header ce-specversion",
            reason="not_an_event",
        )
    item["datacontenttype"] = payload.media
    if _is_json(payload.media) and payload.body:
        item["data"] = load(payload.body)
    elif payload.body:
        item["data_base64"] = base64.b64encode(payload.body).decode()
    return item


def _is_json(media: str) -> bool:
    return media in {"application/json", "text/json"} or media.endswith("+json")


def _unescaped(value: str) -> str:
    """A header's value as the binding decodes it: quotes first, then percent-encoding, which must be UTF-8."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"header value {value[:40]!r} is not UTF-8", reason="bad_header") from error


def _data(item: Mapping[str, Any]) -> Any:
    """The event's data; bytes as text where they are text. Raises `DecodeError`."""
    if "data_base64" not in item:
        return item.get("data")
    if "data" in item:
        raise DecodeError("both data and data_base64 are given", reason="bad_field", field="data")
    try:
        raw = base64.b64decode(text_of(item, "data_base64", limit=32 << 20), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError("data_base64 is not base64", reason="bad_field", field="data_base64") from error
    if _is_json(text_at(item, "datacontenttype").partition(";")[0]):
        return load(raw)
    return raw.decode("utf-8", "replace")


def _attributes(item: Mapping[str, Any], data: Any) -> dict[str, str]:
    """What is kept of an event that is no change: its context, its extensions, and the head of its data."""
    found = {
        "type": text_at(item, "type"),
        "source": text_at(item, "source"),
        "subject": text_at(item, "subject"),
        "id": text_at(item, "id"),
    }
    found |= {name: text_at(item, name) for name in item if name not in _CORE}
    if data is not None:
        text = data if isinstance(data, str) else orjson.dumps(data).decode()
        found["data"] = text[:_KEPT_BYTES]
    return found


def _cdevent(item: Mapping[str, Any], kind: str, data: Any, reading: Reading) -> Event:
    """A CDEvent: deployments are changes, incidents alerts, everything else a notice."""
    what = ".".join(kind.split(".")[:2])
    content = at(data, "subject", "content")
    subject = text_at(data, "subject", "id") or text_at(item, "subject")
    artifact = text_at(content, "artifactId")
    environment = text_at(content, "environment", "id")
    time = reading.time(item, "time") if item.get("time") else reading.time(data, "context", "timestamp")
    attributes = _attributes(item, None) | {
        "environment": environment,
        "artifact": artifact,
        "outcome": text_at(content, "outcome"),
        "description": text_at(content, "description"),
    }
    if what in _RUNS:
        attributes |= _run(what, data, subject, content)
    elif what == "change.merged":
        attributes |= {"commit": subject, "committed": time.isoformat()}
    change, state = _CHANGES.get(what), _INCIDENTS.get(what, "")
    service = text_at(content, "service", "id") if state else subject
    verb = what.partition(".")[2]
    if state:
        attributes |= {"fingerprint": subject, "alertname": subject or "incident", "severity": "critical"}
    return reading.event(
        text_at(item, "source"),
        text_at(item, "id"),
        kind=EventKind.CHANGE if change else EventKind.EXTERNAL_ALERT if state else EventKind.NOTICE,
        time=time,
        entity=reading.named(service, subject) or _service(service or environment),
        title=attributes["description"] or " ".join(filter(None, (service or subject, verb, environment))),
        change=change,
        version=_version(artifact) if change else "",
        state=state,
        link=text_at(content, "uri") or text_at(content, "url"),
        attributes=attributes,
    )


def _run(what: str, data: Any, subject: str, content: Any) -> dict[str, str]:
    """A run of a pipeline: the subject is the run, whose start and end are events of their own."""
    return {
        "pipeline": text_at(content, "pipelineName") or subject,
        "repository": text_at(data, "subject", "source") or text_at(data, "context", "source"),
        "run": subject,
        "started": "yes" if what == "pipelinerun.started" else "",
        "conclusion": text_at(content, "outcome", default="unknown") if what == "pipelinerun.finished" else "",
    }


def _service(subject: str) -> str:
    """The service of a CDEvent's subject, whose id may be a path: `service/orders`, `/app/orders`."""
    name = subject.rstrip("/").rpartition("/")[2]
    return entity_id(EntityKind.SERVICE, name) if name else UNKNOWN


def _version(artifact: str) -> str:
    """The version of a package URL.

    >>> _version("pkg:oci/myapp@1.4.2?repository_url=x"), _version("pkg:oci/myapp")
    ('1.4.2', '')
    """
    return unquote(artifact.partition("?")[0].partition("@")[2])
