"""Bytes of an OTLP request to a protobuf message, and its attribute values to text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

import orjson
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from twofold.errors import DecodeError

M = TypeVar("M", bound=Message)

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

# Resource attributes that tell two senders of one service apart; they become labels of every series.
IDENTITY: Final = (
    "service.namespace",
    "service.instance.id",
    "host.name",
    "k8s.namespace.name",
    "k8s.pod.name",
)
# Resource attributes that are kept with every span and log line, for topology and evidence.
KEPT: Final = ("service.version", *IDENTITY, "deployment.environment.name", "deployment.environment")

_HEX_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_DEPTH: Final = 100  # protobuf's own limit for nested messages


def parse(kind: type[M], body: bytes, media: str) -> M:
    """The request message.

    Raises:
        DecodeError: Not protobuf, not JSON, or not of this message's shape.
    """
    message = kind()
    if media == JSON:
        try:
            ParseDict(
                _fitted(orjson.loads(body), message.DESCRIPTOR),
                message,
                ignore_unknown_fields=True,
                max_recursion_depth=_DEPTH,
            )
        except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise DecodeError(
                f"body is not an OTLP {kind.__name__} as JSON: {_short(error)}", reason="decode"
            ) from error
        return message
    try:
        message.ParseFromString(body)
    except ProtobufError as error:
        raise DecodeError(f"body is not an OTLP {kind.__name__}: {_short(error)}", reason="decode") from error
    return message


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


class _Slot(NamedTuple):
    """What a field of a message takes."""

    message: Any  # its descriptor, or None
    repeated: bool
    is_id: bool


@cache
def _slots(kind: Any) -> Mapping[str, _Slot]:
    """Fields of a message by both their names."""
    return {
        name: _Slot(field.message_type, field.is_repeated, name in _HEX_IDS)
        for field in kind.fields
        for name in (field.camelcase_name, field.name)
    }


def _fitted(value: Any, kind: Any, depth: int = 0) -> dict[str, Any]:
    """The JSON object that stands for a message of this descriptor, with what is known of it and ids as base64.

    Protobuf's own reader takes a list or a text for a message without fields, and would lose what is in it.

    Raises:
        ValueError: An object or a list is missing where the message needs one, or it nests too deep.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{kind.name} is a {type(value).__name__}, must be an object")
    if depth > _DEPTH:
        raise ValueError(f"JSON nests deeper than {_DEPTH} messages")
    slots = _slots(kind)
    found = {}
    for key, each in value.items():
        slot = slots.get(key)
        if slot is None or each is None:
            continue  # of a later version of the protocol, or unset
        if slot.message is None:
            found[key] = _hex_to_base64(each) if slot.is_id and isinstance(each, str) else each
        elif not slot.repeated:
            found[key] = _fitted(each, slot.message, depth + 1)
        elif isinstance(each, list):
            found[key] = [_fitted(one, slot.message, depth + 1) for one in each]
        else:
            raise TypeError(f"{key} is a {type(each).__name__}, must be a list")
    return found


def _hex_to_base64(text: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(text)).decode()
    except ValueError as error:
        raise ValueError(f"id {text[:40]!r} is not hexadecimal") from error


def plain(value: AnyValue) -> Any:
    """An attribute's value as a JSON value; bytes as base64."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [plain(each) for each in value.array_value.values]
        case "kvlist_value":
            return {each.key: plain(each.value) for each in value.kvlist_value.values}
        case "bytes_value":
            return binascii.b2a_base64(value.bytes_value, newline=False).decode()
        case scalar:
            return getattr(value, scalar)


def text(value: AnyValue) -> str:
    """An attribute's value as a label: words as they are, everything else as JSON."""
    if value.HasField("string_value"):
        return value.string_value
    found = plain(value)
    return "" if found is None else orjson.dumps(found).decode()


def texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes as labels; of a key that comes twice the last counts."""
    return {each.key: text(each.value) for each in attributes}


def pick(attributes: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The named attributes that are set."""
    return {name: found for name in names if (found := attributes.get(name))}


def attributes_json(attributes: Iterable[KeyValue], more: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """Attributes over `more`, as values and as a JSON object."""
    values: dict[str, Any] = dict(more)
    for each in attributes:
        values[each.key] = plain(each.value)
    return values, orjson.dumps(values).decode()
