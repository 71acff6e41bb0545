"""Bytes of an OTLP request to a protobuf message, and its attribute values to text."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import orjson
from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from twofold.aiops.ingest.otlp.fields import fields_of
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


def parse(kind: type[M], body: bytes, media: str) -> M:
    """The request message.

    Raises:
        DecodeError: Not protobuf, not JSON, or not of this message's shape.
    """
    if media == JSON:
        try:
            return kind(**fields_of(orjson.loads(body), kind.DESCRIPTOR))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise DecodeError(
                f"body is not an OTLP {kind.__name__} as JSON: {_short(error)}", reason="decode"
            ) from error
    message = kind()
    try:
        message.ParseFromString(body)
    except ProtobufError as error:
        raise DecodeError(f"body is not an OTLP {kind.__name__}: {_short(error)}", reason="decode") from error
    return message


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


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
