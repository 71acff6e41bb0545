"""The control over HTTP. Every call needs the token: it restarts processes."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from http import HTTPStatus

from ..asgi import App, Refused, Request, Route
from .faults import DEFAULT_S, FAULTS
from .processes import Supervisor
from .room import Room
from .truth import Truth


class Api(App):
    """Routes of the control."""

    def __init__(self, token: str, room: Room, supervisor: Supervisor, truth: Truth) -> None:
        super().__init__()
        self._expected = f"Bearer {token}".encode()
        self._room = room
        self._supervisor = supervisor
        self._truth = truth
        self.add("GET", "/state", self._state)
        self.add("GET", "/truth", self._tell)
        self.add("POST", "/faults/{name}", self._begin)
        self.add("DELETE", "/faults/{name}", lambda request: room.end(request.path["name"]))
        self.add("POST", "/deploys/{service}/rollback", lambda request: room.roll_back(request.path["service"]))
        self.add("POST", "/processes/{service}/restart", lambda request: room.restart(request.path["service"]))
        self.add("POST", "/data/{feed}/rollback", lambda request: room.roll_back_data(request.path["feed"]))

    async def answer(self, route: Route, request: Request) -> tuple[int, object]:
        """Refuse without the token; what could not be started again is told as 503."""
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._expected):
            return HTTPStatus.UNAUTHORIZED, {"error": "needs the header Authorization: Bearer <the control's token>"}
        try:
            return await super().answer(route, request)
        except RuntimeError as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)}

    async def _begin(self, request: Request) -> object:
        body = request.body if request.body is not None else {}
        seconds = body.get("seconds", DEFAULT_S) if isinstance(body, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise Refused(HTTPStatus.BAD_REQUEST, 'the body is a JSON object such as {"seconds": 90}')
        return await self._room.begin(request.path["name"], float(seconds))

    async def _tell(self, _: Request) -> object:
        return {"items": self._truth.entries()}

    async def _state(self, _: Request) -> object:
        services = self._supervisor.services
        return {
            "services": [
                {
                    "name": name,
                    "state": service.state.value,
                    "version": service.config.version,
                    "pid": service.pid,
                    "port": service.config.port,
                    "restarts": service.restarts,
                    "since": datetime.fromtimestamp(service.since, UTC).isoformat(timespec="milliseconds"),
                }
                for name, service in services.items()
            ],
            "faults": [self._room.fault_state(fault) for fault in FAULTS.values()],
            "feeds": self._room.feeds(),
            "scrape": [{"job": "payment", "url": f"http://127.0.0.1:{services['payment'].config.port}/metrics"}],
            "load": dict(services["load"].told.get("counts", {})),
        }
