"""Errors to HTTP, for every receiver alike (promise P4: never 500, for senders drop on 500)."""

from __future__ import annotations

from typing import Final

from twofold.aiops.ingest.body import BodyTimeout
from twofold.errors import Overloaded, Permanent, StorageFull, TooLarge, TwofoldError, Unsupported

RETRY_AFTER_S: Final = 5
STORAGE_RETRY_AFTER_S: Final = 30


def status_of(error: TwofoldError) -> int:
    """HTTP status: 408 slow, 413 too large, 415 unknown media or encoding, 400 other bad input, 429 busy, 503 later."""
    match error:
        case BodyTimeout():
            return 408
        case TooLarge():
            return 413
        case Unsupported():
            return 415
        case Permanent():
            return 400
        case Overloaded():
            return 429
    return 503


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
