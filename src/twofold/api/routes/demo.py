"""The demo beside this Twofold: what can be broken, and breaking it."""

from __future__ import annotations

from datetime import UTC, datetime

from twofold.api.router import Svc, router
from twofold.api.rules import needs
from twofold.api.services import DemoPort, Fault
from twofold.api.views.demo import BreakFault, Demo, FaultView, Shop
from twofold.records.access import Permission

routes = router("demo")


@routes.get("/demo", operation_id="get_demo", openapi_extra=needs(Permission.READ))
def get_demo(services: Svc) -> Demo:
    """Its faults and services; `available` is false when none runs."""
    return _view(services.demo)


@routes.post("/demo/faults/{fault}", operation_id="break_fault", openapi_extra=needs(Permission.BREAK, "seconds"))
def break_fault(fault: str, services: Svc, body: BreakFault | None = None) -> Demo:
    """Switch a fault on."""
    services.demo.break_fault(fault, seconds=body.seconds if body else None)
    return _view(services.demo)


@routes.delete("/demo/faults/{fault}", operation_id="mend_fault", openapi_extra=needs(Permission.BREAK))
def mend_fault(fault: str, services: Svc) -> Demo:
    """Switch it off."""
    services.demo.mend_fault(fault)
    return _view(services.demo)


def _view(demo: DemoPort) -> Demo:
    state = demo.state()
    return Demo(
        available=state.available,
        faults=[_fault(fault) for fault in state.faults],
        shop=Shop(services=list(state.services)),
    )


def _fault(fault: Fault) -> FaultView:
    return FaultView(
        name=fault.name,
        title=fault.title,
        description=fault.description,
        active=fault.active,
        since=None if fault.since is None else datetime.fromtimestamp(fault.since, UTC),
    )
