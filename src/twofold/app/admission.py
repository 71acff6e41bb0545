"""The one guard, asked by listeners that speak no HTTP: who calls, and for which tenant."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Final

from twofold.api.auth import Guard

_NOT_OURS: Final = frozenset({"host", "cookie"})  # a browser's; no sender has them


def admission(guard: Guard) -> Callable[[str, Mapping[str, str], str], Coroutine[None, None, str]]:
    """A function of path, headers and the caller's address that gives the tenant.

    It raises what the guard raises: `Denied`, `Unauthenticated` or `NotFound`.
    """

    async def admit(path: str, headers: Mapping[str, str], address: str) -> str:
        sent = [(key.encode(), value.encode()) for key, value in headers.items() if key not in _NOT_OURS]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(b"host", b"localhost"), *sent],
            "client": (address, 0),
        }
        _, identity = await guard.admit(scope)
        return identity.tenant

    return admit
