"""Notices: one webhook call for each (incident, state, channel), retried until it is taken."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from twofold.errors import Transient
from twofold.flow.outgoing import Outgoing
from twofold.flow.workflow import Context, Json, Workflows
from twofold.records.alert import Alert, AlertKind
from twofold.records.diagnosis import Diagnosis
from twofold.records.incident import Incident
from twofold.records.model import Release

NAME: Final = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A webhook that is told of incidents.

    Attributes:
        name: Unique; part of the idempotency key.
        url: Receives POST with a JSON body (`twofold.notice/1`).
        headers: Sent along, such as an authorisation.
        predictions: It is told of what will run out, too; nobody is by default.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    predictions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeConfig:
    """How hard a notice is tried.

    Attributes:
        attempts: Calls before giving up.
        pause_s: Before the second attempt; doubles each time, at most 60 s.
    """

    attempts: int = 8
    pause_s: float = 1.0


class Notices:
    """The workflow that delivers, and the call that starts it.

    Args:
        base_url: Where people open the incident; goes into the body.
    """

    def __init__(
        self, channels: Sequence[Channel], outgoing: Outgoing, *, base_url: str, config: NoticeConfig | None = None
    ) -> None:
        self._channels = {channel.name: channel for channel in channels}
        self._outgoing = outgoing
        self._base_url = base_url
        self._config = config or NoticeConfig()

    def tell(self, workflows: Workflows, incident: Incident, diagnosis: Diagnosis | None) -> None:
        """Start a delivery per channel; the same (incident, state, channel) again does nothing."""
        if incident.backfilled:
            return
        for name in self._channels:
            key = f"notice:{incident.tenant}:{incident.id}:{incident.state}:{name}"
            workflows.start(NAME, key, {"channel": name, "key": key, "body": self._body(incident, diagnosis)})

    def foretell(self, workflows: Workflows, alert: Alert) -> None:
        """Start a delivery of a prediction to each channel that asked for them."""
        if alert.backfilled or alert.kind is not AlertKind.PREDICTED:
            return
        body = {
            "type": "twofold.notice/1",
            "alert": alert.id,
            "kind": alert.kind.value,
            "state": alert.state.value,
            "severity": alert.severity.value,
            "title": alert.title,
            "start": alert.start.isoformat(),
            "entities": [alert.entity],
            "url": self._base_url,
        }
        for channel in self._channels.values():
            if channel.predictions:
                key = f"notice:{alert.tenant}:{alert.id}:{alert.state}:{channel.name}"
                workflows.start(NAME, key, {"channel": channel.name, "key": key, "body": body})

    def taken_back(self, workflows: Workflows, release: Release) -> None:
        """Start a delivery per channel: a version of a model no longer answers, without anybody having asked."""
        body = {
            "type": "twofold.notice/1",
            "release": release.id,
            "state": release.stage.value,
            "title": f"{release.model}@{release.version} was rolled back to {release.model}@{release.previous}",
            "reason": release.reason,
            "evidence": list(release.evidence),
            "start": release.time.isoformat(),
            "entities": [f"model:{release.model}"],
            "url": f"{self._base_url}/models/{release.model}",
        }
        for name in self._channels:
            key = f"notice:{release.tenant}:release:{release.id}:{name}"
            workflows.start(NAME, key, {"channel": name, "key": key, "body": body})

    def run(self, context: Context, arguments: Mapping[str, Json]) -> Json:
        """The workflow `notice`. The receiver sees the idempotency key, since a crash may repeat the call."""
        channel = self._channels.get(arguments["channel"])
        if channel is None:
            return {"delivered": False, "text": f"channel {arguments['channel']} is gone"}

        def deliver() -> Json:
            headers = {"content-type": "application/json", **channel.headers, "idempotency-key": arguments["key"]}
            status, _ = self._outgoing.request(
                "POST", channel.url, headers=headers, content=orjson.dumps(arguments["body"])
            )
            return status

        pause_s = self._config.pause_s
        limit_s = self._config.attempts * 70.0
        status = context.step(
            "deliver", lambda: _patiently(deliver, self._config.attempts, pause_s), idempotent=True, timeout_s=limit_s
        )
        return {"delivered": True, "status": status}

    def _body(self, incident: Incident, diagnosis: Diagnosis | None) -> dict[str, Any]:
        suspects = diagnosis.suspects[:3] if diagnosis else ()
        return {
            "type": "twofold.notice/1",
            "incident": incident.id,
            "state": incident.state.value,
            "severity": incident.severity.value,
            "title": incident.title,
            "start": incident.start.isoformat(),
            "entities": list(incident.entities),
            "suspects": [{"entity": s.entity, "reason": s.reason, "score": round(s.score, 3)} for s in suspects],
            "url": f"{self._base_url}/incidents/{incident.id}",
        }


def _patiently(call: Any, attempts: int, pause_s: float) -> Json:
    for attempt in range(attempts):
        try:
            return call()
        except Transient:
            if attempt == attempts - 1:
                raise
            time.sleep(min(pause_s * 2**attempt, 60.0))
    return None
