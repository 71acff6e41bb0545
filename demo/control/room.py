"""The control room: which faults are on, what cures them, and who is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..asgi import Refused
from ..shop.names import BUGGY_VERSION, FEEDS, STABLE_VERSION
from .changes import Announcer
from .faults import FAULTS, Fault
from .processes import Service, Supervisor
from .truth import Entry, Truth

_SWITCHED = ("latency", "memory_leak", "cpu_hog", "disk_full")
_LONGEST_S = 3600.0
_DECOYS = ("gateway", "cart", "catalog")

_log = logging.getLogger("demo.control")


@dataclass(eq=False, slots=True)
class _Active:
    entry: Entry
    fault: Fault
    until: float
    expiry: asyncio.Task[None]


class Room:
    """Breaks and mends the shop. One change at a time, so that state and truth always agree."""

    def __init__(self, supervisor: Supervisor, announcer: Announcer, truth: Truth) -> None:
        self._supervisor = supervisor
        self._announcer = announcer
        self._truth = truth
        self._active: dict[str, _Active] = {}
        self._lock = asyncio.Lock()
        self._decoys = 0

    async def begin(self, name: str, seconds: float) -> dict[str, Any]:
        """Switch a fault on for `seconds`. Refuses one that is on already."""
        fault = _known(FAULTS, name, "fault")
        if not 0 < seconds <= _LONGEST_S:
            raise Refused(
                HTTPStatus.BAD_REQUEST, f"seconds is {seconds:g}; it must be above 0 and at most {_LONGEST_S:g}"
            )
        async with self._lock:
            if name in self._active:
                raise Refused(HTTPStatus.CONFLICT, f"{name} is on already; DELETE /faults/{name} ends it")
            service = fault.service or self._decoy_service()
            entry = self._truth.begin(fault, service)
            expiry = asyncio.get_running_loop().create_task(self._expire(name, seconds))
            self._active[name] = _Active(entry, fault, time.time() + seconds, expiry)
            try:
                await self._break(fault, service)
            except RuntimeError:
                self._close(name, "failed")
                raise
            return self.fault_state(fault)

    async def end(self, name: str, ended_by: str = "switched_off") -> dict[str, Any]:
        """Switch a fault off and mend what it broke. Nothing happens when it is off."""
        fault = _known(FAULTS, name, "fault")
        async with self._lock:
            await self._end(name, ended_by)
            return self.fault_state(fault)

    async def roll_back(self, service: str) -> dict[str, Any]:
        """Put the version before back. Again: nothing to do."""
        known = self._service(service)
        async with self._lock:
            changed = await self._roll_back(known)
            if changed:
                self._close("bad_deploy", "remedy")
            return {"service": service, "version": known.config.version, "changed": changed}

    async def restart(self, service: str) -> dict[str, Any]:
        """Replace the process, or start it when it is down."""
        known = self._service(service)
        async with self._lock:
            await self._restart(known)
            for name in (*_SWITCHED, "dependency_down"):
                if name in self._active and FAULTS[name].service == service:
                    self._close(name, "remedy")
            return {"service": service, "pid": known.pid, "restarts": known.restarts}

    async def roll_back_data(self, feed: str) -> dict[str, Any]:
        """Publish the feed's version before. Again: nothing to do."""
        if feed not in FEEDS:
            raise Refused(HTTPStatus.NOT_FOUND, f"no feed {feed}; there is: {', '.join(FEEDS)}")
        async with self._lock:
            changed = await self._publish(feed, 1)
            if changed:
                self._close("drift", "remedy")
            return {"feed": feed, "version": 1, "changed": changed}

    async def close(self) -> None:
        """End what is on without mending: the shop ends too."""
        async with self._lock:
            for name in list(self._active):
                self._close(name, "shutdown")

    def fault_state(self, fault: Fault) -> dict[str, Any]:
        """What a fault is and whether it is on."""
        active = self._active.get(fault.name)
        return {
            "name": fault.name,
            "title": fault.title,
            "description": fault.description,
            "entity": fault.entity,
            "accepted": fault.causes,
            "kind": fault.kind,
            "remedies": list(fault.remedies),
            "active": active is not None,
            "since": active.entry.started if active else "",
            "seconds_left": round(max(0.0, active.until - time.time()), 1) if active else 0,
        }

    def feeds(self) -> dict[str, int]:
        """The version that each feed publishes."""
        return dict(self._supervisor.services["catalog"].config.feeds)

    async def _break(self, fault: Fault, service: str) -> None:
        target = self._supervisor.services[service]
        if fault.name in _SWITCHED:
            target.say(fault.name, True)
        elif fault.name == "bad_deploy":
            await self._deploy(target, BUGGY_VERSION, "deploy", f"checkout {BUGGY_VERSION}: new tax table")
        elif fault.name == "dependency_down":
            await target.kill()
        elif fault.name == "drift":
            await self._publish("prices", 2, announced=False)
        else:
            title = f"{service} 2.{self._decoys}.0: reworded texts"
            await self._announcer.announce("deploy", f"service:{service}", f"2.{self._decoys}.0", title)

    async def _mend(self, fault: Fault, service: str) -> None:
        target = self._supervisor.services[service]
        if fault.name in _SWITCHED:
            target.say(fault.name, False)
        elif fault.name == "bad_deploy":
            await self._roll_back(target)
        elif fault.name == "dependency_down":
            await target.start()
        elif fault.name == "drift":
            await self._publish("prices", 1)

    async def _end(self, name: str, ended_by: str) -> None:
        if name in self._active:
            active = self._active[name]
            await self._mend(active.fault, active.entry.service)
            self._close(name, ended_by)

    def _close(self, name: str, ended_by: str) -> None:
        if active := self._active.pop(name, None):
            self._truth.end(active.entry, ended_by)
            if active.expiry is not asyncio.current_task():
                active.expiry.cancel()

    async def _expire(self, name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        async with self._lock:
            try:
                await self._end(name, "expired")
            except RuntimeError:
                _log.exception("%s could not be mended", name)

    async def _deploy(self, service: Service, version: str, kind: str, title: str) -> None:
        await self._announcer.announce(kind, f"service:{service.config.service}", version, title)
        await service.replace(version=version)

    async def _roll_back(self, service: Service) -> bool:
        if service.config.version == STABLE_VERSION:
            return False
        title = f"{service.config.service} back to {STABLE_VERSION}"
        await self._deploy(service, STABLE_VERSION, "rollback", title)
        return True

    async def _restart(self, service: Service) -> None:
        if service.pid:
            await service.replace()
        else:
            await service.start()

    async def _publish(self, feed: str, version: int, *, announced: bool = True) -> bool:
        catalog = self._supervisor.services["catalog"]
        if catalog.config.feeds.get(feed) == version:
            return False
        if announced:
            await self._announcer.announce(
                "data_version", f"dataset:{feed}", str(version), f"{feed} back to version {version}"
            )
        catalog.change(feeds={**catalog.config.feeds, feed: version})
        catalog.say(f"feed:{feed}", version)
        return True

    def _decoy_service(self) -> str:
        self._decoys += 1
        busy = {active.entry.service for active in self._active.values()}
        return next(name for name in _DECOYS if name not in busy)

    def _service(self, name: str) -> Service:
        known: Service = _known(self._supervisor.services, name, "service")
        return known


def _known(things: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in things:
        raise Refused(HTTPStatus.NOT_FOUND, f"no {what} {name}; there is: {', '.join(things)}")
    return things[name]
