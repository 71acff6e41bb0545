"""Alertmanager's webhook, version 4: alerts that another system raised, as events.

Source: Alertmanager documentation, `webhook_config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from starlette.responses import Response

from twofold.aiops.ingest.entities import labels_entity
from twofold.aiops.ingest.events.changes import event_id
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.intake import Intake, event_outcome
from twofold.aiops.ingest.receiver import Payload, problem
from twofold.aiops.ingest.wire import judge, load, text_of, texts_of, time_of
from twofold.errors import DecodeError, TwofoldError, Unsupported
from twofold.records.event import Event, EventKind

VERSION = "4"


class Alertmanager:
    """`POST /webhooks/alertmanager`.

    The event's id is made of the alert's fingerprint, its start and its state, so a notice that
    Alertmanager repeats is the same event again.
    """

    name: ClassVar[str] = "alertmanager"
    path: ClassVar[str] = "/webhooks/alertmanager"
    media: ClassVar[tuple[str, ...]] = ("application/json",)
    encoding: ClassVar[str] = ""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def receive(self, payload: Payload) -> Response:
        """Store the alerts as events."""
        origin = payload.origin
        notice = load(payload.body)
        if not isinstance(notice, dict) or not isinstance(notice.get("alerts"), list):
            raise DecodeError("body is not an Alertmanager notice: it has no list of alerts", reason="decode")
        if (version := text_of(notice, "version", VERSION)) != VERSION:
            raise Unsupported(f"webhook version {version!r} is not {VERSION}", version=version)
        latest_ns = self._intake.latest_ns(origin)
        external = text_of(notice, "externalURL")
        found = judge(notice["alerts"], lambda item: event_of(item, external, origin, latest_ns))
        outcome = event_outcome(found.received)
        outcome.rejected = found.rejected
        return found.answer(self._intake.events(found.good, outcome, origin))

    def refuse(self, error: TwofoldError, media: str) -> Response:
        """A problem document."""
        return problem(error, media)


def event_of(alert: Mapping[str, Any], external: str, origin: Origin, latest_ns: int) -> Event:
    """The event that one alert of a notice tells of. Raises `DecodeError`."""
    labels, annotations = texts_of(alert, "labels"), texts_of(alert, "annotations")
    state = text_of(alert, "status")
    if state not in {"firing", "resolved"}:
        raise DecodeError(f"status {state[:40]!r} is neither firing nor resolved", reason="bad_field", field="status")
    name = labels.get("alertname", "")
    if not name:
        raise DecodeError("the alert has no label alertname", reason="bad_field", field="labels")
    start = time_of(alert, "startsAt", origin.time_ns, latest_ns)
    time = start if state == "firing" else time_of(alert, "endsAt", origin.time_ns, latest_ns)
    fingerprint = text_of(alert, "fingerprint") or event_id(*(f"{key}={labels[key]}" for key in sorted(labels)))
    return Event(
        id=event_id(origin.tenant, "alertmanager", fingerprint, start.isoformat(), state),
        kind=EventKind.EXTERNAL_ALERT,
        time=time,
        entity=labels_entity(labels),
        title=annotations.get("summary") or annotations.get("title") or name,
        tenant=origin.tenant,
        state=state,
        source="alertmanager",
        link=text_of(alert, "generatorURL") or external,
        attributes=annotations | labels | {"fingerprint": fingerprint, "starts_at": start.isoformat()},
    )
