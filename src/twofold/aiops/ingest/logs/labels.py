r"""Labels of a log stream: their text form, and which entity they speak of.

Source: Loki "Labels" (`discover_service_name`); Prometheus data model; Go `strconv.Quote` for values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from twofold.aiops.ingest.entities import UNKNOWN
from twofold.errors import DecodeError
from twofold.records.entity import EntityKind, entity_id

MAX_CHARACTERS: Final = 16_384
_CACHED: Final = 2048

# Names under which senders tell the service, the pod and the host, the surest first.
_SERVICE: Final = (
    "service_name",
    "service.name",
    "service",
    "app",
    "application",
    "app_name",
    "app_kubernetes_io_name",
    "name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
    "syslog_identifier",
    "unit",
)
_POD: Final = ("pod", "pod_name", "k8s_pod_name", "k8s.pod.name")
_HOST: Final = ("host", "hostname", "host_name", "host.name", "node_name", "node", "instance", "nodename")

_PAIR: Final = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_.:/-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)\s*(,|$)', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LAST_CHARACTER: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


def stream_entity(labels: Mapping[str, str]) -> str:
    """Entity of a stream: its service by the names that Loki itself looks for, else its pod, else its host.

    A job of the form `namespace/name` is named by its last part, a host without its port.

    >>> stream_entity({"job": "shop/cart", "pod": "cart-1"}), stream_entity({"instance": "db1:9100"})
    ('service:cart', 'host:db1')
    """
    for key in _SERVICE:
        if name := labels.get(key, "").rpartition("/")[2]:
            return entity_id(EntityKind.SERVICE, name.removesuffix(".service") if key == "unit" else name)
    if name := _first(labels, _POD):
        return entity_id(EntityKind.POD, name)
    if name := _first(labels, _HOST):
        return entity_id(EntityKind.HOST, name)
    return UNKNOWN


def _first(labels: Mapping[str, str], keys: Sequence[str]) -> str:
    """The first of these labels that is set, without the port that an instance has."""
    for key in keys:
        if name := labels.get(key):
            return (name.rpartition(":")[0] or name) if key == "instance" else name
    return ""


@lru_cache(_CACHED)
def parse_labels(text: str) -> Mapping[str, str]:
    r"""Labels of a stream from their text form. Cached: senders repeat themselves.

    >>> parse_labels('{app="cart", path="C:\\\\x"}')
    {'app': 'cart', 'path': 'C:\\x'}

    Raises:
        DecodeError: Not of that form, or longer than 16,384 characters (`bad_labels`).
    """
    inner = text.strip()
    if len(inner) > MAX_CHARACTERS:
        raise DecodeError(f"labels of {len(inner)} characters, the limit is {MAX_CHARACTERS}", reason="bad_labels")
    if not (inner.startswith("{") and inner.endswith("}")):
        raise DecodeError(f"labels {text[:80]!r} do not stand in braces", reason="bad_labels")
    inner = inner[1:-1].strip()
    labels: dict[str, str] = {}
    position = 0
    while position < len(inner):
        match = _PAIR.match(inner, position)
        if match is None:
            raise DecodeError(
                f'labels {inner[position : position + 40]!r} are not name="value" pairs', reason="bad_labels"
            )
        quoted = match[2]
        labels[match[1]] = match[3] if quoted is None else _ESCAPE.sub(_unescaped, quoted)
        position = match.end()
    return labels


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    if digits or match[4]:
        code = int(digits, 16) if digits else int(match[4], 8)
        return chr(code) if code <= _LAST_CHARACTER and code not in _SURROGATES else "\ufffd"
    return _ESCAPES.get(match[5], match[5])
