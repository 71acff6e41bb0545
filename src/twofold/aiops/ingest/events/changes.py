"""Change events as plain JSON: deploys, configuration, flags, from any pipeline that can send a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from twofold.aiops.ingest.events.notices import Notices, Reading, event_id, is_entity
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.wire import text_of, texts_of, time_of
from twofold.errors import DecodeError
from twofold.records.entity import EntityKind, entity_id
from twofold.records.event import ChangeKind, Event, EventKind


class Changes(Notices):
    """`POST /v1/changes`: one object or a list.

    An event with an `id` is one event however often it is sent; without one, equal content is.
    """

    name: ClassVar[str] = "changes"
    path: ClassVar[str] = "/v1/changes"

    def read(self, item: Mapping[str, Any], reading: Reading) -> Event:
        """See `event_of`."""
        return event_of(item, reading.origin, reading.latest_ns)


def event_of(item: Mapping[str, Any], origin: Origin, latest_ns: int) -> Event:
    """The event that a change object tells of. Raises `DecodeError`."""
    kind = text_of(item, "kind", "other").lower()
    if kind not in set(ChangeKind):
        raise DecodeError(
            f"kind {kind[:40]!r} is not one of {', '.join(sorted(ChangeKind))}", reason="bad_field", field="kind"
        )
    entity = _entity(item)
    time = time_of(item, "time", origin.time_ns, latest_ns)
    version = text_of(item, "version", limit=256)
    title = text_of(item, "title") or " ".join(filter(None, (kind, entity.partition(":")[2], version)))
    source = text_of(item, "source", limit=256)
    key = text_of(item, "id", limit=512)
    basis = ("key", source, key) if key else ("content", kind, entity, version, title, source, time.isoformat())
    return Event(
        id=event_id(origin.tenant, "change", *basis),
        kind=EventKind.CHANGE,
        time=time,
        entity=entity,
        title=title,
        tenant=origin.tenant,
        change=ChangeKind(kind),
        version=version,
        source=source,
        link=text_of(item, "link"),
        attributes=texts_of(item, "attributes"),
    )


def _entity(item: Mapping[str, Any]) -> str:
    entity = text_of(item, "entity", limit=512)
    if not entity:
        service = text_of(item, "service", limit=512)
        if not service:
            raise DecodeError("neither entity nor service is given", reason="no_entity")
        return entity_id(EntityKind.SERVICE, service)
    if not is_entity(entity):
        raise DecodeError(
            f"entity {entity[:80]!r} is not kind:name with a kind of {', '.join(sorted(EntityKind))}",
            reason="bad_field",
            field="entity",
        )
    return entity
