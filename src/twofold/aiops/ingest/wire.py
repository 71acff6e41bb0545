"""JSON that people and small tools send: a value or a list of values, judged one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import orjson
from starlette.responses import JSONResponse, Response

from twofold.aiops.ingest.counts import Outcome
from twofold.errors import DecodeError, InputError
from twofold.records.time import to_datetime

T = TypeVar("T")

MAX_SHOWN: Final = 20  # rejected items named in an answer
TITLE_LIMIT: Final = 300


@dataclass(frozen=True, slots=True)
class Ignored:
    """What a reader makes of an item that is legal and holds nothing to keep; counted as dropped under `reason`."""

    reason: str


@dataclass(slots=True)
class Judged(Generic[T]):
    """Items of one request: what is good, and why the others are not."""

    received: int
    good: list[T] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    shown: list[dict[str, object]] = field(default_factory=list)

    def answer(self, outcome: Outcome) -> Response:
        """200 with what was stored, or 400 when everything was refused; what was ignored is no fault."""
        body: dict[str, object] = {
            "received": outcome.received,
            "stored": outcome.stored,
            "duplicate": outcome.duplicate,
            "rejected": self.rejected.total(),
            "errors": self.shown,
        }
        if self.dropped:
            body["dropped"] = dict(self.dropped)
        return JSONResponse(body, 400 if self.failed else 200)

    @property
    def failed(self) -> bool:
        """Whether everything was refused."""
        return self.rejected.total() == self.received > 0


def judge(items: Sequence[Any], read: Callable[[Mapping[str, Any]], T | Ignored]) -> Judged[T]:
    """Read each item; one that `read` refuses with an `InputError` does not spoil the others."""
    found: Judged[T] = Judged(len(items))
    for position, item in enumerate(items):
        try:
            if not isinstance(item, dict):
                raise DecodeError(f"is {type(item).__name__}, must be an object", reason="not_an_object")
            made = read(item)
            if isinstance(made, Ignored):
                found.dropped[made.reason] += 1
            else:
                found.good.append(made)
        except InputError as error:
            found.rejected[error.reason] += 1
            if len(found.shown) < MAX_SHOWN:
                found.shown.append({"item": position, "reason": error.reason, "detail": error.message})
    return found


def items_of(body: bytes) -> list[Any]:
    """The objects of a body that is one object, a list of them, or `{"items": [...]}`. Raises `DecodeError`."""
    value = load(body)
    if isinstance(value, dict):
        inner = value.get("items")
        return inner if isinstance(inner, list) else [value]
    if isinstance(value, list):
        return value
    raise DecodeError(f"body is {type(value).__name__}, must be an object or a list", reason="decode")


def load(body: bytes) -> Any:
    """The JSON value. Raises `DecodeError`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"body is not JSON: {error}", reason="decode") from error


def text_of(item: Mapping[str, Any], key: str, default: str = "", *, limit: int = 4096) -> str:
    """A text or number under `key`, as text. Raises `DecodeError` on another type or past `limit` characters."""
    value = item.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DecodeError(f"{key} is {type(value).__name__}, must be text", reason="bad_field", field=key)
    text = str(value)
    if len(text) > limit:
        raise DecodeError(f"{key} has {len(text)} characters, the limit is {limit}", reason="bad_field", field=key)
    return text


def texts_of(item: Mapping[str, Any], key: str) -> dict[str, str]:
    """An object under `key` with its values as text; values that are not plain become JSON. Raises `DecodeError`."""
    value = item.get(key) or {}
    if not isinstance(value, dict):
        raise DecodeError(f"{key} is {type(value).__name__}, must be an object", reason="bad_field", field=key)
    return {name: each if isinstance(each, str) else orjson.dumps(each).decode() for name, each in value.items()}


def at(item: Any, *path: str) -> Any:
    """The value under nested keys, None where there is none.

    >>> at({"a": {"b": 1}}, "a", "b"), at({"a": 7}, "a", "b")
    (1, None)
    """
    for key in path:
        if not isinstance(item, dict):
            return None
        item = item.get(key)
    return item


def text_at(item: Any, *path: str, default: str = "", limit: int = 4096) -> str:
    """The text or number under nested keys as text, cut to `limit`: for what other systems word, not for identities."""
    value = at(item, *path)
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return default
    return str(value)[:limit] or default


def title_of(text: str) -> str:
    r"""The first line, cut to the length of a title.

    >>> title_of("Fix it\n\nBecause it broke")
    'Fix it'
    """
    return text.strip().partition("\n")[0].strip()[:TITLE_LIMIT]


def parse_time(text: Any) -> datetime | None:
    """An RFC 3339 time or one of its looser kin (`2016-08-12 15:23:28 UTC`); None for anything else."""
    try:
        moment = datetime.fromisoformat(text.replace(" UTC", "+00:00").replace(" +", "+").replace(" -", "-"))
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (AttributeError, ValueError, OverflowError):
        return None


def time_of(item: Mapping[str, Any], key: str, default_ns: int, latest_ns: int) -> datetime:
    """An RFC 3339 time under `key`, `default_ns` when absent.

    Raises:
        DecodeError: Not such a time, without a zone, before 1970 (`bad_time`), or after `latest_ns` (`future`).
    """
    value = item.get(key)
    if value is None:
        return to_datetime(default_ns)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise DecodeError(f"{key} {str(value)[:40]!r} is not an RFC 3339 time", reason="bad_time", field=key) from None
    if moment.tzinfo is None:
        raise DecodeError(f"{key} {value!r} has no zone; send RFC 3339 with Z", reason="bad_time", field=key)
    if moment.year < 1970:  # noqa: PLR2004 - the epoch
        raise DecodeError(f"{key} {value!r} lies before 1970", reason="bad_time", field=key)
    if moment > to_datetime(latest_ns):
        raise DecodeError(f"{key} {value!r} lies too far in the future", reason="future", field=key)
    return moment.astimezone(UTC)
