"""PagerDuty's Events API v2, so that a sender of it only changes its address.

Source: PagerDuty developer documentation, "Events API v2" and "Send a change event"; PD-CEF.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from starlette.responses import JSONResponse, Response

from twofold.aiops.ingest.counts import Outcome
from twofold.aiops.ingest.entities import UNKNOWN
from twofold.aiops.ingest.events.notices import Notices, Reading, event_id, is_entity, place_entity
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.status import retry_headers, status_of
from twofold.aiops.ingest.wire import Judged, at, load, text_at, text_of, texts_of
from twofold.errors import DecodeError, Overloaded, TwofoldError, Unauthenticated
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind

_SEVERITIES: Final = ("critical", "error", "warning", "info")
_DETAILS: Final = "custom_details"


class _Enqueue(Notices):
    """What both endpoints share: one event a request, its key, and the words of the answer.

    The routing key chooses a team at PagerDuty and nothing here; with `pagerduty_keys` set it must be one of them.
    """

    media: ClassVar[tuple[str, ...]] = ("application/json", "text/plain", "application/x-www-form-urlencoded")
    processed: ClassVar[str]

    @property
    def secured(self) -> bool:
        """Whether routing keys are set."""
        return bool(self._config.pagerduty_keys)

    def verify(self, payload: Payload) -> None:
        """Check the routing key. Raises `Unauthenticated`."""
        given = text_at(load(payload.body), "routing_key").encode()
        if not any([hmac.compare_digest(given, key.encode()) for key in self._config.pagerduty_keys]):  # noqa: C419 - asks every key, whichever fits
            raise Unauthenticated("routing_key is none of those that are set here")

    def items(self, payload: Payload) -> list[Any]:
        """The one event; clients send JSON under any media type."""
        return [load(payload.body)]

    def answer(self, found: Judged[Event], outcome: Outcome) -> Response:  # noqa: ARG002 - one event, one fate
        """202 with the alert's key, or 400 with what is wrong."""
        if found.failed:
            errors = [str(each["detail"]) for each in found.shown]
            return JSONResponse(_invalid(errors), 400)
        body = {"status": "success", "message": self.processed}
        if key := found.good[0].attributes.get("fingerprint"):
            body["dedup_key"] = key
        return JSONResponse(body, 202)

    def refuse(self, error: TwofoldError, media: str) -> Response:  # noqa: ARG002 - every dialect is told the media type
        """As PagerDuty words it; senders try 429 and 5xx again."""
        code = status_of(error)
        busy = isinstance(error, Overloaded)
        body = {"status": "throttle exceeded", "message": error.message} if busy else _invalid([error.message])
        return JSONResponse(body, code, retry_headers(error))


class PagerDuty(_Enqueue):
    """`POST /webhooks/pagerduty/v2/enqueue`: an alert is triggered, acknowledged or resolved.

    Acknowledging is kept as a notice: it tells that a person looks at it there, not that anything has changed. A
    resolve names its alert by key alone, so correlation finds the entity. Without a `dedup_key` equal alerts of one
    place share one.
    """

    name: ClassVar[str] = "pagerduty"
    path: ClassVar[str] = "/webhooks/pagerduty/v2/enqueue"
    processed: ClassVar[str] = "Event processed"

    def read(self, item: Mapping[str, Any], reading: Reading) -> Event:
        """The event of one call. Raises `DecodeError`."""
        action, key = text_of(item, "event_action"), text_of(item, "dedup_key", limit=255)
        match action:
            case "trigger":
                return self._trigger(item, key, reading)
            case "acknowledge" | "resolve":
                return self._follow(action, key, reading)
        raise DecodeError(
            f"'event_action' is {action[:40]!r}, must be trigger, acknowledge or resolve",
            reason="bad_field",
            field="event_action",
        )

    def _trigger(self, item: Mapping[str, Any], key: str, reading: Reading) -> Event:
        payload = at(item, "payload")
        summary, source = text_at(payload, "summary", limit=1024), text_at(payload, "source", limit=512)
        for name, value in (("summary", summary), ("source", source)):
            if not value:
                raise DecodeError(f"'payload.{name}' is missing or blank", reason="bad_field", field=name)
        severity = text_at(payload, "severity").lower()
        if severity not in _SEVERITIES:
            raise DecodeError(
                f"'payload.severity' is {severity[:40]!r}, must be one of {', '.join(_SEVERITIES)}",
                reason="bad_field",
                field="severity",
            )
        kind, component = text_at(payload, "class", limit=256), text_at(payload, "component", limit=256)
        key = key or event_id(source, component, kind, summary)
        time = reading.time(payload, "timestamp")
        attributes = _details(payload) | {
            "severity": severity,
            "fingerprint": key,
            "alertname": kind or summary[:200],
            "component": component,
            "group": text_at(payload, "group", limit=256),
            "class": kind,
            "source": source,
            "client": text_at(item, "client"),
        }
        return reading.event(
            key,
            "firing",
            time.isoformat(),
            kind=EventKind.EXTERNAL_ALERT,
            time=time,
            entity=_entity(payload, reading),
            title=summary,
            state="firing",
            link=text_at(item, "client_url") or _link(item),
            attributes=attributes,
        )

    def _follow(self, action: str, key: str, reading: Reading) -> Event:
        if not key:
            raise DecodeError(f"'dedup_key' is missing; {action} needs it", reason="bad_field", field="dedup_key")
        time = reading.now()
        resolved = action == "resolve"
        return reading.event(
            key,
            action,
            time.isoformat(),
            kind=EventKind.EXTERNAL_ALERT if resolved else EventKind.NOTICE,
            time=time,
            entity=UNKNOWN,
            title=f"{action}d: {key}",
            state="resolved" if resolved else "acknowledged",
            attributes={"fingerprint": key},
        )


class PagerDutyChange(_Enqueue):
    """`POST /webhooks/pagerduty/v2/change/enqueue`: a change event."""

    name: ClassVar[str] = "pagerduty_change"
    path: ClassVar[str] = "/webhooks/pagerduty/v2/change/enqueue"
    processed: ClassVar[str] = "Change event processed"

    def read(self, item: Mapping[str, Any], reading: Reading) -> Event:
        """The change. Raises `DecodeError`."""
        payload = at(item, "payload")
        summary = text_at(payload, "summary", limit=1024)
        if not summary:
            raise DecodeError("'payload.summary' is missing or blank", reason="bad_field", field="summary")
        time = reading.time(payload, "timestamp")
        source = text_at(payload, "source", limit=512)
        details = _details(payload)
        kind = details.get("kind", "other").lower()
        return reading.event(
            summary,
            source,
            time.isoformat(),
            kind=EventKind.CHANGE,
            time=time,
            entity=_entity(payload, reading),
            title=summary,
            change=ChangeKind(kind) if kind in set(ChangeKind) else ChangeKind.OTHER,
            version=details.get("version", ""),
            link=_link(item),
            attributes=details | {"source": source},
        )


def _details(payload: Any) -> dict[str, str]:
    details = at(payload, _DETAILS)
    return texts_of(payload, _DETAILS) if isinstance(details, dict) else {"details": text_at(payload, _DETAILS)}


def _entity(payload: Any, reading: Reading) -> str:
    """What is affected: named in the details, else the component, else the source."""
    entity = text_at(payload, _DETAILS, "entity", limit=512)
    if is_entity(entity):
        return entity
    component, source = text_at(payload, "component", limit=512), text_at(payload, "source", limit=512)
    if found := reading.named(component, source):
        return found
    service = text_at(payload, _DETAILS, "service", limit=512) or component
    return entity_id(EntityKind.SERVICE, service) if service else place_entity(source)


def _link(item: Mapping[str, Any]) -> str:
    links = at(item, "links")
    return text_at(links[0], "href") if isinstance(links, list) and links else ""


def _invalid(errors: list[str]) -> dict[str, object]:
    return {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
