"""Tells Twofold what was changed: POST /v1/changes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import httpx

_log = logging.getLogger("demo.control")
_TIMEOUT_S = 3.0


class Announcer:
    """Sends change events. When Twofold does not take one, the shop changes anyway and the failure is kept.

    Attributes:
        failures: How many events were not taken.
    """

    def __init__(self, twofold_url: str, token: str = "") -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(base_url=twofold_url, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
        self.failures = 0

    async def announce(self, kind: str, entity: str, version: str, title: str) -> None:
        """One change that happens now."""
        now = datetime.now(UTC)
        event = {
            "kind": kind,
            "entity": entity,
            "version": version,
            "title": title,
            "time": now.isoformat(timespec="milliseconds"),
            "source": "shop-ci",
            "id": f"{kind}-{entity}-{version}-{now.timestamp():.3f}",
        }
        try:
            answer = await self._client.post("/v1/changes", json=event)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self.failures += 1
            _log.warning("change event not taken (%s): %s", title, error)

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()
