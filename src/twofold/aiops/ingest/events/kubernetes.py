"""Kubernetes events, as exporters post them: `v1` and `events.k8s.io/v1`, one, a list, or what a watch gives.

A reason becomes an alert when it tells of a fault, a change when it tells that somebody turned something, and a
notice otherwise. Nothing ends most of these alerts: correlation lets them end when they are not repeated.

Source: Kubernetes API reference, Event v1 core and v1 events.k8s.io.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from twofold.aiops.ingest.entities import UNKNOWN
from twofold.aiops.ingest.events.notices import Notices, Reading, event_id
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.wire import Ignored, at, load, text_at
from twofold.errors import DecodeError
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind

_FAULTS: Final = {
    "OOMKilling": "critical",
    "SystemOOM": "critical",
    "NodeNotReady": "critical",
    "KernelOops": "critical",
    "CrashLoopBackOff": "warning",
    "BackOff": "warning",
    "Failed": "warning",
    "FailedScheduling": "warning",
    "FailedMount": "warning",
    "FailedAttachVolume": "warning",
    "FailedCreate": "warning",
    "FailedCreatePodSandBox": "warning",
    "FailedToDrainNode": "warning",
    "Evicted": "warning",
    "EvictionThresholdMet": "warning",
    "BackoffLimitExceeded": "warning",
    "DeadlineExceeded": "warning",
    "NodeHasDiskPressure": "warning",
    "NodeHasInsufficientMemory": "warning",
}
_ENDS: Final = {
    "NodeReady": "NodeNotReady",
    "NodeHasNoDiskPressure": "NodeHasDiskPressure",
    "NodeHasSufficientMemory": "NodeHasInsufficientMemory",
}
_CHANGES: Final = {
    "ScalingReplicaSet": ChangeKind.DEPLOY,
    "SuccessfulRescale": ChangeKind.CONFIG,
    "DeploymentRollback": ChangeKind.ROLLBACK,
    "NodeSchedulable": ChangeKind.CONFIG,
    "NodeNotSchedulable": ChangeKind.CONFIG,
    "RegisteredNode": ChangeKind.CONFIG,
    "RemovingNode": ChangeKind.CONFIG,
}
_KINDS: Final = {
    "Pod": EntityKind.POD,
    "Node": EntityKind.HOST,
    "Job": EntityKind.JOB,
    "CronJob": EntityKind.JOB,
    "Deployment": EntityKind.SERVICE,
    "StatefulSet": EntityKind.SERVICE,
    "DaemonSet": EntityKind.SERVICE,
    "Service": EntityKind.SERVICE,
    "Rollout": EntityKind.SERVICE,
    "HorizontalPodAutoscaler": EntityKind.SERVICE,
}
_TEMPLATE_HASH: Final = re.compile(r"-[0-9a-z]{5,10}$")  # ends the name of a Deployment's ReplicaSet


class Kubernetes(Notices):
    """`POST /webhooks/kubernetes`: an Event, an EventList, a list, or an object of a watch."""

    name: ClassVar[str] = "kubernetes"
    path: ClassVar[str] = "/webhooks/kubernetes"

    def items(self, payload: Payload) -> list[Any]:
        """The events of the body."""
        body = load(payload.body)
        found = body if isinstance(body, list) else [body]
        if isinstance(body, dict) and isinstance(body.get("items"), list):
            found = body["items"]
        return [each["object"] if isinstance(at(each, "object"), dict) else each for each in found]

    def read(self, item: Mapping[str, Any], reading: Reading) -> Event | Ignored:
        """The event that a Kubernetes event tells of. Raises `DecodeError`."""
        about = at(item, "involvedObject") or at(item, "regarding")
        reason = text_at(item, "reason", limit=256)
        kind, name = text_at(about, "kind"), text_at(about, "name", limit=512)
        if not reason or not name:
            raise DecodeError(
                "not a Kubernetes event: it has no reason, or no involvedObject or regarding with a name",
                reason="not_an_event",
            )
        message = text_at(item, "message") or text_at(item, "note")
        count = text_at(item, "count") or text_at(item, "series", "count") or text_at(item, "deprecatedCount")
        change = _CHANGES.get(reason)
        cause = _ENDS.get(reason, reason)
        severity = _severity(reason, item)
        state = "" if change else "resolved" if reason in _ENDS else "firing" if severity else ""
        namespace = text_at(about, "namespace")
        attributes = {
            "namespace": namespace,
            "kind": kind,
            "name": name,
            "reason": reason,
            "message": message,
            "count": count,
            "severity": severity,
            "reporter": text_at(item, "source", "component") or text_at(item, "reportingController"),
            "node": text_at(item, "source", "host"),
        }
        if state:
            attributes |= {"alertname": cause, "fingerprint": event_id(namespace, kind, name, cause)}
        time = _time(item, reading)
        return reading.event(
            text_at(item, "metadata", "uid") or event_id(namespace, kind, name, reason, message),
            count or time.isoformat(),
            kind=EventKind.CHANGE if change else EventKind.EXTERNAL_ALERT if state else EventKind.NOTICE,
            time=time,
            entity=reading.named(f"{namespace}/{name}", name) or object_entity(kind, name),
            title=f"{reason}: {message}" if message else f"{reason} {name}",
            change=change,
            state=state,
            attributes=attributes,
        )


def _severity(reason: str, item: Mapping[str, Any]) -> str:
    """How bad: listed faults as listed, other warnings only for information, normal events not at all."""
    if reason in _FAULTS:
        return _FAULTS[reason]
    return "info" if text_at(item, "type") == "Warning" else ""


def _time(item: Mapping[str, Any], reading: Reading) -> Any:
    """When it was last seen."""
    paths = (
        ("series", "lastObservedTime"),
        ("lastTimestamp",),
        ("deprecatedLastTimestamp",),
        ("eventTime",),
        ("firstTimestamp",),
        ("metadata", "creationTimestamp"),
    )
    path = next((path for path in paths if at(item, *path)), None)
    return reading.time(item, *path) if path else reading.now()


def object_entity(kind: str, name: str) -> str:
    """The entity of an object; a ReplicaSet stands for its Deployment.

    >>> object_entity("ReplicaSet", "cart-7d9f8b6c5"), object_entity("Pod", "cart-7d9f8b6c5-x2x4z")
    ('service:cart', 'pod:cart-7d9f8b6c5-x2x4z')
    """
    if kind == "ReplicaSet":
        return entity_id(EntityKind.SERVICE, _TEMPLATE_HASH.sub("", name))
    found = _KINDS.get(kind)
    return entity_id(found, name) if found else entity_id(EntityKind.SERVICE, name) if name else UNKNOWN
