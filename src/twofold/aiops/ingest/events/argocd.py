"""Argo CD's notifications, in a body that its template makes.

```yaml
template.twofold: |
  webhook:
    twofold:
      method: POST
      body: |
        {"app": "{{.app.metadata.name}}", "project": "{{.app.spec.project}}",
         "namespace": "{{.app.spec.destination.namespace}}",
         "phase": "{{.app.status.operationState.phase}}", "health": "{{.app.status.health.status}}",
         "revision": "{{.app.status.sync.revision}}", "message": {{toJson .app.status.operationState.message}},
         "started_at": "{{.app.status.operationState.startedAt}}",
         "finished_at": "{{.app.status.operationState.finishedAt}}",
         "url": "{{.context.argocdUrl}}/applications/{{.app.metadata.name}}", "about": "sync"}
```

With `"about": "health"` (for the triggers on-health-degraded and on-deployed) the application's health is told
instead: degraded or missing raises an alert, healthy ends it.

Source: Argo CD documentation, "Notifications", "Webhook".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from twofold.aiops.ingest.events.github import SHORT, seconds_between
from twofold.aiops.ingest.events.notices import Notices, Reading, event_id
from twofold.aiops.ingest.wire import Ignored, at, text_at
from twofold.errors import DecodeError
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind

_DONE: Final = frozenset({"succeeded", "failed", "error"})
_HEALTH: Final = {"degraded": "firing", "missing": "firing", "healthy": "resolved"}


class ArgoCD(Notices):
    """`POST /webhooks/argocd`, one object as the template above makes it."""

    name: ClassVar[str] = "argocd"
    path: ClassVar[str] = "/webhooks/argocd"

    def read(self, item: Mapping[str, Any], reading: Reading) -> Event | Ignored:
        """The event of a notification. Raises `DecodeError`."""
        app = text_at(item, "app", limit=512)
        if not app:
            raise DecodeError("app is missing; use the template of the documentation", reason="bad_field", field="app")
        entity = reading.named(app) or entity_id(EntityKind.SERVICE, app)
        about = text_at(item, "about", default="sync")
        if about == "sync":
            return _sync(item, app, entity, reading)
        if about == "health":
            return _health(item, app, entity, reading)
        raise DecodeError(f"about is {about[:40]!r}, must be sync or health", reason="bad_field", field="about")


def _sync(item: Mapping[str, Any], app: str, entity: str, reading: Reading) -> Event:
    phase, revision = text_at(item, "phase"), text_at(item, "revision")
    done = phase.lower() in _DONE
    started = text_at(item, "started_at")
    return reading.event(
        "sync",
        app,
        revision,
        started,
        phase,
        kind=EventKind.CHANGE if done else EventKind.NOTICE,
        time=reading.time(item, "finished_at") if done else reading.time(item, "started_at"),
        entity=entity,
        title=" ".join(filter(None, ("sync", app, revision[:SHORT], phase.lower()))),
        change=ChangeKind.DEPLOY if done else None,
        version=revision[:SHORT],
        link=text_at(item, "url"),
        attributes=_attributes(item)
        | {"commit": revision, "duration_s": seconds_between(at(item, "started_at"), at(item, "finished_at"))},
    )


def _health(item: Mapping[str, Any], app: str, entity: str, reading: Reading) -> Event | Ignored:
    health = text_at(item, "health")
    state = _HEALTH.get(health.lower())
    if state is None:
        return Ignored("health_in_between")
    time = reading.now()
    fingerprint = event_id(app, text_at(item, "namespace"))
    return reading.event(
        "health",
        app,
        state,
        time.isoformat(),
        kind=EventKind.EXTERNAL_ALERT,
        time=time,
        entity=entity,
        title=f"{app} is {health.lower()}",
        state=state,
        link=text_at(item, "url"),
        attributes=_attributes(item)
        | {"alertname": "ArgoCDHealth", "fingerprint": fingerprint, "severity": "critical"},
    )


def _attributes(item: Mapping[str, Any]) -> dict[str, str]:
    return {name: text_at(item, name) for name in ("project", "namespace", "phase", "health", "message")}
