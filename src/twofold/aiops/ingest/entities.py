"""Which entity a resource, a span's peer or a set of Prometheus labels speaks of."""

from __future__ import annotations

import ipaddress
import re
import threading
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from twofold.records.entity import EntityKind, entity_id
from twofold.store.catalog import Catalog

UNKNOWN: Final = entity_id(EntityKind.SERVICE, "unknown")

CLIENT: Final = 3
PRODUCER: Final = 4
CONSUMER: Final = 5


class Naming:
    """Gives a service its entity id, apart from a service of the same name in another namespace.

    The namespace first seen for a name owns `service:<name>`; the same name in another namespace
    becomes `service:<namespace>/<name>`. Which one was first survives a restart as far as the
    catalog holds a series of it.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._owners: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def resource(self, attributes: Mapping[str, str], *, tenant: str) -> str:
        """Entity of an OpenTelemetry resource: its service, else its pod, else its host."""
        if name := attributes.get("service.name"):
            return self._service(name, attributes.get("service.namespace", ""), tenant)
        if name := attributes.get("k8s.pod.name"):
            return entity_id(EntityKind.POD, name)
        if name := attributes.get("host.name"):
            return entity_id(EntityKind.HOST, name)
        return UNKNOWN

    def _service(self, name: str, namespace: str, tenant: str) -> str:
        plain = entity_id(EntityKind.SERVICE, name)
        if not namespace:
            return plain
        with self._lock:
            owner = self._owners.get((tenant, name))
            if owner is None:
                known = self._catalog.find(tenant=tenant, entity=plain, limit=1)
                owner = (known[0].labels.get("service.namespace") if known else None) or namespace
                self._owners[tenant, name] = owner
        return plain if owner == namespace else entity_id(EntityKind.SERVICE, f"{namespace}/{name}")


def labels_entity(labels: Mapping[str, str]) -> str:
    """Entity of a Prometheus series: its job or service, else the host of its instance.

    >>> labels_entity({"instance": "db1:9100"}), labels_entity({"job": "cart", "instance": "x"})
    ('host:db1', 'service:cart')
    """
    if name := labels.get("job") or labels.get("service"):
        return entity_id(EntityKind.SERVICE, name)
    if instance := labels.get("instance"):
        return entity_id(EntityKind.HOST, instance.rpartition(":")[0] or instance)
    return UNKNOWN


_INFER: Final = re.compile(r"/v2/models/([^/{}?]+)(?:/versions/[^/]+)?/infer$")


def peer_entity(kind: int, attributes: Mapping[str, str]) -> str:
    """What a client, producer or consumer span talks to; empty when its attributes do not say.

    A model is known by its path in the Open Inference Protocol. A database is named by `peer.service`, else
    `<system>/<address>`. A loopback address names nothing: there the callee is known only by its own span.

    Source: OpenTelemetry semantic conventions, database, messaging and server attributes, old and new names.
    """
    if kind not in {CLIENT, PRODUCER, CONSUMER}:
        return ""
    if kind == CONSUMER:
        return _store(attributes)
    return _model(attributes) or _store(attributes) or _service(attributes)


def _model(attributes: Mapping[str, str]) -> str:
    """The model that is asked: `twofold.model`, or a path such as `/v2/models/fraud/versions/3/infer`."""
    path = attributes.get("url.path") or attributes.get("url.full") or attributes.get("http.url") or ""
    found = _INFER.search(path)
    name = attributes.get("twofold.model") or (found[1] if found else "")
    return entity_id(EntityKind.MODEL, name) if name else ""


def _store(attributes: Mapping[str, str]) -> str:
    """The database or queue that the attributes name."""
    service = attributes.get("peer.service", "")
    if system := attributes.get("db.system.name") or attributes.get("db.system"):
        place = _address(attributes) or attributes.get("db.namespace") or attributes.get("db.name")
        return entity_id(EntityKind.DATABASE, service or (f"{system}/{place}" if place else system))
    if queue := attributes.get("messaging.destination.name") or attributes.get("messaging.destination"):
        return entity_id(EntityKind.QUEUE, queue)
    return ""


def _service(attributes: Mapping[str, str]) -> str:
    """The service or host that the attributes name."""
    if service := attributes.get("peer.service"):
        return entity_id(EntityKind.SERVICE, service)
    address = _address(attributes)
    return _host_or_service(address) if address else ""


def _address(attributes: Mapping[str, str]) -> str:
    """The peer's name or address without port, loopback excluded."""
    found = (
        attributes.get("server.address")
        or attributes.get("net.peer.name")
        or _host(attributes.get("url.full") or attributes.get("http.url") or "")
    )
    name = found.strip("[]").lower()
    if name == "localhost":
        return ""
    try:
        return "" if ipaddress.ip_address(name).is_loopback else name
    except ValueError:
        return name


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _host_or_service(address: str) -> str:
    """An IP address is a host; a cluster name is the service it fronts; any other name stands for itself."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        pass
    else:
        return entity_id(EntityKind.HOST, address)
    if ".svc" in address:
        address = address.partition(".")[0]
    return entity_id(EntityKind.SERVICE, address)
