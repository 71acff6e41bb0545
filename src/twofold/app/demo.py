"""The API's port to the demo's control server."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson

from twofold.api.services import DemoPort, DemoState, Fault, NoDemo
from twofold.config import DemoConfig
from twofold.errors import NotFound, Unavailable
from twofold.flow.outgoing import Outgoing, Refused


class Control:
    """Calls the control server. See `api.services.DemoPort`."""

    def __init__(self, config: DemoConfig) -> None:
        self._url = config.url.rstrip("/")
        self._headers = {"authorization": f"Bearer {config.token}", "content-type": "application/json"}
        self._outgoing = Outgoing(trusted=[config.url])

    def state(self) -> DemoState:
        """What can be broken and what is; unavailable while the control does not answer."""
        try:
            found = self._call("GET", "/state")
        except Unavailable:
            return DemoState(available=False)
        faults = tuple(
            Fault(
                name=one["name"],
                title=one["title"],
                description=one["description"],
                active=bool(one["active"]),
                since=datetime.fromisoformat(one["since"]).timestamp() if one.get("since") else None,
            )
            for one in found["faults"]
        )
        return DemoState(available=True, faults=faults, services=tuple(_names(found["services"])))

    def break_fault(self, name: str, *, seconds: float | None) -> None:
        """Switch a fault on."""
        self._call("POST", f"/faults/{quote(name)}", {"seconds": seconds} if seconds else {})

    def mend_fault(self, name: str) -> None:
        """Switch it off."""
        self._call("DELETE", f"/faults/{quote(name)}")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        content = orjson.dumps(body) if body is not None else b""
        try:
            _, answer = self._outgoing.request(method, self._url + path, headers=self._headers, content=content)
        except Refused as error:
            raise NotFound(f"the demo refuses: {error.message}") from error
        return orjson.loads(answer) if answer else None


def demo_port(config: DemoConfig) -> DemoPort:
    """The control's port, or that of no demo."""
    return Control(config) if config.url else NoDemo()


def _names(services: Any) -> list[str]:
    if isinstance(services, dict):
        return sorted(services)
    return [one if isinstance(one, str) else str(one["name"]) for one in services]
