"""What the receivers of events have in common: each item is judged by itself, each event stored once."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from starlette.responses import Response

from twofold.aiops.ingest.counts import Outcome
from twofold.aiops.ingest.entities import UNKNOWN, labels_entity
from twofold.aiops.ingest.events.config import WebhookConfig
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.intake import Intake, event_outcome
from twofold.aiops.ingest.receiver import Payload, problem
from twofold.aiops.ingest.wire import Ignored, Judged, at, items_of, judge, parse_time, time_of, title_of
from twofold.errors import TwofoldError, Unauthenticated
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.time import to_datetime

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What it takes to read the items of one request.

    Attributes:
        source: Name of the sending system, part of every event's id.
        latest_ns: Times after this lie too far in the future.
        entities: Names of other systems to our entity ids.
    """

    source: str
    origin: Origin
    latest_ns: int
    headers: Mapping[str, str]
    entities: Mapping[str, str]

    def time(self, item: Any, *path: str) -> datetime:
        """The time under nested keys, the receive time when absent or empty. Raises `DecodeError`."""
        value = at(item, *path) or None
        parsed = parse_time(value)
        name = ".".join(path)
        return time_of({name: parsed.isoformat() if parsed else value}, name, self.origin.time_ns, self.latest_ns)

    def now(self) -> datetime:
        """When the request came in."""
        return to_datetime(self.origin.time_ns)

    def named(self, *names: str) -> str:
        """The entity that the settings give to the first of these names that they know, else empty."""
        return next((self.entities[name] for name in names if name in self.entities), "")

    def event(
        self,
        *key: str,
        kind: EventKind,
        entity: str,
        title: str,
        time: datetime | None = None,
        change: ChangeKind | None = None,
        version: str = "",
        state: str = "",
        link: str = "",
        attributes: Mapping[str, str] | None = None,
    ) -> Event:
        """An event whose id is made of the source and `key`; attributes that are empty are left out."""
        origin = self.origin
        return Event(
            id=event_id(origin.tenant, self.source, *key),
            kind=kind,
            time=time or self.now(),
            entity=entity,
            title=title_of(title) or entity,
            tenant=origin.tenant,
            change=change,
            version=version[:256],
            state=state,
            source=self.source,
            link=link,
            attributes={name: value for name, value in (attributes or {}).items() if value},
        )


class Notices(ABC):
    """A receiver of JSON that tells of things that happened."""

    name: ClassVar[str]
    path: ClassVar[str]
    media: ClassVar[tuple[str, ...]] = (JSON,)
    encoding: ClassVar[str] = ""

    def __init__(self, intake: Intake, config: WebhookConfig | None = None) -> None:
        self._intake = intake
        self._config = config or WebhookConfig()

    def receive(self, payload: Payload) -> Response:
        """Store the events."""
        reading = Reading(
            source=self.name,
            origin=payload.origin,
            latest_ns=self._intake.latest_ns(payload.origin),
            headers=payload.headers,
            entities=self._config.entities,
        )
        found = judge(self.items(payload), lambda item: self.read(item, reading))
        outcome = event_outcome(found.received)
        outcome.rejected, outcome.dropped = found.rejected, found.dropped
        return self.answer(found, self._intake.events(found.good, outcome, payload.origin))

    def items(self, payload: Payload) -> list[Any]:
        """The objects of the body. Raises `DecodeError`."""
        return items_of(payload.body)

    @abstractmethod
    def read(self, item: Mapping[str, Any], reading: Reading) -> Event | Ignored:
        """The event that an object tells of. Raises `DecodeError`."""

    def answer(self, found: Judged[Event], outcome: Outcome) -> Response:
        """What the sender is told."""
        return found.answer(outcome)

    def refuse(self, error: TwofoldError, media: str) -> Response:
        """A problem document."""
        return problem(error, media)


def event_id(*parts: str) -> str:
    """Deterministic id of an event: the same parts, the same event."""
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def check_signature(given: str, secret: str, body: bytes, *, header: str) -> None:
    """Compare a hexadecimal HMAC-SHA256 of the body, in constant time. Raises `Unauthenticated`."""
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(given.lower().encode(), wanted.encode()):
        raise Unauthenticated(f"header {header} is missing or does not fit the body and the secret that is set here")


def check_token(given: str, token: str, *, header: str) -> None:
    """Compare a shared token, in constant time. Raises `Unauthenticated`."""
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise Unauthenticated(f"header {header} is missing or not the token that is set here")


def is_entity(text: str) -> bool:
    """Whether a text is an entity id.

    >>> is_entity("service:cart"), is_entity("cart")
    (True, False)
    """
    kind, _, name = text.partition(":")
    return kind in set(EntityKind) and bool(name)


def place_entity(name: str) -> str:
    """The entity that a free name speaks of: an entity id as it is, an address as a host, else a service.

    >>> place_entity("host:a"), place_entity("10.0.0.7"), place_entity("checkout")
    ('host:a', 'host:10.0.0.7', 'service:checkout')
    """
    if is_entity(name):
        return name
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return entity_id(EntityKind.SERVICE, name) if name else UNKNOWN
    return entity_id(EntityKind.HOST, name)


def alert_entity(labels: Mapping[str, str]) -> str:
    """The entity of an alert's labels: as for a series, else by the names that rules commonly keep.

    >>> alert_entity({"service_name": "cart"}), alert_entity({"pod": "cart-1"})
    ('service:cart', 'pod:cart-1')
    """
    found = labels_entity(labels)
    if found != UNKNOWN:
        return found
    for name, kind in (
        ("service_name", EntityKind.SERVICE),
        ("app", EntityKind.SERVICE),
        ("deployment", EntityKind.SERVICE),
        ("pod", EntityKind.POD),
        ("node", EntityKind.HOST),
        ("host", EntityKind.HOST),
    ):
        if value := labels.get(name):
            return entity_id(kind, value)
    return UNKNOWN
