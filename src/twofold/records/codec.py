"""Records to canonical JSON and back, without loss: checkpoints, journal, ledger and captures share one shape.

Canonical: keys sorted, UTC times, so equal records are equal text. Strict: what does not fit its field's type is
refused on the way in and on the way out. A record written by an older version reads back with the defaults of
the fields it lacks; unknown fields are left out. Numbers that are not finite become text (`"NaN"`).
"""

from __future__ import annotations

import math
import operator
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TypeVar

import orjson

from twofold.errors import DecodeError, InputError

R = TypeVar("R")
Json = Any
_Walk = Callable[[Any], Any]
_ENCODERS: Final[dict[Any, _Walk]] = {}  # by type, filled on first use
_DECODERS: Final[dict[Any, _Walk]] = {}
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MISFITS: Final = (TypeError, ValueError, KeyError, AttributeError)


def to_json(value: object) -> Json:
    """The JSON value of a record, or of a list of records of any types.

    >>> from twofold.records.series import Series
    >>> to_json(Series(sid=1, metric="up"))["kind"]
    'gauge'

    Raises:
        InputError: A value does not fit its field, such as a time without a zone.
    """
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    kind = type(value)
    try:
        return _encoder(kind)(value)
    except _MISFITS as error:
        raise InputError(f"{kind.__name__} cannot be written: {error}", reason="unfit_record") from error


def from_json(kind: type[R], data: Json) -> R:
    """The record that `to_json` gave `data` for.

    Raises:
        DecodeError: No object, a field without default is missing, or a value does not fit its type; names the field.
    """
    try:
        record: R = _decoder(kind)(data)
    except _MISFITS as error:
        raise DecodeError(f"{kind.__name__}: {error}", kind=kind.__name__) from error
    return record


def encode(record: object) -> str:
    """The record as canonical JSON text. Raises `InputError` as `to_json` does."""
    value = to_json(record)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError as error:  # text that is not Unicode
        raise InputError(f"{type(record).__name__} cannot be written: {error}", reason="unfit_record") from error


def decode(kind: type[R], text: str | bytes) -> R:
    """The record that `encode` was given. Raises `DecodeError` when the text is not such a record."""
    try:
        data = orjson.loads(text)
    except ValueError as error:
        raise DecodeError(f"{kind.__name__} is no JSON: {error}", kind=kind.__name__) from error
    return from_json(kind, data)


def _encoder(hint: Any) -> _Walk:
    if hint not in _ENCODERS:
        _ENCODERS[hint] = _build_encoder(hint)
    return _ENCODERS[hint]


def _build_encoder(hint: Any) -> _Walk:
    if hint in _SCALARS:
        return _SCALARS[hint][0]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda value: hint(value).value
    if is_dataclass(hint):
        hints = _hints(hint)
        walks = [(f.name, _encoder(hints[f.name])) for f in fields(hint)]
        return lambda record: {name: walk(getattr(record, name)) for name, walk in walks}
    shape, inner = _parts(hint)
    walk = _encoder(inner)
    if shape is Mapping:
        return lambda value: {_text(key): walk(item) for key, item in value.items()}
    if shape is tuple:
        return lambda value: [walk(item) for item in value]
    return lambda value: None if value is None else walk(value)


def _decoder(hint: Any) -> _Walk:
    if hint not in _DECODERS:
        _DECODERS[hint] = _build_decoder(hint)
    return _DECODERS[hint]


def _build_decoder(hint: Any) -> _Walk:
    if hint in _SCALARS:
        return _SCALARS[hint][1]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if is_dataclass(hint):
        return _record_decoder(typing.cast("type[Any]", hint))
    shape, inner = _parts(hint)
    walk = _decoder(inner)
    if shape is Mapping:
        return lambda value: {key: walk(item) for key, item in value.items()}
    if shape is tuple:
        return lambda value: tuple(walk(item) for item in value)
    return lambda value: None if value is None else walk(value)


def _record_decoder(kind: type[Any]) -> _Walk:
    hints = _hints(kind)
    walks = {f.name: _decoder(hints[f.name]) for f in fields(kind)}
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}

    def build(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise DecodeError(f"{kind.__name__} is {type(value).__name__}, must be an object", kind=kind.__name__)
        found = {}
        for name, walk in walks.items():
            if name in value:
                try:
                    found[name] = walk(value[name])
                except _MISFITS as error:
                    raise DecodeError(f"{kind.__name__}.{name}: {error}", kind=kind.__name__, field=name) from error
            elif name in needed:
                raise DecodeError(f"{kind.__name__}.{name} is missing", kind=kind.__name__, field=name)
        return kind(**found)

    return build


def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _parts(hint: Any) -> tuple[Any, Any]:
    """The container of a type hint (`tuple`, `Mapping` or None for optional) and what it holds."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union} and len(arguments) == 2 and types.NoneType in arguments:  # noqa: PLR2004 - X and None
        return None, next(argument for argument in arguments if argument is not types.NoneType)
    if origin in {tuple, Sequence} and arguments:
        return tuple, arguments[0]
    if origin in {dict, Mapping} and arguments and arguments[0] is str:
        return Mapping, arguments[1]
    raise TypeError(f"no JSON form for {hint!r}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return str(value)


def _flag(value: Any) -> bool:
    if value not in (True, False):
        raise TypeError(f"{value!r} is not true or false")
    return bool(value)


def _float_out(value: Any) -> float | str:
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def _float_in(value: Any) -> float:
    if isinstance(value, str):
        if value not in _NOT_FINITE:
            raise ValueError(f"{value!r} is no number")
        return _NOT_FINITE[value]
    return float(value)


def _time_out(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"time {value!r} has no zone; records carry aware UTC times")
    return value.astimezone(UTC).isoformat()


def _time_in(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"time {value!r} has no zone, send RFC 3339 with Z")
    return moment.astimezone(UTC)


def _json_out(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_text(key): _json_out(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_out(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no JSON form")
    return value


def _same(value: Any) -> Any:
    return value


_SCALARS: Final[dict[Any, tuple[_Walk, _Walk]]] = {
    str: (_text, _text),
    int: (operator.index, operator.index),
    bool: (_flag, _flag),
    float: (_float_out, _float_in),
    datetime: (_time_out, _time_in),
    Any: (_json_out, _same),
}
