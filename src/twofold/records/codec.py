"""Records to JSON values and back, from their type hints alone: checkpoints, the ledger and the wire share one shape.

Times become RFC 3339 UTC text, enums their value, tuples lists, mappings objects.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from twofold.errors import DecodeError

R = TypeVar("R")
Json = Any
_Plan = dict[str, tuple[bool, Callable[[Json], Any]]]
_PLANS: Final[dict[type, _Plan]] = {}


def to_json(value: object) -> Json:
    """The JSON value of a record or of anything a record holds.

    >>> from twofold.records.series import Series
    >>> to_json(Series(sid=1, metric="up"))["kind"]
    'gauge'
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    return value


def from_json(kind: type[R], data: Json) -> R:
    """The record of type `kind` that `to_json` gave `data` for.

    Unknown keys are left out, missing ones take their default.

    Raises:
        DecodeError: Not an object, a field without default is missing, or a value does not fit its type.
    """
    if not isinstance(data, Mapping):
        raise DecodeError(f"{kind.__name__} is {type(data).__name__}, must be an object", kind=kind.__name__)
    values = {}
    for name, (required, read) in _plan(kind).items():
        if name in data:
            try:
                values[name] = read(data[name])
            except (ValueError, TypeError, AttributeError) as error:
                raise DecodeError(f"{kind.__name__}.{name}: {error}", kind=kind.__name__, field=name) from error
        elif required:
            raise DecodeError(f"{kind.__name__}.{name} is missing", kind=kind.__name__, field=name)
    return kind(**values)


def _same(value: Json) -> Json:
    return value


def _time(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"time {value!r} has no zone, send RFC 3339 with Z")
    return moment.astimezone(UTC)


def _plan(kind: type) -> _Plan:
    if kind not in _PLANS:
        hints = get_type_hints(kind)
        _PLANS[kind] = {
            field.name: (field.default is MISSING and field.default_factory is MISSING, _reader(hints[field.name]))
            for field in fields(kind)
        }
    return _PLANS[kind]


def _reader(hint: Any) -> Callable[[Json], Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None:
        return _plain_reader(hint)
    if origin in (Union, types.UnionType):
        inner = _reader(next(each for each in arguments if each is not type(None)))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        inner = _reader(arguments[0])
        return lambda value: tuple(inner(each) for each in value)
    inner = _reader(arguments[1])
    return lambda value: {key: inner(each) for key, each in value.items()}


def _plain_reader(hint: Any) -> Callable[[Json], Any]:
    if hint is datetime:
        return _time
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value: from_json(hint, value)
    if isinstance(hint, type) and (issubclass(hint, Enum) or hint is float):
        return hint
    return _same
