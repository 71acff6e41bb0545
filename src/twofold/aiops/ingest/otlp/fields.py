"""OTLP's JSON to protobuf messages: each field converted here, the message built by protobuf's C code in one call.

Protobuf's own JSON reader takes twice the time, knows ids only as base64, and takes a list in place of a
message for a message without fields, so that what is in it would be lost.

Source: OpenTelemetry protocol specification, "JSON Protobuf Encoding"; protobuf "ProtoJSON Format".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import FieldDescriptor

DEPTH: Final = 100  # protobuf's own limit for nested messages
_IDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})

Convert = Callable[[Any], Any]


class _Slot(NamedTuple):
    """What a field of a message takes."""

    name: str
    repeated: bool
    message: Any  # descriptor of the message, or None
    convert: Convert


def fields_of(value: Any, kind: Any, depth: int = 0) -> dict[str, Any]:
    """The JSON value that stands for a message of this descriptor, as arguments of the message's class.

    Fields that are not known, and enum names that are not, are left out: they are of a later version.

    Raises:
        TypeError, ValueError: Something else stands where the message needs an object, a list, a number, a text.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{kind.name} is {_name(value)}, must be an object")
    if depth > DEPTH:
        raise ValueError(f"JSON nests deeper than {DEPTH} messages")
    slots = _slots(kind)
    found: dict[str, Any] = {}
    for key, each in value.items():
        slot = slots.get(key)
        if slot is None or each is None:
            continue
        name, repeated, message, convert = slot
        if not repeated:
            made = convert(each) if message is None else fields_of(each, message, depth + 1)
            if made is not None:
                found[name] = made
        elif not isinstance(each, list):
            raise TypeError(f"{key} is {_name(each)}, must be a list")
        elif message is None:
            found[name] = [convert(one) for one in each]
        else:
            found[name] = [fields_of(one, message, depth + 1) for one in each]
    return found


@cache
def _slots(kind: Any) -> Mapping[str, _Slot]:
    """Fields of a message by both their names."""
    slots = {}
    for field in kind.fields:
        slot = _Slot(field.name, field.is_repeated, field.message_type, _converter(field))
        slots[field.name] = slots[field.camelcase_name] = slot
    return slots


def _converter(field: Any) -> Convert:
    if field.enum_type is not None:
        numbers = {name: value.number for name, value in field.enum_type.values_by_name.items()}
        return lambda value: numbers.get(value) if isinstance(value, str) else whole(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _hexadecimal if field.name in _IDS else _base64
    return _CONVERTERS.get(field.type, whole)


def whole(value: Any) -> int:
    """An integer, written as a number or as text.

    >>> whole("-5"), whole(5.0)
    (-5, 5)
    """
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and value.isascii():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"{str(value)[:40]!r} is not an integer")


def real(value: Any) -> float:
    """A number, written as one or as text; `NaN`, `Infinity` and `-Infinity` too.

    >>> real("1.5"), real("-Infinity")
    (1.5, -inf)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str) or "_" in str(value):
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{_name(value)} stands where a text must")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{_name(value)} stands where true or false must")
    return value


def _hexadecimal(value: Any) -> bytes:
    try:
        return bytes.fromhex(_text(value))
    except ValueError as error:
        raise ValueError(f"id {str(value)[:40]!r} is not hexadecimal") from error


def _base64(value: Any) -> bytes:
    """Bytes from base64 of either alphabet, padded or not."""
    text = _text(value).replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _name(value: Any) -> str:
    """What a value is in JSON's words."""
    words = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return words.get(type(value), "a number")


_CONVERTERS: Final[dict[int, Convert]] = {
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BOOL: _truth,
    FieldDescriptor.TYPE_DOUBLE: real,
    FieldDescriptor.TYPE_FLOAT: real,
}
