"""Alerts that another system raised, in the notice of Alertmanager's webhook (version 4) and Grafana's (version 1).

Source: Alertmanager documentation, `webhook_config`; Grafana documentation, "Configure webhook notifications".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import orjson

from twofold.aiops.ingest.events.notices import Notices, Reading, alert_entity, check_signature, event_id
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.wire import at, load, text_at, text_of, texts_of
from twofold.errors import DecodeError, Unsupported
from twofold.records.event import Event, EventKind

STATES: Final = frozenset({"firing", "resolved"})
_GRAFANA_LINKS: Final = {"dashboardURL": "dashboard_url", "panelURL": "panel_url", "silenceURL": "silence_url"}
_SIGNATURE: Final = "x-grafana-alerting-signature"
_SIGNED_TIMES: Final = ("x-grafana-alerting-signature-timestamp", "x-grafana-alerting-timestamp")


class Alertmanager(Notices):
    """`POST /webhooks/alertmanager`.

    The event's id is made of the alert's fingerprint, its start and its state, so a notice that
    Alertmanager repeats is the same event again.
    """

    name: ClassVar[str] = "alertmanager"
    path: ClassVar[str] = "/webhooks/alertmanager"
    version: ClassVar[str] = "4"

    def items(self, payload: Payload) -> list[Any]:
        """The notice's alerts, each with the address of who sent it."""
        notice = load(payload.body)
        if not isinstance(notice, dict) or not isinstance(notice.get("alerts"), list):
            raise DecodeError(f"body is no notice of {self.name}: it has no list of alerts", reason="decode")
        if (version := text_of(notice, "version", self.version)) != self.version:
            raise Unsupported(f"webhook version {version!r} is not {self.version}", version=version)
        external = text_at(notice, "externalURL")
        return [{"externalURL": external} | each if isinstance(each, dict) else each for each in notice["alerts"]]

    def read(self, item: Mapping[str, Any], reading: Reading) -> Event:
        """The event that one alert of a notice tells of. Raises `DecodeError`."""
        labels, annotations = texts_of(item, "labels"), texts_of(item, "annotations")
        state = text_of(item, "status")
        if state not in STATES:
            raise DecodeError(
                f"status {state[:40]!r} is neither firing nor resolved", reason="bad_field", field="status"
            )
        name = labels.get("alertname", "")
        if not name:
            raise DecodeError("the alert has no label alertname", reason="bad_field", field="labels")
        start = reading.time(item, "startsAt")
        fingerprint = text_of(item, "fingerprint") or event_id(*(f"{key}={labels[key]}" for key in sorted(labels)))
        return reading.event(
            fingerprint,
            start.isoformat(),
            state,
            kind=EventKind.EXTERNAL_ALERT,
            time=start if state == "firing" else reading.time(item, "endsAt"),
            entity=reading.named(name) or alert_entity(labels),
            title=annotations.get("summary") or annotations.get("title") or name,
            state=state,
            link=text_at(item, "generatorURL") or text_at(item, "externalURL"),
            attributes=annotations
            | labels
            | self.more(item)
            | {"fingerprint": fingerprint, "starts_at": start.isoformat()},
        )

    def more(self, item: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002 - Grafana's has more
        """Attributes beyond labels and annotations."""
        return {}


class Grafana(Alertmanager):
    """`POST /webhooks/grafana`: the contact point "Webhook" of Grafana Alerting (Grafana 9 and later).

    With `grafana_secret` set, the contact point's HMAC signature is checked; where its timestamp header is used, it
    must be one of the names that Grafana's documentation gives.
    """

    name: ClassVar[str] = "grafana"
    path: ClassVar[str] = "/webhooks/grafana"
    version: ClassVar[str] = "1"

    @property
    def secured(self) -> bool:
        """Whether a secret is set."""
        return bool(self._config.grafana_secret)

    def verify(self, payload: Payload) -> None:
        """Check the HMAC of the body, or of `timestamp:body`. Raises `Unauthenticated`."""
        stamp = next((payload.headers[name] for name in _SIGNED_TIMES if name in payload.headers), "")
        body = f"{stamp}:".encode() + payload.body if stamp else payload.body
        check_signature(payload.headers.get(_SIGNATURE, ""), self._config.grafana_secret, body, header=_SIGNATURE)

    def more(self, item: Mapping[str, Any]) -> dict[str, str]:
        """Where to look in Grafana, and the values that the rule saw."""
        found = {name: text_at(item, key) for key, name in _GRAFANA_LINKS.items()}
        values = at(item, "values")
        return found | ({"values": orjson.dumps(values).decode()} if values else {})
