"""Loki's push message. A line is declared as bytes: one that is not UTF-8 must not spoil its request.

Source: grafana/loki pkg/push/push.proto.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import DecodeError as ProtobufError

from twofold.aiops.ingest.schema import message_class
from twofold.errors import DecodeError

PushRequest: Final = message_class(
    "loki",
    {
        "Timestamp": (("seconds", 1, "int64"), ("nanos", 2, "int32")),
        "Pair": (("name", 1, "string"), ("value", 2, "string")),
        "Entry": (("timestamp", 1, "Timestamp"), ("line", 2, "bytes"), ("metadata", 3, "Pair")),
        "Stream": (("labels", 1, "string"), ("entries", 2, "Entry")),
        "PushRequest": (("streams", 1, "Stream"),),
    },
    "PushRequest",
)


def parse(body: bytes) -> Any:
    """The push request. Raises `DecodeError`."""
    request = PushRequest()
    try:
        request.ParseFromString(body)
    except ProtobufError as error:
        raise DecodeError(f"body is not a logproto.PushRequest: {error}", reason="decode") from error
    return request
