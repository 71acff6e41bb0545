"""The one place that turns errors into HTTP answers: RFC 9457 problem details."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from twofold.errors import (
    Conflict,
    Denied,
    InputError,
    NotFound,
    Overloaded,
    TooLarge,
    Transient,
    TwofoldError,
    Unauthenticated,
    Unsupported,
)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5  # for transient errors that do not say when

_STATUS: Final[tuple[tuple[type[TwofoldError], int], ...]] = (
    (TooLarge, 413),
    (InputError, 400),
    (NotFound, 404),
    (Conflict, 409),
    (Denied, 403),
    (Unauthenticated, 401),
    (Unsupported, 501),
    (Overloaded, 429),
    (Transient, 503),
)
_TITLES: Final = {
    400: "Bad input",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Bad input",
    429: "Too many requests",
    500: "Internal error",
    501: "Not supported",
    503: "Not available now",
}


class Problem(BaseModel):
    """RFC 9457 problem details; further members are the error's facts."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    title: str
    status: int
    detail: str
    instance: str


def status_of(error: Exception) -> int:
    """The HTTP status of an error. First match in the table counts; anything unknown is 500."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(
    status: int, detail: str, *, instance: str, slug: str = "", facts: Mapping[str, Any] | None = None
) -> bytes:
    """The body of an answer."""
    body = {
        "type": f"urn:twofold:problem:{slug}" if slug else "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "instance": instance,
    }
    return orjson.dumps(dict(facts or {}) | body, default=str)


def answer(error: Exception, *, instance: str) -> Response:
    """The full answer to an error, with `Retry-After` and `WWW-Authenticate` where they belong.

    An error that is not ours says nothing about itself: its text may hold secrets and goes to the log only.
    """
    status = status_of(error)
    headers = {}
    if isinstance(error, Transient):
        headers["Retry-After"] = str(error.retry_after_s if isinstance(error, Overloaded) else RETRY_AFTER_S)
    if status == 401:  # noqa: PLR2004 - the status itself is the clearest name
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TwofoldError):
        facts = error.facts | ({"reason": error.reason} if isinstance(error, InputError) else {})
        body = problem(status, error.message, instance=instance, slug=_slug(type(error)), facts=facts)
    else:
        body = problem(status, "an unexpected error; the log of the server tells more", instance=instance)
    return Response(body, status, headers, MEDIA_TYPE)


def _slug(kind: type[Exception]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()
