"""Errors to HTTP, for every receiver alike (promise P4: never 500, for senders drop on 500)."""

from __future__ import annotations

from typing import Final

from twofold.aiops.ingest.body import BodyTimeout
from twofold.errors import Overloaded, Permanent, StorageFull, TooLarge, TwofoldError, Unauthenticated, Unsupported

RETRY_AFTER_S: Final = 5
STORAGE_RETRY_AFTER_S: Final = 30


_STATUS: Final[tuple[tuple[type[TwofoldError], int], ...]] = (  # the first that fits
    (BodyTimeout, 408),
    (TooLarge, 413),
    (Unsupported, 415),
    (Unauthenticated, 401),
    (Permanent, 400),
    (Overloaded, 429),
)


def status_of(error: TwofoldError) -> int:
    """HTTP status: 408 slow, 413 too large, 415 unknown kind, 401 bad signature, 400 bad input, 429 busy, 503 later."""
    return next((code for kind, code in _STATUS if isinstance(error, kind)), 503)


def retry_headers(error: TwofoldError) -> dict[str, str]:
    """`Retry-After` for what may succeed later; a slow sender's connection is closed."""
    match error:
        case BodyTimeout():
            return {"connection": "close"}
        case Permanent():
            return {}
        case Overloaded():
            return {"retry-after": str(error.retry_after_s)}
        case StorageFull():
            return {"retry-after": str(STORAGE_RETRY_AFTER_S)}
    return {"retry-after": str(RETRY_AFTER_S)}


def reason_of(error: TwofoldError) -> str:
    """The word under which items lost with this error are counted.

    >>> reason_of(StorageFull("disk full"))
    'storage_full'
    """
    if isinstance(error, Overloaded):
        return "overloaded"
    if isinstance(error, StorageFull):
        return "storage_full"
    return getattr(error, "reason", "unavailable")
